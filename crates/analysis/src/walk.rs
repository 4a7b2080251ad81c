//! A layer's bytes -> its analysis, in one pass.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use packages::ProblemKind;

use crate::analysers::{self, Analyser, Analysis, Keep, LayerFile, LayerPath, UnreadKind};
use crate::executable::{Search, is_executable};
use crate::layer::{Evidence, LayerAnalysis, LayerProblem, Record};
use crate::path::{Named, clean, read_name};
use crate::source::Source;
use crate::table::PathKind;
use crate::tar::{Archive, Entry, EntryKind, TarError};
use crate::tree::{LayerTree, NodeId, Placed};
use crate::{LayerEncoding, Limits};

/// Bytes of a file looked at to see whether it is a database under another
/// name.
const HEAD_BYTES: usize = 1024;

/// Bytes of a file up to which such a look is taken at manifests, of which
/// only hard links make something.
const LINKED_BYTES_MAX: u64 = 256 << 10;

/// Reads one layer. Never fails: what breaks becomes a problem beside what was
/// read until then.
pub fn analyse_layer(reader: impl Read, encoding: LayerEncoding, limits: &Limits) -> LayerAnalysis {
    let mut walk = Walk::new(limits);
    match Source::open(reader, encoding, limits) {
        Err(error) => walk.problem(None, error.kind(), error.to_string()),
        Ok((source, complaint)) => {
            if let Some(complaint) = complaint {
                walk.problem(None, ProblemKind::UnreadableLayer, complaint);
            }
            walk.read(source);
        }
    }
    walk.finish()
}

struct Walk<'l> {
    limits: &'l Limits,
    tree: LayerTree,
    held: BTreeMap<NodeId, Held>,
    held_bytes: usize,
    outside: BTreeMap<NodeId, String>,
    analysis: LayerAnalysis,
    more_problems: usize,
    /// Reused from file to file.
    body: Vec<u8>,
    search: Search,
}

#[derive(Clone)]
struct Held {
    record: Record,
    problems: Vec<(ProblemKind, String)>,
    keep: Keep,
}

/// Why the walk stops, and what is said.
enum Stop {
    Tar(TarError),
    Limit(String),
}

impl From<TarError> for Stop {
    fn from(error: TarError) -> Self {
        Self::Tar(error)
    }
}

impl<'l> Walk<'l> {
    fn new(limits: &'l Limits) -> Self {
        Self {
            limits,
            tree: LayerTree::default(),
            held: BTreeMap::new(),
            held_bytes: 0,
            outside: BTreeMap::new(),
            analysis: LayerAnalysis::default(),
            more_problems: 0,
            body: Vec::new(),
            search: Search::default(),
        }
    }

    fn problem(&mut self, path: Option<String>, kind: ProblemKind, message: String) {
        if self.analysis.problems.len() < self.limits.problems_max {
            self.analysis.problems.push(LayerProblem { path, kind, message });
        } else {
            self.more_problems += 1;
        }
    }

    fn read(&mut self, source: Source<'_>) {
        let mut archive = Archive::new(source, self.limits);
        let mut stream_broke = false;
        match self.read_entries(&mut archive) {
            Ok(()) => {}
            Err(Stop::Tar(error)) => {
                stream_broke = matches!(error, TarError::Source(_));
                self.problem(None, error.kind(), error.to_string());
            }
            Err(Stop::Limit(message)) => self.problem(None, ProblemKind::LimitReached, message),
        }
        let source = archive.into_source();
        if stream_broke {
            self.analysis.uncompressed_bytes = source.bytes();
            return;
        }
        // The diff_id covers what lies behind the archive's end, too.
        let (bytes, end) = source.finish();
        self.analysis.uncompressed_bytes = bytes;
        match end {
            Ok(digest) => self.analysis.diff_id = Some(digest),
            Err(error) => self.problem(None, error.kind(), error.to_string()),
        }
    }

    fn read_entries(&mut self, archive: &mut Archive<'_>) -> Result<(), Stop> {
        while let Some(entry) = archive.next_entry()? {
            self.read_entry(archive, &entry)?;
            if self.tree.name_bytes() > self.limits.name_bytes_max {
                return Err(Stop::Limit(format!(
                    "layer has more names than the {} bytes that are kept; the rest was not looked at",
                    self.limits.name_bytes_max
                )));
            }
            if self.held_bytes > self.limits.evidence_bytes_max {
                return Err(Stop::Limit(format!(
                    "layer has more package metadata than the {} bytes that are kept; the rest was not looked at",
                    self.limits.evidence_bytes_max
                )));
            }
        }
        Ok(())
    }

    fn read_entry(&mut self, archive: &mut Archive<'_>, entry: &Entry) -> Result<(), Stop> {
        let shown = || shorten(&String::from_utf8_lossy(&entry.path));
        if let Some(oddity) = entry.oddity {
            self.problem(
                Some(shown()),
                ProblemKind::UnreadableLayer,
                format!("tar entry is ambiguous: {oddity}"),
            );
        }
        let limits = self.limits;
        let named = match read_name(&entry.path, limits.path_bytes_max, limits.path_depth_max) {
            Ok(named) => named,
            Err(error) => {
                let kind = match error {
                    crate::path::NameError::TooLong => ProblemKind::LimitReached,
                    _ => ProblemKind::UnreadableLayer,
                };
                self.problem(Some(shown()), kind, format!("tar entry was ignored: {error}"));
                return Ok(());
            }
        };
        let placed = match &named {
            Named::Bookkeeping => return Ok(()),
            Named::Whiteout(path) => self.tree.whiteout(path),
            Named::Opaque(path) => self.tree.opaque(path),
            Named::Entry(path) => {
                let target = String::from_utf8_lossy(&entry.target);
                if entry.target.len() > limits.path_bytes_max {
                    let message =
                        "tar entry was ignored: its link target is longer than any that is read";
                    self.problem(Some(shown()), ProblemKind::LimitReached, message.to_owned());
                    return Ok(());
                }
                match entry.kind {
                    EntryKind::File => self.tree.put(path, PathKind::File, ""),
                    EntryKind::Directory => self.tree.put(path, PathKind::Directory, ""),
                    EntryKind::Symlink => self.tree.put(path, PathKind::Symlink, &target),
                    EntryKind::HardLink => self.tree.put(path, PathKind::HardLink, &target),
                    EntryKind::Special => self.tree.put(path, PathKind::Special, ""),
                    EntryKind::Unknown(flag) => {
                        let message =
                            format!("tar entry was ignored: its type {flag:#04x} is not known");
                        self.problem(Some(shown()), ProblemKind::UnreadableLayer, message);
                        return Ok(());
                    }
                }
            }
        };
        let Placed { node, removed, through_file } = match placed {
            Ok(placed) => placed,
            Err(error) => {
                let message = format!("tar entry was ignored: {error}");
                self.problem(Some(shown()), ProblemKind::UnreadableLayer, message);
                return Ok(());
            }
        };
        for gone in removed {
            self.held.remove(&gone);
            self.outside.remove(&gone);
        }
        if through_file {
            let message =
                "tar entry lies below one that is no directory; runtimes refuse such a layer";
            self.problem(Some(shown()), ProblemKind::UnreadableLayer, message.to_owned());
        }
        let Named::Entry(path) = &named else { return Ok(()) };
        match entry.kind {
            EntryKind::File => self.read_file(archive, entry, path, node),
            EntryKind::HardLink => {
                self.link(entry, path, node);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn read_file(
        &mut self,
        archive: &mut Archive<'_>,
        entry: &Entry,
        path: &str,
        node: NodeId,
    ) -> Result<(), Stop> {
        let path = LayerPath::new(path);
        self.body.clear();
        archive.read_body(HEAD_BYTES, &mut self.body)?;
        let found = match analysers::for_path(&path) {
            Some(analyser) => Some((analyser, Keep::Always)),
            None if entry.sparse => None,
            None => analysers::for_head(&self.body)
                .filter(|(_, keep)| *keep == Keep::Always || entry.size <= LINKED_BYTES_MAX),
        };
        // A sparse file starts with its map, or with what follows a hole.
        let searched = entry.sparse || is_executable(&self.body);
        if let Some((analyser, keep)) = found {
            self.read_metadata(archive, entry, path, node, analyser, keep)?;
        }
        if searched {
            self.search(archive, entry, node)?;
        }
        // One large file must not cost its size for the rest of the layer.
        self.body.shrink_to(self.limits.metadata_bytes_max);
        Ok(())
    }

    /// Reads on to as many bytes as the analyser takes, and has it look.
    fn read_metadata(
        &mut self,
        archive: &mut Archive<'_>,
        entry: &Entry,
        path: LayerPath<'_>,
        node: NodeId,
        analyser: &dyn Analyser,
        keep: Keep,
    ) -> Result<(), Stop> {
        if entry.sparse {
            let message = "package metadata is a sparse file, which is not read".to_owned();
            let problems = vec![(ProblemKind::LimitReached, message)];
            self.hold(node, Held { record: Record::Unread, problems, keep });
            return Ok(());
        }
        let max = analyser.bytes_max(self.limits);
        archive.read_body(max.saturating_sub(self.body.len()), &mut self.body)?;
        let bytes = &self.body[..self.body.len().min(max)];
        let cut = entry.size > bytes.len() as u64;
        let Analysis { record, problems } = analyser.analyse(&LayerFile { path, bytes, cut });
        if record.is_some() || !problems.is_empty() {
            self.hold(node, Held { record: record.unwrap_or(Record::Unread), problems, keep });
        }
        Ok(())
    }

    /// Looks through an executable for what was built into it. What its name
    /// made of it before counts no more where something is found.
    fn search(
        &mut self,
        archive: &mut Archive<'_>,
        entry: &Entry,
        node: NodeId,
    ) -> Result<(), Stop> {
        let found = if entry.size > self.limits.executable_bytes_max {
            Some(UnreadKind::LargeExecutable)
        } else {
            let search = &mut self.search;
            search.restart();
            if search.feed(&self.body) {
                archive.visit_body(entry.size, |piece| search.feed(piece))?;
            }
            search.found()
        };
        if let Some(kind) = found {
            let record = Record::UnreadContent(kind);
            self.hold(node, Held { record, problems: Vec::new(), keep: Keep::Always });
        }
        Ok(())
    }

    /// What the target holds, the link holds too.
    fn link(&mut self, entry: &Entry, path: &str, node: NodeId) {
        let limits = self.limits;
        let wanted = analysers::for_path(&LayerPath::new(path)).is_some();
        let Ok(target) = clean(&entry.target, limits.path_bytes_max, limits.path_depth_max) else {
            return;
        };
        match self.tree.find(&target).filter(|found| *found != node) {
            Some(found) => {
                if let Some(held) = self.held.get(&found).cloned() {
                    let keep = if wanted { Keep::Always } else { held.keep };
                    self.hold(node, Held { keep, ..held });
                }
            }
            None if wanted => {
                self.outside.insert(node, target);
            }
            None => {}
        }
    }

    fn hold(&mut self, node: NodeId, held: Held) {
        self.held_bytes += record_bytes(&held.record) + held.problems.len() * 200;
        self.held.insert(node, held);
    }

    fn finish(mut self) -> LayerAnalysis {
        if self.more_problems > 0 {
            let message = format!("{} more problems in this layer", self.more_problems);
            self.analysis.problems.push(LayerProblem {
                path: None,
                kind: ProblemKind::LimitReached,
                message,
            });
        }
        self.held.retain(|_, held| held.keep == Keep::Always);
        let wanted: BTreeSet<NodeId> =
            self.held.keys().chain(self.outside.keys()).copied().collect();
        let (events, paths) = self.tree.finish(|id| wanted.contains(&id));
        let mut analysis = self.analysis;
        analysis.events = events;
        for (id, held) in self.held {
            if let Some(path) = paths.get(&id) {
                let Held { record, problems, .. } = held;
                analysis.evidence.push(Evidence { path: path.clone(), record, problems });
            }
        }
        for (id, target) in self.outside {
            if let Some(path) = paths.get(&id) {
                analysis.outside_links.push((path.clone(), target));
            }
        }
        analysis.evidence.sort_by(|a, b| a.path.cmp(&b.path));
        analysis.outside_links.sort();
        analysis
    }
}

/// About what a record takes in memory.
fn record_bytes(record: &Record) -> usize {
    const PACKAGE: usize = 200;
    match record {
        Record::OsRelease(_) | Record::Unread | Record::UnreadContent(_) => PACKAGE,
        Record::Language(package) => PACKAGE + package.name.len() + package.version.len(),
        Record::DpkgStatus(packages) | Record::DpkgControl(packages) => {
            packages.iter().map(|p| PACKAGE + 2 * (p.name.len() + p.version.len())).sum()
        }
        Record::DpkgFiles { paths, .. } => paths.iter().map(|path| path.len() + 32).sum(),
        Record::Apk { packages, owned } => {
            packages.iter().map(|p| PACKAGE + 2 * (p.name.len() + p.version.len())).sum::<usize>()
                + owned.iter().map(|(path, owner)| path.len() + owner.len() + 64).sum::<usize>()
        }
    }
}

/// Characters of a name that a problem shows.
const SHOWN_CHARS_MAX: usize = 256;

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is recorded of one file, whose bytes are these.
    fn check(path: &str, bytes: &[u8], limits: &Limits, expected: Option<UnreadKind>) {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, path, bytes).expect("memory");
        let archive = builder.into_inner().expect("memory");
        let analysis = analyse_layer(archive.as_slice(), LayerEncoding::Plain, limits);
        assert_eq!(analysis.diff_id, Some(oci::Digest::sha256(&archive)), "all of it is read");
        let found: Vec<_> = analysis.evidence.iter().map(|evidence| &evidence.record).collect();
        let expected = expected.map(Record::UnreadContent);
        assert_eq!(found, Vec::from_iter(expected.as_ref()), "{path}");
    }

    #[test]
    fn go_programs_are_found_wherever_their_mark_lies() {
        let limits = Limits::default();
        let mark = b"\xff Go buildinf:\x08\x02";
        // Around the end of the head, and of what the stream gives at once.
        for border in [HEAD_BYTES, 128 << 10, 256 << 10] {
            for at in border - 530..border + 2 {
                if at % 7 != 0 && at < border - 20 {
                    continue;
                }
                let program = [b"\x7fELF", &vec![0; at - 4][..], mark, &[0; 700]].concat();
                check("usr/local/bin/x", &program, &limits, Some(UnreadKind::GoProgram));
            }
        }
        check("usr/local/bin/x", b"\x7fELF and nothing else", &limits, None);
        check("notes.txt", mark, &limits, None);
        // A database's name makes no database of a program.
        let program = [b"\x7fELF", &[0; 5000][..], mark].concat();
        check("usr/bin/status", &program, &limits, Some(UnreadKind::GoProgram));
    }

    #[test]
    fn an_executable_beyond_the_limit_is_said() {
        let limits = Limits { executable_bytes_max: 100, ..Limits::default() };
        let program = [b"MZ", &[0; 200][..]].concat();
        check("x.exe", &program, &limits, Some(UnreadKind::LargeExecutable));
        check("x.exe", &program[..100], &limits, None);
    }
}
