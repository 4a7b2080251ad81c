//! How much of a layer is read before the rest is given up, and said to be.

/// Bounds on one layer. What lies beyond is reported, never silently dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Uncompressed bytes of the whole layer.
    pub layer_bytes_max: u64,
    /// Uncompressed bytes from which on the ratio is looked at: small layers
    /// may be as sparse as they like.
    pub ratio_free_bytes: u64,
    /// Uncompressed bytes per compressed byte, beyond the free ones.
    pub ratio_max: u64,
    /// Entries of the archive, headers of every kind included.
    pub entries_max: u64,
    /// Bytes of all names and link targets that are kept, with 48 for each
    /// path.
    pub name_bytes_max: usize,
    /// Bytes of one path or link target; Linux's `PATH_MAX`.
    pub path_bytes_max: usize,
    /// Names in one path.
    pub path_depth_max: usize,
    /// Bytes of one pax or GNU long-name header: what Go's `archive/tar`
    /// accepts, so that no runtime unpacks a layer that breaks it.
    pub header_bytes_max: usize,
    /// Bytes of one package database (dpkg, apk).
    pub database_bytes_max: usize,
    /// Bytes of one other metadata file.
    pub metadata_bytes_max: usize,
    /// Bytes of one executable that is searched for what was built into it.
    pub executable_bytes_max: u64,
    /// Bytes of all records kept of one layer, about as they lie in memory.
    pub evidence_bytes_max: usize,
    /// Problems listed one by one.
    pub problems_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            layer_bytes_max: 32 << 30,
            ratio_free_bytes: 1 << 30,
            ratio_max: 400,
            entries_max: 1_000_000,
            name_bytes_max: 64 << 20,
            path_bytes_max: 4096,
            path_depth_max: 256,
            header_bytes_max: 1 << 20,
            database_bytes_max: 32 << 20,
            metadata_bytes_max: 4 << 20,
            executable_bytes_max: 1 << 30,
            evidence_bytes_max: 32 << 20,
            problems_max: 200,
        }
    }
}

/// Window a zstd frame may ask for, as a power of two: 128 MiB, what the
/// `zstd` tool itself decodes without being told to.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Symbolic links followed in one look-up, as Linux does.
pub const LINK_HOPS_MAX: usize = 40;

/// Bytes of a package's name or version; more is no package but an attack.
pub const WORD_BYTES_MAX: usize = 1024;

/// Bytes of a stored analysis once decompressed. Above every limit of
/// [`Limits::default`] together; a larger claim is corruption.
pub const STORED_BYTES_MAX: usize = 256 << 20;

/// Bytes of an image configuration that are parsed.
pub const CONFIG_BYTES_MAX: usize = 8 << 20;
