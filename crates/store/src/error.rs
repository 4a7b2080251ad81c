//! Why storage did not do what it was asked.

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What databases say on a full disk: SQLite (`SQLITE_FULL`), and PostgreSQL
/// (53100) with the words of its system.
const DATABASE_FULL: [&str; 2] = ["database or disk is full", "No space left on device"];

/// Storage failed. The caller can try again or give up; it never means that
/// something does not exist, which is an answer and not an error.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or its folder.
    #[error("cannot {attempted}: {source}")]
    Io {
        /// What was tried, such as `append to upload 7f…`.
        attempted: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database.
    #[error("cannot {attempted} in the database: {source}")]
    Database {
        /// What was tried.
        attempted: &'static str,
        /// What the database said.
        source: Source,
    },
    /// The object store.
    #[error("cannot {attempted} in the object store: {source}")]
    Remote {
        /// What was tried.
        attempted: String,
        /// What the store said.
        source: Source,
    },
    /// Somebody else, perhaps another server, changed it first.
    #[error("somebody else changed {what} at the same time")]
    Conflict {
        /// What both wrote to.
        what: String,
    },
    /// Something stored is not what was once written.
    #[error("stored {what} is damaged: {detail}")]
    Corrupt {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

impl StoreError {
    /// For `map_err` on file operations.
    pub fn io(attempted: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let attempted = attempted.into();
        move |source| Self::Io { attempted, source }
    }

    /// For `map_err` on database operations.
    pub fn database<E: Into<Source>>(attempted: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Database { attempted, source: source.into() }
    }

    /// For stored values that no longer parse.
    pub fn corrupt(what: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::Corrupt { what, detail: detail.to_string() }
    }

    /// Whether another try may go better without anybody's doing.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Remote { .. } | Self::Conflict { .. } => true,
            Self::Database { .. } | Self::Corrupt { .. } => false,
        }
    }

    /// Whether another process is at work on the same thing.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Whether the disk is full, which an operator can do something about.
    pub fn is_out_of_space(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
            Self::Database { source, .. } => {
                let text = source.to_string();
                DATABASE_FULL.iter().any(|words| text.contains(words))
            }
            _ => false,
        }
    }
}
