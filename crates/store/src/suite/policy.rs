//! Cases for [`crate::PolicyStore`].

use oci::{Digest, RepositoryName, Tag};
use time::{Duration, OffsetDateTime};

use super::registry::{NOW, manifest, name, put, tag};
use crate::policy::{
    AttributeChange, DeleteMode, DeleteRepository, DeleteRules, Flag, Lockable, Order, Pull,
    PushRules, PutSetting, Refusal, Restore, Retire, RetireOutcome, TagsQuery,
};
use crate::{
    DeleteManifest, DeleteTag, DeletedEntry, ManifestReference, Metadata, NewManifest, Pattern,
    PutManifest, ReferenceKind,
};

/// Every case.
pub async fn run(store: &dyn Metadata) {
    settings_have_versions(store).await;
    locks_hold(store).await;
    immutable_tags_stay(store).await;
    lists_leave_out_what_is_hidden(store).await;
    a_graph_goes_and_returns(store).await;
    a_push_brings_back(store).await;
    a_repository_goes_whole(store).await;
    pulls_are_remembered(store).await;
    retention_decides_again(store).await;
    bytes_are_counted(store).await;
    quotas_hold(store).await;
}

pub(super) fn rules(mode: DeleteMode) -> DeleteRules {
    DeleteRules { immutable_tags: Vec::new(), mode, at: NOW, by: "suite".into() }
}

fn about(subject: &NewManifest, bytes: &'static [u8], tags: &[&str]) -> NewManifest {
    NewManifest { subject: Some(subject.digest), ..manifest(bytes, &[], tags) }
}

fn index(bytes: &'static [u8], children: &[&NewManifest], tags: &[&str]) -> NewManifest {
    let digests: Vec<_> = children.iter().map(|child| child.digest).collect();
    let plain = manifest(bytes, &digests, tags);
    let child = |reference: ManifestReference| ManifestReference {
        kind: ReferenceKind::Child,
        required: false,
        ..reference
    };
    NewManifest { references: plain.references.iter().cloned().map(child).collect(), ..plain }
}

fn cosign(subject: &NewManifest, bytes: &'static [u8]) -> NewManifest {
    manifest(bytes, &[], &[&format!("sha256-{}.sig", subject.digest.hex())])
}

async fn push(store: &dyn Metadata, repository: &RepositoryName, all: &[&NewManifest]) {
    for manifest in all {
        let stored = store.put_manifest(repository, manifest, &PushRules::default()).await.unwrap();
        assert!(matches!(stored, PutManifest::Stored { .. }), "{stored:?}");
    }
}

async fn is_there(store: &dyn Metadata, repository: &RepositoryName, one: &NewManifest) -> bool {
    let reference = oci::Reference::Digest(one.digest);
    let by_digest = store.manifest(repository, &reference).await.unwrap().is_some();
    let summary = store.manifest_summary(repository, &one.digest).await.unwrap().is_some();
    let detail = store.manifest_detail(repository, &one.digest).await.unwrap().is_some();
    let listed = store.manifests(repository, None, 99).await.unwrap();
    let listed = listed.iter().any(|m| m.digest == one.digest);
    assert_eq!((summary, detail, listed), (by_digest, by_digest, by_digest), "all reads agree");
    by_digest
}

async fn delete(
    store: &dyn Metadata,
    repository: &RepositoryName,
    one: &NewManifest,
    mode: DeleteMode,
) -> Result<Vec<Digest>, Refusal> {
    match store.delete_manifest(repository, &one.digest, &rules(mode)).await.unwrap() {
        DeleteManifest::Deleted(gone) => Ok(gone.into_iter().map(|entry| entry.digest).collect()),
        DeleteManifest::Refused(refusal) => Err(refusal),
        DeleteManifest::Unknown => panic!("it is there"),
    }
}

fn digests(all: &[&NewManifest]) -> Vec<Digest> {
    let mut digests: Vec<_> = all.iter().map(|one| one.digest).collect();
    digests.sort_unstable();
    digests
}

fn sorted(mut digests: Vec<Digest>) -> Vec<Digest> {
    digests.sort_unstable();
    digests
}

fn change(write: bool, delete: bool) -> AttributeChange {
    AttributeChange { write: Some(write), delete: Some(delete), ..AttributeChange::default() }
}

async fn settings_have_versions(store: &dyn Metadata) {
    assert_eq!(store.versioned_setting("suite").await.unwrap(), None);
    let set = async |value, expected| {
        store.put_setting("suite", value, expected, NOW, "suite").await.unwrap()
    };
    assert_eq!(set("1", Some(3)).await, PutSetting::Outdated(0));
    assert_eq!(set("1", Some(0)).await, PutSetting::Stored(1));
    assert_eq!(set("2", Some(0)).await, PutSetting::Outdated(1));
    assert_eq!(set("3", None).await, PutSetting::Stored(2));
    let stored = store.versioned_setting("suite").await.unwrap().unwrap();
    assert_eq!((stored.value.as_str(), stored.version), ("3", 2));
}

async fn locks_hold(store: &dyn Metadata) {
    let repository = name("policy/locks");
    let (first, second) = (manifest(b"l1", &[], &["t"]), manifest(b"l2", &[], &["t"]));
    push(store, &repository, &[&first]).await;
    let on_tag = Lockable::Tag(repository.clone(), tag("t"));
    let on_manifest = Lockable::Manifest(repository.clone(), first.digest);

    assert!(store.change_tag(&repository, &tag("t"), &change(false, true)).await.unwrap());
    let refused = Refusal::Locked { object: on_tag.clone(), flag: Flag::Write };
    assert_eq!(put(store, &repository, &second).await, PutManifest::Refused(refused.clone()));
    assert!(!is_there(store, &repository, &second).await, "a refusal stores nothing");
    assert_eq!(put(store, &repository, &first).await, PutManifest::Stored { new: false });
    let untag = async || store.delete_tag(&repository, &tag("t"), &[]).await.unwrap();
    assert_eq!(untag().await, DeleteTag::Refused(refused.clone()));
    for mode in [DeleteMode::Single, DeleteMode::Graph, DeleteMode::PutAway] {
        assert_eq!(delete(store, &repository, &first, mode).await, Err(refused.clone()));
    }
    let whole = store.delete_repository(&repository, &rules(DeleteMode::Graph)).await.unwrap();
    assert_eq!(whole, DeleteRepository::Refused(refused));

    assert!(store.change_tag(&repository, &tag("t"), &change(true, true)).await.unwrap());
    let lock = change(true, false);
    assert!(store.change_manifest(&repository, &first.digest, &lock, NOW).await.unwrap());
    let refused = Refusal::Locked { object: on_manifest, flag: Flag::Delete };
    assert_eq!(delete(store, &repository, &first, DeleteMode::Single).await, Err(refused.clone()));
    let whole = store.delete_repository(&repository, &rules(DeleteMode::Graph)).await.unwrap();
    assert_eq!(whole, DeleteRepository::Refused(refused));
    assert_eq!(put(store, &repository, &second).await, PutManifest::Stored { new: true });

    let open = change(true, true);
    assert!(store.change_manifest(&repository, &first.digest, &open, NOW).await.unwrap());
    assert!(store.change_repository(&repository, &change(false, true)).await.unwrap());
    let third = manifest(b"l3", &[], &[]);
    let refused =
        Refusal::Locked { object: Lockable::Repository(repository.clone()), flag: Flag::Write };
    assert_eq!(put(store, &repository, &third).await, PutManifest::Refused(refused.clone()));
    assert_eq!(delete(store, &repository, &first, DeleteMode::Single).await, Err(refused.clone()));
    assert_eq!(untag().await, DeleteTag::Refused(refused));
    assert!(store.change_repository(&repository, &change(true, true)).await.unwrap());
    delete(store, &repository, &first, DeleteMode::Single).await.unwrap();

    let unreadable = AttributeChange { read: Some(false), ..AttributeChange::default() };
    assert!(store.change_tag(&repository, &tag("t"), &unreadable).await.unwrap());
    let by_tag = oci::Reference::Tag(tag("t"));
    let found = store.manifest(&repository, &by_tag).await.unwrap().unwrap();
    assert_eq!(found.unreadable, Some(on_tag));
    let by_digest = oci::Reference::Digest(second.digest);
    let found = store.manifest(&repository, &by_digest).await.unwrap().unwrap();
    assert_eq!(found.unreadable, None, "only the tag is closed");
    assert!(!store.change_tag(&repository, &tag("none"), &unreadable).await.unwrap());
    assert!(!store.change_repository(&name("policy/none"), &unreadable).await.unwrap());
}

async fn immutable_tags_stay(store: &dyn Metadata) {
    let repository = name("policy/immutable");
    let patterns: Vec<Pattern> = vec!["v*".parse().unwrap()];
    let push_rules = PushRules { immutable_tags: patterns.clone(), ..PushRules::default() };
    let (first, second) = (manifest(b"i1", &[], &["v1"]), manifest(b"i2", &[], &["v1"]));
    let other = manifest(b"i3", &[], &["latest"]);
    let put = async |one| store.put_manifest(&repository, one, &push_rules).await.unwrap();
    assert_eq!(put(&first).await, PutManifest::Stored { new: true });
    assert_eq!(put(&first).await, PutManifest::Stored { new: false }, "the same again");
    let refused = Refusal::ImmutableTag {
        repository: repository.clone(),
        tag: tag("v1"),
        pattern: patterns[0].clone(),
    };
    assert_eq!(put(&second).await, PutManifest::Refused(refused.clone()));
    put(&other).await;
    put(&NewManifest { tags: vec![tag("latest")], ..first.clone() }).await;
    let untag = store.delete_tag(&repository, &tag("v1"), &patterns).await.unwrap();
    assert_eq!(untag, DeleteTag::Refused(refused.clone()));
    let delete_rules =
        DeleteRules { immutable_tags: patterns.clone(), ..rules(DeleteMode::PutAway) };
    let gone = store.delete_manifest(&repository, &first.digest, &delete_rules).await.unwrap();
    assert_eq!(gone, DeleteManifest::Refused(refused.clone()));
    let whole = store.delete_repository(&repository, &delete_rules).await.unwrap();
    assert_eq!(whole, DeleteRepository::Refused(refused));
    let gone = store.delete_manifest(&repository, &other.digest, &delete_rules).await.unwrap();
    assert!(matches!(gone, DeleteManifest::Deleted(_)));
}

async fn lists_leave_out_what_is_hidden(store: &dyn Metadata) {
    let repository = name("policy/lists");
    let at = |secs| NOW + Duration::seconds(secs);
    for (bytes, tags, secs) in
        [(&b"h1"[..], ["c"], 3), (&b"h2"[..], ["a"], 2), (&b"h3"[..], ["b"], 1)]
    {
        let one = NewManifest { pushed_at: at(secs), ..manifest(bytes, &[], &tags) };
        push(store, &repository, &[&one]).await;
    }
    let list = async |order, after| -> Vec<String> {
        let query = TagsQuery { order, after, limit: 2, digest: None };
        let tags = store.tag_details(&repository, query).await.unwrap();
        tags.into_iter().map(|t| t.tag.to_string()).collect()
    };
    assert_eq!(list(Order::Name, None).await, ["a", "b"]);
    assert_eq!(list(Order::Name, Some("b")).await, ["c"]);
    assert_eq!(list(Order::TimeAscending, None).await, ["b", "a"]);
    assert_eq!(list(Order::TimeAscending, Some("a")).await, ["c"]);
    assert_eq!(list(Order::TimeDescending, None).await, ["c", "a"]);
    assert_eq!(list(Order::TimeDescending, Some("a")).await, ["b"]);
    let digest = Digest::sha256(b"h2");
    let query = TagsQuery { digest: Some(&digest), limit: 9, ..TagsQuery::default() };
    let tags = store.tag_details(&repository, query).await.unwrap();
    assert_eq!((tags.len(), tags[0].tag.as_str(), tags[0].signed), (1, "a", false));

    let hide = AttributeChange { list: Some(false), ..AttributeChange::default() };
    store.change_tag(&repository, &tag("a"), &hide).await.unwrap();
    store.change_manifest(&repository, &digest, &hide, at(9)).await.unwrap();
    assert_eq!(list(Order::Name, None).await, ["b", "c"]);
    let listed = store.tags(&repository, None, 9).await.unwrap();
    assert_eq!(listed.len(), 2);
    let query = TagsQuery { order: Order::TimeDescending, limit: 9, ..TagsQuery::default() };
    let manifests = store.manifest_details(&repository, query).await.unwrap();
    let order: Vec<_> = manifests.iter().map(|m| m.digest).collect();
    assert_eq!(order, [Digest::sha256(b"h1"), Digest::sha256(b"h3")]);
    let detail = store.manifest_detail(&repository, &digest).await.unwrap().unwrap();
    assert_eq!((detail.attributes.list, detail.updated_at, detail.image_size), (false, at(9), 2));
    store.change_repository(&repository, &hide).await.unwrap();
    let repositories = store.repositories(Some("policy/lisa"), 1).await.unwrap();
    assert_ne!(repositories, std::slice::from_ref(&repository));
    let all = store.all_repositories(Some("policy/lisa"), 1).await.unwrap();
    assert_eq!(all, [repository]);
}

async fn a_graph_goes_and_returns(store: &dyn Metadata) {
    let repository = name("policy/graph");
    let (amd, arm, shared) = (
        manifest(b"amd", &[], &[]),
        manifest(b"arm", &[], &["arm"]),
        manifest(b"shared", &[], &[]),
    );
    let whole = index(b"index", &[&amd, &arm, &shared], &["v1", "latest"]);
    let other = index(b"other", &[&shared], &["other"]);
    let signature = about(&whole, b"sig", &[]);
    let of_signature = about(&signature, b"sig of sig", &["note"]);
    let sbom = about(&amd, b"sbom", &[]);
    let old_style = cosign(&amd, b"cosign");
    let stranger = manifest(b"stranger", &[], &["stranger"]);
    let all = [
        &amd,
        &arm,
        &shared,
        &whole,
        &other,
        &signature,
        &of_signature,
        &sbom,
        &old_style,
        &stranger,
    ];
    push(store, &repository, &all).await;

    let gone = delete(store, &repository, &whole, DeleteMode::PutAway).await.unwrap();
    let expected = digests(&[&whole, &amd, &signature, &of_signature, &sbom, &old_style]);
    assert_eq!(gone[0], whole.digest, "what was asked for comes first");
    assert_eq!(sorted(gone), expected, "not what is tagged, nor what another index lists");
    for one in all {
        let away = expected.contains(&one.digest);
        assert_ne!(is_there(store, &repository, one).await, away, "{:?}", one.bytes);
    }
    let referrers = store.referrers(&repository, &whole.digest, None, None, 9).await.unwrap();
    assert_eq!(referrers, []);
    let tags = store.tags(&repository, None, 9).await.unwrap();
    let tags: Vec<_> = tags.iter().map(Tag::as_str).collect();
    assert_eq!(tags, ["arm", "other", "stranger"]);
    assert_eq!(
        store.deleted_repositories(Some("policy/g"), 1).await.unwrap(),
        std::slice::from_ref(&repository)
    );
    let listed = store.deleted_manifests(&repository, None, 99).await.unwrap();
    assert_eq!(listed.iter().map(|m| m.digest).collect::<Vec<_>>(), expected);
    assert!(listed.iter().all(|m| m.deletion == listed[0].deletion), "they went together");
    let rest = store.deleted_manifests(&repository, Some(&expected[3]), 1).await.unwrap();
    assert_eq!(rest[0].digest, expected[4]);
    let tags = store.deleted_tags(&repository, None, 99).await.unwrap();
    let tags: Vec<_> = tags.iter().map(|t| t.tag.as_str()).collect();
    assert_eq!((tags.len(), tags[0], tags[1]), (4, "latest", "note"));
    let rest = store.deleted_tags(&repository, Some(("latest", &"z".repeat(9))), 1).await.unwrap();
    assert_eq!(rest[0].tag.as_str(), "note");

    push(store, &repository, &[&NewManifest { tags: vec![tag("v1")], ..stranger.clone() }]).await;
    let restore = async |one: &NewManifest, force| {
        store.restore_manifest(&repository, &one.digest, force, &[], NOW).await.unwrap()
    };
    assert_eq!(restore(&stranger, false).await, Restore::Unknown);
    assert_eq!(restore(&whole, false).await, Restore::TagsTaken(vec![tag("v1")]));
    assert!(!is_there(store, &repository, &amd).await, "a refusal brings nothing back");
    let fixed: Vec<Pattern> = vec!["v*".parse().unwrap()];
    let refused =
        store.restore_manifest(&repository, &whole.digest, true, &fixed, NOW).await.unwrap();
    assert_eq!(refused, Restore::TagsTaken(vec![tag("v1")]), "immutable tags are not forced");
    let Restore::Restored(back) = restore(&whole, true).await else { panic!("forced") };
    assert_eq!(sorted(back.iter().map(|entry| entry.digest).collect()), expected);
    for one in all {
        assert!(is_there(store, &repository, one).await, "{:?}", one.bytes);
    }
    let moved = store.tag_detail(&repository, &tag("v1")).await.unwrap().unwrap();
    assert_eq!(moved.digest, whole.digest);
    assert_eq!(store.deleted_tags(&repository, None, 9).await.unwrap(), []);
    let still = store.deleted_repositories(Some("policy/g"), 1).await.unwrap();
    assert!(!still.contains(&repository));

    // What is locked stays behind, and holds what it lists.
    let lock = change(false, false);
    store.change_manifest(&repository, &signature.digest, &lock, NOW).await.unwrap();
    let gone = delete(store, &repository, &whole, DeleteMode::Graph).await.unwrap();
    assert_eq!(sorted(gone), digests(&[&whole, &amd, &sbom, &old_style]));
    assert!(is_there(store, &repository, &of_signature).await);
}

async fn a_push_brings_back(store: &dyn Metadata) {
    let repository = name("policy/again");
    let one = manifest(b"again", &[], &["a", "b"]);
    push(store, &repository, &[&one]).await;
    delete(store, &repository, &one, DeleteMode::PutAway).await.unwrap();
    let later = NewManifest {
        tags: vec![tag("c")],
        pushed_at: NOW + Duration::hours(1),
        pushed_by: "other".into(),
        ..one.clone()
    };
    assert_eq!(put(store, &repository, &later).await, PutManifest::Stored { new: true });
    let found = store.manifest_summary(&repository, &one.digest).await.unwrap().unwrap();
    assert_eq!((found.tags, found.pushed_at), (vec![tag("c")], later.pushed_at));
    assert_eq!(found.pushed_by, "other");
    assert_eq!(store.deleted_manifests(&repository, None, 9).await.unwrap(), []);

    delete(store, &repository, &one, DeleteMode::PutAway).await.unwrap();
    assert_eq!(store.purge_deleted(NOW, 9).await.unwrap(), 0, "not old enough");
    let purged = store.purge_deleted(NOW + Duration::milliseconds(1), 9).await.unwrap();
    assert!(purged >= 1, "{purged}");
    assert_eq!(store.deleted_manifests(&repository, None, 9).await.unwrap(), []);
    assert_eq!(put(store, &repository, &later).await, PutManifest::Stored { new: true });
}

async fn a_repository_goes_whole(store: &dyn Metadata) {
    let repository = name("policy/whole");
    let (one, two) = (manifest(b"w1", &[], &["1"]), manifest(b"w2", &[], &[]));
    let blob = Digest::sha256(b"whole blob");
    store.link_blob(&repository, &blob, 10, None, NOW).await.unwrap();
    push(store, &repository, &[&one, &two]).await;
    let delete = async |mode| store.delete_repository(&repository, &rules(mode)).await.unwrap();
    let gone = |outcome: DeleteRepository| match outcome {
        DeleteRepository::Deleted(gone) => gone,
        other => panic!("{other:?}"),
    };
    let mut expected = vec![
        DeletedEntry {
            digest: one.digest,
            media_type: one.media_type.clone(),
            tags: vec![tag("1")],
        },
        DeletedEntry { digest: two.digest, media_type: two.media_type.clone(), tags: vec![] },
    ];
    expected.sort_by_key(|entry| entry.digest);
    assert_eq!(gone(delete(DeleteMode::PutAway).await), expected);
    assert!(!store.has_repository(&repository).await.unwrap());
    assert_eq!(store.repository_detail(&repository).await.unwrap(), None);
    assert_ne!(
        store.repositories(Some("policy/wh"), 1).await.unwrap(),
        std::slice::from_ref(&repository)
    );
    assert_eq!(delete(DeleteMode::PutAway).await, DeleteRepository::Unknown);
    let back = store.restore_manifest(&repository, &one.digest, false, &[], NOW).await.unwrap();
    assert!(matches!(back, Restore::Restored(entries) if entries.len() == 1));
    assert!(store.has_repository(&repository).await.unwrap());
    expected.retain(|entry| entry.digest == one.digest);
    assert_eq!(gone(delete(DeleteMode::Graph).await), expected);
    assert!(!store.has_repository(&repository).await.unwrap());
    assert_eq!(store.linked_blob(&repository, &blob).await.unwrap(), None);
    assert_eq!(store.deleted_manifests(&repository, None, 9).await.unwrap(), []);
}

async fn pulls_are_remembered(store: &dyn Metadata) {
    let repository = name("policy/pulls");
    let one = manifest(b"pulled", &[], &["p"]);
    push(store, &repository, &[&one]).await;
    let pull = |tag: Option<Tag>, secs| Pull {
        repository: repository.clone(),
        digest: one.digest,
        tag,
        at: NOW + Duration::seconds(secs),
    };
    let gone = Pull { repository: name("policy/none"), ..pull(None, 1) };
    let pulls = [pull(Some(tag("p")), 5), pull(None, 7), gone];
    store.record_pulls(&pulls).await.unwrap();
    store.record_pulls(&[pull(Some(tag("p")), 2)]).await.unwrap();
    let manifest = store.manifest_detail(&repository, &one.digest).await.unwrap().unwrap();
    assert_eq!(manifest.pulled_at, Some(NOW + Duration::seconds(7)));
    let tag = store.tag_detail(&repository, &tag("p")).await.unwrap().unwrap();
    assert_eq!(tag.pulled_at, Some(NOW + Duration::seconds(5)), "a time never goes back");
}

async fn retention_decides_again(store: &dyn Metadata) {
    let repository = name("policy/retention");
    let (image, other) = (manifest(b"r1", &[], &["a", "b"]), manifest(b"r2", &[], &["z"]));
    let platform = manifest(b"r3", &[], &[]);
    let list = index(b"r4", &[&platform], &["list"]);
    let signature = about(&image, b"r5", &[]);
    let cosign = cosign(&other, b"r6");
    push(store, &repository, &[&image, &other, &platform, &list, &signature, &cosign]).await;
    let (facts, open) = store.retention_manifests(&repository).await.unwrap();
    assert!(open && facts.len() == 6);
    let fact = |one: &NewManifest| facts.iter().find(|f| f.digest == one.digest).unwrap();
    assert_eq!(fact(&list).children, [platform.digest]);
    assert_eq!(fact(&signature).subject, Some(image.digest));
    assert_eq!(fact(&image).tags.len(), 2);

    let retire = async |one: &NewManifest, tags: &[(Tag, OffsetDateTime)], pulled_before| {
        let retire = Retire { repository: &repository, digest: &one.digest, tags, pulled_before };
        store.retire_manifest(retire, &rules(DeleteMode::Graph)).await.unwrap()
    };
    let kept = |outcome: RetireOutcome, reason: &str| match outcome {
        RetireOutcome::Kept(why) => assert!(why.contains(reason), "{why}"),
        RetireOutcome::Retired(gone) => panic!("{reason}: {gone:?}"),
    };
    let tags = [(tag("a"), NOW), (tag("b"), NOW)];
    kept(retire(&image, &tags[..1], None).await, "tags have changed");
    kept(retire(&image, &[], None).await, "tags have changed");
    kept(retire(&platform, &[], None).await, "lists it");
    kept(retire(&signature, &[], None).await, "is about a manifest");
    let name = cosign.tags[0].clone();
    kept(retire(&cosign, &[(name, NOW)], None).await, "is attached");
    let pull = Pull {
        repository: repository.clone(),
        digest: image.digest,
        tag: None,
        at: NOW + Duration::seconds(1),
    };
    store.record_pulls(&[pull]).await.unwrap();
    kept(retire(&image, &tags, Some(NOW)).await, "pulled meanwhile");
    store.change_tag(&repository, &tag("a"), &change(false, true)).await.unwrap();
    kept(retire(&image, &tags, None).await, "is locked");
    store.change_tag(&repository, &tag("a"), &change(true, true)).await.unwrap();
    let RetireOutcome::Retired(gone) = retire(&image, &tags, None).await else { panic!() };
    assert_eq!(
        sorted(gone.iter().map(|entry| entry.digest).collect()),
        digests(&[&image, &signature])
    );

    let drop = async |at| {
        let rules = rules(DeleteMode::Graph);
        store.retire_tag(&repository, &tag("z"), at, &rules).await.unwrap()
    };
    kept(drop(NOW - Duration::seconds(1)).await, "set again");
    assert_eq!(drop(NOW).await, RetireOutcome::Retired(vec![]));
    assert!(is_there(store, &repository, &other).await);
}

async fn bytes_are_counted(store: &dyn Metadata) {
    let (a, b) = (name("policy/bytes/a"), name("policy/bytes/b"));
    let blob = Digest::sha256(b"counted");
    let before = store.registry_bytes().await.unwrap();
    let bytes = async || {
        let of = async |name| store.repository_bytes(name).await.unwrap().unwrap_or(0);
        (store.registry_bytes().await.unwrap() - before, of(&a).await, of(&b).await)
    };
    store.link_blob(&a, &blob, 1000, None, NOW).await.unwrap();
    store.link_blob(&a, &blob, 1000, None, NOW).await.unwrap();
    assert_eq!(bytes().await, (1000, 1000, 0));
    store.link_blob(&b, &blob, 1000, None, NOW).await.unwrap();
    assert_eq!(bytes().await, (1000, 1000, 1000), "shared bytes count once for the registry");
    let one = manifest(b"12345", &[blob], &["t"]);
    push(store, &a, &[&one, &one]).await;
    assert_eq!(bytes().await, (1005, 1005, 1000));
    delete(store, &a, &one, DeleteMode::PutAway).await.unwrap();
    assert_eq!(bytes().await, (1005, 1005, 1000), "what can be restored still counts");
    push(store, &a, &[&one]).await;
    delete(store, &a, &one, DeleteMode::Single).await.unwrap();
    store.unlink_blob(&b, &blob).await.unwrap();
    assert_eq!(bytes().await, (1000, 1000, 0));
    let largest = store.largest_repositories(1).await.unwrap();
    assert_eq!(largest, [(a, 1000)]);
    assert_eq!(store.recount_bytes(true).await.unwrap(), [], "counters are what counting gives");
}

async fn quotas_hold(store: &dyn Metadata) {
    let repository = name("policy/quota");
    let small = PushRules { repository_bytes_max: Some(5), ..PushRules::default() };
    let put = async |one: &NewManifest, rules: &PushRules| {
        store.put_manifest(&repository, one, rules).await.unwrap()
    };
    let (three, four) = (manifest(b"123", &[], &[]), manifest(b"1234", &[], &[]));
    assert_eq!(put(&three, &small).await, PutManifest::Stored { new: true });
    let refused =
        Refusal::OverQuota { repository: Some(repository.clone()), used: 3, limit: 5, wanted: 4 };
    assert_eq!(put(&four, &small).await, PutManifest::Refused(refused));
    assert!(!is_there(store, &repository, &four).await);
    let used = store.registry_bytes().await.unwrap();
    let all = PushRules { registry_bytes_max: Some(used + 3), ..PushRules::default() };
    let refused = Refusal::OverQuota { repository: None, used, limit: used + 3, wanted: 4 };
    assert_eq!(put(&four, &all).await, PutManifest::Refused(refused));
    let all = PushRules { registry_bytes_max: Some(used + 4), ..PushRules::default() };
    assert_eq!(put(&four, &all).await, PutManifest::Stored { new: true });
    let full = PushRules { registry_bytes_max: Some(0), ..PushRules::default() };
    assert_eq!(put(&four, &full).await, PutManifest::Stored { new: false }, "adds nothing");
}
