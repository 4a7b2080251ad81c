//! Layer bytes -> packages and path events; layers merged into an inventory.
//!
//! Pure: `Read` in, values out. A layer is analysed once, whatever images use
//! it ([`analyse_layer`]); [`merge()`] lays the analyses of one image over each
//! other as a container runtime lays the layers.

pub mod limits;

pub mod encoding;
pub mod source;
pub mod tar;

pub mod path;
pub mod table;
pub mod tree;

pub mod analysers;
pub mod executable;
pub mod layer;
pub mod walk;

pub mod config;
pub mod merge;

pub use analysers::UnreadKind;
pub use config::{ImageConfig, ImageConfigError};
pub use encoding::LayerEncoding;
pub use layer::{CodecError, Evidence, LayerAnalysis, LayerProblem, Record};
pub use limits::Limits;
pub use merge::merge;
pub use walk::analyse_layer;

/// Raise it when the same layer bytes give a new [`LayerAnalysis`]: stored
/// analyses are then redone. It covers the walk, the wire form and every analyser.
pub const ANALYSER_VERSION: u32 = 1;
