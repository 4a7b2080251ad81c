//! EPSS scores: a third of a million CVEs in a few bytes each.
//!
//! ```text
//! block count (u32) | per block: first year (u16), first number (u32), offset (u32)
//! block: up to 64 of (number's distance, score, percentile), as LEB128; one year per block
//! ```
//!
//! Scores and percentiles are counted in units of 1/100 000, the precision in
//! which they are published.

use super::key_table::{push_varint, take_varint};
use crate::record::cve_number;

const BLOCK_KEYS: usize = 64;
const ROW_BYTES: usize = 10;
/// Units of a probability of one.
const UNITS: f64 = 100_000.0;

/// One CVE's probability of exploitation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Year and number of the CVE.
    pub cve: (u16, u32),
    /// 0 to 1.
    pub probability: f64,
    /// 0 to 1.
    pub percentile: f64,
}

impl Score {
    /// `None`: `cve` is no CVE id, or a number is outside 0 to 1.
    pub fn new(cve: &str, probability: f64, percentile: f64) -> Option<Self> {
        let in_range = |n: f64| (0.0..=1.0).contains(&n);
        (in_range(probability) && in_range(percentile))
            .then_some(())
            .and_then(|()| Some(Self { cve: cve_number(cve)?, probability, percentile }))
    }
}

/// Encodes scores that are sorted by CVE and free of duplicates.
pub(super) fn encode(scores: &[Score]) -> Vec<u8> {
    let (mut rows, mut data, mut blocks) = (Vec::new(), Vec::new(), 0u32);
    for year in scores.chunk_by(|a, b| a.cve.0 == b.cve.0) {
        for block in year.chunks(BLOCK_KEYS) {
            let (year, mut last) = block[0].cve;
            rows.extend(year.to_le_bytes());
            rows.extend(last.to_le_bytes());
            rows.extend((data.len() as u32).to_le_bytes());
            blocks += 1;
            for score in block {
                push_varint(&mut data, u64::from(score.cve.1 - last));
                push_varint(&mut data, (score.probability * UNITS).round() as u64);
                push_varint(&mut data, (score.percentile * UNITS).round() as u64);
                last = score.cve.1;
            }
        }
    }
    let mut out = blocks.to_le_bytes().to_vec();
    out.extend(rows);
    out.extend(data);
    out
}

/// Looks one CVE up in encoded bytes; foreign bytes find nothing.
pub(super) fn find(bytes: &[u8], cve: (u16, u32)) -> Option<Score> {
    let blocks = super::key_table::u32_at(bytes, 0)? as usize;
    let rows_end = blocks.checked_mul(ROW_BYTES)?.checked_add(4)?;
    let rows = bytes.get(4..rows_end)?;
    let data = &bytes[rows_end..];
    let row = |n: usize| -> ((u16, u32), usize) {
        let row = &rows[n * ROW_BYTES..(n + 1) * ROW_BYTES];
        let year = u16::from_le_bytes([row[0], row[1]]);
        let number = u32::from_le_bytes([row[2], row[3], row[4], row[5]]);
        let offset = u32::from_le_bytes([row[6], row[7], row[8], row[9]]);
        ((year, number), offset as usize)
    };
    let (mut low, mut high) = (0, blocks);
    while low < high {
        let middle = low + (high - low) / 2;
        if row(middle).0 > cve { high = middle } else { low = middle + 1 }
    }
    let ((year, mut number), offset) = row(low.checked_sub(1)?);
    if year != cve.0 {
        return None;
    }
    let end = if low < blocks { row(low).1 } else { data.len() };
    let mut rest = data.get(offset..end)?;
    for _ in 0..BLOCK_KEYS {
        number = number.checked_add(u32::try_from(take_varint(&mut rest)?).ok()?)?;
        let probability = take_varint(&mut rest)?.min(UNITS as u64) as f64 / UNITS;
        let percentile = take_varint(&mut rest)?.min(UNITS as u64) as f64 / UNITS;
        if number == cve.1 {
            return Some(Score { cve, probability, percentile });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_was_put_in(numbers in proptest::collection::btree_set((1999u16..2003, 0u32..5000), 0..400), other in (1999u16..2003, 0u32..5000)) {
            let scores: Vec<_> = numbers
                .iter()
                .map(|&cve| Score { cve, probability: f64::from(cve.1) / UNITS, percentile: 0.5 })
                .collect();
            let bytes = encode(&scores);
            for score in &scores {
                prop_assert_eq!(find(&bytes, score.cve), Some(*score));
            }
            prop_assert_eq!(find(&bytes, other).is_some(), numbers.contains(&other));
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            find(&bytes, (2000, 17));
        }
    }

    #[test]
    fn only_probabilities_are_scores() {
        assert!(Score::new("CVE-2020-1234", 0.5, 1.0).is_some());
        assert!(Score::new("CVE-2020-1234", 1.5, 1.0).is_none());
        assert!(Score::new("CVE-2020-1234", f64::NAN, 1.0).is_none());
        assert!(Score::new("GHSA-1", 0.5, 1.0).is_none());
    }
}
