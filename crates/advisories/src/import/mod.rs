//! Upstream formats, read unchanged.
//!
//! The caller walks files and unpacks archives; [`Import`] recognises what a
//! document is by its contents, gathers documents of the same source, and
//! gives one [`Draft`] per source at the end.

mod alpine;
mod debian_list;
mod debian_tracker;
mod detect;
mod end_of_life;
mod epss;
mod kev;
mod osv;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use detect::Format;

use crate::index::Index;
use crate::record::Record;
use crate::segment::{Content, Draft, Role};

/// Most problems that a report spells out; the rest is counted.
const PROBLEMS_MAX: usize = 20;
/// Largest single OSV record.
const OSV_RECORD_BYTES_MAX: usize = 32 << 20;

/// What an import took in, and what it left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Source id, such as `osv/PyPI`; `files` for what is no feed's format.
    pub source: String,
    /// Records taken in (CVEs, for facts).
    pub records: u64,
    /// Of these, withdrawn by the feed.
    pub withdrawn: u64,
    /// Statements (record, package, release) taken in.
    pub statements: u64,
    /// What was left out on purpose: reason and how often.
    pub skipped: BTreeMap<String, u64>,
    /// What could not be read, the first few.
    pub problems: Vec<String>,
    /// Bytes of the compiled segment.
    pub bytes: u64,
}

impl ImportReport {
    fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), ..Self::default() }
    }

    /// Counts something left out on purpose.
    pub fn skip(&mut self, reason: &str) {
        self.skip_many(reason, 1);
    }

    fn skip_many(&mut self, reason: &str, count: u64) {
        if count > 0 {
            *self.skipped.entry(reason.to_owned()).or_default() += count;
        }
    }

    /// Notes something that could not be read.
    pub fn problem(&mut self, file: &str, reason: impl std::fmt::Display) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(format!("{file}: {reason}"));
        } else {
            self.skip("further problems");
        }
    }

    fn absorb(&mut self, other: ImportReport) {
        for (reason, count) in other.skipped {
            *self.skipped.entry(reason).or_default() += count;
        }
        for problem in other.problems {
            if self.problems.len() < PROBLEMS_MAX {
                self.problems.push(problem)
            } else {
                self.skip("further problems")
            }
        }
    }
}

/// One compiled-to-be source with its report.
#[derive(Debug)]
pub struct Imported {
    /// To be compiled.
    pub draft: Draft,
    /// Its `bytes` are still zero.
    pub report: ImportReport,
}

/// Takes documents in and gives one draft per source.
#[derive(Debug, Default)]
pub struct Import {
    /// By source; the last complete document of a source counts.
    complete: BTreeMap<String, (Option<i64>, Content, ImportReport)>,
    exports: Vec<(Vec<Record>, ImportReport)>,
    loose: Vec<Record>,
    loose_report: ImportReport,
    alpine: alpine::Gathered,
    files: ImportReport,
}

impl Import {
    /// Nothing taken in yet.
    pub fn new() -> Self {
        Self { files: ImportReport::new("files"), ..Self::default() }
    }

    /// Takes one document that stands by itself. An OSV record becomes a change
    /// to its ecosystem's base; every other format is complete in itself.
    /// `None`: the format is not known, and was counted as skipped.
    pub fn document(&mut self, file: &str, bytes: &[u8]) -> Option<Format> {
        let Some(format) = Format::detect(bytes) else {
            self.files.skip("file of no known advisory format");
            return None;
        };
        match format {
            Format::OsvRecord if bytes.len() > OSV_RECORD_BYTES_MAX => {
                self.files.problem(file, "record too large")
            }
            Format::OsvRecord => match osv::parse(bytes, &mut self.loose_report) {
                Ok(record) => self.loose.push(record),
                Err(reason) => self.loose_report.problem(file, reason),
            },
            Format::AlpineSecdb => self.alpine.take(file, bytes),
            Format::DebianTracker => self.keep(file, debian_tracker::parse(bytes)),
            Format::DebianList => self.keep(file, debian_list::parse(bytes)),
            Format::Kev => self.keep(file, kev::parse(bytes)),
            Format::Epss => self.keep(file, epss::parse(bytes)),
            Format::EndOfLife => self.keep(file, end_of_life::parse(bytes)),
        }
        Some(format)
    }

    /// Takes the documents of a complete OSV export (an ecosystem's `all.zip`).
    /// Members that are no records are counted as skipped.
    pub fn osv_export<B: AsRef<[u8]>>(&mut self, members: impl IntoIterator<Item = (String, B)>) {
        let mut report = ImportReport::default();
        let mut records = Vec::new();
        for (file, bytes) in members {
            self::take_member(&file, bytes.as_ref(), &mut records, &mut report);
        }
        self.exports.push((records, report));
    }

    /// Counts a file that the caller left out.
    pub fn skip_file(&mut self, reason: &str) {
        self.files.skip(reason);
    }

    /// Notes a file that the caller could not read.
    pub fn problem_file(&mut self, file: &str, reason: impl std::fmt::Display) {
        self.files.problem(file, reason);
    }

    fn keep(&mut self, file: &str, parsed: Result<Parsed, String>) {
        match parsed {
            Ok(Parsed { source, data_date, content, report }) => {
                self.complete.insert(source, (data_date, content, report));
            }
            // A feed that could not be read keeps its last good state.
            Err(reason) => self.files.problem(file, reason),
        }
    }

    /// Gives what was taken in, by source. `index` is the present state, which
    /// deltas add to.
    pub fn finish(mut self, index: &Index, imported_at: i64) -> (Vec<Imported>, ImportReport) {
        let mut out = Vec::new();
        self.finish_exports(imported_at);
        if let Some((data_date, content, report)) = self.alpine.finish(index) {
            self.complete.insert(report.source.clone(), (data_date, content, report));
        }
        let replaced: BTreeSet<String> = self.complete.keys().cloned().collect();
        for (source, (data_date, content, mut report)) in self.complete {
            let family = match &content {
                Content::Records(records) => {
                    count(records, &mut report);
                    records
                        .iter()
                        .flat_map(|r| r.affected.first())
                        .next()
                        .map(|a| a.namespace.family().to_owned())
                }
                Content::Scores(list) => {
                    report.records = list.len() as u64;
                    None
                }
                Content::Exploited(list) => {
                    report.records = list.len() as u64;
                    None
                }
                Content::EndOfLife(list) => {
                    report.records = list.len() as u64;
                    None
                }
            };
            report.source.clone_from(&source);
            let draft = Draft {
                source,
                family: family.unwrap_or_default(),
                role: Role::Base,
                data_date,
                imported_at,
                content,
            };
            out.push(Imported { draft, report });
        }
        out.extend(finish_loose(self.loose, self.loose_report, index, &replaced, imported_at));
        (out, self.files)
    }

    /// Joins exports of the same ecosystem, and sorts them by ecosystem.
    fn finish_exports(&mut self, imported_at: i64) {
        let mut joined: BTreeMap<String, (Vec<Record>, ImportReport)> = BTreeMap::new();
        for (records, report) in std::mem::take(&mut self.exports) {
            let mut report = Some(report);
            for (family, (records, foreign)) in osv::by_family(records, true) {
                if family.is_empty() {
                    self.files.skip_many("record that names no package", records.len() as u64);
                    continue;
                }
                let source = format!("osv/{family}");
                let entry = joined
                    .entry(source.clone())
                    .or_insert_with(|| (Vec::new(), ImportReport::new(source)));
                entry.0.extend(records);
                entry.1.skip_many(
                    "statement about another ecosystem, which has its own export",
                    foreign,
                );
                if let Some(report) = report.take() {
                    entry.1.absorb(report);
                }
            }
            if let Some(report) = report {
                self.files.absorb(report);
            }
        }
        for (source, (records, report)) in joined {
            let newest = newest(&records, imported_at);
            self.complete.insert(source, (newest, Content::Records(records), report));
        }
    }
}

fn take_member(file: &str, bytes: &[u8], records: &mut Vec<Record>, report: &mut ImportReport) {
    if bytes.len() > OSV_RECORD_BYTES_MAX {
        report.problem(file, "record too large");
    } else {
        match osv::parse(bytes, report) {
            Ok(record) => records.push(record),
            Err(_) if !osv::is_record(bytes) => report.skip("member that is no OSV record"),
            Err(reason) => report.problem(file, reason),
        }
    }
}

/// What a complete document comes to.
#[derive(Debug)]
struct Parsed {
    source: String,
    data_date: Option<i64>,
    content: Content,
    report: ImportReport,
}

/// Loose records become the delta of their ecosystem's source, on top of the
/// delta that is there.
fn finish_loose(
    loose: Vec<Record>,
    report: ImportReport,
    index: &Index,
    replaced: &BTreeSet<String>,
    imported_at: i64,
) -> Vec<Imported> {
    let mut sources: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    // A record that no longer names an ecosystem, or no package at all, must
    // still replace what was said there before.
    for record in &loose {
        for (source, known) in index.records_of(&record.id) {
            let speaks =
                record.affected.iter().any(|a| format!("osv/{}", a.namespace.family()) == source);
            if known.id == record.id && source.starts_with("osv/") && !speaks {
                sources
                    .entry(source)
                    .or_default()
                    .push(Record { affected: Vec::new(), ..record.clone() });
            }
        }
    }
    for (family, (records, _)) in osv::by_family(loose, false) {
        if !family.is_empty() {
            sources.entry(format!("osv/{family}")).or_default().extend(records);
        }
    }
    let mut report = Some(report);
    let mut out = Vec::new();
    for (source, records) in sources {
        let mut own = ImportReport::new(source.clone());
        if let Some(report) = report.take() {
            own.absorb(report);
        }
        count(&records, &mut own);
        // Loose records always win over the base; among deltas the last import
        // does, unless a new base arrived in the same import.
        let mut all: BTreeMap<String, Record> = BTreeMap::new();
        let known =
            index.sources().iter().find(|s| s.name == source && !replaced.contains(&s.name));
        if let Some(delta) = known.and_then(|s| s.delta.as_ref()) {
            all.extend(delta.export().into_iter().map(|r| (r.id.clone(), r)));
        }
        for record in records {
            match all.get(&record.id) {
                Some(known) if known.modified > record.modified => {
                    own.skip("record older than the one already imported");
                }
                _ => {
                    all.insert(record.id.clone(), record);
                }
            }
        }
        let records: Vec<Record> = all.into_values().collect();
        let family = source.trim_start_matches("osv/").to_owned();
        let data_date = newest(&records, imported_at);
        let content = Content::Records(records);
        out.push(Imported {
            draft: Draft { source, family, role: Role::Delta, data_date, imported_at, content },
            report: own,
        });
    }
    out
}

fn count(records: &[Record], report: &mut ImportReport) {
    let ids: BTreeSet<&str> = records.iter().map(|r| r.id.as_str()).collect();
    report.records = ids.len() as u64;
    let withdrawn: BTreeSet<&str> =
        records.iter().filter(|r| r.withdrawn.is_some()).map(|r| r.id.as_str()).collect();
    report.withdrawn = withdrawn.len() as u64;
    report.statements = records.iter().map(|r| r.affected.len() as u64).sum();
    report.skip_many("record given twice", records.len() as u64 - report.records);
}

/// The newest change, as far as it is not after the import: feeds carry a few
/// dates in the future, and one of them would make old data look fresh.
fn newest(records: &[Record], imported_at: i64) -> Option<i64> {
    records.iter().filter_map(|r| r.modified.or(r.published)).filter(|d| *d <= imported_at).max()
}

/// Seconds since 1970 of an RFC 3339 moment or a plain day; `None` for the
/// year 1, which some feeds write for "unknown".
fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let moment = OffsetDateTime::parse(text, &Rfc3339).or_else(|error| {
        // A day alone; also what precedes a time zone written as +0000.
        let day = text.get(..10).unwrap_or_default();
        OffsetDateTime::parse(&format!("{day}T00:00:00Z"), &Rfc3339).map_err(|_| error)
    });
    moment.ok().map(|m| m.unix_timestamp()).filter(|s| *s > -62_000_000_000)
}
