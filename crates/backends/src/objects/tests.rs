//! The suite over the library's store in memory, and what only this store does.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use tempfile::TempDir;

use super::*;

fn client(memory: &Arc<InMemory>) -> ObjectClient {
    ObjectClient::new(memory.clone(), memory.clone(), None, Path::from("prefix"))
}

async fn open(memory: &Arc<InMemory>, scratch: &TempDir) -> ObjectBlobs {
    ObjectBlobs::open(client(memory), scratch.path()).await.unwrap()
}

#[tokio::test]
async fn passes_the_suite() {
    let (memory, scratch) = (Arc::new(InMemory::new()), tempfile::tempdir().unwrap());
    let (one, other) = (open(&memory, &scratch).await, open(&memory, &scratch).await);
    store::suite::blobs::run(&one).await;
    store::suite::blobs::run_shared(&one, &other, session::PART_BYTES).await;
}

/// Names of everything in the store, except the blobs that the suite leaves.
async fn garbage(memory: &InMemory) -> Vec<String> {
    use futures::TryStreamExt;
    let all: Vec<_> = memory.list(None).try_collect().await.unwrap();
    let all = all.into_iter().map(|object| object.location.to_string());
    all.filter(|key| key != "prefix/format").collect()
}

async fn begun(blobs: &ObjectBlobs, bytes: &Bytes) -> UploadId {
    let id = UploadId::random();
    blobs.begin_upload(id).await.unwrap();
    blobs.continue_upload(id).await.unwrap().unwrap().append(vec![bytes.clone()]).await.unwrap();
    id
}

fn large() -> Bytes {
    vec![7; session::PART_BYTES as usize + 1].into()
}

#[tokio::test]
async fn nothing_is_left_of_what_was_deleted_or_discarded() {
    let (memory, scratch) = (Arc::new(InMemory::new()), tempfile::tempdir().unwrap());
    let (one, other) = (open(&memory, &scratch).await, open(&memory, &scratch).await);
    store::suite::blobs::run_shared(&one, &other, session::PART_BYTES).await;
    assert_eq!(garbage(&memory).await, [""; 0]);
}

#[tokio::test]
async fn the_slower_of_two_writers_hears_of_it() {
    let (memory, scratch) = (Arc::new(InMemory::new()), tempfile::tempdir().unwrap());
    let (one, other) = (open(&memory, &scratch).await, open(&memory, &scratch).await);
    let id = begun(&one, &Bytes::new()).await;
    let mut slow = one.continue_upload(id).await.unwrap().unwrap();
    let mut fast = other.continue_upload(id).await.unwrap().unwrap();
    slow.append(vec!["slow".into()]).await.unwrap();
    fast.append(vec!["fast".into()]).await.unwrap();
    fast.flush().await.unwrap();
    assert!(matches!(slow.flush().await, Err(StoreError::Conflict { .. })));
    assert_eq!(one.upload_size(id).await.unwrap(), Some(4));
    let read = one.seal_upload(id).await.unwrap().unwrap();
    assert_eq!(read.read_up_to(9).await.unwrap(), b"fast");
    one.discard_upload(id).await.unwrap();
    assert_eq!(garbage(&memory).await, [""; 0]);
}

/// Every point of a large commit and of a deletion at which a server may die:
/// the next one finds the whole blob or none, and clears the rest away.
#[tokio::test]
async fn a_crash_leaves_no_blob_or_the_whole_and_what_uploads_lists() {
    let digest = Digest::sha256(&large());
    for writes in 0.. {
        let (memory, scratch) = (Arc::new(InMemory::new()), tempfile::tempdir().unwrap());
        let failing = Arc::new(DiesAfter::new(memory.clone(), writes));
        let client =
            ObjectClient::new(failing.clone(), failing.clone(), None, Path::from("prefix"));
        let outcome = async {
            let blobs = ObjectBlobs::open(client, scratch.path()).await?;
            let id = UploadId::random();
            blobs.begin_upload(id).await?;
            let mut writer = blobs.continue_upload(id).await?.expect("it was begun");
            writer.append(vec![large()]).await?;
            blobs.commit_upload(id, &digest).await?;
            blobs.delete_blob(&digest).await
        };
        let outcome: Result<(), StoreError> = outcome.await;
        let next = open(&memory, &scratch).await;
        if let Some(blob) = next.open_blob(&digest).await.unwrap() {
            assert!(blob.read_up_to(u64::MAX).await.unwrap() == large(), "after {writes} writes");
        }
        for id in next.uploads().await.unwrap() {
            next.discard_upload(id).await.unwrap();
        }
        let whole = next.open_blob(&digest).await.unwrap();
        if let Some(blob) = &whole {
            assert!(blob.read_up_to(u64::MAX).await.unwrap() == large(), "after {writes} writes");
        }
        next.delete_blob(&digest).await.unwrap();
        assert_eq!(garbage(&memory).await, [""; 0], "after {writes} writes");
        if outcome.is_ok() {
            assert!(whole.is_none(), "deleted");
            assert!(writes > 8, "the points were gone through");
            return;
        }
    }
}

#[tokio::test]
async fn a_blob_that_came_back_elsewhere_is_found_there() {
    let (memory, scratch) = (Arc::new(InMemory::new()), tempfile::tempdir().unwrap());
    let (one, other) = (open(&memory, &scratch).await, open(&memory, &scratch).await);
    let digest = Digest::sha256(&large());
    let first = begun(&one, &large()).await;
    one.commit_upload(first, &digest).await.unwrap();
    let early = other.open_blob(&digest).await.unwrap().unwrap();
    one.delete_blob(&digest).await.unwrap();
    assert!(early.read_up_to(9).await.is_err(), "it is gone");
    let second = begun(&one, &large()).await;
    one.commit_upload(second, &digest).await.unwrap();
    assert!(early.read_up_to(u64::MAX).await.unwrap() == large(), "it is somewhere else");
}

#[tokio::test]
async fn a_pointer_to_nothing_is_healed_by_the_next_push() {
    let (memory, scratch) = (Arc::new(InMemory::new()), tempfile::tempdir().unwrap());
    let blobs = open(&memory, &scratch).await;
    let digest = Digest::sha256(&large());
    let first = begun(&blobs, &large()).await;
    blobs.commit_upload(first, &digest).await.unwrap();
    memory.delete(&blobs.inner.keys.content(first.0)).await.unwrap();
    let second = begun(&blobs, &large()).await;
    blobs.commit_upload(second, &digest).await.unwrap();
    let blob = blobs.open_blob(&digest).await.unwrap().unwrap();
    assert!(blob.read_up_to(u64::MAX).await.unwrap() == large());
}

#[tokio::test]
async fn a_layout_of_the_future_is_left_alone() {
    let (memory, scratch) = (Arc::new(InMemory::new()), tempfile::tempdir().unwrap());
    open(&memory, &scratch).await;
    memory.put(&Path::from("prefix/format"), "2\n".into()).await.unwrap();
    let refused = ObjectBlobs::open(client(&memory), scratch.path()).await.err().unwrap();
    assert!(refused.to_string().contains("layout \"2\""), "{refused}");
}

/// A store that does so many writes and then fails every request, as for a
/// server that died.
#[derive(Debug)]
struct DiesAfter {
    memory: Arc<InMemory>,
    left: std::sync::atomic::AtomicI64,
}

impl std::fmt::Display for DiesAfter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DiesAfter")
    }
}

fn dead() -> object_store::Error {
    object_store::Error::Generic { store: "dead", source: "the server died".into() }
}

impl DiesAfter {
    fn new(memory: Arc<InMemory>, writes: i64) -> Self {
        Self { memory, left: writes.into() }
    }

    fn write(&self) -> object_store::Result<()> {
        let left = self.left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
        if left > 0 { Ok(()) } else { Err(dead()) }
    }

    fn read(&self) -> object_store::Result<()> {
        let left = self.left.load(std::sync::atomic::Ordering::SeqCst);
        if left >= 0 { Ok(()) } else { Err(dead()) }
    }
}

#[async_trait]
impl object_store::ObjectStore for DiesAfter {
    async fn put_opts(
        &self,
        location: &Path,
        payload: object_store::PutPayload,
        options: PutOptions,
    ) -> object_store::Result<object_store::PutResult> {
        self.write()?;
        self.memory.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: object_store::PutMultipartOptions,
    ) -> object_store::Result<Box<dyn object_store::MultipartUpload>> {
        self.write()?;
        self.memory.put_multipart_opts(location, options).await
    }

    async fn get_opts(
        &self,
        location: &Path,
        options: object_store::GetOptions,
    ) -> object_store::Result<object_store::GetResult> {
        self.read()?;
        self.memory.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: futures::stream::BoxStream<'static, object_store::Result<Path>>,
    ) -> futures::stream::BoxStream<'static, object_store::Result<Path>> {
        match self.write() {
            Ok(()) => self.memory.delete_stream(locations),
            Err(error) => Box::pin(futures::stream::iter([Err(error)])),
        }
    }

    fn list(
        &self,
        prefix: Option<&Path>,
    ) -> futures::stream::BoxStream<'static, object_store::Result<object_store::ObjectMeta>> {
        self.memory.list(prefix)
    }

    async fn list_with_delimiter(
        &self,
        prefix: Option<&Path>,
    ) -> object_store::Result<object_store::ListResult> {
        self.memory.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: object_store::CopyOptions,
    ) -> object_store::Result<()> {
        self.write()?;
        self.memory.copy_opts(from, to, options).await
    }
}

#[async_trait]
impl object_store::multipart::MultipartStore for DiesAfter {
    async fn create_multipart(
        &self,
        path: &Path,
    ) -> object_store::Result<object_store::MultipartId> {
        self.write()?;
        self.memory.create_multipart(path).await
    }

    async fn put_part(
        &self,
        path: &Path,
        id: &object_store::MultipartId,
        number: usize,
        data: object_store::PutPayload,
    ) -> object_store::Result<object_store::multipart::PartId> {
        self.write()?;
        self.memory.put_part(path, id, number, data).await
    }

    async fn complete_multipart(
        &self,
        path: &Path,
        id: &object_store::MultipartId,
        parts: Vec<object_store::multipart::PartId>,
    ) -> object_store::Result<object_store::PutResult> {
        self.write()?;
        self.memory.complete_multipart(path, id, parts).await
    }

    async fn abort_multipart(
        &self,
        path: &Path,
        id: &object_store::MultipartId,
    ) -> object_store::Result<()> {
        self.write()?;
        self.memory.abort_multipart(path, id).await
    }
}
