//! What a layer does to each path, in a form that is read in place.
//!
//! One flat buffer of fixed-width nodes, breadth first, the children of a
//! directory side by side and sorted by name; then the bytes of all names.
//! Decoding is a copy, a look-up is one binary search per name, and a child
//! always lies behind its parent, so that no corrupt table loops. Out-of-range
//! offsets read as nothing.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// The paths of one layer. Empty by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathTable {
    #[serde(with = "bytes")]
    nodes: Vec<u8>,
    #[serde(with = "bytes")]
    names: Vec<u8>,
    implied: Vec<String>,
}

/// What a layer has at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PathKind {
    /// A directory: its own entry, or only the parent of one (see
    /// [`Node::explicit`]).
    Directory = 0,
    /// A regular file.
    File = 1,
    /// A symbolic link.
    Symlink = 2,
    /// A hard link.
    HardLink = 3,
    /// A device, fifo or other thing that holds no bytes.
    Special = 4,
    /// The path is removed from the layers below.
    Whiteout = 5,
}

/// One path of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    index: u32,
    first_child: u32,
    children: u32,
    name: (u32, u16),
    target: (u32, u16),
    /// What it is.
    pub kind: PathKind,
    /// Whether the layer has an entry of its own for it, not only for
    /// something below it.
    pub explicit: bool,
    /// Whether everything below it in lower layers is hidden (an opaque
    /// directory, or one that was removed and made anew).
    pub opaque: bool,
}

/// What one layer says of one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mention {
    /// Nothing: the layers below decide.
    None,
    /// The layer has it, and this is what it is. A directory that is not
    /// opaque joins the one below.
    Here(Node),
    /// The layer removes it, or puts something else in the place of one of its
    /// parents.
    Gone,
}

/// A path as a layer changes it, for whoever wants to list them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathEvent<'t> {
    /// Relative to the root, without a leading slash.
    pub path: String,
    /// What the layer has there.
    pub node: Node,
    /// Where a link leads; empty for what is no link.
    pub target: &'t str,
}

/// Bytes of one node: name offset 4, target offset 4, first child 4, children
/// 4, name length 2, target length 2, kind 1, flags 1; little endian.
const NODE_BYTES: usize = 22;
const EXPLICIT: u8 = 1;
const OPAQUE: u8 = 2;

impl PathTable {
    /// Number of paths, the root included.
    pub fn len(&self) -> usize {
        self.nodes.len() / NODE_BYTES
    }

    /// Whether the layer names no path.
    pub fn is_empty(&self) -> bool {
        self.len() <= 1
    }

    /// The root directory; `None` in the table of a layer that was not read.
    pub fn root(&self) -> Option<Node> {
        self.node(0)
    }

    /// The path's own name.
    pub fn name(&self, node: &Node) -> &str {
        text(self.slice(node.name))
    }

    /// Where a link leads, as written; empty for what is no link.
    pub fn target(&self, node: &Node) -> &str {
        text(self.slice(node.target))
    }

    /// What lies directly below, sorted by name.
    pub fn children(&self, node: &Node) -> impl Iterator<Item = Node> + '_ {
        let first = node.first_child;
        // Behind their parent, so that a corrupt table cannot loop.
        let count = if first > node.index { node.children } else { 0 };
        (0..count).map_while(move |i| self.node(first.checked_add(i)?))
    }

    /// The child of that name.
    pub fn child(&self, node: &Node, name: &str) -> Option<Node> {
        if node.first_child <= node.index {
            return None;
        }
        let (mut low, mut high) = (node.first_child, node.first_child.checked_add(node.children)?);
        while low < high {
            let middle = low + (high - low) / 2;
            let candidate = self.node(middle)?;
            match self.slice(candidate.name).cmp(name.as_bytes()) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(candidate),
            }
        }
        None
    }

    /// What this layer says of a path, taken literally: links in it are not
    /// followed.
    pub fn mention(&self, path: &str) -> Mention {
        let Some(mut node) = self.root() else { return Mention::None };
        let mut opaque = false;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            match node.kind {
                PathKind::Directory => opaque |= node.opaque,
                _ => return Mention::Gone,
            }
            match self.child(&node, name) {
                Some(child) => node = child,
                None if opaque => return Mention::Gone,
                None => return Mention::None,
            }
        }
        match node.kind {
            PathKind::Whiteout => Mention::Gone,
            _ => Mention::Here(Node { opaque: opaque | node.opaque, ..node }),
        }
    }

    /// Every path but the root, parents before what is in them.
    pub fn events(&self) -> Vec<PathEvent<'_>> {
        let mut events = Vec::with_capacity(self.len());
        let mut open = Vec::from_iter(self.root().map(|root| (String::new(), root)));
        while let Some((path, node)) = open.pop() {
            for child in self.children(&node) {
                let name = self.name(&child);
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
                if child.children > 0 {
                    open.push((path.clone(), child));
                }
                events.push(PathEvent { path, node: child, target: self.target(&child) });
            }
        }
        events
    }

    /// Directories that the layer only has things below, sorted: where a lower layer has a symbolic link there, what lies below goes
    /// where the link leads.
    pub fn implied(&self) -> &[String] {
        &self.implied
    }

    fn find_implied(&self) -> Vec<String> {
        let mut implied = Vec::new();
        let mut open = Vec::from_iter(self.root().map(|root| (String::new(), root)));
        while let Some((path, node)) = open.pop() {
            for child in self.children(&node).filter(|child| child.kind == PathKind::Directory) {
                let name = self.name(&child);
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
                if !child.explicit && !child.opaque {
                    implied.push(path.clone());
                }
                open.push((path, child));
            }
        }
        implied.sort();
        implied
    }

    fn node(&self, index: u32) -> Option<Node> {
        let at = (index as usize).checked_mul(NODE_BYTES)?;
        let bytes: &[u8; NODE_BYTES] = self.nodes.get(at..at + NODE_BYTES)?.try_into().ok()?;
        let long = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let kind = match bytes[20] {
            0 => PathKind::Directory,
            1 => PathKind::File,
            2 => PathKind::Symlink,
            3 => PathKind::HardLink,
            4 => PathKind::Special,
            5 => PathKind::Whiteout,
            _ => return None,
        };
        Some(Node {
            index,
            name: (long(0), short(16)),
            target: (long(4), short(18)),
            first_child: long(8),
            children: long(12),
            kind,
            explicit: bytes[21] & EXPLICIT != 0,
            opaque: bytes[21] & OPAQUE != 0,
        })
    }

    fn slice(&self, (start, length): (u32, u16)) -> &[u8] {
        let start = start as usize;
        self.names.get(start..start + usize::from(length)).unwrap_or_default()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Writes a [`PathTable`], breadth first.
#[derive(Default)]
pub(crate) struct TableWriter {
    table: PathTable,
}

/// One node to be written.
pub(crate) struct NewNode<'a> {
    pub name: &'a str,
    pub target: &'a str,
    pub kind: PathKind,
    pub explicit: bool,
    pub opaque: bool,
}

impl TableWriter {
    /// Appends a node; gives its index.
    pub fn push(&mut self, new: &NewNode<'_>) -> u32 {
        let index = self.table.len() as u32;
        let (name_at, name_length) = self.intern(new.name);
        let (target_at, target_length) = self.intern(new.target);
        let nodes = &mut self.table.nodes;
        nodes.extend_from_slice(&name_at.to_le_bytes());
        nodes.extend_from_slice(&target_at.to_le_bytes());
        nodes.extend_from_slice(&[0; 8]);
        nodes.extend_from_slice(&name_length.to_le_bytes());
        nodes.extend_from_slice(&target_length.to_le_bytes());
        nodes.push(new.kind as u8);
        nodes.push(u8::from(new.explicit) * EXPLICIT + u8::from(new.opaque) * OPAQUE);
        index
    }

    /// Says where a node's children were appended.
    pub fn set_children(&mut self, index: u32, first: u32, count: u32) {
        let at = index as usize * NODE_BYTES;
        self.table.nodes[at + 8..at + 12].copy_from_slice(&first.to_le_bytes());
        self.table.nodes[at + 12..at + 16].copy_from_slice(&count.to_le_bytes());
    }

    pub fn finish(mut self) -> PathTable {
        self.table.implied = self.table.find_implied();
        self.table
    }

    /// The walk's limits keep every name below 64 KiB and all of them below
    /// 4 GiB; what is longer all the same reads as cut.
    fn intern(&mut self, name: &str) -> (u32, u16) {
        let at = self.table.names.len() as u32;
        let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
        self.table.names.extend_from_slice(&name.as_bytes()[..usize::from(length)]);
        (at, length)
    }
}

/// serde as one byte string: a copy, not a loop over elements.
mod bytes {
    use serde::{Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a byte string")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}
