//! Cases for [`crate::RegistryStore`].

use bytes::Bytes;
use oci::descriptor::Annotations;
use oci::{Algorithm, Descriptor, Digest, Reference, RepositoryName, Tag};
use time::{Duration, OffsetDateTime};

use crate::collect::HoldBlob;
use crate::policy::{DeleteMode, DeleteRules, PushRules};
use crate::{
    DeleteManifest, DeleteTag, LinkBlob, ManifestReference, Metadata, NewManifest, PutManifest,
    ReferenceKind, StoredUpload, UploadId,
};

pub(super) const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// Every case.
pub async fn run(store: &dyn Metadata) {
    uploads_come_and_go(store).await;
    a_blob_belongs_to_repositories(store).await;
    a_manifest_needs_its_blobs(store).await;
    tags_move_and_go(store).await;
    lists_are_sorted_and_paged(store).await;
    referrers_wait_for_no_subject(store).await;
    referrers_are_also_those_of_the_fallback_tag(store).await;
}

pub(super) fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

pub(super) fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

pub(super) fn manifest(bytes: &'static [u8], blobs: &[Digest], tags: &[&str]) -> NewManifest {
    let reference = |(position, digest): (usize, &Digest)| ManifestReference {
        kind: ReferenceKind::Layer,
        position: position as u32,
        target: Descriptor {
            media_type: "application/octet-stream".into(),
            digest: *digest,
            // No such size can be, and a manifest may claim it.
            size: u64::MAX,
            urls: vec![],
            annotations: Annotations::new(),
            platform: None,
            artifact_type: None,
        },
        required: true,
    };
    NewManifest {
        digest: Digest::sha256(bytes),
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        bytes: Bytes::from_static(bytes),
        artifact_type: None,
        annotations: Annotations::new(),
        subject: None,
        references: blobs.iter().enumerate().map(reference).collect(),
        tags: tags.iter().copied().map(tag).collect(),
        pushed_at: NOW,
        pushed_by: "suite".into(),
    }
}

pub(super) async fn put(
    store: &dyn Metadata,
    repository: &RepositoryName,
    manifest: &NewManifest,
) -> PutManifest {
    store.put_manifest(repository, manifest, &PushRules::default()).await.unwrap()
}

async fn remove(
    store: &dyn Metadata,
    repository: &RepositoryName,
    digest: &Digest,
) -> Option<Vec<Tag>> {
    let rules = DeleteRules {
        immutable_tags: Vec::new(),
        mode: DeleteMode::Single,
        at: NOW,
        by: "suite".into(),
    };
    match store.delete_manifest(repository, digest, &rules).await.unwrap() {
        DeleteManifest::Deleted(mut gone) => {
            assert_eq!((gone.len(), &gone[0].digest), (1, digest), "nothing else goes");
            Some(gone.remove(0).tags)
        }
        DeleteManifest::Unknown => None,
        DeleteManifest::Refused(refusal) => panic!("{refusal}"),
    }
}

async fn digest_of(store: &dyn Metadata, repository: &str, text: &str) -> Option<Digest> {
    let found = store.manifest(&name(repository), &Reference::Tag(tag(text))).await.unwrap();
    found.map(|m| m.digest)
}

async fn uploads_come_and_go(store: &dyn Metadata) {
    let upload = |hours| StoredUpload {
        id: UploadId::random(),
        repository: name("uploads/a"),
        algorithm: Algorithm::Sha512,
        started_at: NOW + Duration::hours(hours),
        started_by: "suite".into(),
    };
    let (late, early) = (upload(2), upload(1));
    store.create_upload(&late).await.unwrap();
    store.create_upload(&early).await.unwrap();
    assert_eq!(store.upload(late.id).await.unwrap(), Some(late.clone()));
    assert_eq!(store.uploads().await.unwrap(), [early.clone(), late.clone()], "oldest first");
    assert!(store.remove_upload(early.id).await.unwrap());
    assert!(!store.remove_upload(early.id).await.unwrap());

    let digest = Digest::sha256(b"upload");
    let unheld = store.link_blob(&late.repository, &digest, 6, Some(late.id), NOW).await.unwrap();
    assert_eq!(unheld, LinkBlob::NotHeld, "nothing would keep its bytes");
    assert_eq!(store.hold_blob(late.id, &digest).await.unwrap(), HoldBlob::Held);
    store.link_blob(&late.repository, &digest, 6, Some(late.id), NOW).await.unwrap();
    assert_eq!(store.upload(late.id).await.unwrap(), None, "a blob ends its upload");
    assert_eq!(store.linked_blob(&late.repository, &digest).await.unwrap(), Some(6));
}

async fn a_blob_belongs_to_repositories(store: &dyn Metadata) {
    let (a, b, digest) = (name("blobs/a"), name("blobs/b"), Digest::sha256(b"blob"));
    assert!(!store.has_repository(&a).await.unwrap());
    store.link_blob(&a, &digest, 4, None, NOW).await.unwrap();
    store.link_blob(&a, &digest, 4, None, NOW).await.unwrap();
    assert!(store.has_repository(&a).await.unwrap());
    assert_eq!(
        store.linked_blob(&b, &digest).await.unwrap(),
        None,
        "other repositories do not see it"
    );
    store.link_blob(&b, &digest, 4, None, NOW).await.unwrap();
    assert_eq!(store.repositories_with_blob(&digest, 9).await.unwrap(), [a.clone(), b.clone()]);
    assert_eq!(store.repositories_with_blob(&digest, 1).await.unwrap(), std::slice::from_ref(&a));
    assert!(store.unlink_blob(&a, &digest).await.unwrap());
    assert!(!store.unlink_blob(&a, &digest).await.unwrap());
    assert_eq!(store.linked_blob(&b, &digest).await.unwrap(), Some(4));
}

async fn a_manifest_needs_its_blobs(store: &dyn Metadata) {
    let repository = name("needs");
    let (here, one, two) = (Digest::sha256(b"here"), Digest::sha256(b"1"), Digest::sha256(b"2"));
    let needy = manifest(b"needy", &[two, one, two], &["t"]);
    let refused = put(store, &repository, &needy).await;
    assert_eq!(refused, PutManifest::MissingBlobs(vec![two, one]), "once each, in order");
    assert!(!store.has_repository(&repository).await.unwrap(), "a refusal changes nothing");
    assert_eq!(digest_of(store, "needs", "t").await, None);

    store.link_blob(&name("elsewhere"), &here, 4, None, NOW).await.unwrap();
    let other = manifest(b"other", &[here], &[]);
    let refused = put(store, &repository, &other).await;
    assert_eq!(
        refused,
        PutManifest::MissingBlobs(vec![here]),
        "another repository's blob does not count"
    );

    store.link_blob(&repository, &here, 4, None, NOW).await.unwrap();
    assert_eq!(put(store, &repository, &other).await, PutManifest::Stored { new: true });
    assert_eq!(put(store, &repository, &other).await, PutManifest::Stored { new: false });
    assert!(store.blob_is_used(&repository, &here).await.unwrap());
    assert!(!store.unlink_blob(&repository, &here).await.unwrap(), "a manifest needs it");
    assert!(!store.blob_is_used(&name("elsewhere"), &here).await.unwrap());

    let found =
        store.manifest(&repository, &Reference::Digest(other.digest)).await.unwrap().unwrap();
    assert_eq!((&found.bytes[..], found.media_type), (&b"other"[..], other.media_type.clone()));
    let docker = NewManifest { media_type: "application/vnd.docker.x".into(), ..other.clone() };
    put(store, &repository, &docker).await;
    let found =
        store.manifest(&repository, &Reference::Digest(other.digest)).await.unwrap().unwrap();
    assert_eq!(found.media_type, docker.media_type, "the last push says what it is");

    assert_eq!(remove(store, &repository, &other.digest).await, Some(vec![]));
    assert!(!store.blob_is_used(&repository, &here).await.unwrap(), "its references went with it");
}

async fn tags_move_and_go(store: &dyn Metadata) {
    let repository = name("tags");
    let (first, second) = (manifest(b"1st", &[], &["b", "a"]), manifest(b"2nd", &[], &["a"]));
    put(store, &repository, &first).await;
    let summary = store.manifest_summary(&repository, &first.digest).await.unwrap().unwrap();
    assert_eq!((summary.tags, summary.size), (vec![tag("a"), tag("b")], 3));
    put(store, &repository, &second).await;
    assert_eq!(digest_of(store, "tags", "a").await, Some(second.digest));
    assert_eq!(digest_of(store, "tags", "b").await, Some(first.digest));

    let untag = async || store.delete_tag(&repository, &tag("a"), &[]).await.unwrap();
    assert_eq!(untag().await, DeleteTag::Deleted(second.digest));
    assert_eq!(untag().await, DeleteTag::Unknown);
    let by_digest = store.manifest(&repository, &Reference::Digest(second.digest)).await.unwrap();
    assert!(by_digest.is_some(), "untagged is still there");
    assert_eq!(remove(store, &repository, &first.digest).await, Some(vec![tag("b")]));
    assert_eq!(remove(store, &repository, &first.digest).await, None);
    assert_eq!(store.tags(&repository, None, 9).await.unwrap(), []);
}

async fn lists_are_sorted_and_paged(store: &dyn Metadata) {
    let repository = name("zz/lists");
    put(store, &repository, &manifest(b"list", &[], &["b", "B", "a", "1"])).await;
    let tags = async |after, limit| -> Vec<String> {
        let tags = store.tags(&repository, after, limit).await.unwrap();
        tags.iter().map(Tag::to_string).collect()
    };
    assert_eq!(tags(None, 9).await, ["1", "B", "a", "b"], "by bytes");
    assert_eq!(tags(Some("B"), 1).await, ["a"]);
    assert_eq!(tags(Some("AA"), 1).await, ["B"], "what comes after something that is not there");
    assert_eq!(tags(None, 0).await, [""; 0]);
    assert_eq!(store.repositories(Some("zz"), 9).await.unwrap(), [repository]);
}

async fn referrers_wait_for_no_subject(store: &dyn Metadata) {
    let (repository, subject) = (name("referrers"), Digest::sha256(b"not here"));
    let referrer = |bytes, kind: Option<&str>| NewManifest {
        artifact_type: kind.map(str::to_owned),
        annotations: [("k".to_owned(), "v".to_owned())].into(),
        subject: Some(subject),
        ..manifest(bytes, &[], &[])
    };
    let all =
        [referrer(b"r1", Some("sbom")), referrer(b"r2", Some("signature")), referrer(b"r3", None)];
    for manifest in &all {
        put(store, &repository, manifest).await;
    }
    let mut expected = all.map(|m| m.digest);
    expected.sort_unstable();
    let list = async |kind, after, limit| -> Vec<Digest> {
        let found = store.referrers(&repository, &subject, kind, after, limit).await.unwrap();
        assert!(found.iter().all(|m| m.annotations["k"] == "v" && m.subject == Some(subject)));
        found.into_iter().map(|m| m.digest).collect()
    };
    assert_eq!(list(None, None, 9).await, expected);
    assert_eq!(list(None, Some(&expected[0]), 1).await, expected[1..2]);
    assert_eq!(list(Some("sbom"), None, 9).await, [Digest::sha256(b"r1")]);
    assert_eq!(list(Some("other"), None, 9).await, []);
    assert_eq!(store.referrers(&name("tags"), &subject, None, None, 9).await.unwrap(), []);
}

async fn referrers_are_also_those_of_the_fallback_tag(store: &dyn Metadata) {
    let (repository, subject) = (name("fallback"), Digest::sha256(b"nor here"));
    let silent = NewManifest {
        artifact_type: Some("sbom".into()),
        ..manifest(b"says nothing of its subject", &[], &[])
    };
    let speaking =
        NewManifest { subject: Some(subject), ..manifest(b"names its subject", &[], &[]) };
    let absent = Digest::sha256(b"listed, but gone");
    let mut index = manifest(b"index", &[silent.digest, speaking.digest, absent], &[]);
    for reference in &mut index.references {
        (reference.kind, reference.required) = (ReferenceKind::Child, false);
    }
    index.tags = vec![Tag::of_referrers(&subject)];
    for manifest in [&silent, &speaking, &index] {
        put(store, &repository, manifest).await;
    }
    let list = async |kind, after, limit| -> Vec<Digest> {
        let found = store.referrers(&repository, &subject, kind, after, limit).await.unwrap();
        found.into_iter().map(|m| m.digest).collect()
    };
    let mut expected = vec![silent.digest, speaking.digest];
    expected.sort_unstable();
    assert_eq!(list(None, None, 9).await, expected, "each once, and none that is not there");
    assert_eq!(list(None, Some(&expected[0]), 1).await, expected[1..]);
    assert_eq!(list(Some("sbom"), None, 9).await, [silent.digest]);
    // An index of another repository, or another tag of this one, says nothing.
    let elsewhere = name("fallback/elsewhere");
    put(store, &elsewhere, &silent).await;
    assert_eq!(store.referrers(&elsewhere, &subject, None, None, 9).await.unwrap(), []);
    let tag = Tag::of_referrers(&subject);
    store.delete_tag(&repository, &tag, &[]).await.unwrap();
    assert_eq!(list(None, None, 9).await, [speaking.digest]);
}
