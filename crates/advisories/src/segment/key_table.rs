//! Sorted byte keys with numbers, front-coded in small blocks.
//!
//! ```text
//! block count (u32) | offset of each block in the data (u32) | data
//! block: up to 16 of (shared bytes, new bytes' length, new bytes, value), numbers as LEB128
//! ```
//!
//! Every read is bounds-checked: on foreign bytes a lookup finds nothing or the
//! wrong thing, and never panics or runs long.

use std::cmp::Ordering;

/// Keys per block: a lookup decodes at most this many after the binary search.
const BLOCK_KEYS: usize = 16;
/// Longest key that is decoded; a longer one is foreign.
const KEY_BYTES_MAX: usize = 4096;

/// Appends a number in LEB128.
pub(super) fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a LEB128 number from the front.
pub(super) fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Reads the u32 with this number in a row of them.
pub(super) fn u32_at(bytes: &[u8], index: usize) -> Option<u32> {
    let start = index.checked_mul(4)?;
    let four = bytes.get(start..start.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

/// Encodes keys that are sorted and free of duplicates.
pub(super) fn encode(keys: &[(Vec<u8>, u64)]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut offsets = Vec::new();
    for block in keys.chunks(BLOCK_KEYS) {
        offsets.push(data.len() as u32);
        let mut last: &[u8] = &[];
        for (key, value) in block {
            let shared = key.iter().zip(last).take_while(|(a, b)| a == b).count();
            push_varint(&mut data, shared as u64);
            push_varint(&mut data, (key.len() - shared) as u64);
            data.extend_from_slice(&key[shared..]);
            push_varint(&mut data, *value);
            last = key;
        }
    }
    let mut out = (offsets.len() as u32).to_le_bytes().to_vec();
    out.extend(offsets.iter().flat_map(|o| o.to_le_bytes()));
    out.extend(data);
    out
}

/// A table over encoded bytes. An empty slice is an empty table.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyTable<'a> {
    blocks: usize,
    offsets: &'a [u8],
    data: &'a [u8],
}

impl<'a> KeyTable<'a> {
    /// `None`: the header promises more than there is.
    pub(super) fn open(bytes: &'a [u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self { blocks: 0, offsets: &[], data: &[] });
        }
        let blocks = u32_at(bytes, 0)? as usize;
        let offsets_end = blocks.checked_mul(4)?.checked_add(4)?;
        let offsets = bytes.get(4..offsets_end)?;
        Some(Self { blocks, offsets, data: &bytes[offsets_end..] })
    }

    /// The number stored with exactly this key.
    pub(super) fn find(&self, key: &[u8]) -> Option<u64> {
        // The last block whose first key is not above the one sought.
        let (mut low, mut high) = (0, self.blocks);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.block(middle).next()?.0.as_slice().cmp(key) {
                Ordering::Greater => high = middle,
                Ordering::Less | Ordering::Equal => low = middle + 1,
            }
        }
        self.block(low.checked_sub(1)?).find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// Every key in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Vec<u8>, u64)> + use<'a> {
        let table = *self;
        (0..table.blocks).flat_map(move |block| table.block(block))
    }

    fn block(&self, number: usize) -> Block<'a> {
        let start = u32_at(self.offsets, number).map_or(usize::MAX, |o| o as usize);
        Block {
            rest: self.data.get(start..).unwrap_or(&[]),
            left: BLOCK_KEYS,
            key: Vec::new(),
            end: self.end_of(number),
        }
    }

    /// Bytes behind the block's start that belong to it.
    fn end_of(&self, number: usize) -> usize {
        let start = u32_at(self.offsets, number).unwrap_or(0) as usize;
        let next = u32_at(self.offsets, number + 1).map_or(self.data.len(), |o| o as usize);
        self.data.len().saturating_sub(start).saturating_sub(next.saturating_sub(start))
    }
}

struct Block<'a> {
    rest: &'a [u8],
    left: usize,
    key: Vec<u8>,
    /// What is left of the data when the block is used up.
    end: usize,
}

impl Iterator for Block<'_> {
    type Item = (Vec<u8>, u64);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 || self.rest.len() <= self.end {
            return None;
        }
        self.left -= 1;
        let shared = usize::try_from(take_varint(&mut self.rest)?).ok()?;
        let fresh = usize::try_from(take_varint(&mut self.rest)?).ok()?;
        if shared > self.key.len() || fresh > KEY_BYTES_MAX || shared + fresh > KEY_BYTES_MAX {
            self.left = 0;
            return None;
        }
        let (bytes, rest) = self.rest.split_at_checked(fresh)?;
        self.key.truncate(shared);
        self.key.extend_from_slice(bytes);
        self.rest = rest;
        let value = take_varint(&mut self.rest)?;
        Some((self.key.clone(), value))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_map(map in proptest::collection::btree_map("[a-c]{0,6}", any::<u64>(), 0..200), other in "[a-c]{0,6}") {
            let keys: Vec<_> = map.iter().map(|(k, v)| (k.clone().into_bytes(), *v)).collect();
            let bytes = encode(&keys);
            let table = KeyTable::open(&bytes).unwrap();
            prop_assert_eq!(table.iter().collect::<Vec<_>>(), keys);
            for (key, value) in &map {
                prop_assert_eq!(table.find(key.as_bytes()), Some(*value));
            }
            prop_assert_eq!(table.find(other.as_bytes()), map.get(&other).copied());
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), key in "[a-c]{0,6}") {
            if let Some(table) = KeyTable::open(&bytes) {
                table.find(key.as_bytes());
                table.iter().count();
            }
        }
    }

    #[test]
    fn an_empty_table_finds_nothing() {
        let bytes = encode(&BTreeMap::<Vec<u8>, u64>::new().into_iter().collect::<Vec<_>>());
        assert_eq!(KeyTable::open(&bytes).unwrap().find(b"x"), None);
        assert_eq!(KeyTable::open(&[]).unwrap().find(b"x"), None);
    }
}
