//! Metadata in a PostgreSQL database that any number of servers share.
//!
//! Writers run side by side. What keeps them from each other's toes are locks
//! that end with their transaction, in this order, so that nobody waits in a
//! circle:
//!
//! 1. [`WRITERS`], shared by every transaction that writes, and held alone by
//!    one for which nothing may change (`write_alone`);
//! 2. [`FINDINGS`], shared by those that write an image, and held alone by one
//!    that changes findings on packages that images hold already: either the
//!    image's counts see the new findings, or the change sees the new image;
//! 3. rows (`dialect::LOCK_ROWS`).

mod dialect;
#[path = "../sql/mod.rs"]
mod sql;

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Postgres, SqlSafeStr, Transaction};
use store::StoreError;

/// Connections of one server that write.
const WRITERS_MAX: u32 = 8;
/// Connections of one server that read.
const READERS_MAX: u32 = 16;
/// How long a request waits for a connection, made anew if need be.
const CONNECTION_WAIT: Duration = Duration::from_secs(10);
/// Connections above the first are closed after this long without work.
const CONNECTION_IDLE: Duration = Duration::from_secs(600);
/// The longest that one statement runs.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a statement waits for a lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a transaction may do nothing, such as one whose server has stopped
/// in its middle, before the database ends it.
const IDLE_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);
/// The oldest version that is known to do, as `server_version_num` has it.
const VERSION_MIN: i32 = 150_000;

/// Advisory locks of a database are numbers: these spell `lazaret` and count.
const WRITERS: i64 = 0x6c61_7a61_7265_7401;
/// See above.
const FINDINGS: i64 = 0x6c61_7a61_7265_7402;

/// What the files of `sql` are compiled for here.
type Db = Postgres;
type Store = PostgresStore;

/// In order. A released migration is never changed, only followed by another.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "registry", include_str!("../../../../migrations/postgres/0001_registry.sql")),
    (2, "scan", include_str!("../../../../migrations/postgres/0002_scan.sql")),
    (3, "access", include_str!("../../../../migrations/postgres/0003_access.sql")),
    (4, "policy", include_str!("../../../../migrations/postgres/0004_policy.sql")),
    (5, "collect", include_str!("../../../../migrations/postgres/0005_collect.sql")),
    (6, "upstream", include_str!("../../../../migrations/postgres/0006_upstream.sql")),
    (7, "webhooks", include_str!("../../../../migrations/postgres/0007_webhooks.sql")),
    (9, "due", include_str!("../../../../migrations/postgres/0009_due.sql")),
];

/// The metadata of one installation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    writers: PgPool,
    readers: PgPool,
}

impl PostgresStore {
    /// Opens a database that exists and brings its schema up to date; several
    /// servers may do so at once, and one of them does it. `url` is as
    /// everywhere: `postgres://user:password@host:port/database?sslmode=...`.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        const ATTEMPTED: &str = "open a connection";
        let options = PgConnectOptions::from_str(url)
            // What sqlx says of it may repeat the address with its password.
            .map_err(|_| StoreError::database("read the address")("it is not a PostgreSQL URL"))?
            .application_name("lazaret");
        let mut first = connect(&options).await?;
        let durable = check_server(&mut first).await?;
        migrator()
            .run(&mut first)
            .await
            .map_err(StoreError::database("bring the schema up to date"))?;
        first.close().await.map_err(StoreError::database(ATTEMPTED))?;

        let milliseconds = |time: Duration| time.as_millis().to_string();
        let mut options = options.options([
            ("statement_timeout", milliseconds(STATEMENT_TIMEOUT)),
            ("lock_timeout", milliseconds(LOCK_TIMEOUT)),
            ("idle_in_transaction_session_timeout", milliseconds(IDLE_TRANSACTION_TIMEOUT)),
        ]);
        if !durable {
            // What is acknowledged is durable, whatever the server's default.
            options = options.options([("synchronous_commit", "on")]);
        }
        let reading = options.clone().options([("default_transaction_read_only", "on")]);
        let pool = |size: u32| {
            PgPoolOptions::new()
                .max_connections(size)
                .min_connections(1)
                .acquire_timeout(CONNECTION_WAIT)
                .idle_timeout(CONNECTION_IDLE)
                // One round trip; a request does not fail because the database
                // has been restarted since the last one.
                .test_before_acquire(true)
        };
        Ok(Self {
            writers: pool(WRITERS_MAX)
                .connect_with(options)
                .await
                .map_err(StoreError::database(ATTEMPTED))?,
            readers: pool(READERS_MAX)
                .connect_with(reading)
                .await
                .map_err(StoreError::database(ATTEMPTED))?,
        })
    }

    /// Begins a transaction that writes, beside others that do. Keep it short,
    /// and never wait for a user's bytes while holding it.
    async fn write(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.begin(&format!("BEGIN; SELECT pg_advisory_xact_lock_shared({WRITERS})")).await
    }

    /// Begins a transaction beside which nobody writes, on any server. It waits
    /// for those who do, and others wait for it: keep it very short.
    async fn write_alone(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.begin(&format!("BEGIN; SELECT pg_advisory_xact_lock({WRITERS})")).await
    }

    /// Begins a transaction that writes images and what matching said of their
    /// packages.
    async fn write_images(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.begin(&format!(
            "BEGIN; SELECT pg_advisory_xact_lock_shared({WRITERS}); \
             SELECT pg_advisory_xact_lock_shared({FINDINGS})"
        ))
        .await
    }

    /// Begins a transaction that changes findings on packages that images hold
    /// already.
    async fn write_findings(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.begin(&format!(
            "BEGIN; SELECT pg_advisory_xact_lock_shared({WRITERS}); \
             SELECT pg_advisory_xact_lock({FINDINGS})"
        ))
        .await
    }

    /// Locks go out with the BEGIN, in one message. Each statement sees what was
    /// committed before it (READ COMMITTED), hence what the lock waited for.
    async fn begin(&self, statement: &str) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.writers
            .begin_with(sqlx::AssertSqlSafe(statement))
            .await
            .map_err(StoreError::database("begin to write"))
    }

    /// Begins a transaction that only reads, all of it from one moment.
    async fn read_moment(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.readers
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
            .map_err(StoreError::database("begin to read"))
    }

    /// Connections that see the last committed state.
    fn read(&self) -> &PgPool {
        &self.readers
    }
}

#[async_trait]
impl store::Database for PostgresStore {
    async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }
}

/// The connection of the start: without time limits, since a migration may
/// have to rewrite a large table.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    match tokio::time::timeout(CONNECTION_WAIT, options.connect()).await {
        Ok(connection) => connection.map_err(StoreError::database("open a connection")),
        Err(_) => Err(StoreError::database("open a connection")(format!(
            "nobody answered in {} seconds",
            CONNECTION_WAIT.as_secs()
        ))),
    }
}

/// Refuses a server that will not do; says whether a commit is on its disk when
/// it returns.
async fn check_server(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let (version, encoding, synchronous_commit): (i32, String, String) = sqlx::query_as(
        "SELECT CAST(current_setting('server_version_num') AS INTEGER), \
         current_setting('server_encoding'), current_setting('synchronous_commit')",
    )
    .fetch_one(connection)
    .await
    .map_err(StoreError::database("ask for the version"))?;
    let refuse = |why: String| StoreError::database("keep metadata")(why);
    if version < VERSION_MIN {
        return Err(refuse(format!(
            "PostgreSQL {} or later is needed, and this is {}.{}",
            VERSION_MIN / 10_000,
            version / 10_000,
            version % 10_000
        )));
    }
    if encoding != "UTF8" {
        return Err(refuse(format!(
            "its encoding must be UTF8 and is {encoding}; make it with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        )));
    }
    Ok(synchronous_commit != "off")
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
    // It holds a lock of its own while it runs: whoever comes second finds
    // nothing left to do.
    Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect())
}

async fn commit(transaction: Transaction<'static, Postgres>) -> Result<(), StoreError> {
    transaction.commit().await.map_err(StoreError::database("commit"))
}
