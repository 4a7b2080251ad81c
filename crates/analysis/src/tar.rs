//! The tar stream -> entries, as the runtimes read it.
//!
//! containerd, Docker, podman and buildah unpack with Go's `archive/tar`, so
//! its choices are ours wherever readers disagree; to read otherwise would
//! show a scanner another file system than the one that runs. In particular:
//! two zero blocks end the archive, global pax headers set nothing, a pax
//! header beats the GNU-less fields, an empty pax value sets nothing, links and
//! directories have no body whatever size they claim.

use packages::ProblemKind;

use crate::Limits;
use crate::source::{Source, SourceError};

const BLOCK: usize = 512;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A hard link.
    HardLink,
    /// A device or fifo.
    Special,
    /// A type that no runtime unpacks.
    Unknown(u8),
}

/// One entry, its extension headers applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name as written.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Link target as written; empty for what is no link.
    pub target: Vec<u8>,
    /// Bytes of body that follow.
    pub size: u64,
    /// Whether the body is a sparse file's data without its holes.
    pub sparse: bool,
    /// Something that other readers read otherwise.
    pub oddity: Option<&'static str>,
}

/// Why an archive could not be read on.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The stream under it.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Breaks off inside an entry.
    #[error("tar archive breaks off at byte {offset}, inside {within}")]
    Truncated {
        /// Where, in uncompressed bytes.
        offset: u64,
        /// Inside what.
        within: &'static str,
    },
    /// A header that is none.
    #[error("tar archive has no valid header at byte {offset}: {reason}")]
    Header {
        /// Where, in uncompressed bytes.
        offset: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An extension header beyond the limit.
    #[error(
        "tar archive has an extension header of {size} bytes at byte {offset}; {max} are read, as by the runtimes"
    )]
    HeaderTooLarge {
        /// Where, in uncompressed bytes.
        offset: u64,
        /// Bytes it claims.
        size: u64,
        /// The limit.
        max: usize,
    },
    /// More entries than are read.
    #[error("tar archive has more than {max} entries; the rest was not looked at")]
    TooManyEntries {
        /// The limit.
        max: u64,
    },
}

impl TarError {
    /// The kind under which it is reported.
    pub fn kind(&self) -> ProblemKind {
        match self {
            Self::Source(error) => error.kind(),
            Self::Truncated { .. } | Self::Header { .. } => ProblemKind::UnreadableLayer,
            Self::HeaderTooLarge { .. } | Self::TooManyEntries { .. } => ProblemKind::LimitReached,
        }
    }
}

/// Reads one archive, an entry at a time.
pub struct Archive<'r> {
    source: Source<'r>,
    /// Where the next unread byte lies.
    offset: u64,
    /// Bytes of the current body not yet read.
    body: u64,
    padding: u64,
    entries: u64,
    entries_max: u64,
    header_bytes_max: usize,
}

/// What extension headers say of the entry that follows.
#[derive(Default)]
struct Extensions {
    pax: Pax,
    long_name: Option<Vec<u8>>,
    long_target: Option<Vec<u8>>,
    global_paths: bool,
}

#[derive(Default)]
struct Pax {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<Vec<u8>>,
    sparse_name: Option<Vec<u8>>,
    sparse_major: Vec<u8>,
    sparse_minor: Vec<u8>,
    sparse_map: bool,
}

impl<'r> Archive<'r> {
    /// Reads from the start of `source`.
    pub fn new(source: Source<'r>, limits: &Limits) -> Self {
        Self {
            source,
            offset: 0,
            body: 0,
            padding: 0,
            entries: 0,
            entries_max: limits.entries_max,
            header_bytes_max: limits.header_bytes_max,
        }
    }

    /// The stream under it, to be read to its end.
    pub fn into_source(self) -> Source<'r> {
        self.source
    }

    /// The next entry; `None` at the archive's end. What was not read of the
    /// last one's body is passed over.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        let mut extensions = Extensions::default();
        loop {
            let Some(block) = self.next_header()? else { return Ok(None) };
            let at = self.offset - BLOCK as u64;
            let header = Header { block: &block, offset: at };
            match header.type_flag() {
                b'x' => {
                    let text = self.extension(&header)?;
                    extensions.pax = Pax::parse(&text, at)?;
                }
                b'g' => {
                    let text = self.extension(&header)?;
                    let pax = Pax::parse(&text, at)?;
                    extensions.global_paths |=
                        pax.path.is_some() || pax.target.is_some() || pax.size.is_some();
                }
                b'L' => extensions.long_name = Some(until_nul(&self.extension(&header)?).to_vec()),
                b'K' => {
                    extensions.long_target = Some(until_nul(&self.extension(&header)?).to_vec())
                }
                _ => return self.entry(&header, extensions).map(Some),
            }
        }
    }

    /// Reads up to `max` further bytes of the current body.
    pub fn read_body(&mut self, max: usize, out: &mut Vec<u8>) -> Result<(), TarError> {
        out.reserve(self.body.min(max as u64).min(1 << 20) as usize);
        self.visit_body(max as u64, |piece| {
            out.extend_from_slice(piece);
            true
        })
    }

    /// Shows up to `max` further bytes of the current body, in pieces of any
    /// size, while `visit` wants more.
    pub fn visit_body(
        &mut self,
        max: u64,
        mut visit: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), TarError> {
        let mut left = self.body.min(max);
        let mut wanted = true;
        while wanted && left > 0 {
            let chunk = self.source.fill()?;
            let n = (chunk.len() as u64).min(left);
            if n == 0 {
                return Err(TarError::Truncated { offset: self.offset, within: "a file" });
            }
            wanted = visit(&chunk[..n as usize]);
            self.source.consume(n as usize);
            self.offset += n;
            self.body -= n;
            left -= n;
        }
        Ok(())
    }

    fn entry(&mut self, header: &Header<'_>, extensions: Extensions) -> Result<Entry, TarError> {
        let Extensions { pax, long_name, long_target, global_paths } = extensions;
        let mut size = header.size()?;
        if let Some(text) = &pax.size {
            size = std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse::<i64>().ok())
                .and_then(|size| u64::try_from(size).ok())
                .ok_or(TarError::Header {
                    offset: header.offset,
                    reason: "its pax size is no number",
                })?;
        }
        let mut path = long_name.or(pax.path).unwrap_or_else(|| header.path());
        let target = long_target.or(pax.target).unwrap_or_else(|| header.target().to_vec());
        let kind = match header.type_flag() {
            0 if path.ends_with(b"/") => EntryKind::Directory,
            0 | b'0' | b'7' | b'S' => EntryKind::File,
            b'1' => EntryKind::HardLink,
            b'2' => EntryKind::Symlink,
            b'3' | b'4' | b'6' => EntryKind::Special,
            b'5' => EntryKind::Directory,
            other => EntryKind::Unknown(other),
        };
        let mut oddity = global_paths
            .then_some("a global pax header sets names or sizes, which runtimes ignore and other readers apply");
        // By the flag alone: an old-style directory keeps its body in Go.
        if matches!(header.type_flag(), b'1'..=b'6') && size > 0 {
            oddity = Some(
                "a link, device or directory claims a body, which readers pass over differently",
            );
            size = 0;
        }
        let mut sparse = pax.sparse_map && pax.sparse_major.is_empty();
        sparse |= matches!(
            (&pax.sparse_major[..], &pax.sparse_minor[..]),
            (b"0", b"0" | b"1") | (b"1", b"0")
        );
        if header.type_flag() == b'S' {
            sparse = true;
            self.skip_sparse_blocks(header)?;
        } else if sparse && let Some(name) = pax.sparse_name {
            path = name;
        }
        self.body = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
        Ok(Entry { path, kind, target, size, sparse, oddity })
    }

    /// Moves to the next header block and checks it. `None` at the end.
    fn next_header(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let skipped = self.source.skip(self.body)?;
        self.offset += skipped;
        if skipped < self.body {
            return Err(TarError::Truncated { offset: self.offset, within: "a file" });
        }
        self.body = 0;
        // A last file without its padding is accepted, as in Go.
        self.offset += self.source.skip(self.padding)?;
        self.padding = 0;
        let Some(block) = self.block()? else { return Ok(None) };
        if block == [0; BLOCK] {
            return match self.block()? {
                None => Ok(None),
                Some(block) if block == [0; BLOCK] => Ok(None),
                Some(_) => Err(TarError::Header {
                    offset: self.offset - BLOCK as u64,
                    reason: "one zero block is followed by something else",
                }),
            };
        }
        self.entries += 1;
        if self.entries > self.entries_max {
            return Err(TarError::TooManyEntries { max: self.entries_max });
        }
        if !checksum_fits(&block) {
            return Err(TarError::Header {
                offset: self.offset - BLOCK as u64,
                reason: "its checksum is wrong",
            });
        }
        Ok(Some(block))
    }

    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut block = [0; BLOCK];
        let n = self.source.read_up_to(&mut block)?;
        self.offset += n as u64;
        match n {
            0 => Ok(None),
            BLOCK => Ok(Some(block)),
            _ => Err(TarError::Truncated { offset: self.offset, within: "a header" }),
        }
    }

    /// The text of an extension header.
    fn extension(&mut self, header: &Header<'_>) -> Result<Vec<u8>, TarError> {
        let size = header.size()?;
        let max = self.header_bytes_max;
        if size > max as u64 {
            return Err(TarError::HeaderTooLarge { offset: header.offset, size, max });
        }
        self.body = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
        let mut text = Vec::new();
        self.read_body(max, &mut text)?;
        Ok(text)
    }

    /// The blocks of an old GNU sparse map that does not fit its header.
    fn skip_sparse_blocks(&mut self, header: &Header<'_>) -> Result<(), TarError> {
        let mut more = header.block[482] != 0;
        while more {
            self.entries += 1;
            if self.entries > self.entries_max {
                return Err(TarError::TooManyEntries { max: self.entries_max });
            }
            let block = self
                .block()?
                .ok_or(TarError::Truncated { offset: self.offset, within: "a sparse map" })?;
            more = block[504] != 0;
        }
        Ok(())
    }
}

/// One header block whose checksum fits.
struct Header<'b> {
    block: &'b [u8; BLOCK],
    offset: u64,
}

impl Header<'_> {
    fn type_flag(&self) -> u8 {
        self.block[156]
    }

    fn size(&self) -> Result<u64, TarError> {
        number(&self.block[124..136]).ok_or(TarError::Header {
            offset: self.offset,
            reason: "its size is no number, negative or absurd",
        })
    }

    fn target(&self) -> &[u8] {
        until_nul(&self.block[157..257])
    }

    fn path(&self) -> Vec<u8> {
        let name = until_nul(&self.block[..100]);
        let prefix = match (&self.block[257..265], &self.block[508..512]) {
            (b"ustar\x0000", b"tar\0") => until_nul(&self.block[345..476]),
            (b"ustar\x0000", _) => until_nul(&self.block[345..500]),
            // GNU keeps other things there, version 7 nothing.
            _ => b"",
        };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }
}

impl Pax {
    /// `LENGTH KEY=VALUE\n`, again and again (POSIX pax).
    fn parse(mut text: &[u8], offset: u64) -> Result<Self, TarError> {
        let mut pax = Self::default();
        while !text.is_empty() {
            let (key, value, rest) = pax_record(text)
                .ok_or(TarError::Header { offset, reason: "a pax record is malformed" })?;
            text = rest;
            // An empty value keeps the header's own.
            let set = || (!value.is_empty()).then(|| value.to_vec());
            match key {
                b"path" => pax.path = set(),
                b"linkpath" => pax.target = set(),
                b"size" => pax.size = set(),
                b"GNU.sparse.name" => pax.sparse_name = set(),
                b"GNU.sparse.major" => pax.sparse_major = value.to_vec(),
                b"GNU.sparse.minor" => pax.sparse_minor = value.to_vec(),
                b"GNU.sparse.map" | b"GNU.sparse.offset" => pax.sparse_map = true,
                _ => {}
            }
        }
        Ok(pax)
    }
}

fn pax_record(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = text.iter().take(20).position(|&b| b == b' ')?;
    let length: usize = std::str::from_utf8(&text[..blank]).ok()?.parse().ok()?;
    if length < 5 || length > text.len() || length <= blank + 1 {
        return None;
    }
    let (record, rest) = text.split_at(length);
    let record = record[blank + 1..].strip_suffix(b"\n")?;
    let equals = record.iter().position(|&b| b == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    let named = matches!(key, b"path" | b"linkpath");
    if key.is_empty() || key.contains(&0) || (named && value.contains(&0)) {
        return None;
    }
    Some((key, value, rest))
}

fn until_nul(field: &[u8]) -> &[u8] {
    &field[..field.iter().position(|&b| b == 0).unwrap_or(field.len())]
}

/// Octal, or big-endian base 256 where the first bit is set. `None`: not a
/// number, negative, or beyond a signed 64-bit integer.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        if field[0] & 0x40 != 0 {
            return None;
        }
        let mut value = u64::from(field[0] & 0x3f);
        for &byte in &field[1..] {
            value = value.checked_mul(256)?.checked_add(u64::from(byte))?;
        }
        return i64::try_from(value).ok().map(|_| value);
    }
    let digits: Vec<u8> = {
        let blank = |b: &u8| *b == b' ' || *b == 0;
        let start = field.iter().position(|b| !blank(b)).unwrap_or(field.len());
        let end = field.iter().rposition(|b| !blank(b)).map_or(start, |end| end + 1);
        until_nul(&field[start..end]).to_vec()
    };
    digits.iter().try_fold(0u64, |value, &digit| {
        matches!(digit, b'0'..=b'7')
            .then(|| value.checked_mul(8)?.checked_add(u64::from(digit - b'0')))
            .flatten()
    })
}

/// Sum of all bytes with the checksum field as blanks; some old writers summed
/// signed bytes.
fn checksum_fits(block: &[u8; BLOCK]) -> bool {
    let Some(claimed) = number(&block[148..156]) else { return false };
    let field: i64 = block[148..156].iter().map(|&byte| i64::from(byte)).sum();
    let unsigned =
        block.iter().map(|&byte| i64::from(byte)).sum::<i64>() - field + 8 * i64::from(b' ');
    let high = || block.iter().filter(|byte| **byte >= 0x80).count() as i64;
    i64::try_from(claimed)
        .is_ok_and(|claimed| claimed == unsigned || claimed == unsigned - 256 * high())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LayerEncoding;

    /// A header block with these fields and a checksum that fits.
    fn header(name: &str, flag: u8, size: &[u8]) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..124 + size.len()].copy_from_slice(size);
        block[156] = flag;
        block[257..265].copy_from_slice(b"ustar\x0000");
        sealed(block)
    }

    fn sealed(mut block: Vec<u8>) -> Vec<u8> {
        block[148..156].copy_from_slice(b"        ");
        let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    fn octal(n: usize) -> Vec<u8> {
        format!("{n:011o}\0").into_bytes()
    }

    /// An entry with its body and padding.
    fn entry(name: &str, flag: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = header(name, flag, &octal(body.len()));
        bytes.extend_from_slice(body);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    fn pax(records: &[(&str, &str)], flag: u8) -> Vec<u8> {
        let mut text = String::new();
        for (key, value) in records {
            let rest = format!(" {key}={value}\n");
            let mut length = rest.len() + 1;
            while format!("{length}{rest}").len() != length {
                length += 1;
            }
            text.push_str(&format!("{length}{rest}"));
        }
        entry("pax", flag, text.as_bytes())
    }

    const END: [u8; 1024] = [0; 1024];

    /// What is read: `path=body` of each entry, and how it ends.
    fn check(parts: &[&[u8]], expected: &[&str], error: Option<&str>) {
        let bytes = parts.concat();
        let limits = Limits::default();
        let (source, _) =
            Source::open(bytes.as_slice(), LayerEncoding::Plain, &limits).expect("opens");
        let mut archive = Archive::new(source, &limits);
        let mut found = Vec::new();
        let end = loop {
            match archive.next_entry() {
                Ok(Some(entry)) => {
                    let mut body = Vec::new();
                    let odd = if entry.oddity.is_some() { "!" } else { "" };
                    let read = archive.read_body(100, &mut body);
                    found.push(format!(
                        "{odd}{}={}",
                        String::from_utf8_lossy(&entry.path),
                        String::from_utf8_lossy(&body)
                    ));
                    if let Err(error) = read {
                        break Some(error);
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        assert_eq!(found, expected);
        let end = end.map(|error| error.to_string());
        assert_eq!(end.is_some(), error.is_some(), "{end:?}");
        assert!(end.unwrap_or_default().contains(error.unwrap_or_default()));
    }

    #[test]
    fn plain_entries() {
        check(&[&entry("a", b'0', b"body"), &entry("b", b'0', b""), &END], &["a=body", "b="], None);
        check(&[&entry("a", b'0', b"body")], &["a=body"], None);
        check(&[], &[], None);
    }

    #[test]
    fn two_zero_blocks_end_it() {
        check(&[&entry("a", b'0', b""), &END, &entry("b", b'0', b"")], &["a="], None);
        check(&[&END[..512], &entry("b", b'0', b"")], &[], Some("one zero block"));
    }

    #[test]
    fn extension_headers_set_the_next_entry_only() {
        let long = pax(&[("path", "long/name"), ("size", "2")], b'x');
        check(
            &[&long, &entry("a", b'0', b"xy"), &entry("b", b'0', b"z"), &END],
            &["long/name=xy", "b=z"],
            None,
        );
        check(&[&pax(&[("path", "")], b'x'), &entry("a", b'0', b""), &END], &["a="], None);
        let gnu = entry("././@LongLink", b'L', b"gnu/name\0");
        check(&[&gnu, &entry("a", b'0', b"x"), &END], &["gnu/name=x"], None);
        check(&[&long, &gnu, &entry("a", b'0', b"xy"), &END], &["gnu/name=xy"], None);
    }

    #[test]
    fn what_readers_disagree_about_is_odd() {
        check(&[&pax(&[("path", "other")], b'g'), &entry("a", b'0', b""), &END], &["!a="], None);
        check(&[&pax(&[("comment", "x")], b'g'), &entry("a", b'0', b""), &END], &["a="], None);
        check(
            &[&header("d/", b'5', &octal(512)), &entry("a", b'0', b""), &END],
            &["!d/=", "a="],
            None,
        );
    }

    #[test]
    fn sizes_that_lie() {
        let eight_eib = [&[0x80, 0, 0, 0][..], &(1u64 << 63).to_be_bytes()].concat();
        check(&[&header("a", b'0', &eight_eib), &END], &[], Some("its size"));
        check(&[&header("a", b'0', &[0xff; 12]), &END], &[], Some("its size"));
        check(&[&header("a", b'0', b"zzzzzzzzzzz\0"), &END], &[], Some("its size"));
        check(
            &[&header("a", b'0', b"77777777777\0"), &END],
            &[&format!("a={}", "\0".repeat(100))],
            Some("breaks off"),
        );
        let base_256 = [&[0x80, 0, 0, 0][..], &2u64.to_be_bytes()].concat();
        let mut body = [0; BLOCK];
        body[..2].copy_from_slice(b"xy");
        check(&[&header("a", b'0', &base_256), &body, &END], &["a=xy"], None);
        check(
            &[&pax(&[("size", "-1")], b'x'), &entry("a", b'0', b""), &END],
            &[],
            Some("pax size"),
        );
    }

    #[test]
    fn broken_headers() {
        let mut wrong = entry("a", b'0', b"");
        wrong[0] = b'b';
        check(&[&wrong, &END], &[], Some("checksum"));
        check(&[&entry("a", b'0', b"")[..100]], &[], Some("breaks off"));
        check(&[&entry("p", b'x', b"9 nonsense"), &END], &[], Some("pax record"));
        check(&[&header("p", b'x', &octal(2 << 20)), &END], &[], Some("extension header"));
    }

    #[test]
    fn prefixes_and_sparse_files() {
        let mut long = header("name", b'0', &octal(0));
        long[345..351].copy_from_slice(b"prefix");
        check(&[&sealed(long), &END], &["prefix/name="], None);
        let mut sparse = header("s", b'S', &octal(4));
        sparse[257..265].copy_from_slice(b"ustar  \0");
        sparse[482] = 1;
        let mut map = [0; BLOCK];
        map[0] = b'1';
        let mut data = [0; BLOCK];
        data[..4].copy_from_slice(b"data");
        check(
            &[&sealed(sparse), &map, &data, &entry("a", b'0', b""), &END],
            &["s=data", "a="],
            None,
        );
    }
}
