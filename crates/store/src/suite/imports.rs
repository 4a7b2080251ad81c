//! Cases for [`ImportStore`].

use oci::{Digest, Reference, RepositoryName, Tag};
use time::{Duration, OffsetDateTime};

use crate::{
    Import, ImportFailure, ImportId, ImportOutcome, ImportProgress, ImportRequest, ImportState,
    ImportStore, ImportTarget, StoredLogin,
};

fn import(created_at: OffsetDateTime) -> Import {
    let repository = RepositoryName::parse("team/app").unwrap();
    Import {
        id: ImportId::random(),
        request: ImportRequest {
            host: Some("docker.io".into()),
            repository: RepositoryName::parse("library/debian").unwrap(),
            reference: Reference::parse("12").unwrap(),
            targets: vec![ImportTarget { repository, tag: Some(Tag::parse("1").unwrap()) }],
            platforms: vec!["linux/amd64".into()],
            force: true,
            referrers: false,
        },
        state: ImportState::Queued,
        progress: ImportProgress::default(),
        digest: None,
        failure: None,
        attempts: 0,
        created_by: "alice".into(),
        created_at,
        finished_at: None,
    }
}

/// Every case.
pub async fn run(store: &dyn ImportStore) {
    let start = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    let at = |seconds| start + Duration::seconds(seconds);
    let login = StoredLogin { username: Some("u".into()), password: "p".into() };
    let (first, second) = (import(at(0)), import(at(1)));
    store.create_import(&second, None).await.unwrap();
    store.create_import(&first, Some(&login)).await.unwrap();
    assert_eq!(store.import(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.import(ImportId::random()).await.unwrap(), None);
    let newest: Vec<_> = store.imports(1).await.unwrap().into_iter().map(|i| i.id).collect();
    assert_eq!(newest, [second.id]);

    let (claimed, with) = store.claim_import("a", at(2), at(12)).await.unwrap().unwrap();
    assert_eq!((claimed.id, claimed.state, claimed.attempts), (first.id, ImportState::Running, 1));
    assert_eq!(with, Some(login.clone()), "oldest first, with its login");
    let (claimed, with) = store.claim_import("b", at(2), at(12)).await.unwrap().unwrap();
    assert_eq!((claimed.id, with), (second.id, None));
    assert!(store.claim_import("c", at(2), at(12)).await.unwrap().is_none());

    let progress = ImportProgress { blobs: 1, blobs_total: 2, ..ImportProgress::default() };
    assert!(store.renew_import(first.id, "a", &progress, at(20)).await.unwrap());
    assert!(!store.renew_import(first.id, "b", &progress, at(20)).await.unwrap(), "not b's");
    assert_eq!(store.import(first.id).await.unwrap().unwrap().progress, progress);
    // b is silent, a is not.
    let (claimed, _) = store.claim_import("c", at(13), at(23)).await.unwrap().unwrap();
    assert_eq!((claimed.id, claimed.attempts), (second.id, 2));
    let done = ImportOutcome::Done(Digest::sha256(b"x"));
    assert!(!store.finish_import(second.id, "b", &progress, &done, at(14)).await.unwrap());

    assert_eq!(store.release_imports("a").await.unwrap(), 1);
    let (claimed, with) = store.claim_import("a", at(14), at(24)).await.unwrap().unwrap();
    assert_eq!((claimed.id, claimed.progress, with), (first.id, progress, Some(login)));

    let failure = ImportFailure { code: "conflict".into(), message: "taken".into() };
    let failed = ImportOutcome::Failed(failure.clone());
    assert!(store.finish_import(first.id, "a", &progress, &failed, at(15)).await.unwrap());
    assert!(!store.finish_import(first.id, "a", &progress, &done, at(15)).await.unwrap(), "once");
    let ended = store.import(first.id).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.failure), (ImportState::Failed, Some(failure)));
    assert!(store.finish_import(second.id, "c", &progress, &done, at(99)).await.unwrap());
    let ended = store.import(second.id).await.unwrap().unwrap();
    assert_eq!((ended.digest, ended.finished_at), (Some(Digest::sha256(b"x")), Some(at(99))));
    assert!(store.claim_import("d", at(1000), at(1010)).await.unwrap().is_none());

    assert_eq!(store.forget_imports(at(50)).await.unwrap(), 1);
    assert_eq!(store.import(first.id).await.unwrap(), None);
    assert!(store.import(second.id).await.unwrap().is_some());
}
