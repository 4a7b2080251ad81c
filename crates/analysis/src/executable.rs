//! Executables, searched for marks that say what was built into them, as their
//! bytes pass by.

use memchr::memmem::Finder;

use crate::analysers::UnreadKind;

/// Whether a file starts as an ELF, PE or Mach-O executable does.
pub fn is_executable(head: &[u8]) -> bool {
    match head {
        [0x7f, b'E', b'L', b'F', ..] | [b'M', b'Z', ..] => true,
        [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..] | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..] => true,
        // A count of architectures follows; in a Java class, which starts the
        // same way, a version of at least 45.
        [0xca, 0xfe, 0xba, 0xbe | 0xbf, 0, 0, 0, count, ..] => *count < 45,
        _ => false,
    }
}

/// A mark that a linker leaves in an executable.
struct Mark {
    kind: UnreadKind,
    finder: Finder<'static>,
    /// How many bytes behind it count.
    behind: usize,
    /// Whether those fit. They also keep a program that merely
    /// looks for marks, such as this one, from being taken for one that has
    /// them.
    fits: fn(&[u8]) -> bool,
}

/// Go's build information (Go, `debug/buildinfo`): this, the size of a pointer
/// and two flags.
const GO: &[u8] = b"\xff Go buildinf:";

/// The section of cargo-auditable's package list, by its name as it stands in
/// ELF, PE and Mach-O files: a zero byte ends it.
const RUST: &[u8] = b".dep-v0";

/// Bytes of one piece that are looked at again with the next: the longer mark
/// and what is behind it, short of one byte.
const OVERLAP_BYTES: usize = GO.len() + 2 - 1;

/// Searches one file, piece by piece; the pieces may end anywhere.
pub struct Search {
    marks: [Mark; 2],
    /// The last bytes seen, at most [`OVERLAP_BYTES`].
    tail: Vec<u8>,
    found: Option<UnreadKind>,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            marks: [
                Mark {
                    kind: UnreadKind::GoProgram,
                    finder: Finder::new(GO),
                    behind: 2,
                    fits: |bytes| matches!(bytes, [4 | 8, 0..=3]),
                },
                Mark {
                    kind: UnreadKind::RustProgram,
                    finder: Finder::new(RUST),
                    behind: 1,
                    fits: |bytes| bytes == [0],
                },
            ],
            tail: Vec::with_capacity(2 * OVERLAP_BYTES),
            found: None,
        }
    }
}

impl Search {
    /// Takes the file from its start.
    pub fn restart(&mut self) {
        self.tail.clear();
        self.found = None;
    }

    /// Takes the next piece; whether more is wanted.
    pub fn feed(&mut self, piece: &[u8]) -> bool {
        let across = piece.len().min(OVERLAP_BYTES);
        self.tail.extend_from_slice(&piece[..across]);
        let tail = std::mem::take(&mut self.tail);
        self.look(&tail);
        self.tail = tail;
        self.look(piece);
        if piece.len() > OVERLAP_BYTES {
            self.tail.clear();
            self.tail.extend_from_slice(&piece[piece.len() - OVERLAP_BYTES..]);
        } else {
            self.tail.drain(..self.tail.len().saturating_sub(OVERLAP_BYTES));
        }
        // Go outweighs Rust, so that the answer does not hang on the pieces.
        self.found != Some(UnreadKind::GoProgram)
    }

    /// What the file was found to be.
    pub fn found(&self) -> Option<UnreadKind> {
        self.found
    }

    fn look(&mut self, bytes: &[u8]) {
        for mark in &self.marks {
            if [Some(UnreadKind::GoProgram), Some(mark.kind)].contains(&self.found) {
                continue;
            }
            let length = mark.finder.needle().len();
            let fits = |at: usize| {
                bytes.get(at + length..at + length + mark.behind).is_some_and(mark.fits)
            };
            if mark.finder.find_iter(bytes).any(fits) {
                self.found = Some(mark.kind);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole, and cut at every place into pieces of every small size.
    fn check(bytes: &[u8], expected: Option<UnreadKind>) {
        let mut search = Search::default();
        for size in (1..40).chain([bytes.len().max(1)]) {
            search.restart();
            bytes.chunks(size).all(|piece| search.feed(piece));
            assert_eq!(search.found(), expected, "{} in pieces of {size}", bytes.escape_ascii());
        }
    }

    #[test]
    fn marks_are_found_wherever_the_pieces_end() {
        let around = |mark: &[u8]| [&[b'x'; 100], mark, &[b'y'; 100]].concat();
        check(&around(b"\xff Go buildinf:\x08\x02"), Some(UnreadKind::GoProgram));
        check(&around(b"\xff Go buildinf:\x04\x01"), Some(UnreadKind::GoProgram));
        check(&around(b"\0.dep-v0\0"), Some(UnreadKind::RustProgram));
        let both = [around(b".dep-v0\0"), around(b"\xff Go buildinf:\x08\x00")].concat();
        check(&both, Some(UnreadKind::GoProgram));
        check(b"\x7fELF.dep-v0\0", Some(UnreadKind::RustProgram));
        check(&around(b""), None);
        check(b"", None);
    }

    #[test]
    fn a_program_that_looks_for_marks_has_none() {
        check(b"..\xff Go buildinf:.dep-v0not in pieces", None);
    }

    #[test]
    fn first_bytes_tell() {
        assert!(is_executable(b"\x7fELF\x02") && is_executable(b"MZ\x90\0"));
        assert!(
            is_executable(b"\xcf\xfa\xed\xfe\x07") && is_executable(b"\xca\xfe\xba\xbe\0\0\0\x02")
        );
        assert!(!is_executable(b"\xca\xfe\xba\xbe\0\0\0\x34") && !is_executable(b"#!/bin/sh"));
        assert!(!is_executable(b"") && !is_executable(b"\xca\xfe\xba\xbe"));
    }
}
