//! Merging against unpacking: random layers are laid over each other by a
//! plain model of a file system, and must leave the same packages.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use packages::{Inventory, Package};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::{LayerEncoding, Limits, analyse_layer};

/// The bytes of a Java archive.
const JAR: &str = "PK\u{3}\u{4}";

/// One entry of a layer.
#[derive(Debug, Clone)]
enum Op {
    File(String, String),
    Directory(String),
    Symlink(String, String),
    Whiteout(String),
    Opaque(String),
}

/// A tar archive of these entries.
fn archive(ops: &[Op]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for op in ops {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        let mut plain = |path: &str, body: &str| {
            header.set_size(body.len() as u64);
            builder.append_data(&mut header, path, body.as_bytes()).expect("memory");
        };
        match op {
            Op::File(path, body) => plain(path, body),
            Op::Whiteout(path) => match path.rsplit_once('/') {
                Some((parent, name)) => plain(&format!("{parent}/.wh.{name}"), ""),
                None => plain(&format!(".wh.{path}"), ""),
            },
            Op::Opaque(path) if path.is_empty() => plain(".wh..wh..opq", ""),
            Op::Opaque(path) => plain(&format!("{path}/.wh..wh..opq"), ""),
            Op::Directory(path) => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                builder.append_data(&mut header, format!("{path}/"), &[][..]).expect("memory");
            }
            Op::Symlink(path, target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, path, target).expect("memory");
            }
        }
    }
    builder.into_inner().expect("memory")
}

fn inventory(layers: &[Vec<Op>]) -> Inventory {
    let analyses: Vec<_> = layers
        .iter()
        .map(|ops| analyse_layer(archive(ops).as_slice(), LayerEncoding::Plain, &Limits::default()))
        .collect();
    let layers: Vec<_> = analyses.iter().map(Some).collect();
    merge(&layers, None, Vec::new())
}

/// Random cases of each property in a run of all tests.
const CASES: u32 = 1000;

/// Where their randomness starts, so that the same commit is judged the same
/// every time. A case found elsewhere becomes a test of its own below.
const SEED: u64 = 1;

/// `PROPTEST_CASES` and `PROPTEST_RNG_SEED`, where set, ask for longer and other runs.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    let set = |name| std::env::var_os(name).is_some();
    ProptestConfig {
        cases: if set("PROPTEST_CASES") { asked.cases } else { CASES },
        rng_seed: if set("PROPTEST_RNG_SEED") { asked.rng_seed } else { RngSeed::Fixed(SEED) },
        failure_persistence: None,
        ..asked
    }
}

/// A file system in memory, unpacked as a runtime unpacks: every path is a
/// clean one, and directories are implied.
#[derive(Debug, Clone, Default)]
struct Disk {
    nodes: BTreeMap<String, Thing>,
}

#[derive(Debug, Clone, PartialEq)]
enum Thing {
    Directory,
    File(String),
    Symlink(String),
}

impl Disk {
    fn apply(&mut self, ops: &[Op]) {
        // Whiteouts hide lower layers wherever in the archive they stand. The
        // layer's own directories are there before the whiteouts in them: a
        // lower link makes way, and what it leads to stays as it is.
        let mut first: Vec<(&str, &Op)> = Vec::new();
        let mut then: Vec<(&str, Thing)> = Vec::new();
        for op in ops {
            match op {
                Op::Whiteout(path) | Op::Opaque(path) | Op::Directory(path) => {
                    first.push((path, op));
                }
                Op::File(path, body) => then.push((path, Thing::File(body.clone()))),
                Op::Symlink(path, target) => then.push((path, Thing::Symlink(target.clone()))),
            }
        }
        first.sort_by_key(|(path, op)| (*path, matches!(op, Op::Directory(_))));
        for (path, op) in first {
            let path = self.physical(path);
            match op {
                Op::Whiteout(_) => {
                    self.make_parents(&path);
                    self.remove(&path);
                }
                Op::Opaque(_) => {
                    // As in overlayfs: an opaque directory is a directory, even
                    // where a link was.
                    self.make_parents(&format!("{path}/"));
                    self.remove_below(&path);
                }
                _ => self.put(path, Thing::Directory),
            }
        }
        for (path, thing) in then {
            self.put(self.physical(path), thing);
        }
    }

    fn put(&mut self, path: String, thing: Thing) {
        self.make_parents(&path);
        if thing != Thing::Directory || self.nodes.get(&path) != Some(&Thing::Directory) {
            self.remove(&path);
        }
        self.nodes.insert(path, thing);
    }

    fn make_parents(&mut self, path: &str) {
        for (at, _) in path.match_indices('/').filter(|(at, _)| *at > 0) {
            let parent = &path[..at];
            if self.nodes.get(parent) != Some(&Thing::Directory) {
                self.remove(parent);
                self.nodes.insert(parent.to_owned(), Thing::Directory);
            }
        }
    }

    fn remove(&mut self, path: &str) {
        self.nodes.remove(path);
        self.remove_below(path);
    }

    fn remove_below(&mut self, path: &str) {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        self.nodes.retain(|other, _| !other.starts_with(&prefix));
    }

    /// The path with its parents' links followed, not its own; as it stands
    /// where they lead in a circle.
    fn physical(&self, path: &str) -> String {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        match self.directory(parent) {
            Some(parent) if parent.is_empty() => name.to_owned(),
            Some(parent) => format!("{parent}/{name}"),
            None => path.to_owned(),
        }
    }

    fn directory(&self, path: &str) -> Option<String> {
        let mut here: Vec<String> = Vec::new();
        let mut names: Vec<String> =
            path.split('/').rev().filter(|n| !n.is_empty()).map(str::to_owned).collect();
        let mut hops = 0;
        while let Some(name) = names.pop() {
            here.push(name);
            if let Some(Thing::Symlink(target)) = self.nodes.get(&here.join("/")) {
                hops += 1;
                if hops > 40 {
                    return None;
                }
                here.pop();
                if target.starts_with('/') {
                    here.clear();
                }
                names.extend(target.split('/').rev().filter(|n| !n.is_empty()).map(str::to_owned));
            }
        }
        Some(here.join("/"))
    }

    fn read(&self, path: &str) -> Option<&str> {
        match self.nodes.get(&self.directory(path)?)? {
            Thing::File(body) => Some(body),
            _ => None,
        }
    }

    /// What is installed, read off the finished tree: a distribution's
    /// packages wherever they are listed, others by their file.
    fn packages(&self) -> BTreeSet<(Package, String)> {
        let mut found = BTreeSet::new();
        let mut texts: Vec<(&str, &str)> = Vec::new();
        texts.extend(self.read("var/lib/dpkg/status").map(|body| ("var/lib/dpkg/status", body)));
        for (path, thing) in &self.nodes {
            if let Thing::File(body) = thing
                && path.ends_with(".egg-info")
            {
                texts.push((path, body));
            }
        }
        for (path, body) in texts {
            let analysis = crate::analysers::analyse_bytes(path, body.as_bytes());
            match analysis.record {
                Some(Record::DpkgStatus(packages)) => {
                    found.extend(packages.into_iter().map(|package| (package, String::new())));
                }
                Some(Record::Language(package)) => {
                    found.insert((package, path.to_owned()));
                }
                _ => {}
            }
        }
        found
    }
}

impl Disk {
    /// Where there is what nobody reads.
    fn unread(&self) -> Vec<&str> {
        let jar = |thing: &Thing| matches!(thing, Thing::File(body) if body == JAR);
        let found = self.nodes.iter().filter(|(path, thing)| path.ends_with(".jar") && jar(thing));
        found.map(|(path, _)| path.as_str()).collect()
    }
}

fn status(names: &[&str]) -> String {
    names
        .iter()
        .map(|n| {
            format!("Package: {n}\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n")
        })
        .collect()
}

fn egg(version: u8) -> String {
    format!("Metadata-Version: 1.0\nName: egg\nVersion: {version}\n")
}

/// Few names, so that layers meet.
fn any_op() -> impl Strategy<Value = Op> {
    let directory =
        prop::sample::select(vec!["var", "var/lib", "var/lib/dpkg", "usr", "usr/db", "a", "a/b"]);
    let database = prop::sample::select(vec!["var/lib/dpkg/status", "usr/db/status", "a/status"]);
    let library = prop::sample::select(vec![
        "a/x.egg-info",
        "a/b/x.egg-info",
        "usr/x.egg-info",
        "x.egg-info",
    ]);
    // Links and targets apart, so that none lead in a circle: what a runtime
    // refuses to unpack has no right answer.
    let link = prop::sample::select(vec!["var", "var/lib", "var/lib/dpkg", "a/b", "a"]);
    let target = prop::sample::select(vec!["/usr/db", "/usr", "/nowhere", "/usr/db/x"]);
    let jar = prop::sample::select(vec!["a/x.jar", "a/b/x.jar", "usr/x.jar", "x.jar"]);
    // No text over a jar: where a layer names one place by two names, of which
    // one leads through a link of a lower layer, the jar counts to be safe.
    let text = prop_oneof![directory.clone(), database.clone(), library.clone()];
    let any = prop_oneof![text.clone(), jar.clone()];
    let names = prop::sample::subsequence(vec!["one", "two", "three"], 0..=3);
    prop_oneof![
        4 => (database, names).prop_map(|(path, names)| Op::File(path.into(), status(&names))),
        4 => (library, 0u8..3).prop_map(|(path, version)| Op::File(path.into(), egg(version))),
        3 => jar.prop_map(|path| Op::File(path.into(), JAR.into())),
        1 => text.prop_map(|path| Op::File(path.into(), "x".into())),
        2 => directory.clone().prop_map(|path| Op::Directory(path.into())),
        2 => (link, target).prop_map(|(path, target)| Op::Symlink(path.into(), target.into())),
        2 => any.prop_map(|path| Op::Whiteout(path.into())),
        1 => directory.prop_map(|path| Op::Opaque(path.into())),
    ]
}

/// A layer as builders write one: each path once, parents before children, and
/// nothing below what is no directory.
fn any_layer() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(any_op(), 0..5).prop_map(|ops| {
        let path = |op: &Op| match op {
            Op::File(path, _) | Op::Directory(path) | Op::Symlink(path, _) | Op::Whiteout(path) => {
                path.clone()
            }
            Op::Opaque(path) => path.clone(),
        };
        let mut kept: Vec<Op> = Vec::new();
        for op in ops {
            let new = path(&op);
            let clash = kept.iter().any(|other| {
                let old = path(other);
                let solid = |op: &Op| matches!(op, Op::File(..) | Op::Symlink(..));
                let below = |inner: &str, outer: &str| {
                    inner.strip_prefix(outer).is_some_and(|r| r.starts_with('/'))
                };
                (old == new
                    && !matches!(
                        (other, &op),
                        (Op::Whiteout(_) | Op::Opaque(_), _) | (_, Op::Whiteout(_) | Op::Opaque(_))
                    ))
                    || (solid(other) && (below(&new, &old) || old == new))
                    || (solid(&op) && (below(&old, &new) || old == new))
            });
            if !clash {
                kept.push(op);
            }
        }
        // Whiteouts first, as the runtimes need it.
        kept.sort_by_key(|op| (!matches!(op, Op::Whiteout(_) | Op::Opaque(_)), path(op)));
        kept
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn merging_equals_unpacking(layers in prop::collection::vec(any_layer(), 1..5)) {
        let mut disk = Disk::default();
        let mut states = Vec::new();
        for layer in &layers {
            disk.apply(layer);
            states.push(disk.packages());
        }
        let inventory = inventory(&layers);
        let key = |item: &InventoryItem| {
            let path = if item.package.kind.is_distribution() { String::new() } else { item.path.clone() };
            (item.package.clone(), path)
        };
        let found: BTreeSet<_> = inventory.packages.iter().map(key).collect();
        prop_assert_eq!(&found, states.last().expect("a layer"));
        let unread = inventory.problems.iter().filter(|p| p.kind == ProblemKind::UnreadContent);
        let firsts: BTreeSet<_> = unread.filter_map(|problem| problem.path.as_deref()).collect();
        let there = disk.unread();
        prop_assert!(firsts.iter().all(|path| there.contains(path)), "{firsts:?} {there:?}");
        prop_assert_eq!(firsts.first(), there.first());
        // The origin of a package: since when it is there without a break.
        for item in &inventory.packages {
            let absent = states.iter().rposition(|state| !state.contains(&key(item)));
            prop_assert_eq!(item.layer as usize, absent.map_or(0, |at| at + 1), "{:?}", item);
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        analyse_layer(bytes.as_slice(), LayerEncoding::Unknown, &Limits::default());
        let _ = LayerAnalysis::from_bytes(&bytes);
    }

    #[test]
    fn corrupt_stored_analyses_are_survived(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let ops = [Op::Symlink("a".into(), "/b".into()), Op::File("b/x.egg-info".into(), egg(1)), Op::Whiteout("c".into())];
        let analysis = analyse_layer(archive(&ops).as_slice(), LayerEncoding::Plain, &Limits::default());
        let mut plain = postcard::to_stdvec(&analysis).expect("encodes");
        let at = at.index(plain.len());
        plain[at] = byte;
        if let Ok(corrupt) = LayerAnalysis::from_bytes(&zstd::bulk::compress(&plain, 1).expect("compresses")) {
            merge(&[Some(&analysis), Some(&corrupt), Some(&analysis)], None, Vec::new());
        }
    }
}

/// `type name version layer path owner` of each package, and the problems'
/// messages shortened to what is asked for.
fn check(layers: &[Vec<Op>], expected: &[&str], problems: &[&str]) {
    let inventory = inventory(layers);
    let found: Vec<String> = inventory
        .packages
        .iter()
        .map(|item| {
            let p = &item.package;
            let owner = item.owner.as_deref().map(|o| format!(" of {o}")).unwrap_or_default();
            format!(
                "{} {} {} {} {}{owner}",
                p.kind.as_str(),
                p.name,
                p.version,
                item.layer,
                item.path
            )
        })
        .collect();
    assert_eq!(found, expected);
    assert_eq!(inventory.problems.len(), problems.len(), "{:?}", inventory.problems);
    for (problem, part) in inventory.problems.iter().zip(problems) {
        assert!(problem.message.contains(part), "{problem:?} does not say {part}");
    }
}

fn file(path: &str, body: &str) -> Op {
    Op::File(path.into(), body.into())
}

#[test]
fn a_rewritten_database_moves_nothing() {
    let db = "var/lib/dpkg/status";
    check(
        &[
            vec![file(db, &status(&["a", "b"]))],
            vec![file(db, &status(&["a"]))],
            vec![file(db, &status(&["a", "b"]))],
        ],
        &["deb a 1 0 var/lib/dpkg/status", "deb b 1 2 var/lib/dpkg/status"],
        &[],
    );
}

#[test]
fn databases_are_reached_through_links() {
    let link = Op::Symlink("var/lib/dpkg".into(), "/usr/share/db".into());
    let decoy = file("opt/vcpkg/status", &status(&["decoy"]));
    check(
        &[vec![link, decoy, file("usr/share/db/status", &status(&["a"]))]],
        &["deb a 1 0 usr/share/db/status"],
        &[],
    );
    let lib = Op::Symlink("lib".into(), "usr/lib".into());
    let apk = "P:musl\nV:1\nA:x\no:musl\n";
    check(
        &[vec![lib], vec![file("lib/apk/db/installed", apk)]],
        &["apk musl 1 1 usr/lib/apk/db/installed"],
        &[],
    );
}

#[test]
fn layers_are_unpacked_through_links_behind_links() {
    check(
        &[
            vec![Op::Symlink("a".into(), "/usr/db".into())],
            vec![Op::Symlink("a/b".into(), "/usr/lib".into())],
            vec![file("a/b/x.egg-info", &egg(1))],
        ],
        &["pypi egg 1 2 usr/lib/x.egg-info"],
        &[],
    );
}

#[test]
fn an_opaque_directory_behind_a_link_hides_the_links_in_it() {
    let link = |path: &str| vec![Op::Symlink(path.into(), "/usr/db".into())];
    check(
        &[
            link("var"),
            link("var/lib/dpkg"),
            vec![Op::Opaque("var/lib".into()), file("var/lib/dpkg/status", &status(&["a"]))],
        ],
        &["deb a 1 2 usr/db/lib/dpkg/status"],
        &[],
    );
}

#[test]
fn a_directory_takes_the_place_of_a_link_and_spares_what_it_leads_to() {
    let there = vec![Op::Symlink("a".into(), "/usr".into()), file("usr/x.egg-info", &egg(1))];
    let directory = || Op::Directory("a".into());
    let whiteout = || Op::Whiteout("a/x.egg-info".into());
    let kept = "pypi egg 1 0 usr/x.egg-info";
    // In either order: builders write the directory first, others sort.
    check(&[there.clone(), vec![directory(), whiteout()]], &[kept], &[]);
    check(&[there.clone(), vec![whiteout(), directory()]], &[kept], &[]);
    check(
        &[there.clone(), vec![directory(), file("a/x.egg-info", &egg(2))]],
        &[kept, "pypi egg 2 1 a/x.egg-info"],
        &[],
    );
    check(&[there.clone(), vec![Op::Opaque("a".into()), whiteout()]], &[kept], &[]);
    // Without a directory of its own the whiteout goes through the link.
    check(&[there, vec![whiteout()]], &[], &[]);
}

#[test]
fn a_distribution_without_its_database_is_not_clean() {
    let os = file("etc/os-release", "ID=debian\n");
    let db = file("var/lib/dpkg/status", &status(&["a"]));
    check(&[vec![os.clone()]], &[], &["may have been removed"]);
    check(
        &[vec![os.clone(), db.clone()], vec![Op::Whiteout("var/lib/dpkg".into())]],
        &[],
        &["may have been removed"],
    );
    check(&[vec![os, db.clone()], vec![Op::Opaque(String::new())]], &[], &[]);
    let gone = Op::Symlink("var/lib/dpkg/status".into(), "/proc/1/status".into());
    check(&[vec![db], vec![gone]], &[], &["leads nowhere"]);
}

#[test]
fn metadata_has_its_owner() {
    let path = "usr/lib/python3/dist-packages/egg.egg-info";
    let list = file("var/lib/dpkg/info/python3-egg.list", &format!("/.\n/{path}\n"));
    let db = |names: &[&str]| file("var/lib/dpkg/status", &status(names));
    check(
        &[vec![db(&["python3-egg"]), list.clone(), file(path, &egg(1))]],
        &[
            "deb python3-egg 1 0 var/lib/dpkg/status",
            &format!("pypi egg 1 0 {path} of python3-egg"),
        ],
        &[],
    );
    check(
        &[vec![db(&["other"]), list, file(path, &egg(1))]],
        &["deb other 1 0 var/lib/dpkg/status", &format!("pypi egg 1 0 {path}")],
        &[],
    );
}

#[test]
fn hard_links_carry_what_they_lead_to() {
    let link = |path: &str, target: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Link);
        header.set_size(0);
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_link(&mut header, path, target).expect("memory");
        builder.into_inner().expect("memory")
    };
    let end = 1024;
    let mut object = archive(&[file("objects/5f", &status(&["a"]))]);
    object.truncate(object.len() - end);
    object.write_all(&link("var/lib/dpkg/status", "objects/5f")).expect("memory");
    let analysis = analyse_layer(object.as_slice(), LayerEncoding::Plain, &Limits::default());
    let found = merge(&[Some(&analysis)], None, Vec::new());
    assert_eq!(found.packages.len(), 1, "{found:?}");

    let lower = archive(&[file("objects/5f", &status(&["a"]))]);
    let upper = link("var/lib/dpkg/status", "objects/5f");
    let [lower, upper] = [lower, upper]
        .map(|bytes| analyse_layer(bytes.as_slice(), LayerEncoding::Plain, &Limits::default()));
    let found = merge(&[Some(&lower), Some(&upper)], None, Vec::new());
    assert_eq!(found.packages.len(), 1, "{found:?}");
    assert_eq!(found.packages[0].layer, 1);
}

#[test]
fn a_diff_id_that_does_not_fit_is_said() {
    let layer = analyse_layer(archive(&[]).as_slice(), LayerEncoding::Plain, &Limits::default());
    let config = |diff_ids| ImageConfig { diff_ids, ..ImageConfig::default() };
    let kinds = |config: &ImageConfig| -> Vec<ProblemKind> {
        merge(&[Some(&layer)], Some(config), Vec::new()).problems.iter().map(|p| p.kind).collect()
    };
    assert_eq!(kinds(&config(vec![layer.diff_id])), []);
    assert_eq!(
        kinds(&config(vec![Some(oci::Digest::sha256(b"x"))])),
        [ProblemKind::DiffIdMismatch]
    );
    assert_eq!(kinds(&config(Vec::new())), [ProblemKind::MalformedConfig]);
}

#[test]
fn content_that_nobody_reads_is_said() {
    check(
        &[
            vec![file("app/b.jar", JAR), file("app/a.jar", JAR), file("app/x.deps.json", "{}")],
            vec![file("opt/c.jar", JAR)],
        ],
        &[],
        &[
            "2 Java archives are not read by this version, the first is app/a.jar",
            "1 list of .NET packages is not read by this version: app/x.deps.json",
            "1 Java archive is not read by this version: opt/c.jar",
        ],
    );
    let whiteout = vec![Op::Whiteout("app".into())];
    check(&[vec![file("app/a.jar", JAR)], whiteout], &[], &[]);
    check(&[vec![file("app/a.jar", JAR)], vec![file("app/a.jar", "text")]], &[], &[]);
}

#[test]
fn what_a_distribution_owns_is_its_own_to_judge() {
    let db = |names: &[&str]| file("var/lib/dpkg/status", &status(names));
    let list =
        file("var/lib/dpkg/info/tools.list", "/.\n/usr/share/java/x.jar\n/bin/run\n/bin/link\n");
    let merged = Op::Symlink("bin".into(), "usr/bin".into());
    let program = |path: &str| file(path, "\u{7f}ELF .dep-v0\0");
    let files = [file("usr/share/java/x.jar", JAR), program("usr/bin/run")];
    let layer = |database: Op| {
        let all = [database, list.clone(), merged.clone()].into_iter().chain(files.clone());
        all.collect::<Vec<Op>>()
    };
    check(&[layer(db(&["tools"]))], &["deb tools 1 0 var/lib/dpkg/status"], &[]);
    check(
        &[layer(db(&["other"]))],
        &["deb other 1 0 var/lib/dpkg/status"],
        &["1 Rust program is not read by this version: usr/bin/run", "1 Java archive is not read"],
    );
    let apk = "P:tools\nV:1\nF:usr/bin\nR:run\n";
    check(
        &[vec![file("lib/apk/db/installed", apk), program("usr/bin/run")]],
        &["apk tools 1 0 lib/apk/db/installed"],
        &[],
    );
    // A package that brings a link does not own what somebody put behind it.
    let link = Op::Symlink("usr/bin/link".into(), "/opt/program".into());
    check(
        &[layer(db(&["tools"])), vec![link, program("opt/program")]],
        &["deb tools 1 0 var/lib/dpkg/status"],
        &["1 Rust program is not read by this version: opt/program"],
    );
}
