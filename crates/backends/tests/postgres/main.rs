//! The PostgreSQL store against a real server.

mod cluster;

use backends::postgres::PostgresStore;
use store::Database;

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
