//! Opens what an installation keeps, for the server and for `lazaret admin`.

use std::sync::Arc;

use anyhow::Context;
use backends::files::FileBlobs;
use backends::objects::ObjectBlobs;
use backends::sqlite::SqliteStore;
use store::{BlobStore, Database};

use crate::config::{Config, Content};

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
        let database = SqliteStore::open(&config.data.join("lazaret.db"))
            .await
            .context("cannot open the database")?;
        let blobs = open_blobs(config).await.context("cannot open the blob store")?;
        Ok(Self { database: Arc::new(database), blobs })
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
