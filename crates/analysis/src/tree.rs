//! A layer being read: each path as the latest entry left it.
//!
//! Entries apply in the archive's order, as a runtime applies them: a file
//! takes the place of whatever was there, a directory joins a directory, and
//! parents are reached through the layer's own symbolic links. Whiteouts hide
//! lower layers only, wherever in the archive they stand (OCI image-spec,
//! "Whiteouts").

use std::collections::BTreeMap;

use crate::limits::LINK_HOPS_MAX;
use crate::table::{NewNode, PathKind, PathTable, TableWriter};

/// Number of a path within one [`LayerTree`].
pub type NodeId = u32;

const ROOT: NodeId = 0;

/// Bytes that a path costs beside its name, for the limit on both.
const NODE_COST: usize = 48;

/// The paths of a layer while it is read.
pub struct LayerTree {
    nodes: Vec<TreeNode>,
    children: BTreeMap<(NodeId, Box<str>), NodeId>,
    name_bytes: usize,
}

struct TreeNode {
    kind: PathKind,
    explicit: bool,
    opaque: bool,
    target: Box<str>,
}

/// Why an entry has no place in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// The path's parents are symbolic links without end.
    #[error("its parent directories are symbolic links that lead in a circle")]
    LinkLoop,
    /// It names the root itself, and is no directory.
    #[error("it would take the place of the root directory")]
    Root,
}

/// Where an entry was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its node.
    pub node: NodeId,
    /// Nodes that are gone because of it.
    pub removed: Vec<NodeId>,
    /// Whether a parent was no directory and had to make way: no runtime
    /// unpacks such a layer.
    pub through_file: bool,
}

impl Default for LayerTree {
    fn default() -> Self {
        let root = TreeNode {
            kind: PathKind::Directory,
            explicit: true,
            opaque: false,
            target: "".into(),
        };
        Self { nodes: vec![root], children: BTreeMap::new(), name_bytes: 0 }
    }
}

impl LayerTree {
    /// Bytes of all names and targets so far, with what each path costs.
    pub fn name_bytes(&self) -> usize {
        self.name_bytes
    }

    /// Puts a file, directory, link or device at a clean path.
    pub fn put(&mut self, path: &str, kind: PathKind, target: &str) -> Result<Placed, PlaceError> {
        let (parent, name, mut removed, through_file) = self.parent_of(path)?;
        let Some(name) = name else {
            return match kind {
                PathKind::Directory => Ok(Placed { node: ROOT, removed, through_file }),
                _ => Err(PlaceError::Root),
            };
        };
        let id = self.child_or_new(parent, name);
        let joins =
            kind == PathKind::Directory && self.nodes[id as usize].kind == PathKind::Directory;
        if !joins {
            // What was here before in this layer, or was removed by it, took
            // the lower layers' content with it.
            let fresh = !self.nodes[id as usize].explicit
                && self.nodes[id as usize].kind == PathKind::Special;
            removed.extend(self.remove_below(id));
            if !fresh {
                removed.push(id);
            }
            self.name_bytes += target.len();
            self.nodes[id as usize] = TreeNode {
                kind,
                explicit: true,
                opaque: kind == PathKind::Directory && !fresh,
                target: target.into(),
            };
        }
        self.nodes[id as usize].explicit = true;
        Ok(Placed { node: id, removed, through_file })
    }

    /// Hides a clean path of the lower layers.
    pub fn whiteout(&mut self, path: &str) -> Result<Placed, PlaceError> {
        let (parent, name, removed, through_file) = self.parent_of(path)?;
        let name = name.ok_or(PlaceError::Root)?;
        let id = self.child_or_new(parent, name);
        let node = &mut self.nodes[id as usize];
        if node.kind == PathKind::Directory {
            node.opaque = true;
        } else if !node.explicit {
            *node = TreeNode {
                kind: PathKind::Whiteout,
                explicit: true,
                opaque: false,
                target: "".into(),
            };
        }
        Ok(Placed { node: id, removed, through_file })
    }

    /// Hides everything that the lower layers have below a clean path.
    pub fn opaque(&mut self, path: &str) -> Result<Placed, PlaceError> {
        let mut walk = Walk::default();
        let id = self.walk(ROOT, path, &mut walk)?;
        self.nodes[id as usize].opaque = true;
        Ok(Placed { node: id, removed: walk.removed, through_file: walk.through_file })
    }

    /// The node at a path, parents reached through this layer's links, the
    /// last name taken literally.
    pub fn find(&self, path: &str) -> Option<NodeId> {
        let mut stack = vec![ROOT];
        let mut names: Vec<String> =
            path.split('/').rev().filter(|n| !n.is_empty()).map(str::to_owned).collect();
        let mut hops = 0;
        while let Some(name) = names.pop() {
            let here = *stack.last()?;
            match name.as_str() {
                "." => continue,
                ".." => {
                    if stack.len() > 1 {
                        stack.pop();
                    }
                    continue;
                }
                _ => {}
            }
            let child = *self.children.get(&(here, name.into_boxed_str()))?;
            let node = &self.nodes[child as usize];
            if node.kind == PathKind::Symlink && !names.is_empty() {
                hops += 1;
                if hops > LINK_HOPS_MAX {
                    return None;
                }
                if node.target.starts_with('/') {
                    stack.truncate(1);
                }
                names.extend(
                    node.target.split('/').rev().filter(|n| !n.is_empty()).map(str::to_owned),
                );
            } else {
                stack.push(child);
            }
        }
        stack.pop().filter(|id| self.nodes[*id as usize].kind != PathKind::Whiteout)
    }

    /// The kind of a node.
    pub fn kind(&self, id: NodeId) -> PathKind {
        self.nodes[id as usize].kind
    }

    /// The finished table, and the paths of the nodes that `wanted` names.
    pub fn finish(self, wanted: impl Fn(NodeId) -> bool) -> (PathTable, BTreeMap<NodeId, String>) {
        let mut writer = TableWriter::default();
        let mut paths = BTreeMap::new();
        let root = &self.nodes[ROOT as usize];
        writer.push(&NewNode {
            name: "",
            target: "",
            kind: PathKind::Directory,
            explicit: true,
            opaque: root.opaque,
        });
        let mut level = std::collections::VecDeque::from([(ROOT, 0, String::new())]);
        while let Some((id, index, path)) = level.pop_front() {
            let (mut first, mut count) = (0, 0);
            for ((_, name), child) in self.below(id) {
                let node = &self.nodes[*child as usize];
                let written = writer.push(&NewNode {
                    name,
                    target: &node.target,
                    kind: node.kind,
                    explicit: node.explicit,
                    opaque: node.opaque,
                });
                if count == 0 {
                    first = written;
                }
                count += 1;
                let below =
                    || if path.is_empty() { name.to_string() } else { format!("{path}/{name}") };
                if node.kind == PathKind::Directory {
                    level.push_back((*child, written, below()));
                } else if wanted(*child) {
                    paths.insert(*child, below());
                }
            }
            writer.set_children(index, first, count);
        }
        (writer.finish(), paths)
    }

    /// The directory that holds the path's last name, made where absent.
    #[allow(clippy::type_complexity)]
    fn parent_of<'p>(
        &mut self,
        path: &'p str,
    ) -> Result<(NodeId, Option<&'p str>, Vec<NodeId>, bool), PlaceError> {
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut walk = Walk::default();
        let parent = self.walk(ROOT, parents, &mut walk)?;
        Ok((parent, (!name.is_empty()).then_some(name), walk.removed, walk.through_file))
    }

    /// Follows directories and this layer's links, making what is absent.
    fn walk(&mut self, from: NodeId, path: &str, walk: &mut Walk) -> Result<NodeId, PlaceError> {
        let mut stack = vec![from];
        let mut names: Vec<String> =
            path.split('/').rev().filter(|n| !n.is_empty()).map(str::to_owned).collect();
        while let Some(name) = names.pop() {
            match name.as_str() {
                "." => continue,
                ".." => {
                    if stack.len() > 1 {
                        stack.pop();
                    }
                    continue;
                }
                _ => {}
            }
            let here = stack.last().copied().unwrap_or(ROOT);
            let child = self.child_or_new(here, &name);
            let node = &mut self.nodes[child as usize];
            match node.kind {
                PathKind::Directory => {}
                PathKind::Symlink => {
                    walk.hops += 1;
                    if walk.hops > LINK_HOPS_MAX {
                        return Err(PlaceError::LinkLoop);
                    }
                    if node.target.starts_with('/') {
                        stack.truncate(1);
                    }
                    names.extend(
                        node.target.split('/').rev().filter(|n| !n.is_empty()).map(str::to_owned),
                    );
                    continue;
                }
                _ => {
                    let fresh = node.kind == PathKind::Special && !node.explicit;
                    if !fresh && node.kind != PathKind::Whiteout {
                        walk.through_file = true;
                        walk.removed.push(child);
                    }
                    node.kind = PathKind::Directory;
                    node.explicit = false;
                    node.opaque = !fresh;
                    node.target = "".into();
                }
            }
            stack.push(child);
        }
        Ok(stack.last().copied().unwrap_or(ROOT))
    }

    /// The child of that name. A new one is a [`PathKind::Special`] that is
    /// not explicit, until its maker says what it is.
    fn child_or_new(&mut self, parent: NodeId, name: &str) -> NodeId {
        let fresh = self.nodes.len() as NodeId;
        let id = *self.children.entry((parent, name.into())).or_insert(fresh);
        if id == fresh {
            self.name_bytes += name.len() + NODE_COST;
            self.nodes.push(TreeNode {
                kind: PathKind::Special,
                explicit: false,
                opaque: false,
                target: "".into(),
            });
        }
        id
    }

    fn below(&self, id: NodeId) -> impl Iterator<Item = (&(NodeId, Box<str>), &NodeId)> {
        self.children.range((id, "".into())..(id + 1, "".into()))
    }

    fn remove_below(&mut self, id: NodeId) -> Vec<NodeId> {
        let mut removed = Vec::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let below: Vec<_> = self.below(id).map(|(key, child)| (key.clone(), *child)).collect();
            for (key, child) in below {
                self.children.remove(&key);
                removed.push(child);
                open.push(child);
            }
        }
        removed
    }
}

#[derive(Default)]
struct Walk {
    hops: usize,
    removed: Vec<NodeId>,
    through_file: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries as `f path`, `d path`, `l path target`, `w path`, `o path`;
    /// events as `kind path`, `~` for implied and `!` for opaque directories.
    fn check(entries: &[&str], expected: &[&str]) {
        let mut tree = LayerTree::default();
        for entry in entries {
            let mut words = entry.split(' ');
            let (kind, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let placed = match kind {
                "w" => tree.whiteout(path),
                "o" => tree.opaque(path),
                "d" => tree.put(path, PathKind::Directory, ""),
                "l" => tree.put(path, PathKind::Symlink, words.next().unwrap_or_default()),
                _ => tree.put(path, PathKind::File, ""),
            };
            placed.unwrap_or_else(|error| panic!("{entry}: {error}"));
        }
        let (table, _) = tree.finish(|_| false);
        let mut events: Vec<String> = table
            .events()
            .iter()
            .map(|event| {
                let letter = match event.node.kind {
                    PathKind::Directory => "d",
                    PathKind::File => "f",
                    PathKind::Symlink => "l",
                    PathKind::HardLink => "h",
                    PathKind::Special => "s",
                    PathKind::Whiteout => "w",
                };
                let implied = if event.node.explicit { "" } else { "~" };
                let opaque = if event.node.opaque { "!" } else { "" };
                format!("{letter}{implied}{opaque} {}", event.path)
            })
            .collect();
        events.sort();
        let mut expected: Vec<String> = expected.iter().map(|e| (*e).to_owned()).collect();
        expected.sort();
        assert_eq!(events, expected, "{entries:?}");
    }

    #[test]
    fn the_latest_entry_decides() {
        check(&["f a", "d a", "f a/b"], &["d! a", "f a/b"]);
        check(&["d a", "f a/b", "f a"], &["f a"]);
        check(&["f a/b"], &["d~ a", "f a/b"]);
        check(&["f a/b", "d a"], &["d a", "f a/b"]);
    }

    #[test]
    fn whiteouts_hide_only_what_is_below() {
        check(&["w a"], &["w a"]);
        check(&["f a", "w a"], &["f a"]);
        check(&["w a", "f a"], &["f a"]);
        check(&["w a", "d a", "f a/b"], &["d! a", "f a/b"]);
        check(&["d a", "f a/b", "w a"], &["d! a", "f a/b"]);
        check(&["w a", "f a/b"], &["d~! a", "f a/b"]);
        check(&["o a", "f a/b"], &["d~! a", "f a/b"]);
    }

    #[test]
    fn parents_are_reached_through_links() {
        check(
            &["d usr/lib", "l lib usr/lib", "f lib/x"],
            &["d~ usr", "d usr/lib", "l lib", "f usr/lib/x"],
        );
        check(&["l a/up /x/../y", "f a/up/f"], &["d~ a", "l a/up", "d~ x", "d~ y", "f y/f"]);
        check(&["l a ../../..", "f a/f"], &["l a", "f f"]);
    }

    #[test]
    fn circles_are_refused() {
        let mut tree = LayerTree::default();
        for (path, target) in [("a", "b"), ("b", "a")] {
            tree.put(path, PathKind::Symlink, target).expect("a link");
        }
        assert_eq!(tree.put("a/f", PathKind::File, ""), Err(PlaceError::LinkLoop));
        assert_eq!(tree.find("a/f"), None);
    }
}
