//! Alpine's security database: per branch and repository a JSON of packages,
//! each with its fixed versions and what they fixed. It lists fixes only: of
//! open defects it says nothing.

use std::collections::{BTreeMap, BTreeSet};

use packages::Namespace;
use serde::Deserialize;

use super::{ImportReport, count};
use crate::index::Index;
use crate::record::{
    Affected, Event, ID_BYTES_MAX, NAME_BYTES_MAX, Record, Stance, Statement, is_cve,
};
use crate::segment::Content;

const SOURCE: &str = "alpine/secdb";

#[derive(Deserialize)]
struct Secdb {
    distroversion: String,
    reponame: String,
    packages: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    pkg: Option<Pkg>,
}

#[derive(Deserialize)]
struct Pkg {
    name: String,
    secfixes: Option<BTreeMap<String, Option<Vec<String>>>>,
}

/// The documents of one import, joined by defect.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Branch and repository of the documents taken.
    parts: BTreeSet<(String, String)>,
    records: BTreeMap<String, Record>,
    report: ImportReport,
}

impl Gathered {
    pub(super) fn take(&mut self, file: &str, bytes: &[u8]) {
        let secdb: Secdb = match serde_json::from_slice(bytes) {
            Ok(secdb) => secdb,
            Err(error) => return self.report.problem(file, error),
        };
        let branch = secdb.distroversion.trim().to_owned();
        if branch.is_empty() || branch.len() > ID_BYTES_MAX || secdb.reponame.len() > ID_BYTES_MAX {
            return self.report.problem(file, "it does not say which branch it is about");
        }
        let namespace = Namespace::new(&format!("Alpine:{branch}"));
        for package in secdb.packages.unwrap_or_default().into_iter().filter_map(|entry| entry.pkg)
        {
            if package.name.is_empty()
                || package.name.len() > NAME_BYTES_MAX
                || package.name.contains('\0')
            {
                self.report.skip("package without a usable name");
                continue;
            }
            for (version, fixes) in package.secfixes.unwrap_or_default() {
                if version.len() > NAME_BYTES_MAX {
                    self.report.skip("version too long");
                    continue;
                }
                for fix in fixes.unwrap_or_default() {
                    self.add(&namespace, &secdb.reponame, &package.name, version.trim(), &fix);
                }
            }
        }
        self.parts.insert((namespace.as_str().to_owned(), secdb.reponame));
    }

    fn add(&mut self, namespace: &Namespace, channel: &str, name: &str, version: &str, fix: &str) {
        let mut defects: Vec<(String, BTreeSet<String>)> = Vec::new();
        for id in ids(fix) {
            match defects.last_mut() {
                // A second CVE is a defect of its own, any other id an alias.
                Some((_, aliases)) if !is_cve(id) => {
                    aliases.insert(id.to_owned());
                }
                _ => defects.push((id.to_owned(), BTreeSet::new())),
            }
        }
        if defects.is_empty() {
            self.report.skip("fix without an id");
        }
        for (id, aliases) in defects {
            let record = self
                .records
                .entry(id.clone())
                .or_insert_with(|| Record { id, ..Record::default() });
            let mut all: BTreeSet<String> =
                std::mem::take(&mut record.aliases).into_iter().collect();
            all.extend(aliases);
            record.aliases = all.into_iter().collect();
            let mut statement =
                Statement { channel: Some(channel.to_owned()), ..Statement::default() };
            if version == "0" {
                statement.stance = Stance::NotAffected;
            } else {
                statement.ranges =
                    vec![vec![Event::Introduced("0".into()), Event::Fixed(version.to_owned())]];
            }
            record.affected.push(Affected {
                namespace: namespace.clone(),
                name: name.to_owned(),
                statement,
            });
        }
    }

    /// The whole source: what was taken, over what the index holds of branches
    /// and repositories that were not.
    pub(super) fn finish(mut self, index: &Index) -> Option<(Option<i64>, Content, ImportReport)> {
        if self.parts.is_empty() && self.report.problems.is_empty() {
            return None;
        }
        self.report.source = SOURCE.to_owned();
        let taken: Vec<Record> = self.records.values().cloned().collect();
        count(&taken, &mut self.report);
        let known = index.sources().iter().find(|s| s.name == SOURCE).and_then(|s| s.base.as_ref());
        for old in known.map(|base| base.export()).unwrap_or_default() {
            let kept = old.affected.into_iter().filter(|a| {
                let part = (
                    a.namespace.as_str().to_owned(),
                    a.statement.channel.clone().unwrap_or_default(),
                );
                !self.parts.contains(&part)
            });
            let kept: Vec<Affected> = kept.collect();
            if !kept.is_empty() {
                let record = self.records.entry(old.id.clone()).or_insert_with(|| Record {
                    id: old.id,
                    aliases: old.aliases,
                    ..Record::default()
                });
                record.affected.extend(kept);
            }
        }
        let records: Vec<Record> = self.records.into_values().collect();
        // The database carries no dates.
        Some((None, Content::Records(records), self.report))
    }
}

/// The ids in a fix such as `CVE-2017-2616 (+ regression fix)` or
/// `CVE-2026-48785 / GHSA-cr2j-534f-mf3g`: the first word, and later words
/// that look like ids.
fn ids(fix: &str) -> impl Iterator<Item = &str> {
    fix.split(|c: char| c.is_whitespace() || c == ',' || c == ';')
        .map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()))
        .enumerate()
        .filter(|(place, word)| {
            let id =
                word.starts_with("CVE-") || word.starts_with("GHSA-") || word.starts_with("XSA-");
            word.len() <= ID_BYTES_MAX && (id || *place == 0 && word.contains('-'))
        })
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fix: &str, expected: &[&str]) {
        assert_eq!(ids(fix).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn ids_stand_among_notes() {
        check("CVE-2023-5363", &["CVE-2023-5363"]);
        check("CVE-2017-2616 (+ regression fix)", &["CVE-2017-2616"]);
        check("CVE-2026-48785 / GHSA-cr2j-534f-mf3g", &["CVE-2026-48785", "GHSA-cr2j-534f-mf3g"]);
        check("CVE-2019-1234 CVE-2019-1235", &["CVE-2019-1234", "CVE-2019-1235"]);
        check("ZBX-123", &["ZBX-123"]);
        check("", &[]);
    }

    fn secdb(branch: &str, repository: &str, version: &str) -> String {
        format!(
            r#"{{"distroversion":"{branch}","reponame":"{repository}","packages":[{{"pkg":{{"name":"busybox","secfixes":{{"{version}":["CVE-2022-28391"],"0":["CVE-2022-30065"]}}}}}}]}}"#
        )
    }

    #[test]
    fn a_new_document_replaces_only_its_own_part() {
        let build = |index: &Index, documents: &[String]| {
            let mut gathered = Gathered::default();
            for document in documents {
                gathered.take("x", document.as_bytes());
            }
            let (data_date, content, _) = gathered.finish(index).unwrap();
            let draft = crate::segment::Draft {
                source: SOURCE.into(),
                family: "Alpine".into(),
                role: crate::segment::Role::Base,
                data_date,
                imported_at: 0,
                content,
            };
            let segment = crate::Segment::open(crate::segment::compile(draft).unwrap()).unwrap();
            Index::new(vec![std::sync::Arc::new(segment)])
        };
        let first = build(
            &Index::default(),
            &[secdb("v3.17", "main", "1-r0"), secdb("v3.18", "main", "1-r0")],
        );
        let second = build(&first, &[secdb("v3.18", "main", "2-r0")]);
        let fixed = |branch: &str| {
            let hits = second.statements(&Namespace::new(branch), "busybox");
            let fixed = |hit: &crate::index::Hit| match hit.statement.ranges.first()?.get(1)? {
                Event::Fixed(v) => Some(v.clone()),
                _ => None,
            };
            (hits.len(), hits.iter().find_map(fixed))
        };
        assert_eq!(fixed("Alpine:v3.17"), (2, Some("1-r0".into())));
        assert_eq!(fixed("Alpine:v3.18"), (2, Some("2-r0".into())));
    }
}
