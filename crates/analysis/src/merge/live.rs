//! The evidence that is still there after each layer.

use std::collections::BTreeMap;

use packages::{Problem, ProblemKind};

use super::overlay::{Moved, moved_path};
use crate::LayerAnalysis;
use crate::layer::Record;
use crate::table::{Mention, PathKind, PathTable};

/// One file with evidence, as the layers so far leave it.
#[derive(Debug, Clone, Copy)]
pub struct LiveItem<'a> {
    /// What it holds.
    pub record: &'a Record,
    /// What could not be read of it.
    pub complaints: &'a [(ProblemKind, String)],
    /// The layer since which the file has held this without a break.
    pub origin: u32,
    /// The layer that wrote the file as it is.
    pub written: u32,
}

/// What a layer brings: where, what, and what could not be read of it.
type Brought<'a> = (String, &'a Record, &'a [(ProblemKind, String)]);

/// All of it, by real path.
#[derive(Default)]
pub struct Live<'a> {
    items: BTreeMap<String, LiveItem<'a>>,
}

impl LiveItem<'_> {
    /// What could not be read of it, as problems of the image.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let problem = |(kind, message): &(ProblemKind, String)| Problem {
            layer: Some(self.written),
            path: Some(path.to_owned()),
            kind: *kind,
            message: message.clone(),
        };
        self.complaints.iter().map(problem).collect()
    }
}

impl<'a> Live<'a> {
    /// The evidence at a real path.
    pub fn at(&self, path: &str) -> Option<&LiveItem<'a>> {
        self.items.get(path)
    }

    /// All evidence, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &LiveItem<'a>)> {
        self.items.iter().map(|(path, item)| (path.as_str(), item))
    }

    /// The evidence directly in a directory.
    pub fn directly_in(&self, directory: &str) -> impl Iterator<Item = (&str, &LiveItem<'a>)> {
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let length = prefix.len();
        self.items
            .range(prefix.clone()..)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .filter(move |(path, _)| !path[length..].contains('/'))
            .map(|(path, item)| (path.as_str(), item))
    }

    /// Takes away what the layer hides, then adds what it brings. Whether any
    /// evidence came or went.
    pub fn apply(
        &mut self,
        index: u32,
        layer: &'a LayerAnalysis,
        table: &PathTable,
        moved: &[Moved],
    ) -> bool {
        let linked = self.links_out(layer, moved);
        let gone = self.hide(table);
        let mut changed = !gone.is_empty();
        let own = layer.evidence.iter().map(|evidence| {
            let path = moved_path(&evidence.path, moved).into_owned();
            (path, &evidence.record, evidence.problems.as_slice())
        });
        for (path, record, complaints) in own.chain(linked) {
            // Where folders were moved, they may have met something else.
            if !moved.is_empty() && !matches!(table.mention(&path), Mention::Here(_)) {
                continue;
            }
            let origin = match gone.get(&path) {
                Some(before) if before.record == record => before.origin,
                _ => index,
            };
            self.items.insert(path, LiveItem { record, complaints, origin, written: index });
            changed = true;
        }
        changed
    }

    /// Hard links into lower layers carry what was there.
    fn links_out(&self, layer: &'a LayerAnalysis, moved: &[Moved]) -> Vec<Brought<'a>> {
        let found = |(path, target): &(String, String)| {
            let item = self.items.get(target)?;
            Some((moved_path(path, moved).into_owned(), item.record, item.complaints))
        };
        layer.outside_links.iter().filter_map(found).collect()
    }

    fn hide(&mut self, table: &PathTable) -> BTreeMap<String, LiveItem<'a>> {
        let mut gone = BTreeMap::new();
        if table.len() < self.items.len() {
            // A small layer on much evidence: go by what the layer has.
            for path in hidden_prefixes(table) {
                self.take_below(&path, &mut gone);
            }
            return gone;
        }
        self.items.retain(|path, item| {
            let hidden = table.mention(path) != Mention::None;
            if hidden {
                gone.insert(path.clone(), *item);
            }
            !hidden
        });
        gone
    }

    fn take_below(&mut self, hidden: &Hidden, gone: &mut BTreeMap<String, LiveItem<'a>>) {
        if hidden.itself
            && let Some((path, item)) = self.items.remove_entry(&hidden.path)
        {
            gone.insert(path, item);
        }
        if hidden.below {
            let prefix =
                if hidden.path.is_empty() { String::new() } else { format!("{}/", hidden.path) };
            let paths: Vec<String> = self
                .items
                .range(prefix.clone()..)
                .take_while(|(path, _)| path.starts_with(&prefix))
                .map(|(path, _)| path.clone())
                .collect();
            for path in paths {
                if let Some(item) = self.items.remove(&path) {
                    gone.insert(path, item);
                }
            }
        }
    }
}

/// A path that a layer takes from the layers below it.
struct Hidden {
    path: String,
    itself: bool,
    below: bool,
}

fn hidden_prefixes(table: &PathTable) -> Vec<Hidden> {
    let mut hidden = Vec::new();
    if table.root().is_some_and(|root| root.opaque) {
        hidden.push(Hidden { path: String::new(), itself: false, below: true });
    }
    for event in table.events() {
        let directory = event.node.kind == PathKind::Directory;
        hidden.push(Hidden {
            path: event.path,
            itself: true,
            below: !directory || event.node.opaque,
        });
    }
    hidden
}
