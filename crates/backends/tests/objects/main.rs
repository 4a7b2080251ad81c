//! The suite of blob stores over real object stores. Google's is not among
//! them: fake-gcs-server refuses the XML interface that the client speaks.

mod servers;

use backends::objects::ObjectBlobs;
use servers::Server;
use tempfile::TempDir;

/// The size from which a blob is written in parts.
const PART_BYTES: u64 = 8 << 20;

async fn open(server: &Server, scratch: &TempDir) -> ObjectBlobs {
    let client = server.settings.client().expect("good settings");
    ObjectBlobs::open(client, scratch.path()).await.expect("a reachable store")
}

async fn check(server: Option<Server>) {
    let Some(server) = server else { return };
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let (one, other) = (open(&server, &scratch).await, open(&server, &scratch).await);
    store::suite::blobs::run(&one).await;
    store::suite::blobs::run_shared(&one, &other, PART_BYTES).await;
}

#[tokio::test]
async fn s3() {
    check(servers::s3()).await;
}

#[tokio::test]
async fn azure() {
    check(servers::azure()).await;
}
