//! Cases for [`crate::CollectStore`].

use oci::{Algorithm, Digest};
use time::{Duration, OffsetDateTime};

use super::registry::{manifest, name};
use crate::collect::{CollectFigures, HoldBlob, Link, Purpose, RunId, SizedBlob, TakeSeat, Turn};
use crate::{LinkBlob, Metadata, StoredUpload, UploadId};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH.saturating_add(Duration::days(1000));
const HOUR: Duration = Duration::HOUR;

/// Every case.
pub async fn run(store: &dyn Metadata) {
    one_sits_there_at_a_time(store).await;
    let turn = seated(store).await;
    only_old_links_that_nobody_needs_go(store, turn).await;
    a_held_blob_is_not_condemned(store, turn).await;
    a_condemned_blob_is_nobodys(store, turn).await;
    a_stray_is_condemned_unless_it_is_being_placed(store, turn).await;
    a_mount_needs_its_source(store).await;
    empty_repositories_go(store, turn).await;
    store.leave_seat(turn, &CollectFigures::default(), None).await.unwrap();
    who_lost_the_seat_changes_nothing(store, turn).await;
}

fn turn() -> Turn {
    Turn { run: RunId::random(), now: NOW, until: NOW + HOUR }
}

async fn seated(store: &dyn Metadata) -> Turn {
    let turn = turn();
    assert_eq!(store.take_seat(turn, Purpose::Collect, None).await.unwrap(), TakeSeat::Taken);
    turn
}

async fn upload_to(store: &dyn Metadata, repository: &str) -> UploadId {
    let upload = StoredUpload {
        id: UploadId::random(),
        repository: name(repository),
        algorithm: Algorithm::Sha256,
        started_at: NOW,
        started_by: "suite".into(),
    };
    store.create_upload(&upload).await.unwrap();
    upload.id
}

async fn unheld(store: &dyn Metadata, as_if: Option<OffsetDateTime>) -> Vec<Digest> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.unheld_blobs(as_if, after.as_ref(), 3).await.unwrap();
        found.extend(page.found.iter().map(|b| b.digest));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

async fn unneeded(store: &dyn Metadata, cutoff: OffsetDateTime) -> Vec<Link> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.unneeded_links(cutoff, after.as_ref(), 3).await.unwrap();
        found.extend(page.found);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

async fn one_sits_there_at_a_time(store: &dyn Metadata) {
    let (first, second, third) = (turn(), turn(), turn());
    let taken = store.take_seat(first, Purpose::Backup, Some(NOW)).await.unwrap();
    assert_eq!(taken, TakeSeat::Taken);
    let busy = store.take_seat(second, Purpose::Collect, Some(NOW + HOUR)).await.unwrap();
    let expected =
        TakeSeat::Busy { run: first.run, purpose: Purpose::Backup, alive_until: first.until };
    assert_eq!(busy, expected);
    let later = Turn { until: NOW + HOUR * 2, ..first };
    assert_eq!(store.keep_seat(later).await.unwrap(), Some(()));
    let dead = Some(NOW + HOUR + Duration::SECOND);
    assert_ne!(store.take_seat(second, Purpose::Collect, dead).await.unwrap(), TakeSeat::Taken);
    let dead = Some(NOW + HOUR * 3);
    assert_eq!(store.take_seat(second, Purpose::Collect, dead).await.unwrap(), TakeSeat::Taken);
    assert_eq!(store.keep_seat(first).await.unwrap(), None, "succeeded");
    let figures = CollectFigures { blobs: 3, ..CollectFigures::default() };
    assert_eq!(store.leave_seat(second, &figures, Some("why")).await.unwrap(), Some(()));
    assert_eq!(store.keep_seat(second).await.unwrap(), None, "left");
    assert_eq!(store.take_seat(third, Purpose::Collect, dead).await.unwrap(), TakeSeat::Taken);
    store.leave_seat(third, &CollectFigures::default(), None).await.unwrap();

    let runs = store.collections(9).await.unwrap();
    let of = |turn: Turn| runs.iter().find(|c| c.run == turn.run).unwrap();
    assert!(of(first).error.is_some() & of(first).figures.is_none(), "it died");
    assert_eq!((of(second).figures, of(second).error.as_deref()), (Some(figures), Some("why")));
    assert_eq!(store.forget_collections(NOW).await.unwrap(), 0);
    assert_eq!(store.forget_collections(NOW + HOUR).await.unwrap(), 3);
}

async fn only_old_links_that_nobody_needs_go(store: &dyn Metadata, turn: Turn) {
    let (repository, other) = (name("collect/links"), name("collect/other"));
    let (needed, idle, young) =
        (Digest::sha256(b"needed"), Digest::sha256(b"idle"), Digest::sha256(b"young"));
    for digest in [needed, idle] {
        store.link_blob(&repository, &digest, 5, None, NOW - HOUR).await.unwrap();
        store.link_blob(&other, &digest, 5, None, NOW - HOUR).await.unwrap();
    }
    store.link_blob(&repository, &young, 5, None, NOW).await.unwrap();
    super::registry::put(store, &repository, &manifest(b"needs it", &[needed], &[])).await;

    let cutoff = NOW - HOUR;
    let would = unheld(store, Some(cutoff)).await;
    assert!(would.contains(&idle) & !would.contains(&needed) && !would.contains(&young));
    assert!(!unheld(store, None).await.contains(&idle), "it is still held");
    let links = unneeded(store, cutoff).await;
    let count = |digest| links.iter().filter(|l| l.digest == digest).count();
    assert_eq!((count(needed), count(idle), count(young)), (1, 2, 0));

    // One of them is needed again before its turn comes.
    super::registry::put(store, &other, &manifest(b"needs it now", &[idle], &[])).await;
    store.remove_links(turn, cutoff, &links).await.unwrap().unwrap();
    assert_eq!(store.linked_blob(&repository, &needed).await.unwrap(), Some(5));
    assert_eq!(store.linked_blob(&other, &needed).await.unwrap(), None, "needed elsewhere only");
    assert_eq!(store.linked_blob(&repository, &idle).await.unwrap(), None);
    assert_eq!(store.linked_blob(&other, &idle).await.unwrap(), Some(5));
    assert_eq!(store.linked_blob(&repository, &young).await.unwrap(), Some(5));

    store.link_blob(&repository, &idle, 5, None, NOW - HOUR).await.unwrap();
    store.link_blob(&repository, &idle, 5, None, NOW).await.unwrap();
    assert!(!unneeded(store, cutoff).await.iter().any(|l| l.digest == idle), "young again");
}

async fn a_held_blob_is_not_condemned(store: &dyn Metadata, turn: Turn) {
    let (repository, digest) = (name("collect/held"), Digest::sha256(b"held"));
    store.link_blob(&repository, &digest, 4, None, NOW).await.unwrap();
    assert_eq!(store.condemn_blobs(turn, &[digest]).await.unwrap(), Some(vec![]), "linked");
    store.unlink_blob(&repository, &digest).await.unwrap();
    assert!(unheld(store, None).await.contains(&digest));
    let upload = upload_to(store, "collect/held").await;
    assert_eq!(store.hold_blob(upload, &digest).await.unwrap(), HoldBlob::Held);
    assert_eq!(store.condemn_blobs(turn, &[digest]).await.unwrap(), Some(vec![]), "held");
    assert!(store.remove_upload(upload).await.unwrap());
    let condemned = store.condemn_blobs(turn, &[digest]).await.unwrap().unwrap();
    assert_eq!(condemned, [SizedBlob { digest, size: 4 }]);
    assert_eq!(store.hold_blob(upload, &digest).await.unwrap(), HoldBlob::Condemned);
    store.forget_condemned(turn, &[digest]).await.unwrap();
    assert_eq!(store.hold_blob(upload, &digest).await.unwrap(), HoldBlob::UploadEnded);
}

async fn a_condemned_blob_is_nobodys(store: &dyn Metadata, turn: Turn) {
    let (repository, digest) = (name("collect/condemned"), Digest::sha256(b"condemned"));
    store.link_blob(&repository, &digest, 9, None, NOW).await.unwrap();
    store.unlink_blob(&repository, &digest).await.unwrap();
    store.condemn_blobs(turn, &[digest]).await.unwrap();
    let upload = upload_to(store, "collect/condemned").await;
    assert_eq!(store.hold_blob(upload, &digest).await.unwrap(), HoldBlob::Condemned);
    for upload in [Some(upload), None] {
        let linked = store.link_blob(&repository, &digest, 9, upload, NOW).await.unwrap();
        assert_eq!(linked, LinkBlob::NotHeld);
    }
    let sized = SizedBlob { digest, size: 9 };
    assert!(store.condemned_blobs(None, 99).await.unwrap().contains(&sized));
    assert!(store.standing(&digest, 9).await.unwrap().blob.unwrap().condemned_at.is_some());

    assert_eq!(store.forget_condemned(turn, &[digest]).await.unwrap(), Some(1));
    assert_eq!(store.forget_condemned(turn, &[digest]).await.unwrap(), Some(0));
    let standing = store.standing(&digest, 9).await.unwrap();
    assert_eq!(standing.blob, None);
    assert_eq!((standing.freed[0].run, standing.freed[0].size), (turn.run, 9));
    assert_eq!(store.hold_blob(upload, &digest).await.unwrap(), HoldBlob::Held);
    let linked = store.link_blob(&repository, &digest, 9, Some(upload), NOW).await.unwrap();
    assert_eq!(linked, LinkBlob::Linked);
}

async fn a_stray_is_condemned_unless_it_is_being_placed(store: &dyn Metadata, turn: Turn) {
    let (known, stray, placed) =
        (Digest::sha256(b"known"), Digest::sha256(b"stray"), Digest::sha256(b"placed"));
    store.link_blob(&name("collect/strays"), &known, 1, None, NOW).await.unwrap();
    let upload = upload_to(store, "collect/strays").await;
    store.hold_blob(upload, &placed).await.unwrap();
    assert_eq!(store.unknown_blobs(&[known, stray, placed]).await.unwrap(), [stray]);
    let all = [known, stray, placed].map(|digest| SizedBlob { digest, size: 7 });
    let condemned = store.condemn_strays(turn, &all).await.unwrap().unwrap();
    assert_eq!(condemned, [SizedBlob { digest: stray, size: 7 }]);
    let standing = store.standing(&placed, 9).await.unwrap();
    assert_eq!((standing.blob, standing.uploads[0].id), (None, upload));
    store.forget_condemned(turn, &[stray]).await.unwrap();
}

async fn a_mount_needs_its_source(store: &dyn Metadata) {
    let (from, to, digest) = (name("collect/from"), name("collect/to"), Digest::sha256(b"mount"));
    assert_eq!(store.mount_blob(&from, &to, &digest, NOW).await.unwrap(), None);
    assert!(!store.has_repository(&to).await.unwrap(), "nothing was changed");
    store.link_blob(&from, &digest, 5, None, NOW).await.unwrap();
    assert_eq!(store.mount_blob(&from, &to, &digest, NOW).await.unwrap(), Some(5));
    assert_eq!(store.linked_blob(&to, &digest).await.unwrap(), Some(5));
    let image = manifest(b"mounted", &[digest], &["tag"]);
    super::registry::put(store, &to, &image).await;
    let standing = store.standing(&digest, 9).await.unwrap();
    let needed: Vec<_> = standing.links.iter().map(|l| (l.repository.as_str(), l.needed)).collect();
    assert_eq!(needed, [("collect/from", false), ("collect/to", true)]);
    let reference = &standing.references[0].manifest;
    assert_eq!((reference.digest, reference.tags[0].as_str()), (image.digest, "tag"));
}

async fn empty_repositories_go(store: &dyn Metadata, turn: Turn) {
    let (empty, busy, full) = (name("collect/empty"), name("collect/busy"), name("collect/full"));
    let before = store.empty_repositories(NOW - HOUR).await.unwrap();
    for repository in [&empty, &busy, &full] {
        let digest = Digest::sha256(b"for a moment");
        store.link_blob(repository, &digest, 12, None, NOW).await.unwrap();
        store.unlink_blob(repository, &digest).await.unwrap();
    }
    upload_to(store, "collect/busy").await;
    super::registry::put(store, &full, &manifest(b"full", &[], &[])).await;
    assert_eq!(store.empty_repositories(NOW - HOUR).await.unwrap(), before, "these are young");
    assert!(store.empty_repositories(NOW).await.unwrap() > before);
    while store.remove_empty_repositories(turn, NOW, 1).await.unwrap().unwrap() > 0 {}
    assert!(!store.has_repository(&empty).await.unwrap());
    assert!(store.has_repository(&busy).await.unwrap());
    assert!(store.has_repository(&full).await.unwrap());
}

async fn who_lost_the_seat_changes_nothing(store: &dyn Metadata, turn: Turn) {
    let digest = Digest::sha256(b"safe");
    store.link_blob(&name("collect/safe"), &digest, 4, None, NOW).await.unwrap();
    store.unlink_blob(&name("collect/safe"), &digest).await.unwrap();
    assert_eq!(store.condemn_blobs(turn, &[digest]).await.unwrap(), None);
    let stray = SizedBlob { digest: Digest::sha256(b"safe stray"), size: 1 };
    assert_eq!(store.condemn_strays(turn, &[stray]).await.unwrap(), None);
    assert_eq!(store.remove_links(turn, NOW, &[]).await.unwrap(), None);
    assert_eq!(store.forget_condemned(turn, &[digest]).await.unwrap(), None);
    assert_eq!(store.remove_empty_repositories(turn, NOW, 9).await.unwrap(), None);
    assert_eq!(store.standing(&digest, 9).await.unwrap().blob.unwrap().condemned_at, None);
}
