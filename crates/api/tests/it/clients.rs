//! The clients that people use, where they are installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use oci::Digest;
use serde_json::json;

use crate::app::{PASSWORD, TestApp, image};

fn installed(program: &str) -> bool {
    let found =
        Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: {program} is not installed, so nothing was shown about it");
    }
    found
}

async fn run(program: &str, home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(args).current_dir(home).env("REGISTRY_AUTH_FILE", home.join("auth.json"));
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// An OCI layout with one image of one layer, some megabytes in size.
fn layout(folder: &Path) -> PathBuf {
    let layout = folder.join("layout");
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let keep = |bytes: &[u8]| {
        let digest = Digest::sha256(bytes);
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
        digest
    };
    // An empty tar archive is two blocks of zeros, and may have more.
    let layer = vec![0; 5 << 20];
    let layer_digest = keep(&layer);
    let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [layer_digest] } });
    let config = config.to_string();
    let mut manifest = image(keep(config.as_bytes()), layer_digest);
    manifest["config"]["size"] = json!(config.len());
    manifest["layers"][0]["size"] = json!(layer.len());
    let manifest = manifest.to_string();
    let index = json!({ "schemaVersion": 2, "manifests": [{
        "mediaType": oci::media_type::OCI_MANIFEST, "digest": keep(manifest.as_bytes()), "size": manifest.len(),
        "annotations": { "org.opencontainers.image.ref.name": "v1" } }] });
    std::fs::write(layout.join("index.json"), index.to_string()).unwrap();
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    layout
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_copies_in_and_out() {
    if !installed("skopeo") {
        return;
    }
    let (app, home) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let layout = layout(home.path());
    let (source, host) = (format!("oci:{}:v1", layout.display()), app.address.to_string());
    let (target, credentials) =
        (format!("docker://{host}/shop/web:1.4"), format!("admin:{PASSWORD}"));
    run(
        "skopeo",
        home.path(),
        &[
            "copy",
            "--preserve-digests",
            "--dest-tls-verify=false",
            "--dest-creds",
            &credentials,
            &source,
            &target,
        ],
    )
    .await;
    let back = home.path().join("back");
    let there = format!("oci:{}:v1", back.display());
    run(
        "skopeo",
        home.path(),
        &[
            "copy",
            "--preserve-digests",
            "--src-tls-verify=false",
            "--src-creds",
            &credentials,
            &target,
            &there,
        ],
    )
    .await;
    for entry in std::fs::read_dir(layout.join("blobs/sha256")).unwrap() {
        let entry = entry.unwrap();
        let copied = std::fs::read(back.join("blobs/sha256").join(entry.file_name())).unwrap();
        assert!(copied == std::fs::read(entry.path()).unwrap(), "{entry:?} came back changed");
    }
    // Docker's format, and a mount from a repository beside it.
    let docker = format!("docker://{host}/shop/docker:1.4");
    let both = [
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        "--src-creds",
        &credentials,
        "--dest-creds",
        &credentials,
    ];
    run(
        "skopeo",
        home.path(),
        &[&["copy", "--format", "v2s2"], &both[..], &[&target, &docker]].concat(),
    )
    .await;
    let repository = format!("docker://{host}/shop/docker");
    let list = ["list-tags", "--tls-verify=false", "--creds", &credentials, &repository];
    let tags = run("skopeo", home.path(), &list).await;
    assert!(String::from_utf8_lossy(&tags.stdout).contains("\"1.4\""));
    run("skopeo", home.path(), &["delete", "--tls-verify=false", "--creds", &credentials, &docker])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_signs_in_pushes_and_pulls() {
    if !installed("podman") {
        return;
    }
    let (app, home) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let root = home.path().join("storage").display().to_string();
    let runroot = home.path().join("run").display().to_string();
    let store = ["--root", &root, "--runroot", &runroot, "--storage-driver", "vfs"];
    let podman =
        async |args: &[&str]| run("podman", home.path(), &[&store[..], args].concat()).await;
    let host = app.address.to_string();
    podman(&["login", "--tls-verify=false", "-u", "admin", "-p", PASSWORD, &host]).await;
    // A path with capitals would not do: podman makes an image name of it.
    layout(home.path());
    let loaded = podman(&["pull", "-q", "oci:layout:v1"]).await;
    let id = String::from_utf8(loaded.stdout).unwrap().trim().to_owned();
    let image = format!("{host}/shop/podman:1");
    podman(&["push", "--tls-verify=false", &id, &image]).await;
    podman(&["rmi", "-f", &id]).await;
    podman(&["pull", "-q", "--tls-verify=false", &image]).await;
    assert!(app.events.take().contains(&"pulled shop/podman".to_owned()));
}
