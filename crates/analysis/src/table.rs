//! What a layer does to each path, in a form that is read in place.
//!
//! One flat buffer of fixed-width nodes, breadth first, the children of a
//! directory side by side and sorted by name; then the bytes of all names.
//! Decoding is a copy, a look-up is one binary search per name, and a child
//! always lies behind its parent, so that no corrupt table loops. Out-of-range
//! offsets read as nothing.

use serde::{Deserialize, Serialize};

/// The paths of one layer. Empty by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathTable {
    #[serde(with = "bytes")]
    nodes: Vec<u8>,
    #[serde(with = "bytes")]
    names: Vec<u8>,
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
    name: (u32, u32),
    target: (u32, u32),
    /// What it is.
    pub kind: PathKind,
    /// Whether the layer has an entry of its own for it, not only for
    /// something below it.
    pub explicit: bool,
    /// Whether everything below it in lower layers is hidden (an opaque
    /// directory, or one that was removed and made anew).
    pub opaque: bool,
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
