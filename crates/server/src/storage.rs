//! Opens what an installation keeps, for the server and for `lazaret admin`.

use std::sync::Arc;

use anyhow::Context;
use backends::files::FileBlobs;
use backends::objects::ObjectBlobs;
use backends::postgres::PostgresStore;
use backends::sqlite::SqliteStore;
use store::{BlobStore, Database};

use crate::config::{Config, Content};
use crate::database_url::DatabaseUrl;

/// The two stores of an installation.
#[derive(Clone)]
pub struct Storage {
    /// All metadata.
    pub database: Arc<dyn Database>,
    /// The bytes.
    pub blobs: Arc<dyn BlobStore>,
}

impl Storage {
    /// Opens both and brings the schema up to date. Several processes may have
    /// them open at once.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let database = open_database(config).await?;
        let blobs = open_blobs(config).await.context("cannot open the blob store")?;
        Ok(Self { database, blobs })
    }
}

async fn open_blobs(config: &Config) -> anyhow::Result<Arc<dyn BlobStore>> {
    Ok(match &config.content {
        Content::Files(folder) => Arc::new(FileBlobs::open(folder)?),
        Content::Objects(settings) => {
            let scratch = config.data.join("scratch");
            Arc::new(ObjectBlobs::open(settings.client()?, &scratch).await?)
        }
    })
}

/// Opens the database that the configuration names.
async fn open_database(config: &Config) -> anyhow::Result<Arc<dyn Database>> {
    match &config.database {
        Some(url) => open_postgres(url).await,
        None => {
            let file = config.data.join("lazaret.db");
            let store = SqliteStore::open(&file)
                .await
                .with_context(|| format!("cannot open the database {}", file.display()))?;
            Ok(Arc::new(store))
        }
    }
}

/// Opens a PostgreSQL database.
pub async fn open_postgres(url: &DatabaseUrl) -> anyhow::Result<Arc<dyn Database>> {
    let store = PostgresStore::open(url.as_str())
        .await
        .with_context(|| format!("cannot open the database {url}"))?;
    Ok(Arc::new(store))
}
