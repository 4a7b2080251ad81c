//! The PostgreSQL store against a real server.

mod cluster;

use backends::postgres::PostgresStore;
use backends::sqlite::SqliteStore;
use store::scan::ScanStore;
use store::transfer::{Batch, Cell, Fill, RowSink, Transfer};
use store::{Database, RegistryStore, StoreError};

#[tokio::test]
async fn passes_the_suite() {
    let Some(database) = cluster::database() else { return };
    let store = PostgresStore::open(&database.url).await.unwrap();
    store::suite::database(&store).await;
    store.close().await;
}

#[tokio::test]
async fn servers_that_start_at_once_migrate_once() {
    let Some(database) = cluster::database() else { return };
    let starts = (0..6).map(|_| PostgresStore::open(&database.url));
    for started in futures::future::join_all(starts).await {
        started.unwrap().close().await;
    }
    assert_eq!(database.psql("SELECT bool_and(success) FROM _sqlx_migrations"), "t");
}

/// Everything a database holds, in an order of its own.
#[derive(Default)]
struct Rows(Vec<(String, String)>);

#[async_trait::async_trait]
impl RowSink for Rows {
    async fn take(&mut self, batch: Batch) -> Result<(), StoreError> {
        for row in batch.rows {
            // SQLite has no truths.
            let cell = |cell| match cell {
                Cell::Truth(truth) => Cell::Integer(truth.into()),
                cell => cell,
            };
            let row: Vec<_> = row.into_iter().map(cell).collect();
            self.0.push((batch.table.clone(), format!("{:?} {row:?}", batch.columns)));
        }
        Ok(())
    }
}

async fn rows(store: &dyn Database) -> Vec<(String, String)> {
    let mut rows = Rows::default();
    store.export(&mut rows).await.unwrap();
    rows.0.sort_unstable();
    rows.0
}

async fn copy(from: &dyn Database, to: &dyn Database) {
    struct Into(Box<dyn Fill>);
    #[async_trait::async_trait]
    impl RowSink for Into {
        async fn take(&mut self, batch: Batch) -> Result<(), StoreError> {
            self.0.take(batch).await
        }
    }
    let mut into = Into(to.fill().await.unwrap());
    from.export(&mut into).await.unwrap();
    let (mut counted, mut there) = (into.0.finish().await.unwrap(), from.tables().await.unwrap());
    counted.sort_unstable_by(|a, b| a.table.cmp(&b.table));
    there.sort_unstable_by(|a, b| a.table.cmp(&b.table));
    assert_eq!(counted, there);
}

#[tokio::test]
async fn everything_moves_there_and_back() {
    let Some(database) = cluster::database() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(&folder.path().join("a.db")).await.unwrap();
    store::suite::database(&sqlite).await;
    let before = rows(&sqlite).await;
    assert!(before.len() > 100, "the suite leaves something in most tables");

    let postgres = PostgresStore::open(&database.url).await.unwrap();
    copy(&sqlite, &postgres).await;
    assert!(rows(&postgres).await == before);
    let error = postgres.fill().await.err().unwrap().to_string();
    assert!(error.contains("not empty"), "{error}");

    let back = SqliteStore::open(&folder.path().join("b.db")).await.unwrap();
    copy(&postgres, &back).await;
    assert!(rows(&back).await == before);

    // Whoever goes on gets numbers that are free.
    let name = oci::RepositoryName::parse("after/the/move").unwrap();
    let now = time::OffsetDateTime::UNIX_EPOCH;
    let digest = oci::Digest::sha256(b"after");
    postgres.link_blob(&name, &digest, 5, None, now).await.unwrap();
    assert_eq!(postgres.linked_blob(&name, &digest).await.unwrap(), Some(5));
}

#[tokio::test]
async fn an_import_that_is_given_up_leaves_nothing() {
    let Some(database) = cluster::database() else { return };
    let store = PostgresStore::open(&database.url).await.unwrap();
    let mut import = store.fill().await.unwrap();
    let fact = Batch {
        table: "scan_facts".into(),
        columns: vec!["name".into(), "value".into()],
        rows: vec![vec![Cell::Text("a".into()), Cell::Text("b\0".into())]],
    };
    import.take(fact.clone()).await.unwrap();
    let unknown = Batch { table: "none".into(), ..fact };
    assert!(import.take(unknown).await.unwrap_err().to_string().contains("no table none"));
    drop(import);
    assert_eq!(store.scan_fact("a").await.unwrap(), None);
    store.set_scan_fact("a", "c").await.unwrap();
}

/// A server that is restarted takes its connections with it; the next request
/// makes new ones.
#[tokio::test]
async fn lost_connections_are_made_anew() {
    let Some(database) = cluster::database() else { return };
    let store = PostgresStore::open(&database.url).await.unwrap();
    store.set_scan_fact("a", "b").await.unwrap();
    database.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    assert_eq!(store.scan_fact("a").await.unwrap().as_deref(), Some("b"));
    store.set_scan_fact("a", "c").await.unwrap();
}

#[tokio::test]
async fn nobody_answers_and_the_error_says_so_without_the_password() {
    let Some(database) = cluster::database() else { return };
    let url = format!("{}_none&password=secret", database.url);
    let error = PostgresStore::open(&url).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    assert!(error.to_string().starts_with("cannot open a connection"), "{error}");
}
