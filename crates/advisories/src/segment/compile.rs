//! Writes a segment.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::{
    Content, Draft, Entry, FORMAT, Form, MAGIC, Role, SECTIONS, Section, SegmentMeta, StoredRecord,
    TEXT_BLOCK_BYTES, Text, key_table, scores,
};
use crate::finding_id::FindingId;
use crate::names::normalise;
use crate::record::Record;

/// zstd level of text blocks: past it texts hardly shrink.
const TEXT_LEVEL: i32 = 12;

/// Why a segment could not be written.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Offsets are 32 bits wide.
    #[error("the data of {0} comes to more than 4 GiB; import the feed in parts")]
    TooLarge(String),
    /// A value did not serialise.
    #[error("cannot encode a record of {source_id}")]
    Encode {
        /// The source.
        source_id: String,
        /// What postcard says.
        #[source]
        source: postcard::Error,
    },
    /// Texts did not compress.
    #[error("cannot compress the texts of {source_id}")]
    Compress {
        /// The source.
        source_id: String,
        /// What zstd says.
        #[source]
        source: std::io::Error,
    },
}

/// Compiles one source's data. The same data gives the same bytes, whatever
/// the order it came in; only the time of import differs.
pub fn compile(draft: Draft) -> Result<Vec<u8>, CompileError> {
    let mut sections: [Vec<u8>; SECTIONS] = Default::default();
    let mut meta = SegmentMeta {
        source: draft.source.clone(),
        family: draft.family,
        role: draft.role,
        data_date: draft.data_date,
        imported_at: draft.imported_at,
        records: 0,
        withdrawn: 0,
        namespaces: Vec::new(),
        content: [0; 32],
    };
    let encode_error = |source| CompileError::Encode { source_id: draft.source.clone(), source };
    match draft.content {
        Content::Records(records) => write_records(&mut sections, &mut meta, records)?,
        Content::Scores(mut list) => {
            list.sort_by_key(|s| s.cve);
            list.dedup_by_key(|s| s.cve);
            meta.records = list.len() as u64;
            sections[Section::Scores as usize] = scores::encode(&list);
        }
        Content::Exploited(list) => {
            let list: BTreeMap<String, _> = list.into_iter().collect();
            meta.records = list.len() as u64;
            let mut keys = Vec::with_capacity(list.len());
            let data = &mut sections[Section::ExploitedData as usize];
            for (cve, entry) in list {
                keys.push((cve.into_bytes(), data.len() as u64));
                data.extend(postcard::to_stdvec(&entry).map_err(encode_error)?);
            }
            sections[Section::Exploited as usize] = key_table::encode(&keys);
        }
        Content::EndOfLife(list) => {
            meta.records = list.len() as u64;
            sections[Section::EndOfLife as usize] =
                postcard::to_stdvec(&list).map_err(encode_error)?;
        }
    }
    if sections.iter().map(Vec::len).sum::<usize>() > u32::MAX as usize {
        return Err(CompileError::TooLarge(draft.source));
    }
    let mut content = Sha256::new();
    content.update(meta.source.as_bytes());
    content.update([0, u8::from(meta.role == Role::Delta)]);
    for section in &sections[1..] {
        content.update((section.len() as u64).to_le_bytes());
        content.update(section);
    }
    meta.content.copy_from_slice(&content.finalize());
    sections[Section::Meta as usize] = postcard::to_stdvec(&meta).map_err(encode_error)?;
    Ok(seal(&sections))
}

/// Lays the sections out and closes the file with its checksum.
fn seal(sections: &[Vec<u8>; SECTIONS]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(FORMAT.to_le_bytes());
    out.extend((SECTIONS as u32).to_le_bytes());
    let mut offset = out.len() + SECTIONS * 16;
    for section in sections {
        out.extend((offset as u64).to_le_bytes());
        out.extend((section.len() as u64).to_le_bytes());
        offset += section.len();
    }
    for section in sections {
        out.extend_from_slice(section);
    }
    let digest = Sha256::digest(&out);
    out.extend_from_slice(&digest);
    out
}

fn write_records(
    sections: &mut [Vec<u8>; SECTIONS],
    meta: &mut SegmentMeta,
    records: Vec<Record>,
) -> Result<(), CompileError> {
    let source_id = meta.source.clone();
    let encode_error = |source| CompileError::Encode { source_id: source_id.clone(), source };
    // By id, the newest statement of each.
    let mut by_id: BTreeMap<String, Record> = BTreeMap::new();
    for record in records {
        match by_id.get(&record.id) {
            Some(known) if known.modified > record.modified => {}
            _ => {
                by_id.insert(record.id.clone(), record);
            }
        }
    }
    meta.records = by_id.len() as u64;
    meta.withdrawn = by_id.values().filter(|r| r.withdrawn.is_some()).count() as u64;

    let mut names: BTreeMap<Vec<u8>, Vec<Entry>> = BTreeMap::new();
    let mut ids: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
    let mut findings: BTreeSet<(u64, u32)> = BTreeSet::new();
    let mut namespaces: BTreeSet<String> = BTreeSet::new();
    let mut texts = TextBlocks::default();
    for (number, record) in by_id.into_values().enumerate() {
        let number = number as u32;
        for id in record.ids() {
            ids.entry(id.to_ascii_uppercase().into_bytes()).or_default().push(number);
        }
        for defect in record.defects() {
            findings.insert((FindingId::of(&meta.family, defect).0, number));
        }
        let mut record_names = BTreeSet::new();
        for affected in record.affected {
            let name = normalise(affected.namespace.family(), &affected.name);
            let mut key = affected.namespace.as_str().as_bytes().to_vec();
            key.push(0);
            key.extend_from_slice(name.as_bytes());
            names
                .entry(key)
                .or_default()
                .push(Entry { record: number, form: Form::of(affected.statement) });
            namespaces.insert(affected.namespace.as_str().to_owned());
            record_names.insert(name);
        }
        let stored = StoredRecord {
            id: record.id,
            aliases: record.aliases,
            covers: record.covers,
            published: record.published,
            modified: record.modified,
            withdrawn: record.withdrawn,
            cvss: record.cvss,
            rating: record.rating,
            fallback_rating: record.fallback_rating,
            names: record_names.into_iter().collect(),
        };
        let text =
            Text { title: record.title, details: record.details, references: record.references };
        let (block, place) = texts.push(&text).map_err(encode_error)?;
        let at = sections[Section::Records as usize].len() as u32;
        for field in [at, block, place] {
            sections[Section::RecordRows as usize].extend(field.to_le_bytes());
        }
        sections[Section::Records as usize]
            .extend(postcard::to_stdvec(&stored).map_err(encode_error)?);
    }
    meta.namespaces = namespaces.into_iter().collect();

    let mut keys = Vec::with_capacity(names.len());
    for (key, entries) in names {
        let data = &mut sections[Section::Entries as usize];
        keys.push((key, data.len() as u64));
        data.extend(postcard::to_stdvec(&entries).map_err(encode_error)?);
    }
    sections[Section::Names as usize] = key_table::encode(&keys);

    let mut keys = Vec::with_capacity(ids.len());
    for (id, mut records) in ids {
        records.dedup();
        let data = &mut sections[Section::IdPostings as usize];
        keys.push((id, data.len() as u64));
        key_table::push_varint(data, records.len() as u64);
        for record in records {
            key_table::push_varint(data, u64::from(record));
        }
    }
    sections[Section::Ids as usize] = key_table::encode(&keys);

    for (finding, record) in findings {
        sections[Section::Findings as usize].extend(finding.to_le_bytes());
        sections[Section::Findings as usize].extend(record.to_le_bytes());
    }
    let compress_error = |source| CompileError::Compress { source_id: source_id.clone(), source };
    (sections[Section::TextRows as usize], sections[Section::Texts as usize]) =
        texts.finish(compress_error)?;
    Ok(())
}

/// Gathers texts in blocks of about [`TEXT_BLOCK_BYTES`]. Equal neighbours,
/// such as empty texts, are stored once.
#[derive(Default)]
struct TextBlocks {
    blocks: Vec<Vec<u8>>,
    /// The text pushed last, and where it is in the last block.
    last: Option<(Vec<u8>, u32)>,
}

impl TextBlocks {
    /// Gives the block and the offset inside it.
    fn push(&mut self, text: &Text) -> Result<(u32, u32), postcard::Error> {
        let bytes = postcard::to_stdvec(text)?;
        let full =
            self.blocks.last().is_none_or(|block| block.len() + bytes.len() > TEXT_BLOCK_BYTES);
        if let (false, Some((known, at))) = (full, &self.last)
            && *known == bytes
        {
            return Ok((self.blocks.len() as u32 - 1, *at));
        }
        if full {
            self.blocks.push(Vec::with_capacity(TEXT_BLOCK_BYTES));
        }
        let number = self.blocks.len() as u32 - 1;
        let at = self.blocks.last().map_or(0, Vec::len) as u32;
        if let Some(block) = self.blocks.last_mut() {
            block.extend_from_slice(&bytes);
        }
        self.last = Some((bytes, at));
        Ok((number, at))
    }

    fn finish(
        self,
        compress_error: impl Fn(std::io::Error) -> CompileError,
    ) -> Result<(Vec<u8>, Vec<u8>), CompileError> {
        let (mut rows, mut data) = (Vec::new(), Vec::new());
        let mut compressor = zstd::bulk::Compressor::new(TEXT_LEVEL).map_err(&compress_error)?;
        for block in self.blocks {
            let compressed = compressor.compress(&block).map_err(&compress_error)?;
            rows.extend((data.len() as u32).to_le_bytes());
            rows.extend((compressed.len() as u32).to_le_bytes());
            data.extend(compressed);
        }
        Ok((rows, data))
    }
}
