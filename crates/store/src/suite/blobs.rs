//! Cases for [`BlobStore`].

use std::io::{Read, Seek, SeekFrom};

use bytes::Bytes;
use oci::{Algorithm, Digest};

use crate::{BlobStore, UploadId};

/// Every case.
pub async fn run(store: &dyn BlobStore) {
    what_is_not_there_is_none(store).await;
    an_upload_grows_before_its_readers(store).await;
    a_commit_keeps_the_bytes(store).await;
    the_same_bytes_can_be_committed_twice(store).await;
    an_empty_blob_is_a_blob(store).await;
    a_discarded_upload_leaves_nothing(store).await;
    a_sealed_upload_is_read_back(store).await;
    a_listing_has_every_blob(store).await;
}

async fn upload(store: &dyn BlobStore, pieces: &[&'static [u8]]) -> UploadId {
    let id = UploadId::random();
    store.begin_upload(id).await.unwrap();
    let mut writer = store.continue_upload(id).await.unwrap().unwrap();
    writer.append(pieces.iter().map(|p| Bytes::from_static(p)).collect()).await.unwrap();
    id
}

async fn read(store: &dyn BlobStore, digest: &Digest) -> Option<Vec<u8>> {
    let blob = store.open_blob(digest).await.unwrap()?;
    let bytes = blob.read_up_to(u64::MAX).await.unwrap();
    assert_eq!(bytes.len() as u64, blob.size);
    let mut file = store.blob_file(digest).await.unwrap().unwrap();
    let mut again = Vec::new();
    file.file.read_to_end(&mut again).unwrap();
    assert_eq!((again == bytes, file.size), (true, blob.size), "the blob as a file");
    assert_eq!(store.blob_size(digest).await.unwrap(), Some(blob.size));
    Some(bytes)
}

async fn what_is_not_there_is_none(store: &dyn BlobStore) {
    let (id, digest) = (UploadId::random(), Digest::sha256(b"never"));
    assert!(store.continue_upload(id).await.unwrap().is_none());
    assert!(store.upload_reader(id).unwrap().is_none());
    assert_eq!(store.upload_size(id).await.unwrap(), None);
    assert!(store.open_blob(&digest).await.unwrap().is_none());
    assert_eq!(store.blob_size(&digest).await.unwrap(), None);
    store.discard_upload(id).await.unwrap();
    store.delete_blob(&digest).await.unwrap();
}

async fn an_upload_grows_before_its_readers(store: &dyn BlobStore) {
    let id = upload(store, &[b"one ", b"", b"two "]).await;
    let mut reader = store.upload_reader(id).unwrap().unwrap();
    let mut seen = String::new();
    reader.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "one two ");

    let mut writer = store.continue_upload(id).await.unwrap().unwrap();
    assert_eq!(writer.size(), 8, "an upload goes on at its end");
    assert_eq!(writer.append(vec![Bytes::from_static(b"three")]).await.unwrap(), 13);
    assert_eq!(writer.append(vec![]).await.unwrap(), 13);
    reader.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "one two three");

    let digest = Digest::sha256(b"one two three");
    assert_eq!(store.commit_upload(id, &digest).await.unwrap(), 13);
    reader.seek(SeekFrom::Start(4)).unwrap();
    seen.clear();
    reader.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "two three", "a reader outlives the upload");
}

async fn a_commit_keeps_the_bytes(store: &dyn BlobStore) {
    for algorithm in Algorithm::ALL {
        let id = upload(store, &[b"kept"]).await;
        let digest = Digest::of(algorithm, b"kept");
        store.commit_upload(id, &digest).await.unwrap();
        assert_eq!(read(store, &digest).await.as_deref(), Some(&b"kept"[..]));
        assert_eq!(store.upload_size(id).await.unwrap(), None, "the upload is gone");
        store.delete_blob(&digest).await.unwrap();
        assert_eq!(read(store, &digest).await, None);
    }
}

async fn the_same_bytes_can_be_committed_twice(store: &dyn BlobStore) {
    let (first, second) = (upload(store, &[b"twice"]).await, upload(store, &[b"twice"]).await);
    let digest = Digest::sha256(b"twice");
    store.commit_upload(first, &digest).await.unwrap();
    let early = store.open_blob(&digest).await.unwrap().unwrap();
    store.commit_upload(second, &digest).await.unwrap();
    assert_eq!(read(store, &digest).await.as_deref(), Some(&b"twice"[..]));
    assert_eq!(early.read_up_to(u64::MAX).await.unwrap(), b"twice");
}

async fn an_empty_blob_is_a_blob(store: &dyn BlobStore) {
    let id = upload(store, &[]).await;
    let digest = Digest::sha256(b"");
    assert_eq!(store.commit_upload(id, &digest).await.unwrap(), 0);
    assert_eq!(read(store, &digest).await.as_deref(), Some(&b""[..]));
}

async fn a_discarded_upload_leaves_nothing(store: &dyn BlobStore) {
    let id = upload(store, &[b"gone"]).await;
    assert!(store.uploads().await.unwrap().contains(&id));
    store.discard_upload(id).await.unwrap();
    assert!(!store.uploads().await.unwrap().contains(&id));
    assert!(store.continue_upload(id).await.unwrap().is_none());
}

async fn a_sealed_upload_is_read_back(store: &dyn BlobStore) {
    assert!(store.seal_upload(UploadId::random()).await.unwrap().is_none());
    let id = upload(store, &[b"sealed, ", b"read back"]).await;
    for _ in 0..2 {
        let blob = store.seal_upload(id).await.unwrap().unwrap();
        assert_eq!(blob.size, 17);
        assert_eq!(blob.read_up_to(u64::MAX).await.unwrap(), b"sealed, read back");
        assert_eq!(store.upload_size(id).await.unwrap(), Some(17));
    }
    let digest = Digest::sha256(b"sealed, read back");
    assert_eq!(store.commit_upload(id, &digest).await.unwrap(), 17);
    assert_eq!(read(store, &digest).await.as_deref(), Some(&b"sealed, read back"[..]));
    store.delete_blob(&digest).await.unwrap();

    let id = upload(store, &[b"sealed, dropped"]).await;
    assert!(store.seal_upload(id).await.unwrap().is_some());
    store.discard_upload(id).await.unwrap();
    assert!(!store.uploads().await.unwrap().contains(&id));
    assert_eq!(store.upload_size(id).await.unwrap(), None);
}

async fn a_listing_has_every_blob(store: &dyn BlobStore) {
    let mut kept = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let algorithm = if name == "d" { Algorithm::Sha512 } else { Algorithm::Sha256 };
        let id = upload(store, &[b"listed ", name.as_bytes()]).await;
        let digest = Digest::of(algorithm, format!("listed {name}").as_bytes());
        store.commit_upload(id, &digest).await.unwrap();
        kept.push(digest);
    }
    let deleted = kept.swap_remove(1);
    store.delete_blob(&deleted).await.unwrap();
    let mut listed = Vec::new();
    for shard in 0..=u8::MAX {
        let blobs = store.blobs(shard).await.unwrap();
        assert!(blobs.iter().all(|blob| blob.digest.value()[0] == shard), "shard {shard:02x}");
        listed.extend(blobs.into_iter().map(|blob| blob.digest));
    }
    assert!(kept.iter().all(|digest| listed.contains(digest)), "{listed:?}");
    assert!(!listed.contains(&deleted));
    for digest in kept {
        store.delete_blob(&digest).await.unwrap();
    }
}
