//! The tar reader against the `tar` crate on every good layer of the corpus: a
//! reader that is led astray by an archive shows another file system than the
//! one that runs.

use std::collections::BTreeMap;
use std::fs::File;

use analysis::source::Source;
use analysis::tar::{Archive, EntryKind};
use analysis::{LayerEncoding, Limits};

use crate::layout;

type Listing = Vec<(Vec<u8>, char, Vec<u8>, u64, String)>;

fn body_digest(bytes: &[u8]) -> String {
    oci::Digest::sha256(bytes).hex()
}

fn ours(path: &std::path::Path) -> Listing {
    let file = File::open(path).expect("a blob");
    let (source, _) =
        Source::open(file, LayerEncoding::Unknown, &Limits::default()).expect("opens");
    let mut archive = Archive::new(source, &Limits::default());
    let mut listing = Vec::new();
    while let Some(entry) = archive.next_entry().expect("a good archive") {
        let kind = match entry.kind {
            EntryKind::File => 'f',
            EntryKind::Directory => 'd',
            EntryKind::Symlink => 'l',
            EntryKind::HardLink => 'h',
            EntryKind::Special => 's',
            EntryKind::Unknown(_) => '?',
        };
        let mut body = Vec::new();
        archive.read_body(usize::MAX, &mut body).expect("a body");
        listing.push((entry.path, kind, entry.target, entry.size, body_digest(&body)));
    }
    listing
}

fn theirs(path: &std::path::Path) -> Listing {
    use std::io::Read;
    let mut head = [0; 4];
    let n = File::open(path).and_then(|mut file| file.read(&mut head)).expect("a blob");
    let file = File::open(path).expect("a blob");
    let plain: Box<dyn Read> = match &head[..n] {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(file)),
        [0x28, 0xb5, ..] => Box::new(zstd::stream::read::Decoder::new(file).expect("zstd")),
        _ => Box::new(file),
    };
    let mut archive = tar::Archive::new(plain);
    let mut listing = Vec::new();
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("a good archive");
        let kind = match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => 'f',
            tar::EntryType::Directory => 'd',
            tar::EntryType::Symlink => 'l',
            tar::EntryType::Link => 'h',
            _ => 's',
        };
        let path = entry.path_bytes().into_owned();
        let target = entry.link_name_bytes().map(|name| name.into_owned()).unwrap_or_default();
        let mut body = Vec::new();
        entry.read_to_end(&mut body).expect("a body");
        listing.push((path, kind, target, body.len() as u64, body_digest(&body)));
    }
    listing
}

#[test]
fn both_readers_see_the_same_archive() {
    let names = [
        "debian-bookworm",
        "distroless-base",
        "python-app",
        "node-app",
        "alpine-3.18",
        "ubuntu-bionic-status",
    ];
    for name in names {
        let Some(folder) = layout::image(name) else { return };
        let mut layers = BTreeMap::new();
        for image in layout::images(&folder) {
            for layer in image.manifest["layers"].as_array().into_iter().flatten() {
                if LayerEncoding::from_media_type(layer["mediaType"].as_str().unwrap_or_default())
                    .is_ok()
                {
                    layers.insert(layer["digest"].as_str().unwrap_or_default().to_owned(), ());
                }
            }
        }
        for digest in layers.keys() {
            let path = layout::blob_path(&folder, digest);
            let (ours, theirs) = (ours(&path), theirs(&path));
            assert_eq!(ours.len(), theirs.len(), "{name} {digest}");
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(ours, theirs, "{name} {digest}");
            }
        }
    }
}
