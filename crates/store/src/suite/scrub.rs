//! Cases for [`crate::ScrubStore`].

use oci::{Algorithm, Digest, Reference};
use time::OffsetDateTime;

use super::registry::{manifest, name};
use crate::collect::{HoldBlob, SizedBlob};
use crate::{Metadata, StoredUpload, UploadId};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// Every case.
pub async fn run(store: &dyn Metadata) {
    a_damaged_blob_is_not_handed_out_until_it_is_whole(store).await;
    manifests_are_walked_and_healed(store).await;
    a_link_that_is_missing_is_found(store).await;
}

async fn a_damaged_blob_is_not_handed_out_until_it_is_whole(store: &dyn Metadata) {
    let (repository, digest) = (name("scrub/blob"), Digest::sha256(b"scrubbed"));
    assert!(!store.mark_damaged(&digest, NOW).await.unwrap(), "there is no such blob");
    store.link_blob(&repository, &digest, 8, None, NOW).await.unwrap();
    assert_eq!(store.stored_size(&digest).await.unwrap(), Some(8));
    let sized = SizedBlob { digest, size: 8 };
    assert!(store.stored_blobs(None, u32::MAX).await.unwrap().contains(&sized));
    assert!(!store.stored_blobs(Some(&digest), u32::MAX).await.unwrap().contains(&sized));

    assert!(store.mark_damaged(&digest, NOW).await.unwrap());
    assert_eq!(store.damaged_since(&digest).await.unwrap(), Some(NOW));
    assert_eq!(store.linked_blob(&repository, &digest).await.unwrap(), None);
    assert!(store.holds_blob(&repository, &digest).await.unwrap());
    let mounted = store.mount_blob(&repository, &name("scrub/other"), &digest, NOW).await;
    assert_eq!(mounted.unwrap(), None);
    store.link_blob(&repository, &digest, 8, None, NOW).await.unwrap();
    assert!(store.damaged_since(&digest).await.unwrap().is_some(), "no bytes were placed");

    let upload = StoredUpload {
        id: UploadId::random(),
        repository: repository.clone(),
        algorithm: Algorithm::Sha256,
        started_at: NOW,
        started_by: "suite".into(),
    };
    store.create_upload(&upload).await.unwrap();
    assert!(!store.mark_whole(&digest, Some(upload.id)).await.unwrap(), "it does not hold it");
    assert_eq!(store.hold_blob(upload.id, &digest).await.unwrap(), HoldBlob::Held);
    store.link_blob(&repository, &digest, 8, Some(upload.id), NOW).await.unwrap();
    assert_eq!(store.linked_blob(&repository, &digest).await.unwrap(), Some(8), "pushed again");

    store.mark_damaged(&digest, NOW).await.unwrap();
    store.create_upload(&upload).await.unwrap();
    store.hold_blob(upload.id, &digest).await.unwrap();
    assert!(store.mark_whole(&digest, Some(upload.id)).await.unwrap());
    assert_eq!(store.upload(upload.id).await.unwrap(), None, "the repair has ended");
    assert_eq!(store.damaged_since(&digest).await.unwrap(), None);
}

async fn manifests_are_walked_and_healed(store: &dyn Metadata) {
    let (repository, image) = (name("scrub/manifest"), manifest(b"walked", &[], &[]));
    super::registry::put(store, &repository, &image).await;
    let (mut after, mut found) = (None, 0);
    loop {
        let page = store.stored_manifests(after, 2).await.unwrap();
        let Some((last, ..)) = page.last() else { break };
        after = Some(*last);
        found +=
            page.iter().filter(|(_, r, m)| *r == repository && m.digest == image.digest).count();
    }
    assert_eq!(found, 1);
    assert!(store.heal_manifest(&repository, &image.digest, b"healed").await.unwrap());
    assert!(!store.heal_manifest(&name("scrub/none"), &image.digest, b"").await.unwrap());
    let reference = Reference::Digest(image.digest);
    assert_eq!(
        &store.manifest(&repository, &reference).await.unwrap().unwrap().bytes[..],
        b"healed"
    );
}

async fn a_link_that_is_missing_is_found(store: &dyn Metadata) {
    let repository = name("scrub/links");
    let (here, not_here) = (Digest::sha256(b"is here"), Digest::sha256(b"is not here"));
    store.link_blob(&repository, &here, 7, None, NOW).await.unwrap();
    let mut image = manifest(b"sparse", &[here, not_here], &[]);
    image.references.iter_mut().for_each(|reference| reference.required = false);
    super::registry::put(store, &repository, &image).await;
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let page = store.missing_links(after, 2).await.unwrap();
        found.extend(page.found.into_iter().filter(|link| link.repository == repository));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].blob, found[0].manifest), (not_here, image.digest));
}
