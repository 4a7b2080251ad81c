//! Every open segment, asked as one.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use packages::{Namespace, OsRelease};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::record::Statement;
use crate::segment::{Role, Segment, StoredRecord};

/// The imported advisories at one moment. Cheap to clone; never changes.
#[derive(Debug, Clone, Default)]
pub struct Index {
    sources: Vec<Source>,
}

/// The segments of one source.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) family: String,
    pub(crate) base: Option<Arc<Segment>>,
    pub(crate) delta: Option<Arc<Segment>>,
    /// Ids of the delta's records: the base's records of these ids are void.
    pub(crate) replaced: Arc<HashSet<String>>,
}

/// One statement of one record about a package.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The source, such as `osv/PyPI`.
    pub source: String,
    /// The namespace that the statement is about.
    pub namespace: Namespace,
    /// The record.
    pub record: Arc<StoredRecord>,
    /// What it says about the package.
    pub statement: Statement,
}

/// The state of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedStatus {
    /// Source id, such as `osv/PyPI`.
    pub source: String,
    /// `Debian`, `PyPI` ...; empty for facts about CVEs.
    pub family: String,
    /// Namespaces that the source covers, sorted.
    pub namespaces: Vec<String>,
    /// Records of the complete export.
    pub records: u64,
    /// Of these, withdrawn.
    pub withdrawn: u64,
    /// Records imported one by one since.
    pub delta_records: u64,
    /// Newest change in the data, RFC 3339.
    pub data_date: Option<String>,
    /// Last import, RFC 3339.
    pub imported_at: Option<String>,
}

/// What is known about a CVE beside the advisories.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CveFacts {
    /// FIRST's estimate of the probability of exploitation.
    pub epss: Option<Epss>,
    /// CISA's catalogue entry.
    pub kev: Option<Kev>,
}

/// FIRST's estimate for the next 30 days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epss {
    /// 0 to 1.
    pub score: f64,
    /// Share of all CVEs with an equal or lower score, 0 to 1.
    pub percentile: f64,
    /// Day of the estimate, `YYYY-MM-DD`.
    pub date: Option<String>,
}

/// An entry in CISA's catalogue of known exploited vulnerabilities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kev {
    /// `YYYY-MM-DD`.
    pub date_added: String,
    /// By when US agencies must act, `YYYY-MM-DD`.
    pub due_date: Option<String>,
    /// Whether ransomware campaigns are known to use it.
    pub ransomware: bool,
    /// The catalogue's name for it.
    pub name: String,
}

impl Source {
    /// Base and delta, the delta first.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.delta.iter().chain(&self.base)
    }

    /// Whether a record still stands: a delta's do, a base's unless replaced.
    pub(crate) fn stands(&self, segment: &Segment, record: &StoredRecord) -> bool {
        segment.meta().role == Role::Delta || !self.replaced.contains(&record.id)
    }

    /// Statements about a package, without those that a delta replaces.
    pub(crate) fn statements(
        &self,
        namespace: &Namespace,
        name: &str,
    ) -> Vec<(StoredRecord, Statement)> {
        let mut all = Vec::new();
        for segment in self.segments() {
            for (number, statement) in segment.statements(namespace, name) {
                if let Some(record) = segment.record(number).filter(|r| self.stands(segment, r)) {
                    all.push((record, statement));
                }
            }
        }
        all
    }

    pub(crate) fn covers(&self, namespace: &Namespace) -> bool {
        self.base.as_ref().is_some_and(|base| {
            base.meta().namespaces.binary_search_by(|n| n.as_str().cmp(namespace.as_str())).is_ok()
        })
    }

    /// Identifies the contents of base and delta.
    pub(crate) fn content(&self) -> [Option<[u8; 32]>; 2] {
        [&self.base, &self.delta].map(|s| s.as_ref().map(|s| s.meta().content))
    }
}

impl Index {
    /// The union of segments, at most one base and one delta per source (the
    /// last one given counts).
    pub fn new(segments: Vec<Arc<Segment>>) -> Self {
        let mut sources: BTreeMap<String, Source> = BTreeMap::new();
        for segment in segments {
            let meta = segment.meta();
            let source = sources.entry(meta.source.clone()).or_insert_with(|| Source {
                name: meta.source.clone(),
                family: meta.family.clone(),
                base: None,
                delta: None,
                replaced: Arc::default(),
            });
            match meta.role {
                Role::Base => source.base = Some(segment),
                Role::Delta => {
                    let ids =
                        (0..segment.record_count()).filter_map(|n| Some(segment.record(n)?.id));
                    source.replaced = Arc::new(ids.collect());
                    source.delta = Some(segment);
                }
            }
        }
        Self { sources: sources.into_values().collect() }
    }

    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The state of every source, by name.
    pub fn feeds(&self) -> Vec<FeedStatus> {
        let meta = |segment: &Option<Arc<Segment>>| segment.as_ref().map(|s| s.meta().clone());
        let status = |source: &Source| {
            let (base, delta) = (meta(&source.base), meta(&source.delta));
            let both = || base.iter().chain(&delta);
            FeedStatus {
                source: source.name.clone(),
                family: source.family.clone(),
                namespaces: base.as_ref().map(|m| m.namespaces.clone()).unwrap_or_default(),
                records: base.as_ref().map_or(0, |m| m.records),
                withdrawn: base.as_ref().map_or(0, |m| m.withdrawn),
                delta_records: delta.as_ref().map_or(0, |m| m.records),
                data_date: both().filter_map(|m| m.data_date).max().and_then(rfc3339),
                imported_at: both().map(|m| m.imported_at).max().and_then(rfc3339),
            }
        };
        self.sources.iter().map(status).collect()
    }

    /// Whether a complete feed speaks of this namespace. A release that no
    /// complete feed names is not covered: nothing found there says nothing.
    pub fn covers(&self, namespace: &Namespace) -> bool {
        self.sources.iter().any(|source| source.covers(namespace))
    }

    /// Identifies the contents: equal for two installations that imported the
    /// same data, and unchanged by importing the same data again.
    pub fn snapshot_id(&self) -> String {
        let mut hash = Sha256::new();
        for source in &self.sources {
            for content in source.content() {
                hash.update([u8::from(content.is_some())]);
                hash.update(content.unwrap_or_default());
            }
        }
        hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect()
    }

    /// Everything that is said about a package of a namespace, withdrawn
    /// records among them. Takes the lookup name (see
    /// [`crate::names::lookup_name`]).
    pub fn statements(&self, namespace: &Namespace, lookup_name: &str) -> Vec<Hit> {
        let family = namespace.family();
        let mut hits = Vec::new();
        for source in self.sources.iter().filter(|s| s.family == family) {
            for (record, statement) in source.statements(namespace, lookup_name) {
                hits.push(Hit {
                    source: source.name.clone(),
                    namespace: namespace.clone(),
                    record: Arc::new(record),
                    statement,
                });
            }
        }
        hits
    }

    /// The records that go by an id, with their source, in any case of letters.
    pub fn records_of(&self, id: &str) -> Vec<(String, StoredRecord)> {
        let mut found = Vec::new();
        for source in &self.sources {
            for segment in source.segments() {
                let records = segment.records_of(id).into_iter().filter_map(|n| segment.record(n));
                found.extend(
                    records.filter(|r| source.stands(segment, r)).map(|r| (source.name.clone(), r)),
                );
            }
        }
        found
    }

    /// Family of a source's namespaces.
    pub fn family_of(&self, source: &str) -> Option<&str> {
        self.sources.iter().find(|s| s.name == source).map(|s| s.family.as_str())
    }

    /// EPSS and KEV about a CVE.
    pub fn cve(&self, cve: &str) -> CveFacts {
        let mut facts = CveFacts::default();
        for base in
            self.sources.iter().filter(|s| s.family.is_empty()).filter_map(|s| s.base.as_ref())
        {
            if let Some(score) = base.score(cve) {
                let date =
                    base.meta().data_date.and_then(rfc3339).map(|d| d.chars().take(10).collect());
                facts.epss =
                    Some(Epss { score: score.probability, percentile: score.percentile, date });
            }
            if let Some(entry) = base.exploited(cve) {
                facts.kev = Some(Kev {
                    date_added: entry.date_added,
                    due_date: entry.due_date,
                    ransomware: entry.ransomware,
                    name: entry.name,
                });
            }
        }
        facts
    }

    /// Last day of free support of a release, `YYYY-MM-DD`, where a table of
    /// releases is imported and names it.
    pub fn end_of_life(&self, os: &OsRelease) -> Option<String> {
        self.end_of(&os.id, os.version_id.as_deref()?)
    }

    fn end_of(&self, id: &str, version: &str) -> Option<String> {
        let bases =
            self.sources.iter().filter(|s| s.family.is_empty()).filter_map(|s| s.base.as_ref());
        bases
            .flat_map(|base| base.ends_of_life())
            .filter(|end| end.id == id)
            .filter(|end| {
                let rest = version.strip_prefix(end.release.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
            .max_by_key(|end| end.release.len())
            .map(|end| end.date)
    }

    /// The day on which a release's support ended, if that was before the
    /// family's own data was made: its feed then still lists old fixes, but
    /// tells of no new defect, and finding nothing says nothing.
    pub fn lapsed(&self, namespace: &Namespace) -> Option<String> {
        let end = self.end_of(&namespace.family().to_ascii_lowercase(), namespace.release()?)?;
        let of_family = self.sources.iter().filter(|s| s.family == namespace.family());
        let newest = of_family.flat_map(|s| s.segments()).filter_map(|s| s.meta().data_date).max();
        // Both are written year first, so that text order is time order.
        newest.and_then(rfc3339).filter(|newest| newest.as_str() > end.as_str()).map(|_| end)
    }

    /// Every namespace that a complete feed speaks of.
    pub(crate) fn covered(&self) -> BTreeSet<&str> {
        let bases = self.sources.iter().filter_map(|s| s.base.as_ref());
        bases.flat_map(|base| base.meta().namespaces.iter().map(String::as_str)).collect()
    }
}

/// Writes seconds since 1970 as RFC 3339; `None` outside the years 0 to 9999.
pub fn rfc3339(seconds: i64) -> Option<String> {
    let moment = time::OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    moment.format(&time::format_description::well_known::Rfc3339).ok()
}
