//! One immutable file per feed snapshot, made to be memory-mapped.
//!
//! ```text
//! magic | format | section count | (offset, length) per section | sections | SHA-256 of all before
//! ```
//!
//! Names and ids are looked up in front-coded key tables, everything else is
//! postcard behind offsets; texts sit in zstd blocks, since they are read only
//! when a person asks. A key table and not the `fst` crate: `fst` trusts its
//! bytes and panics on foreign ones, and bundles come from other machines.

mod compile;
mod key_table;
mod open;
mod scores;

pub use compile::{CompileError, compile};
pub use open::{Segment, SegmentError};
pub use scores::Score;

use serde::{Deserialize, Serialize};

use crate::record::{Event, Record, Reference, Stance, Statement};

/// First bytes of every segment.
const MAGIC: [u8; 8] = *b"LZADVSEG";
/// Raised when the layout changes; older files are then imported anew.
const FORMAT: u32 = 1;
/// Bytes of the closing SHA-256.
const SEAL_BYTES: usize = 32;
/// Uncompressed size at which a block of texts is closed.
const TEXT_BLOCK_BYTES: usize = 256 << 10;
/// Most uncompressed bytes of one block: the limit when reading foreign ones.
const TEXT_BLOCK_BYTES_MAX: usize = 8 << 20;

/// The sections, in file order.
#[derive(Debug, Clone, Copy)]
enum Section {
    Meta,
    /// Stored records, one postcard value after the other.
    Records,
    /// Per record: offset in `Records`, text block, place in that block (u32 each).
    RecordRows,
    /// Key table: id -> posting list in `IdPostings`.
    Ids,
    IdPostings,
    /// Key table: namespace, NUL, lookup name -> entries in `Entries`.
    Names,
    Entries,
    /// Sorted: finding id (u64), record (u32).
    Findings,
    /// Per block: offset and length in `Texts` (u32 each).
    TextRows,
    Texts,
    Scores,
    /// Key table: CVE -> place in `ExploitedData`.
    Exploited,
    ExploitedData,
    EndOfLife,
}

const SECTIONS: usize = Section::EndOfLife as usize + 1;

/// What a segment is to its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A complete export of the feed: only such a segment covers namespaces.
    Base,
    /// Single records that replace those of the base by id.
    Delta,
}

/// What a segment says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentMeta {
    /// Source id, such as `osv/PyPI` or `debian/tracker`.
    pub source: String,
    /// Family of its namespaces (`Debian`, `PyPI`); empty for facts about CVEs.
    pub family: String,
    /// Base or delta.
    pub role: Role,
    /// Newest change in the data or the catalogue's own date, seconds since 1970.
    pub data_date: Option<i64>,
    /// When it was imported, seconds since 1970.
    pub imported_at: i64,
    /// Records (or CVEs, for facts).
    pub records: u64,
    /// Of these, withdrawn by the feed.
    pub withdrawn: u64,
    /// Namespaces with at least one entry, sorted.
    pub namespaces: Vec<String>,
    /// SHA-256 over everything but this, so that importing the same data again
    /// changes nothing.
    pub content: [u8; 32],
}

/// What is to be compiled into one segment.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Source id, such as `osv/PyPI`.
    pub source: String,
    /// Family of the namespaces; empty for facts.
    pub family: String,
    /// Base or delta.
    pub role: Role,
    /// Newest change in the data, seconds since 1970.
    pub data_date: Option<i64>,
    /// Seconds since 1970.
    pub imported_at: i64,
    /// The data.
    pub content: Content,
}

/// The data of one source.
#[derive(Debug, Clone)]
pub enum Content {
    /// Advisories.
    Records(Vec<Record>),
    /// EPSS.
    Scores(Vec<Score>),
    /// CISA's catalogue.
    Exploited(Vec<(String, Exploited)>),
    /// When releases of distributions end.
    EndOfLife(Vec<EndOfLife>),
}

/// One entry of the catalogue of known exploited vulnerabilities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exploited {
    /// `YYYY-MM-DD`.
    pub date_added: String,
    /// `YYYY-MM-DD`.
    pub due_date: Option<String>,
    /// Whether ransomware campaigns are known to use it.
    pub ransomware: bool,
    /// The catalogue's name for it.
    pub name: String,
}

/// The end of one release of a distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndOfLife {
    /// os-release `ID`, such as `debian`.
    pub id: String,
    /// Release as os-release writes it, such as `12` or `18.04`.
    pub release: String,
    /// Last day of free support, `YYYY-MM-DD`.
    pub date: String,
}

/// A record as stored: without texts and affected packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRecord {
    /// The feed's id.
    pub id: String,
    /// Other ids of the same defect.
    pub aliases: Vec<String>,
    /// CVEs that an erratum closes.
    pub covers: Vec<String>,
    /// Seconds since 1970.
    pub published: Option<i64>,
    /// Seconds since 1970.
    pub modified: Option<i64>,
    /// Seconds since 1970.
    pub withdrawn: Option<i64>,
    /// CVSS vectors as written.
    pub cvss: Vec<String>,
    /// The feed's word; weighs more than its vectors.
    pub rating: Option<String>,
    /// A derived word; weighs less than the vectors.
    pub fallback_rating: Option<String>,
    /// Lookup names of the packages it speaks of, sorted.
    pub names: Vec<String>,
}

impl StoredRecord {
    /// The canonical ids of the defects it stands for.
    pub fn defects(&self) -> Vec<&str> {
        crate::record::defects(&self.id, &self.aliases, &self.covers)
    }

    /// Every id under which it may be asked for.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        crate::record::ids(&self.id, &self.aliases, &self.covers)
    }
}

/// The texts of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// One line, may be empty.
    pub title: String,
    /// Longer text, may be empty.
    pub details: String,
    /// Where to read more.
    pub references: Vec<Reference>,
}

/// One statement under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    record: u32,
    form: Form,
}

/// A statement as stored: nearly all of a distribution's are one version long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Form {
    /// Every version below this one; the number is a place in [`CHANNELS`].
    Fixed(u8, String),
    /// Never affected.
    Never(u8),
    /// Anything else.
    Full(Box<Statement>),
}

/// Parts of distributions that statements name by a number.
const CHANNELS: [Option<&str>; 3] = [None, Some("main"), Some("community")];

impl Form {
    fn of(statement: Statement) -> Self {
        let channel = CHANNELS.iter().position(|c| *c == statement.channel.as_deref());
        let Some(channel) = channel.and_then(|c| u8::try_from(c).ok()) else {
            return Self::Full(statement.into());
        };
        let short = match statement.ranges.as_slice() {
            [range] => match range.as_slice() {
                [Event::Introduced(zero), Event::Fixed(fixed)] if zero == "0" => {
                    Some(Self::Fixed(channel, fixed.clone()))
                }
                _ => None,
            },
            [] if statement.stance == Stance::NotAffected => Some(Self::Never(channel)),
            _ => None,
        };
        match short {
            // Only if nothing else was said.
            Some(short) if short.clone().statement() == statement => short,
            _ => Self::Full(statement.into()),
        }
    }

    fn statement(self) -> Statement {
        let named =
            |channel: u8| CHANNELS.get(usize::from(channel)).copied().flatten().map(str::to_owned);
        match self {
            Self::Fixed(channel, fixed) => Statement {
                ranges: vec![vec![Event::Introduced("0".into()), Event::Fixed(fixed)]],
                channel: named(channel),
                ..Statement::default()
            },
            Self::Never(channel) => Statement {
                stance: Stance::NotAffected,
                channel: named(channel),
                ..Statement::default()
            },
            Self::Full(statement) => *statement,
        }
    }
}

#[cfg(test)]
mod tests;
