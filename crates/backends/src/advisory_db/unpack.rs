//! Walks files and folders, opens archives and compression, and hands each
//! document to the importers.

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use advisories::import::{Format, Import};

use super::AdvisoryDbError;
use super::files::{read_limited, take_limited};

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Largest document, uncompressed: Debian's tracker is near 100 MiB.
const DOCUMENT_BYTES_MAX: u64 = 1 << 30;
/// Largest member of an archive.
const MEMBER_BYTES_MAX: u64 = 64 << 20;
/// Most bytes that all members of one archive may come to.
const ARCHIVE_BYTES_MAX: u64 = 4 << 30;
/// Most members of one archive, and most files of one folder.
const MEMBERS_MAX: usize = 2_000_000;
/// Members, spread over an archive, that tell what it is: reading each one
/// twice would double the time of an import.
const SAMPLED_MEMBERS: usize = 64;
/// Share of an archive's members that must be of one format: a complete export
/// makes its releases count as covered, and a few samples must not.
const OWN_PERCENT_MIN: usize = 90;
/// Deepest folder.
const DEPTH_MAX: usize = 16;
/// Compression inside compression (`.tar.zst` is one).
const WRAPPERS_MAX: usize = 3;
/// Window that zstd may ask for, as a power of two: 128 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Reads one path given by the user.
pub(super) fn feed(
    path: &Path,
    import: &mut Import,
    progress: &mut dyn FnMut(&str),
) -> Result<(), AdvisoryDbError> {
    let meta = fs::metadata(path).map_err(AdvisoryDbError::io("read", path))?;
    if !meta.is_dir() {
        progress(&format!("reading {}", path.display()));
        let bytes =
            read_limited(path, FILE_BYTES_MAX).map_err(AdvisoryDbError::io("read", path))?;
        feed_bytes(&path.display().to_string(), bytes, import, WRAPPERS_MAX);
        return Ok(());
    }
    let mut files = Vec::new();
    walk(path, 0, &mut files, import);
    // Sorted, so that an import does not depend on the order of a directory.
    files.sort();
    for file in files {
        let large = fs::metadata(&file).is_ok_and(|m| m.len() > 64 << 10);
        if large {
            progress(&format!("reading {}", file.display()));
        }
        let name = file.display().to_string();
        match read_limited(&file, FILE_BYTES_MAX) {
            Ok(bytes) => feed_bytes(&name, bytes, import, WRAPPERS_MAX),
            Err(error) => import.problem_file(&name, error),
        }
    }
    Ok(())
}

fn walk(dir: &Path, depth: usize, files: &mut Vec<PathBuf>, import: &mut Import) {
    let name = dir.display().to_string();
    if depth > DEPTH_MAX {
        return import.problem_file(&name, format!("folders deeper than {DEPTH_MAX} are not read"));
    }
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return import.problem_file(&name, error),
    };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if files.len() >= MEMBERS_MAX {
            return import.problem_file(&name, format!("more than {MEMBERS_MAX} files"));
        }
        if kind.is_dir() {
            // A clone's history holds no advisories.
            if entry.file_name() != ".git" {
                walk(&entry.path(), depth + 1, files, import);
            }
        } else if kind.is_file() || fs::metadata(entry.path()).is_ok_and(|m| m.is_file()) {
            files.push(entry.path());
        }
    }
}

/// Opens what is wrapped, by its first bytes.
fn feed_bytes(name: &str, bytes: Vec<u8>, import: &mut Import, wrappers_left: usize) {
    let unwrapped = match bytes.as_slice() {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(unzstd(&bytes)),
        [0x1f, 0x8b, ..] => Some(take_limited(
            flate2::read::MultiGzDecoder::new(bytes.as_slice()),
            DOCUMENT_BYTES_MAX,
        )),
        _ => None,
    };
    match unwrapped {
        Some(_) if wrappers_left == 0 => {
            import.problem_file(name, "compressed too many times over")
        }
        Some(Ok(inner)) => feed_bytes(name, inner, import, wrappers_left - 1),
        Some(Err(error)) => import.problem_file(name, format!("cannot decompress it: {error}")),
        None if bytes.starts_with(b"PK\x03\x04") => match zip_members(&bytes) {
            Ok(members) => feed_archive(name, members, import),
            Err(error) => import.problem_file(name, format!("cannot open the zip: {error}")),
        },
        None if bytes.get(257..262) == Some(b"ustar") => match tar_members(&bytes) {
            Ok(members) => feed_archive(name, members, import),
            Err(error) => import.problem_file(name, format!("cannot open the tar: {error}")),
        },
        None => {
            import.document(name, &bytes);
        }
    }
}

/// An archive is one feed's: a complete OSV export, or Alpine's database. One
/// that mixes formats is a collection of samples and not a feed's state.
fn feed_archive(name: &str, members: Vec<(String, Vec<u8>)>, import: &mut Import) {
    let step = members.len().div_ceil(SAMPLED_MEMBERS).max(1);
    let sampled: Vec<Option<Format>> =
        members.iter().step_by(step).map(|(_, bytes)| Format::detect(bytes)).collect();
    let Some(format) = sampled.iter().flatten().next().copied() else {
        return import.skip_file("archive without a document of a known format");
    };
    let own = sampled.iter().filter(|f| **f == Some(format)).count();
    if own * 100 < sampled.len() * OWN_PERCENT_MIN {
        import.problem_file(
            name,
            "it mixes feeds or other documents; unpack it and import what is wanted",
        );
    } else if format == Format::OsvRecord {
        import.osv_export(members);
    } else {
        for (member, bytes) in members {
            import.document(&format!("{name}:{member}"), &bytes);
        }
    }
}

fn unzstd(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    take_limited(decoder, DOCUMENT_BYTES_MAX)
}

fn zip_members(bytes: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(io::Error::other)?;
    let mut members = Members::default();
    for number in 0..archive.len() {
        let member = archive.by_index(number).map_err(io::Error::other)?;
        if member.is_file() {
            let name = member.name().map_err(io::Error::other)?.into_owned();
            members.add(name, member)?;
        }
    }
    Ok(members.list)
}

fn tar_members(bytes: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut members = Members::default();
    for entry in tar::Archive::new(bytes).entries()? {
        let entry = entry?;
        if entry.header().entry_type().is_file() {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            members.add(name, entry)?;
        }
    }
    Ok(members.list)
}

/// Members of an archive within the limits.
#[derive(Default)]
struct Members {
    list: Vec<(String, Vec<u8>)>,
    bytes: u64,
}

impl Members {
    fn add(&mut self, name: String, reader: impl Read) -> io::Result<()> {
        let left = ARCHIVE_BYTES_MAX - self.bytes;
        let bytes = take_limited(reader, MEMBER_BYTES_MAX.min(left))
            .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
        self.bytes += bytes.len() as u64;
        if self.list.len() >= MEMBERS_MAX {
            return Err(io::Error::other(format!("more than {MEMBERS_MAX} members")));
        }
        self.list.push((name, bytes));
        Ok(())
    }
}

/// zstd level of a packed index: its texts are compressed already.
const PACK_LEVEL: i32 = 9;

/// Writes files into one `.tar.zst`.
pub(super) fn pack(
    target: &Path,
    files: impl Iterator<Item = PathBuf>,
) -> Result<(), AdvisoryDbError> {
    let error = AdvisoryDbError::io;
    let file = File::create(target).map_err(error("write", target))?;
    let encoder =
        zstd::stream::write::Encoder::new(file, PACK_LEVEL).map_err(error("write", target))?;
    let mut tar = tar::Builder::new(encoder);
    for path in files {
        let bytes = fs::read(&path).map_err(error("read", &path))?;
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        let name = path.file_name().unwrap_or_default();
        tar.append_data(&mut header, name, bytes.as_slice()).map_err(error("write", target))?;
    }
    let encoder = tar.into_inner().map_err(error("write", target))?;
    let file = encoder.finish().map_err(error("write", target))?;
    file.sync_all().map_err(error("write", target))
}

/// Reads what [`pack`] wrote.
pub(super) fn unpack(packed: &Path) -> Result<Vec<(String, Vec<u8>)>, AdvisoryDbError> {
    let read = || unzstd(&read_limited(packed, FILE_BYTES_MAX)?).and_then(|tar| pack_members(&tar));
    read().map_err(AdvisoryDbError::io("unpack", packed))
}

fn pack_members(tar: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut members = Vec::new();
    for entry in tar::Archive::new(tar).entries()? {
        let entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        members.push((name, take_limited(entry, FILE_BYTES_MAX)?));
    }
    Ok(members)
}
