//! Cases for [`BlobStore`].

use std::io::{Read, Seek, SeekFrom};

use bytes::Bytes;
use futures::TryStreamExt;
use oci::{Algorithm, Digest};

use crate::{BlobStore, UploadId, UploadWriter};

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

/// Cases for a store that is open twice, as by two servers or before and after
/// a restart. `part_bytes` is a size at which the store changes its ways.
pub async fn run_shared(one: &dyn BlobStore, other: &dyn BlobStore, part_bytes: u64) {
    let part = usize::try_from(part_bytes).unwrap();
    for size in [part - 1, part, part + 1, 2 * part, 2 * part + 1, 3 * part + part / 2] {
        a_blob_of_any_size_is_read_in_ranges(one, other, size, part).await;
    }
    an_upload_goes_on_elsewhere(one, other, part).await;
    what_was_not_flushed_may_be_lost_and_is_never_invented(one, other, part).await;
    a_sealed_large_upload_is_committed_elsewhere(one, other, part).await;
    the_same_bytes_committed_at_once_are_one_blob(one, other, part).await;
    a_large_upload_is_discarded_elsewhere(one, other, part).await;
    let left = one.uploads().await.unwrap();
    assert!(left.is_empty(), "no upload is left: {left:?}");
}

/// Bytes without a pattern that a misplaced piece would keep.
fn noise(seed: u64, size: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(word).take(size / 8 + 1).flatten().collect();
    bytes.truncate(size);
    bytes.into()
}

/// Appends in batches, as a server does.
async fn append(writer: &mut dyn UploadWriter, bytes: &Bytes) {
    const BATCH: usize = 1_000_003;
    let before = writer.size();
    for at in (0..bytes.len()).step_by(BATCH) {
        let batch = bytes.slice(at..bytes.len().min(at + BATCH));
        let half = batch.len() / 2;
        writer.append(vec![batch.slice(..half), batch.slice(half..)]).await.unwrap();
    }
    assert_eq!(writer.size(), before + bytes.len() as u64);
}

/// Begins an upload of these bytes and does not flush it.
async fn begun(store: &dyn BlobStore, bytes: &Bytes) -> UploadId {
    let id = UploadId::random();
    store.begin_upload(id).await.unwrap();
    let mut writer = store.continue_upload(id).await.unwrap().unwrap();
    append(writer.as_mut(), bytes).await;
    id
}

async fn continued(store: &dyn BlobStore, id: UploadId, bytes: &Bytes) {
    let mut writer = store.continue_upload(id).await.unwrap().unwrap();
    append(writer.as_mut(), bytes).await;
    writer.flush().await.unwrap();
}

async fn assert_is(store: &dyn BlobStore, digest: &Digest, bytes: &[u8]) {
    let read = read(store, digest).await.expect("the blob is there");
    // Not assert_eq: nobody wants to read megabytes.
    assert!(read == bytes, "{digest} has {} bytes, expected {}", read.len(), bytes.len());
}

async fn a_blob_of_any_size_is_read_in_ranges(
    one: &dyn BlobStore,
    other: &dyn BlobStore,
    size: usize,
    part: usize,
) {
    let bytes = noise(size as u64, size);
    let digest = Digest::sha256(&bytes);
    let id = begun(one, &bytes).await;
    assert_eq!(one.commit_upload(id, &digest).await.unwrap(), size as u64);
    assert_is(other, &digest, &bytes).await;
    let blob = other.open_blob(&digest).await.unwrap().unwrap();
    let middle = part.min(size - 1);
    for range in [0..1, size - 1..size, middle - 1..middle + 1, 5..5, 7..size - 3] {
        let wanted = range.start as u64..range.end as u64;
        let pieces: Vec<Bytes> = blob.stream(wanted).try_collect().await.unwrap();
        assert!(pieces.concat() == bytes[range.clone()], "{range:?} of {size}");
    }
    one.delete_blob(&digest).await.unwrap();
    assert!(one.open_blob(&digest).await.unwrap().is_none(), "a deleted blob is not remembered");
}

async fn an_upload_goes_on_elsewhere(one: &dyn BlobStore, other: &dyn BlobStore, part: usize) {
    let bytes = noise(1, 3 * part + 11);
    let cuts = [0, 10, part / 2, part + 3, part + 4, 2 * part + 5, bytes.len()];
    let id = UploadId::random();
    one.begin_upload(id).await.unwrap();
    for (turn, cut) in cuts.windows(2).enumerate() {
        let (writes, reads) = if turn % 2 == 0 { (other, one) } else { (one, other) };
        continued(writes, id, &bytes.slice(cut[0]..cut[1])).await;
        assert_eq!(reads.upload_size(id).await.unwrap(), Some(cut[1] as u64));
    }
    let digest = Digest::sha256(&bytes);
    assert_eq!(one.commit_upload(id, &digest).await.unwrap(), bytes.len() as u64);
    for store in [one, other] {
        assert_is(store, &digest, &bytes).await;
        assert_eq!(store.upload_size(id).await.unwrap(), None);
    }
    one.delete_blob(&digest).await.unwrap();
}

async fn what_was_not_flushed_may_be_lost_and_is_never_invented(
    one: &dyn BlobStore,
    other: &dyn BlobStore,
    part: usize,
) {
    let bytes = noise(2, 4 * part);
    let id = begun(one, &bytes.slice(..3 * part + 7)).await;
    let mut writer = other.continue_upload(id).await.unwrap().unwrap();
    let kept = usize::try_from(writer.size()).unwrap();
    assert!(kept <= 3 * part + 7);
    append(writer.as_mut(), &bytes.slice(kept..)).await;
    let digest = Digest::sha256(&bytes);
    assert_eq!(other.commit_upload(id, &digest).await.unwrap(), bytes.len() as u64);
    assert_is(one, &digest, &bytes).await;
    one.delete_blob(&digest).await.unwrap();
    one.discard_upload(id).await.unwrap();
}

async fn a_sealed_large_upload_is_committed_elsewhere(
    one: &dyn BlobStore,
    other: &dyn BlobStore,
    part: usize,
) {
    let bytes = noise(3, 2 * part + 1);
    let id = begun(one, &bytes).await;
    let sealed = one.seal_upload(id).await.unwrap().unwrap();
    assert!(sealed.read_up_to(u64::MAX).await.unwrap() == bytes);
    assert_eq!(other.upload_size(id).await.unwrap(), Some(bytes.len() as u64));
    let again = other.seal_upload(id).await.unwrap().unwrap();
    assert!(again.read_up_to(u64::MAX).await.unwrap() == bytes);
    let digest = Digest::sha256(&bytes);
    assert_eq!(other.commit_upload(id, &digest).await.unwrap(), bytes.len() as u64);
    assert_is(one, &digest, &bytes).await;
    one.delete_blob(&digest).await.unwrap();
}

async fn the_same_bytes_committed_at_once_are_one_blob(
    one: &dyn BlobStore,
    other: &dyn BlobStore,
    part: usize,
) {
    for size in [part / 2, part + part / 2] {
        let bytes = noise(4, size);
        let digest = Digest::sha256(&bytes);
        let ids = [
            begun(one, &bytes).await,
            begun(other, &bytes).await,
            begun(one, &bytes).await,
            begun(other, &bytes).await,
        ];
        let committed = tokio::join!(
            one.commit_upload(ids[0], &digest),
            other.commit_upload(ids[1], &digest),
            one.commit_upload(ids[2], &digest),
            other.commit_upload(ids[3], &digest),
        );
        for outcome in [committed.0, committed.1, committed.2, committed.3] {
            assert_eq!(outcome.unwrap(), size as u64);
        }
        assert_is(one, &digest, &bytes).await;
        other.delete_blob(&digest).await.unwrap();
        assert!(other.open_blob(&digest).await.unwrap().is_none());
    }
}

async fn a_large_upload_is_discarded_elsewhere(
    one: &dyn BlobStore,
    other: &dyn BlobStore,
    part: usize,
) {
    let id = begun(one, &noise(5, 2 * part + 1)).await;
    assert!(other.uploads().await.unwrap().contains(&id));
    other.discard_upload(id).await.unwrap();
    assert_eq!(one.upload_size(id).await.unwrap(), None);
    assert!(one.continue_upload(id).await.unwrap().is_none());
    one.discard_upload(id).await.unwrap();
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
