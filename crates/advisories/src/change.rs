//! What differs between two states of the index, so that only the packages
//! concerned are matched again.

use std::collections::BTreeSet;

use packages::Namespace;

use crate::index::{Index, Source};
use crate::segment::{Segment, StoredRecord};

/// What a new state of the index changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexDelta {
    /// Packages whose advisories changed, by namespace and lookup name
    /// (see [`crate::names::lookup_name`]), sorted.
    pub packages: Vec<(Namespace, String)>,
    /// Namespaces that are newly covered, or no longer: every package in them
    /// is to be matched again. Sorted.
    pub namespaces: Vec<Namespace>,
}

impl IndexDelta {
    /// Whether nothing has to be matched again.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.namespaces.is_empty()
    }
}

impl Index {
    /// What differs from an older state. Costs the sources that differ, not
    /// the images held: a base is read whole only if it was replaced itself.
    pub fn changed_packages(old: &Self, new: &Self) -> IndexDelta {
        let names: BTreeSet<&str> =
            old.sources().iter().chain(new.sources()).map(|source| source.name.as_str()).collect();
        let mut packages = BTreeSet::new();
        for name in names {
            let of = |index: &Self| index.sources().iter().find(|s| s.name == name).cloned();
            let (old, new) = (of(old), of(new));
            let content =
                |source: &Option<Source>| source.as_ref().map(Source::content).unwrap_or_default();
            if content(&old) == content(&new) {
                continue;
            }
            for key in candidates(old.as_ref(), new.as_ref()) {
                let said = |source: &Option<Source>| {
                    let mut all =
                        source.as_ref().map(|s| s.statements(&key.0, &key.1)).unwrap_or_default();
                    all.sort_by(|a, b| a.0.id.cmp(&b.0.id));
                    all
                };
                // A source that came or went changes every package it names.
                if old.is_none() || new.is_none() || said(&old) != said(&new) {
                    packages.insert((asked_as(key.0), key.1));
                }
            }
        }
        let (before, after) = (old.covered(), new.covered());
        let namespaces: BTreeSet<Namespace> =
            before.symmetric_difference(&after).map(|n| Namespace::new(n)).collect();
        IndexDelta {
            packages: packages.into_iter().collect(),
            namespaces: namespaces.into_iter().collect(),
        }
    }
}

/// Packages whose statements may differ. With one base on both sides, only what
/// the deltas name and what they void or restore; else everything.
fn candidates(old: Option<&Source>, new: Option<&Source>) -> BTreeSet<(Namespace, String)> {
    let content = |s: Option<&Source>| s.and_then(|s| s.content()[0]);
    let same_base = content(old).is_some() && content(old) == content(new);
    let mut keys = BTreeSet::new();
    for source in [old, new].into_iter().flatten() {
        for segment in
            source.segments().filter(|s| !same_base || s.meta().role == crate::segment::Role::Delta)
        {
            keys.extend(segment.names().map(|(namespace, name, _)| (namespace, name)));
        }
    }
    if same_base && let Some(base) = old.and_then(|s| s.base.as_deref()) {
        let voided = [old, new].into_iter().flatten().flat_map(|s| s.replaced.iter());
        for id in voided.collect::<BTreeSet<_>>() {
            for record in base
                .records_of(id)
                .into_iter()
                .filter_map(|n| base.record(n))
                .filter(|r| r.id == *id)
            {
                keys.extend(packages_of(base, &record));
            }
        }
    }
    keys
}

/// The packages that a stored record may speak of: its names, in every
/// namespace of the segment. Too many is harmless, since each is compared.
fn packages_of(segment: &Segment, record: &StoredRecord) -> Vec<(Namespace, String)> {
    let namespaces = segment.meta().namespaces.iter().map(|n| Namespace::new(n));
    namespaces
        .flat_map(|n| record.names.iter().map(move |name| (n.clone(), name.clone())))
        .collect()
}

/// The namespace under which packages are interned: those of a release with a
/// paid channel (`Ubuntu:Pro:18.04`) are those of the release.
fn asked_as(namespace: Namespace) -> Namespace {
    match namespace.as_str().strip_prefix("Ubuntu:Pro:") {
        Some(release) => Namespace::new(&format!("Ubuntu:{release}")),
        None => namespace,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::import::Import;
    use crate::segment::compile;

    fn record(id: &str, package: &str, fixed: &str, extra: &str) -> String {
        format!(
            r#"{{"id":"{id}","modified":"2024-01-01T00:00:00Z","affected":[{{"package":{{"ecosystem":"PyPI","name":"{package}"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"{fixed}"}}]}}]}}]{extra}}}"#
        )
    }

    fn with(index: &Index, export: &[String], loose: &[String]) -> Index {
        let mut import = Import::new();
        if !export.is_empty() {
            import.osv_export(export.iter().map(|r| ("x".to_owned(), r.clone())));
        }
        for record in loose {
            import.document("x", record.as_bytes());
        }
        let mut segments: Vec<Arc<Segment>> =
            index.sources().iter().flat_map(|s| s.base.iter().chain(&s.delta)).cloned().collect();
        for imported in import.finish(index, 7).0 {
            if imported.draft.role == crate::segment::Role::Base {
                segments.retain(|s| s.meta().source != imported.draft.source);
            }
            segments.push(Arc::new(Segment::open(compile(imported.draft).unwrap()).unwrap()));
        }
        Index::new(segments)
    }

    fn check(old: &Index, new: &Index, packages: &[&str], namespaces: &[&str]) {
        let delta = Index::changed_packages(old, new);
        assert_eq!(
            delta.packages.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(),
            packages
        );
        assert_eq!(delta.namespaces.iter().map(Namespace::as_str).collect::<Vec<_>>(), namespaces);
    }

    #[test]
    fn only_what_changed_is_named() {
        let (a, b) = (record("A-1", "a", "1.0", ""), record("B-1", "b", "1.0", ""));
        let base = with(&Index::default(), &[a.clone(), b.clone()], &[]);
        check(&Index::default(), &base, &["a", "b"], &["PyPI"]);
        // The same data again, in another order.
        check(&base, &with(&base, &[b.clone(), a.clone()], &[]), &[], &[]);
        // A loose record changes one package, another import another.
        let changed = with(&base, &[], &[record("A-1", "a", "2.0", "")]);
        check(&base, &changed, &["a"], &[]);
        let added = with(&changed, &[], &[record("C-1", "c", "2.0", "")]);
        check(&changed, &added, &["c"], &[]);
        check(&base, &added, &["a", "c"], &[]);
        // Withdrawn, with the list of packages emptied.
        let gone = r#"{"id":"B-1","modified":"2024-02-01T00:00:00Z","withdrawn":"2024-02-01T00:00:00Z","affected":[]}"#;
        let withdrawn = with(&added, &[], &[gone.to_owned()]);
        check(&added, &withdrawn, &["b"], &[]);
        assert!(withdrawn.statements(&Namespace::new("PyPI"), "b").is_empty());
        // A new base drops the deltas.
        check(&withdrawn, &with(&withdrawn, &[a, b], &[]), &["a", "b", "c"], &[]);
    }

    #[test]
    fn loose_records_alone_cover_nothing() {
        let index = with(&Index::default(), &[], &[record("A-1", "a", "1.0", "")]);
        assert!(!index.covers(&Namespace::new("PyPI")));
        assert_eq!(index.statements(&Namespace::new("PyPI"), "a").len(), 1);
        assert_eq!(index.feeds()[0].delta_records, 1);
    }
}
