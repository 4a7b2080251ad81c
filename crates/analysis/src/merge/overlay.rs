//! Path look-ups across the layers applied so far.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::LayerAnalysis;
use crate::limits::LINK_HOPS_MAX;
use crate::table::{Mention, PathKind, PathTable};
use crate::tree::LayerTree;

/// The layers applied so far, lowest first.
#[derive(Default)]
pub struct Overlay<'a> {
    tables: Vec<Option<Cow<'a, PathTable>>>,
    /// Every path that any layer so far has a symbolic link at.
    links: BTreeSet<String>,
    links_known: usize,
}

/// A folder of a layer and where it really is, because a lower layer has a
/// link in its place.
pub type Moved = (String, String);

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// To this path, which no link is part of.
    Path(String),
    /// To nothing, since a link on the way leads nowhere.
    Dangling,
    /// Nothing is there.
    Absent,
}

/// The way a path was resolved.
#[derive(Debug, Clone)]
pub struct Resolution {
    /// Where it leads.
    pub end: Resolved,
    /// Every path that was looked at on the way.
    pub looked_at: Vec<String>,
}

/// What the layers together have at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present<'t> {
    /// A directory.
    Directory,
    /// A symbolic link, with its target.
    Symlink(&'t str),
    /// Anything else.
    File,
}

impl<'a> Overlay<'a> {
    /// Applies a layer of which nothing is known.
    pub fn push_unknown(&mut self) {
        self.tables.push(None);
    }

    /// Applies a layer; gives what of it is not where it says.
    pub fn push(&mut self, layer: &'a LayerAnalysis) -> Vec<Moved> {
        let moved = self.moves(&layer.events);
        let table = if moved.is_empty() {
            Cow::Borrowed(&layer.events)
        } else {
            Cow::Owned(relocate(&layer.events, &moved))
        };
        self.tables.push(Some(table));
        moved
    }

    /// The topmost layer's table.
    pub fn top(&self) -> Option<&PathTable> {
        self.tables.last()?.as_deref()
    }

    /// What lies at a path, taken literally.
    pub fn present(&self, path: &str) -> Option<Present<'_>> {
        if path.is_empty() {
            return Some(Present::Directory);
        }
        for table in self.tables.iter().rev().flatten() {
            match table.mention(path) {
                Mention::None => {}
                Mention::Gone => return None,
                Mention::Here(node) => {
                    return Some(match node.kind {
                        PathKind::Directory => Present::Directory,
                        PathKind::Symlink => Present::Symlink(table.target(&node)),
                        _ => Present::File,
                    });
                }
            }
        }
        None
    }

    /// Follows a path through the image's symbolic links, never out of it.
    pub fn resolve(&self, path: &str) -> Resolution {
        let mut looked_at = Vec::new();
        let mut names: Vec<String> = reversed_names(path);
        let mut here: Vec<String> = Vec::new();
        let mut hops = 0;
        // For each link being followed, how many names were left behind it.
        let mut following: Vec<usize> = Vec::new();
        while let Some(name) = names.pop() {
            while following.last().is_some_and(|rest| names.len() < *rest) {
                following.pop();
            }
            match name.as_str() {
                "." => continue,
                ".." => {
                    here.pop();
                    continue;
                }
                _ => here.push(name),
            }
            let joined = here.join("/");
            looked_at.push(joined.clone());
            let end = match self.present(&joined) {
                Some(Present::Directory) => continue,
                Some(Present::File) if names.is_empty() => continue,
                Some(Present::Symlink(target)) => {
                    hops += 1;
                    if hops <= LINK_HOPS_MAX {
                        here.pop();
                        if target.starts_with('/') {
                            here.clear();
                        }
                        following.push(names.len());
                        names.extend(reversed_names(target));
                        continue;
                    }
                    Resolved::Dangling
                }
                _ if !following.is_empty() => Resolved::Dangling,
                _ => Resolved::Absent,
            };
            return Resolution { end, looked_at };
        }
        Resolution { end: Resolved::Path(here.join("/")), looked_at }
    }

    /// Directories that the layer only has things below, and in whose place
    /// the layers so far have a link: a runtime unpacks through it.
    fn moves(&mut self, table: &PathTable) -> Vec<Moved> {
        let implied = table.implied();
        let mut moved: Vec<Moved> = Vec::new();
        if implied.is_empty() {
            return moved;
        }
        self.learn_links();
        for path in implied {
            // Its parent may have been moved, and it may be a link there.
            let at = moved_path(path, &moved);
            // An opaque directory above hides that link, wherever it lies: the
            // layer is asked by the name that it uses.
            if self.links.contains(at.as_ref())
                && !matches!(table.mention(path), Mention::Here(node) if node.opaque)
                && let Some(Present::Symlink(_)) = self.present_below(table, &at)
                && let Some(real) = self.unpack_path(table, &at)
            {
                moved.push((path.clone(), real));
            }
        }
        moved
    }

    /// What lies at a path while a layer with this table is unpacked: its
    /// whiteouts have gone ahead, its implied directories are those below.
    fn present_below<'t>(&'t self, table: &'t PathTable, path: &str) -> Option<Present<'t>> {
        match table.mention(path) {
            Mention::None => self.present(path),
            Mention::Gone => None,
            Mention::Here(node) => match node.kind {
                PathKind::Directory if !node.explicit && !node.opaque => self.present(path),
                PathKind::Directory => Some(Present::Directory),
                PathKind::Symlink => Some(Present::Symlink(table.target(&node))),
                _ => Some(Present::File),
            },
        }
    }

    /// Where a runtime puts what lies in a directory that is a link: parts
    /// that do not exist are made.
    fn unpack_path(&self, table: &PathTable, path: &str) -> Option<String> {
        let mut names: Vec<String> = reversed_names(path);
        let mut here: Vec<String> = Vec::new();
        let mut hops = 0;
        while let Some(name) = names.pop() {
            match name.as_str() {
                "." => {}
                ".." => {
                    here.pop();
                }
                _ => {
                    here.push(name);
                    if let Some(Present::Symlink(target)) =
                        self.present_below(table, &here.join("/"))
                    {
                        hops += 1;
                        if hops > LINK_HOPS_MAX {
                            return None;
                        }
                        here.pop();
                        if target.starts_with('/') {
                            here.clear();
                        }
                        names.extend(reversed_names(target));
                    }
                }
            }
        }
        Some(here.join("/"))
    }

    fn learn_links(&mut self) {
        for table in self.tables[self.links_known..].iter().flatten() {
            let events = table.events().into_iter();
            self.links.extend(events.filter(|e| e.node.kind == PathKind::Symlink).map(|e| e.path));
        }
        self.links_known = self.tables.len();
    }
}

/// A path of the layer, moved as its folders are.
pub fn moved_path<'p>(path: &'p str, moved: &[Moved]) -> Cow<'p, str> {
    // Parents were moved before what is below them.
    for (from, to) in moved.iter().rev() {
        if let Some(rest) = path.strip_prefix(from.as_str()).and_then(|rest| rest.strip_prefix('/'))
        {
            return if to.is_empty() {
                Cow::Borrowed(rest)
            } else {
                Cow::Owned(format!("{to}/{rest}"))
            };
        }
    }
    Cow::Borrowed(path)
}

/// The table with folders moved.
fn relocate(table: &PathTable, moved: &[Moved]) -> PathTable {
    let mut tree = LayerTree::default();
    if table.root().is_some_and(|root| root.opaque) {
        let _ = tree.opaque("");
    }
    // Archives are written in the order of their paths.
    let mut events = table.events();
    events.sort_by(|a, b| a.path.cmp(&b.path));
    for event in events {
        if moved.iter().any(|(from, _)| *from == event.path) {
            continue;
        }
        let path = moved_path(&event.path, moved);
        // What has no place here had none in the layer; see the walk.
        let _ = match event.node.kind {
            PathKind::Whiteout => tree.whiteout(&path),
            PathKind::Directory if event.node.explicit => tree.put(&path, PathKind::Directory, ""),
            PathKind::Directory if event.node.opaque => tree.opaque(&path),
            PathKind::Directory => continue,
            kind => tree.put(&path, kind, event.target),
        };
        if event.node.kind == PathKind::Directory && event.node.opaque {
            let _ = tree.opaque(&path);
        }
    }
    tree.finish(|_| false).0
}

fn reversed_names(path: &str) -> Vec<String> {
    path.split('/').rev().filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
