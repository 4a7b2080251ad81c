//! Opens what an installation keeps, for the server and for `lazaret admin`.

use std::sync::Arc;

use anyhow::Context;
use backends::files::FileBlobs;
use backends::sqlite::SqliteStore;
use store::{BlobStore, Database};

use crate::config::Config;

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
        let blobs =
            FileBlobs::open(&config.data.join("content")).context("cannot open the blob store")?;
        Ok(Self { database: Arc::new(database), blobs: Arc::new(blobs) })
    }
}
