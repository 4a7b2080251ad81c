//! Reads a segment, believing nothing it says about itself.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use packages::Namespace;
use sha2::{Digest, Sha256};

use super::key_table::{KeyTable, take_varint, u32_at};
use super::scores::{self, Score};
use super::{
    EndOfLife, Entry, Exploited, FORMAT, MAGIC, SEAL_BYTES, SECTIONS, Section, SegmentMeta,
    StoredRecord, TEXT_BLOCK_BYTES_MAX, Text,
};
use crate::finding_id::FindingId;
use crate::record::{Affected, Record, Statement, cve_number};

/// Most records one lookup by id or finding gives; a real feed stays far below.
const POSTINGS_MAX: u64 = 100_000;
const FINDING_ROW_BYTES: usize = 12;
const RECORD_ROW_BYTES: usize = 12;

/// Why bytes are not a segment.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// Not the magic bytes.
    #[error("not an advisory segment (wrong first bytes)")]
    NotASegment,
    /// Written by another release of the product.
    #[error(
        "advisory segment of format {0}, this program reads format {FORMAT}; import the feed again"
    )]
    Format(u32),
    /// Shorter than its own table says, or a table is malformed.
    #[error("advisory segment is damaged: {0}; import the feed again")]
    Damaged(&'static str),
    /// The closing SHA-256 does not match.
    #[error("advisory segment is damaged: its checksum does not match; import the feed again")]
    Checksum,
}

/// An open segment. Lookups on damaged contents find nothing; they never panic.
pub struct Segment {
    bytes: Box<dyn AsRef<[u8]> + Send + Sync>,
    sections: [Range<usize>; SECTIONS],
    meta: SegmentMeta,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("source", &self.meta.source)
            .field("role", &self.meta.role)
            .finish()
    }
}

impl Segment {
    /// Takes memory-mapped or owned bytes; checks the checksum, every section's
    /// bounds and every table's header.
    pub fn open(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self, SegmentError> {
        let all = bytes.as_ref();
        if all.get(..8) != Some(&MAGIC[..]) {
            return Err(SegmentError::NotASegment);
        }
        let short = || SegmentError::Damaged("it breaks off");
        let format = u32_at(all, 2).ok_or_else(short)?;
        if format != FORMAT {
            return Err(SegmentError::Format(format));
        }
        if u32_at(all, 3) != Some(SECTIONS as u32) {
            return Err(SegmentError::Damaged("it has an unexpected number of sections"));
        }
        let body = all.len().checked_sub(SEAL_BYTES).ok_or_else(short)?;
        if Sha256::digest(&all[..body])[..] != all[body..] {
            return Err(SegmentError::Checksum);
        }
        let mut sections: [Range<usize>; SECTIONS] = std::array::from_fn(|_| 0..0);
        for (number, section) in sections.iter_mut().enumerate() {
            let field = |n: usize| -> Option<usize> {
                let at = 16 + number * 16 + n * 8;
                usize::try_from(u64::from_le_bytes(all.get(at..at + 8)?.try_into().ok()?)).ok()
            };
            let (start, length) = field(0).zip(field(1)).ok_or_else(short)?;
            let end = start.checked_add(length).filter(|end| *end <= body).ok_or_else(short)?;
            *section = start..end;
        }
        let meta = postcard::from_bytes(&all[sections[Section::Meta as usize].clone()])
            .map_err(|_| SegmentError::Damaged("its description is malformed"))?;
        for table in [Section::Ids, Section::Names, Section::Exploited] {
            KeyTable::open(&all[sections[table as usize].clone()])
                .ok_or(SegmentError::Damaged("a table is malformed"))?;
        }
        Ok(Self { sections, meta, bytes: Box::new(bytes) })
    }

    /// What the segment says about itself.
    pub fn meta(&self) -> &SegmentMeta {
        &self.meta
    }

    fn section(&self, section: Section) -> &[u8] {
        // The bytes may come from a file map: ask again and trust no bound.
        let bytes: &[u8] = (*self.bytes).as_ref();
        bytes.get(self.sections[section as usize].clone()).unwrap_or(&[])
    }

    fn table(&self, section: Section) -> Option<KeyTable<'_>> {
        KeyTable::open(self.section(section))
    }

    /// How many records are stored.
    pub fn record_count(&self) -> u32 {
        (self.section(Section::RecordRows).len() / RECORD_ROW_BYTES) as u32
    }

    /// A stored record by its number.
    pub fn record(&self, number: u32) -> Option<StoredRecord> {
        let at = u32_at(self.section(Section::RecordRows), (number as usize).checked_mul(3)?)?;
        postcard::from_bytes(self.section(Section::Records).get(at as usize..)?).ok()
    }

    /// The texts of a record by its number.
    pub fn text(&self, number: u32) -> Option<Text> {
        let row = (number as usize).checked_mul(3)?;
        let block = u32_at(self.section(Section::RecordRows), row + 1)?;
        let place = u32_at(self.section(Section::RecordRows), row + 2)? as usize;
        postcard::from_bytes(self.text_block(block)?.get(place..)?).ok()
    }

    fn text_block(&self, block: u32) -> Option<Vec<u8>> {
        let rows = self.section(Section::TextRows);
        let row = (block as usize).checked_mul(2)?;
        let (at, length) = (u32_at(rows, row)? as usize, u32_at(rows, row + 1)? as usize);
        let compressed = self.section(Section::Texts).get(at..at.checked_add(length)?)?;
        let size = zstd::zstd_safe::get_frame_content_size(compressed).ok()??;
        let size = usize::try_from(size).ok().filter(|size| *size <= TEXT_BLOCK_BYTES_MAX)?;
        zstd::bulk::decompress(compressed, size).ok()
    }

    /// What is said about a package, with the number of the record that says it.
    pub fn statements(&self, namespace: &Namespace, lookup_name: &str) -> Vec<(u32, Statement)> {
        let mut key = namespace.as_str().as_bytes().to_vec();
        key.push(0);
        key.extend_from_slice(lookup_name.as_bytes());
        self.table(Section::Names)
            .and_then(|t| t.find(&key))
            .map(|at| self.statements_at(at))
            .unwrap_or_default()
    }

    fn statements_at(&self, at: u64) -> Vec<(u32, Statement)> {
        let entries =
            usize::try_from(at).ok().and_then(|at| self.section(Section::Entries).get(at..));
        let entries: Vec<Entry> =
            entries.and_then(|bytes| postcard::from_bytes(bytes).ok()).unwrap_or_default();
        entries.into_iter().map(|entry| (entry.record, entry.form.statement())).collect()
    }

    /// Every package that has statements, by namespace and lookup name, in
    /// order. The last is where they are, for [`Segment::statements`]' sake.
    pub(crate) fn names(&self) -> impl Iterator<Item = (Namespace, String, u64)> {
        self.table(Section::Names).into_iter().flat_map(|t| t.iter()).filter_map(|(key, at)| {
            let text = String::from_utf8(key).ok()?;
            let (namespace, name) = text.split_once('\0')?;
            Some((Namespace::new(namespace), name.to_owned(), at))
        })
    }

    /// Numbers of the records that go by an id (own, alias or covered), in any
    /// case.
    pub fn records_of(&self, id: &str) -> Vec<u32> {
        let key = id.to_ascii_uppercase();
        let Some(at) = self.table(Section::Ids).and_then(|t| t.find(key.as_bytes())) else {
            return Vec::new();
        };
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let Some(mut rest) = self.section(Section::IdPostings).get(at..) else { return Vec::new() };
        let count = take_varint(&mut rest).unwrap_or(0).min(POSTINGS_MAX);
        (0..count).map_while(|_| u32::try_from(take_varint(&mut rest)?).ok()).collect()
    }

    /// Numbers of the records that a finding id stands for.
    pub fn records_of_finding(&self, id: FindingId) -> Vec<u32> {
        let rows = self.section(Section::Findings);
        let row = |n: usize| -> Option<(u64, u32)> {
            let row = rows.get(n * FINDING_ROW_BYTES..(n + 1) * FINDING_ROW_BYTES)?;
            Some((u64::from_le_bytes(row[..8].try_into().ok()?), u32_at(row, 2)?))
        };
        let count = rows.len() / FINDING_ROW_BYTES;
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if row(middle).is_some_and(|(finding, _)| finding < id.0) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        (low..count)
            .map_while(|n| row(n).filter(|(finding, _)| *finding == id.0))
            .take(POSTINGS_MAX as usize)
            .map(|(_, record)| record)
            .collect()
    }

    /// A CVE's EPSS score, if this is a segment of scores.
    pub fn score(&self, cve: &str) -> Option<Score> {
        scores::find(self.section(Section::Scores), cve_number(cve)?)
    }

    /// A CVE's entry in the catalogue of known exploited ones, if this is that
    /// catalogue.
    pub fn exploited(&self, cve: &str) -> Option<Exploited> {
        let at = usize::try_from(self.table(Section::Exploited)?.find(cve.as_bytes())?).ok()?;
        postcard::from_bytes(self.section(Section::ExploitedData).get(at..)?).ok()
    }

    /// Ends of releases, if this is a segment of them.
    pub fn ends_of_life(&self) -> Vec<EndOfLife> {
        postcard::from_bytes(self.section(Section::EndOfLife)).unwrap_or_default()
    }

    /// The records as they were imported, for building the next segment of the
    /// same source. Package names are in their lookup form.
    pub fn export(&self) -> Vec<Record> {
        let mut affected: BTreeMap<u32, Vec<Affected>> = BTreeMap::new();
        for (namespace, name, at) in self.names() {
            for (record, statement) in self.statements_at(at) {
                affected.entry(record).or_default().push(Affected {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    statement,
                });
            }
        }
        let mut block: Option<(u32, Vec<u8>)> = None;
        let mut records = Vec::new();
        for number in 0..self.record_count() {
            let Some(stored) = self.record(number) else { continue };
            let rows = self.section(Section::RecordRows);
            let row = number as usize * 3;
            let (wanted, place) =
                (u32_at(rows, row + 1).unwrap_or(0), u32_at(rows, row + 2).unwrap_or(0));
            if block.as_ref().is_none_or(|(open, _)| *open != wanted) {
                block = Some((wanted, self.text_block(wanted).unwrap_or_default()));
            }
            let text: Text = block
                .as_ref()
                .and_then(|(_, bytes)| postcard::from_bytes(bytes.get(place as usize..)?).ok())
                .unwrap_or_default();
            records.push(Record {
                id: stored.id,
                aliases: stored.aliases,
                covers: stored.covers,
                title: text.title,
                details: text.details,
                references: text.references,
                published: stored.published,
                modified: stored.modified,
                withdrawn: stored.withdrawn,
                cvss: stored.cvss,
                rating: stored.rating,
                fallback_rating: stored.fallback_rating,
                affected: affected.remove(&number).unwrap_or_default(),
            });
        }
        records
    }
}
