//! Metadata in one SQLite file: one connection writes, several read.
//!
//! Write-ahead logging lets readers go on while somebody writes; a commit is on
//! disk when it returns (`synchronous = FULL`).

mod dialect;
#[path = "../sql/mod.rs"]
mod sql;

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlSafeStr, Sqlite, SqlitePool, Transaction};
use store::StoreError;

/// How long a writer waits for another process, such as an `admin` command.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that read.
const READERS_MAX: u32 = 8;
/// Memory for pages, per connection, in KiB.
const CACHE_KIB: u32 = 8192;

/// What the files of `sql` are compiled for here.
type Db = Sqlite;
type Store = SqliteStore;

/// In order. A released migration is never changed, only followed by another.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "registry", include_str!("../../../../migrations/sqlite/0001_registry.sql")),
    (2, "scan", include_str!("../../../../migrations/sqlite/0002_scan.sql")),
    (3, "access", include_str!("../../../../migrations/sqlite/0003_access.sql")),
    (4, "policy", include_str!("../../../../migrations/sqlite/0004_policy.sql")),
    (5, "collect", include_str!("../../../../migrations/sqlite/0005_collect.sql")),
    (6, "upstream", include_str!("../../../../migrations/sqlite/0006_upstream.sql")),
    (7, "webhooks", include_str!("../../../../migrations/sqlite/0007_webhooks.sql")),
    (9, "due", include_str!("../../../../migrations/sqlite/0009_due.sql")),
];

/// The metadata of one installation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens or makes the database and brings its schema up to date.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .pragma("cache_size", format!("-{CACHE_KIB}"));
        let writer = pool(1).connect_with(options.clone()).await;
        let writer = writer.map_err(StoreError::database("open the file"))?;
        migrator()
            .run(&writer)
            .await
            .map_err(StoreError::database("bring the schema up to date"))?;
        let readers = pool(READERS_MAX)
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(StoreError::database("open the file for reading"))?;
        Ok(Self { writer, readers })
    }

    /// Begins the only write transaction there is; others wait for it. Keep it
    /// short, and never wait for a user's bytes while holding it.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        // Immediate: a transaction that reads first and writes later could
        // otherwise lose the race to another process in its middle.
        const ATTEMPTED: &str = "begin to write";
        match self.writer.begin_with("BEGIN IMMEDIATE").await {
            // A commit that failed, on a full disk say, leaves the connection
            // with a transaction that nobody can end: another one takes its place.
            Err(sqlx::Error::InvalidSavePointStatement) => {
                let broken =
                    self.writer.acquire().await.map_err(StoreError::database(ATTEMPTED))?;
                // What it says to being closed changes nothing.
                let _ = broken.close().await;
                self.writer.begin_with("BEGIN IMMEDIATE").await
            }
            begun => begun,
        }
        .map_err(StoreError::database(ATTEMPTED))
    }

    /// The same, for one who must be alone. Here everybody is.
    async fn write_alone(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.write().await
    }

    /// The same, for images and what matching said of their packages.
    async fn write_images(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.write().await
    }

    /// The same, for findings on packages that images hold already.
    async fn write_findings(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.write().await
    }

    /// Begins a transaction that only reads, all of it from one moment.
    async fn read_moment(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.readers.begin().await.map_err(StoreError::database("begin to read"))
    }

    /// Connections that see the last committed state.
    fn read(&self) -> &SqlitePool {
        &self.readers
    }
}

/// A file does not hang up: its connections are neither asked before each use
/// whether they are alive, which costs as much as a small query, nor renewed,
/// which would empty their caches.
fn pool(connections_max: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

#[async_trait]
impl store::Database for SqliteStore {
    fn is_shared(&self) -> bool {
        false
    }

    async fn snapshot(&self, file: &Path) -> Result<bool, StoreError> {
        const ATTEMPTED: &str = "copy the database";
        // A connection of its own, so that nobody waits for it; it only reads
        // here, but readers of the pool may not even write elsewhere.
        let options = (*self.writer.connect_options()).clone();
        let mut own = options.connect().await.map_err(StoreError::database(ATTEMPTED))?;
        sqlx::query("VACUUM INTO $1")
            .bind(file.to_string_lossy().into_owned())
            .execute(&mut own)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        own.close().await.map_err(StoreError::database(ATTEMPTED))?;
        Ok(true)
    }

    /// Folds the write-ahead log into the file, too.
    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn migrator() -> Migrator {
    let migration = |(version, description, sql): &(i64, &'static str, &'static str)| {
        Migration::new(
            *version,
            Cow::Borrowed(*description),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect())
}

async fn commit(transaction: Transaction<'static, Sqlite>) -> Result<(), StoreError> {
    transaction.commit().await.map_err(StoreError::database("commit"))
}

#[cfg(test)]
mod tests {
    use store::Database;

    use super::*;

    #[tokio::test]
    async fn passes_the_suite() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("metadata.db")).await.unwrap();
        store::suite::database(&store).await;
    }

    #[tokio::test]
    async fn a_second_start_migrates_nothing_twice() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("metadata.db");
        SqliteStore::open(&file).await.unwrap().close().await;
        SqliteStore::open(&file).await.unwrap().close().await;
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("metadata.db")).await.unwrap();
        let written = sqlx::query("DELETE FROM tags").execute(store.read()).await;
        assert!(written.unwrap_err().to_string().contains("readonly"));
    }
}
