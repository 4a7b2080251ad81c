//! Garbage collection, one case at a time.

use access::{Delete, Push};
use oci::{Algorithm, Digest, Reference};
use registry::collect::CollectOptions;
use registry::{CollectError, MountSource};
use store::collect::{CollectFigures, Purpose};
use time::Duration;

use crate::world::{MANIFEST, World, admin, body, image, name, permit};

const HOUR: Duration = Duration::HOUR;

async fn world() -> (tempfile::TempDir, World) {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    (folder, world)
}

#[tokio::test]
async fn what_a_manifest_needs_stays_and_what_none_needs_goes_after_the_grace_time() {
    let (_folder, world) = world().await;
    let repository = name("team/app");
    let config = world.push_blob(&repository, b"{}").await;
    let layer = world.push_blob(&repository, b"a layer").await;
    let orphan = world.push_blob(&repository, b"an orphan").await;
    let manifest = image(&[(config, 2), (layer, 7)], "");
    let digest = world.push_manifest(&repository, &manifest, MANIFEST, Some("1")).await.unwrap();

    assert_eq!(world.collect(HOUR).await.unwrap(), CollectFigures::default(), "too young");
    world.clock.advance(HOUR * 2);
    let options = CollectOptions { dry_run: true, ..CollectOptions::default() };
    let would = world.registry.collect(options, std::sync::Arc::new(|_, _| {})).await.unwrap();
    assert!(world.files().await.contains(&orphan), "a dry run changes nothing");
    let collected = world.collect(HOUR).await.unwrap();
    let expected = CollectFigures { links: 1, blobs: 1, bytes: 9, ..CollectFigures::default() };
    assert_eq!((collected, would), (expected, expected));
    assert_eq!(world.pulled_blob(&repository, &orphan).await, None);
    for digest in [config, layer] {
        assert_eq!(world.pulled_blob(&repository, &digest).await, Some(digest));
    }

    let manifest = Reference::Digest(digest);
    let delete = permit::<Delete>(&repository);
    world.registry.delete_manifest(&delete, &manifest).await.unwrap();
    let collected = world.collect(HOUR).await.unwrap();
    assert_eq!((collected.links, collected.blobs, collected.repositories), (2, 2, 1));
    assert_eq!(world.files().await, []);
    assert_eq!(world.push_blob(&repository, b"an orphan").await, orphan, "it can come back");
    assert_eq!(world.pulled_blob(&repository, &orphan).await, Some(orphan));
}

#[tokio::test]
async fn files_that_no_row_speaks_of_go() {
    let (_folder, world) = world().await;
    let kept = world.push_blob(&name("a"), b"kept").await;
    for (content, finish) in [(b"crashed before the row", true), (b"crashed in its middle!", false)]
    {
        let id = store::UploadId::random();
        world.blobs.begin_upload(id).await.unwrap();
        let mut writer = world.blobs.continue_upload(id).await.unwrap().unwrap();
        writer.append(vec![bytes::Bytes::from_static(content)]).await.unwrap();
        if finish {
            world.blobs.commit_upload(id, &Digest::sha256(content)).await.unwrap();
        }
    }
    let collected = world.collect(HOUR).await.unwrap();
    assert_eq!((collected.blobs, collected.stray_uploads), (0, 1), "the blob is too young");
    world.clock.advance(HOUR * 2);
    let keeps = image(&[(kept, 4)], "");
    world.push_manifest(&name("a"), &keeps, MANIFEST, None).await.unwrap();
    let collected = world.collect(HOUR).await.unwrap();
    assert_eq!((collected.blobs, collected.stray_blobs), (1, 1));
    assert_eq!(world.files().await, [kept]);
    assert_eq!(world.blobs.uploads().await.unwrap(), []);
}

#[tokio::test]
async fn bytes_that_an_upload_is_placing_are_no_garbage() {
    let (_folder, world) = world().await;
    let repository = name("placing");
    let content = b"placed, and not linked yet";
    let digest = Digest::sha256(content);
    // As far as an upload gets that is about to be linked.
    let upload =
        world.registry.start_upload(&permit::<Push>(&repository), Algorithm::Sha256).await.unwrap();
    let mut writer = world.blobs.continue_upload(upload.id).await.unwrap().unwrap();
    writer.append(vec![bytes::Bytes::from_static(content)]).await.unwrap();
    drop(writer);
    world.metadata.hold_blob(upload.id, &digest).await.unwrap();
    world.blobs.commit_upload(upload.id, &digest).await.unwrap();
    assert_eq!(world.collect(Duration::ZERO).await.unwrap(), CollectFigures::default());
    assert_eq!(world.files().await, [digest]);
    // It died instead.
    world.metadata.remove_upload(upload.id).await.unwrap();
    assert_eq!(world.collect(Duration::ZERO).await.unwrap().stray_blobs, 1);
    assert_eq!(world.files().await, []);
}

#[tokio::test]
async fn an_upload_finishes_the_removal_that_a_dead_run_left() {
    let (_folder, world) = world().await;
    let repository = name("back");
    let digest = world.push_blob(&repository, b"back again").await;
    world.registry.delete_blob(&permit::<Delete>(&repository), &digest).await.unwrap();
    // As far as a run gets that dies before it removes bytes.
    let turn = store::collect::Turn {
        run: store::collect::RunId::random(),
        now: time::OffsetDateTime::now_utc(),
        until: time::OffsetDateTime::now_utc() + HOUR,
    };
    world.metadata.take_seat(turn, Purpose::Collect, None).await.unwrap();
    world.metadata.condemn_blobs(turn, &[digest]).await.unwrap();

    assert_eq!(world.push_blob(&repository, b"back again").await, digest);
    assert_eq!(world.pulled_blob(&repository, &digest).await, Some(digest));
    let runs = world.metadata.collections(9).await.unwrap();
    assert_eq!(runs.len(), 2);
    assert!(runs.iter().any(|run| run.run == turn.run && run.error.is_some()));
}

#[tokio::test]
async fn one_collects_at_a_time_and_a_backup_keeps_everything() {
    let (folder, world) = world().await;
    let other = world.again(folder.path()).await;
    let seat = world.registry.take_seat(Purpose::Backup).await.unwrap();
    assert!(matches!(other.collect(HOUR).await, Err(CollectError::Busy { .. })));
    seat.leave(&CollectFigures::default(), None).await.unwrap();
    other.collect(HOUR).await.unwrap();
}

#[tokio::test]
async fn a_mount_keeps_a_blob_alive() {
    let (_folder, world) = world().await;
    let (from, to) = (name("from"), name("to"));
    let digest = world.push_blob(&from, b"mounted").await;
    let config = world.push_blob(&to, b"{}").await;
    let permit_to = permit::<Push>(&to);
    let mounted = world.registry.mount_blob(&permit_to, &digest, MountSource::Any(&admin())).await;
    assert_eq!(mounted.unwrap(), Some(7));
    world
        .push_manifest(&to, &image(&[(config, 2), (digest, 7)], ""), MANIFEST, None)
        .await
        .unwrap();
    world.clock.advance(HOUR * 2);
    let collected = world.collect(HOUR).await.unwrap();
    assert_eq!((collected.links, collected.blobs, collected.repositories), (1, 0, 1));
    assert_eq!(world.pulled_blob(&to, &digest).await, Some(digest));
    assert_eq!(world.pulled_blob(&from, &digest).await, None);
    let (nothing, anybody) = (Digest::sha256(b"x"), admin());
    let mounted = world.registry.mount_blob(&permit_to, &nothing, MountSource::Any(&anybody));
    assert_eq!(mounted.await.unwrap(), None);
}

#[tokio::test]
async fn abandoned_uploads_are_swept() {
    let (_folder, world) = world().await;
    let permit = permit::<Push>(&name("slow"));
    let upload = world.registry.start_upload(&permit, Algorithm::Sha256).await.unwrap();
    world.registry.append(&permit, upload.id, None, body(b"half")).await.unwrap();
    assert_eq!(world.collect(HOUR).await.unwrap().uploads, 0);
    world.clock.advance(HOUR * 25);
    assert_eq!(world.collect(HOUR).await.unwrap().uploads, 1);
    assert_eq!(world.blobs.uploads().await.unwrap(), []);
}
