//! Cases for [`crate::CatalogStore`].

use bytes::Bytes;
use oci::descriptor::Annotations;
use oci::media_type::{OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use oci::{Descriptor, Digest, RepositoryName, Tag};
use time::OffsetDateTime;

use crate::catalog::{Place, RepositorySummary};
use crate::policy::PushRules;
use crate::scan::{FailedScan, ScanFailure};
use crate::{Database, ManifestReference, NewManifest, ReferenceKind};

/// Every case.
pub async fn run(store: &dyn Database) {
    repositories_are_summed_up(store).await;
    a_manifest_says_what_it_refers_to(store).await;
    an_index_lists_its_children(store).await;
    false_claims_of_size_break_no_list(store).await;
    scans_are_found_by_repository(store).await;
}

fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

fn reference(
    kind: ReferenceKind,
    position: u32,
    digest: Digest,
    media_type: &str,
    size: u64,
) -> ManifestReference {
    ManifestReference {
        kind,
        position,
        target: Descriptor {
            media_type: media_type.into(),
            digest,
            size,
            urls: vec![],
            annotations: Annotations::new(),
            platform: None,
            artifact_type: None,
        },
        required: false,
    }
}

fn manifest(
    bytes: &str,
    tags: &[&str],
    pushed_at: i64,
    references: Vec<ManifestReference>,
) -> NewManifest {
    NewManifest {
        digest: Digest::sha256(bytes.as_bytes()),
        media_type: OCI_MANIFEST.into(),
        bytes: Bytes::copy_from_slice(bytes.as_bytes()),
        artifact_type: Some("kind".into()),
        annotations: Annotations::new(),
        subject: None,
        references,
        tags: tags.iter().map(|t| Tag::parse(t).unwrap()).collect(),
        pushed_at: OffsetDateTime::from_unix_timestamp(pushed_at).unwrap(),
        pushed_by: "suite".into(),
    }
}

async fn repositories_are_summed_up(store: &dyn Database) {
    let (a, b) = (name("catalog/a_1"), name("catalog/ab1"));
    let now = OffsetDateTime::UNIX_EPOCH;
    for (repository, blob, size) in [(&a, "one", 3), (&a, "two", 4), (&b, "one", 3)] {
        let blob = Digest::sha256(blob.as_bytes());
        store.link_blob(repository, &blob, size, None, now).await.unwrap();
    }
    store
        .put_manifest(&a, &manifest("catalog 1", &["x", "y"], 5, vec![]), &PushRules::default())
        .await
        .unwrap();
    store
        .put_manifest(&a, &manifest("catalog 2", &["y"], 7, vec![]), &PushRules::default())
        .await
        .unwrap();

    let summed = RepositorySummary { name: a.clone(), tags: 2, last_push_at: Some(7_000), size: 7 };
    assert_eq!(store.repository_summary(&a).await.unwrap(), Some(summed.clone()));
    assert_eq!(store.repository_summary(&name("catalog/none")).await.unwrap(), None);
    let page = store.repository_page(Some("CATALOG/a"), 0, 9).await.unwrap();
    assert_eq!((page.total, page.entries.len()), (2, 2), "in any case of letters");
    assert_eq!(page.entries[0], summed);
    assert_eq!((page.entries[1].last_push_at, page.entries[1].size), (None, 3));
    let page = store.repository_page(Some("catalog/a"), 1, 9).await.unwrap();
    assert_eq!((page.total, page.entries[0].name.clone()), (2, b));
    let page = store.repository_page(Some("g/a_"), 0, 9).await.unwrap();
    assert_eq!(page.total, 1, "an underscore is an underscore");
    let all = store.repository_page(None, 0, 1).await.unwrap();
    assert_eq!(store.registry_summary().await.unwrap().repositories, all.total);
}

async fn a_manifest_says_what_it_refers_to(store: &dyn Database) {
    let repository = name("catalog/manifests");
    let blob = |text: &str| Digest::sha256(text.as_bytes());
    let references = vec![
        reference(ReferenceKind::Config, 0, blob("config"), "application/config", 10),
        reference(ReferenceKind::Layer, 1, blob("second"), "text/plain", 200),
        reference(ReferenceKind::Layer, 0, blob("first"), &format!("{OCI_LAYER}+gzip"), 3_000),
    ];
    let newest = manifest("refers", &["b", "a"], 9, references);
    store.put_manifest(&repository, &newest, &PushRules::default()).await.unwrap();
    store
        .put_manifest(&repository, &manifest("older", &[], 8, vec![]), &PushRules::default())
        .await
        .unwrap();
    let list = store.catalog_manifests(&repository).await.unwrap();
    assert_eq!(list.len(), 2);
    let seen = &list[0];
    assert_eq!((seen.digest, seen.pushed_at), (newest.digest, 9_000), "the newest first");
    assert_eq!((seen.layers, seen.file_system_layers, seen.content_size), (2, 1, 3_210));
    assert_eq!(seen.config_media_type.as_deref(), Some("application/config"));
    assert_eq!(seen.tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(seen.artifact_type.as_deref(), Some("kind"));
    assert_eq!((list[1].content_size, &list[1].config_media_type), (0, &None));
    let one = store.catalog_manifest(&repository, &newest.digest).await.unwrap();
    assert_eq!(one.as_ref(), Some(seen));
    let elsewhere = store.catalog_manifest(&name("catalog/none"), &newest.digest).await.unwrap();
    assert_eq!(elsewhere, None);

    let layers = store.manifest_layers(&repository, &newest.digest).await.unwrap();
    let layers: Vec<_> = layers.into_iter().map(|l| (l.digest, l.size)).collect();
    assert_eq!(layers, [(blob("first"), 3_000), (blob("second"), 200)]);
    let config = store.manifest_config(&repository, &newest.digest).await.unwrap();
    assert_eq!(config, Some(blob("config")));

    let also = name("catalog/also");
    store
        .put_manifest(&also, &NewManifest { tags: vec![], ..newest.clone() }, &PushRules::default())
        .await
        .unwrap();
    let places = store.places(&newest.digest).await.unwrap();
    let expected =
        [Place { repository: also, tags: vec![] }, Place { repository, tags: seen.tags.clone() }];
    assert_eq!(places, expected);
}

async fn an_index_lists_its_children(store: &dyn Database) {
    let repository = name("catalog/index");
    let child = Digest::sha256(b"child");
    let entry = format!(
        "{{\"mediaType\":\"{OCI_MANIFEST}\",\"digest\":\"{child}\",\"size\":5,\
         \"platform\":{{\"os\":\"linux\",\"architecture\":\"arm64\"}}}}"
    );
    let bytes = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{OCI_INDEX}\",\"manifests\":[{entry},{entry}]}}"
    );
    let index = NewManifest { media_type: OCI_INDEX.into(), ..manifest(&bytes, &[], 1, vec![]) };
    store.put_manifest(&repository, &index, &PushRules::default()).await.unwrap();
    let seen = store.catalog_manifest(&repository, &index.digest).await.unwrap().unwrap();
    assert_eq!(seen.children.len(), 1, "each once");
    assert_eq!(seen.children[0].digest, child);
    assert_eq!(seen.children[0].platform.as_ref().unwrap().architecture, "arm64");
}

async fn false_claims_of_size_break_no_list(store: &dyn Database) {
    let repository = name("catalog/claims");
    let layer = |position| {
        let digest = Digest::sha256(b"claimed");
        reference(ReferenceKind::Layer, position, digest, OCI_LAYER, u64::MAX)
    };
    let claims = manifest("claims", &[], 1, (0..3).map(layer).collect());
    store.put_manifest(&repository, &claims, &PushRules::default()).await.unwrap();
    let seen = store.catalog_manifests(&repository).await.unwrap();
    assert_eq!(seen[0].layers, 3);
    assert!(seen[0].content_size > 1 << 47);
}

async fn scans_are_found_by_repository(store: &dyn Database) {
    let (repository, other) = (name("catalog/scans"), name("catalog/scans/b"));
    for (repository, bytes) in
        [(&repository, "scan 1"), (&repository, "scan 2"), (&other, "scan 1")]
    {
        store
            .put_manifest(repository, &manifest(bytes, &[], 1, vec![]), &PushRules::default())
            .await
            .unwrap();
    }
    let failed = |bytes: &str, finished_at| FailedScan {
        digest: Digest::sha256(bytes.as_bytes()),
        analyser_version: 1,
        trigger: "push".into(),
        started_at: 1,
        finished_at,
        failure: ScanFailure { message: "x".into(), attempts: 1, retry_at: None },
    };
    assert_eq!(store.last_scan(Some(&repository)).await.unwrap(), None);
    store.save_failed_scan(&failed("scan 1", 5)).await.unwrap();
    store.save_failed_scan(&failed("scan 2", 6)).await.unwrap();
    assert_eq!(store.last_scan(Some(&repository)).await.unwrap(), Some(6));
    assert_eq!(store.last_scan(Some(&other)).await.unwrap(), Some(5));
    assert!(store.last_scan(None).await.unwrap() >= Some(6));

    let (one, two) = (failed("scan 1", 0).digest, failed("scan 2", 0).digest);
    let mut expected = vec![(repository.clone(), one), (repository.clone(), two), (other, one)];
    expected.sort_unstable();
    let scans = |list: Vec<(RepositoryName, Digest)>| -> Vec<_> {
        list.into_iter().filter(|(r, _)| r.as_str().starts_with("catalog/scans")).collect()
    };
    assert_eq!(scans(store.failed_scans(999).await.unwrap()), expected);
    assert_eq!(scans(store.inspected_images(None, 999).await.unwrap()), expected);
    let digest = expected[0].1.to_string();
    let after = Some((expected[0].0.as_str(), digest.as_str()));
    assert_eq!(store.inspected_images(after, 2).await.unwrap(), expected[1..]);
}
