//! Layer bytes as they are stored -> the tar stream, hashed and counted.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use oci::{Algorithm, Digest, Hasher};
use packages::ProblemKind;

use crate::limits::ZSTD_WINDOW_LOG_MAX;
use crate::{LayerEncoding, Limits};

/// Bytes asked of the decoder at once.
const CHUNK_BYTES: usize = 128 << 10;

/// Why the stream ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The stored bytes do not decode, or break off.
    #[error("{} stream breaks at uncompressed byte {offset}: {source}", encoding.as_str())]
    Broken {
        /// How the bytes are encoded.
        encoding: LayerEncoding,
        /// Uncompressed bytes that were read well.
        offset: u64,
        /// What the decoder says.
        source: io::Error,
    },
    /// More uncompressed bytes than are read of one layer.
    #[error(
        "layer is larger than the {max} uncompressed bytes that are read; the rest was not looked at"
    )]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// A decompression bomb.
    #[error(
        "layer decompresses to more than {ratio} times its size beyond {free} bytes; the rest was not looked at"
    )]
    Bomb {
        /// Uncompressed bytes per compressed byte that are accepted.
        ratio: u64,
        /// Bytes that are read whatever the ratio.
        free: u64,
    },
}

impl SourceError {
    /// The kind under which it is reported.
    pub fn kind(&self) -> ProblemKind {
        match self {
            Self::Broken { .. } => ProblemKind::UnreadableLayer,
            Self::TooLarge { .. } | Self::Bomb { .. } => ProblemKind::LimitReached,
        }
    }
}

/// The uncompressed stream of one layer.
pub struct Source<'r> {
    decoder: Box<dyn Read + 'r>,
    encoding: LayerEncoding,
    stored: Rc<Cell<u64>>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    bytes: u64,
    hasher: Hasher,
    limits: SourceLimits,
}

struct SourceLimits {
    bytes_max: u64,
    ratio_free: u64,
    ratio_max: u64,
}

/// Counts what is taken from the stored bytes.
struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count.set(self.count.get() + n as u64);
        Ok(n)
    }
}

impl<'r> Source<'r> {
    /// Looks at the first bytes and chooses the decoder. The second value says
    /// how the bytes disagree with `declared`, where they do.
    pub fn open(
        reader: impl Read + 'r,
        declared: LayerEncoding,
        limits: &Limits,
    ) -> Result<(Self, Option<String>), SourceError> {
        let stored = Rc::new(Cell::new(0));
        let mut reader =
            BufReader::with_capacity(CHUNK_BYTES, Counted { inner: reader, count: stored.clone() });
        let broken = |source| SourceError::Broken { encoding: declared, offset: 0, source };
        let head = peek(&mut reader).map_err(broken)?;
        let actual = sniff(&head);
        let complaint = match declared {
            LayerEncoding::Unknown => None,
            _ if declared == actual => None,
            _ if head.is_empty() => Some(format!("layer is empty, not {}", declared.as_str())),
            _ => Some(format!(
                "layer is {} by its media type and {} by its bytes; it was read as {}",
                declared.as_str(),
                actual.as_str(),
                actual.as_str()
            )),
        };
        let decoder: Box<dyn Read + 'r> = match actual {
            LayerEncoding::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
            LayerEncoding::Zstd => {
                let mut decoder =
                    zstd::stream::read::Decoder::with_buffer(reader).map_err(broken)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(broken)?;
                Box::new(decoder)
            }
            LayerEncoding::Plain | LayerEncoding::Unknown => Box::new(reader),
        };
        let source = Self {
            decoder,
            encoding: actual,
            stored,
            buffer: vec![0; CHUNK_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            bytes: 0,
            hasher: Hasher::new(Algorithm::Sha256),
            limits: SourceLimits {
                bytes_max: limits.layer_bytes_max,
                ratio_free: limits.ratio_free_bytes,
                ratio_max: limits.ratio_max,
            },
        };
        Ok((source, complaint))
    }

    /// Uncompressed bytes decoded so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes at hand; empty at the end of the stream.
    pub fn fill(&mut self) -> Result<&[u8], SourceError> {
        if self.start == self.end {
            let n = self.decode()?;
            self.start = 0;
            self.end = n;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    /// Moves over bytes that [`Self::fill`] gave.
    pub fn consume(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
    }

    /// Fills as much of `out` as the stream still has; gives the count.
    pub fn read_up_to(&mut self, out: &mut [u8]) -> Result<usize, SourceError> {
        let mut done = 0;
        while done < out.len() {
            let chunk = self.fill()?;
            let n = chunk.len().min(out.len() - done);
            if n == 0 {
                break;
            }
            out[done..done + n].copy_from_slice(&chunk[..n]);
            self.consume(n);
            done += n;
        }
        Ok(done)
    }

    /// Moves over `n` bytes, or as many as there are; gives the count.
    pub fn skip(&mut self, n: u64) -> Result<u64, SourceError> {
        let mut done = 0;
        while done < n {
            let step = (self.fill()?.len() as u64).min(n - done);
            if step == 0 {
                break;
            }
            self.consume(step as usize);
            done += step;
        }
        Ok(done)
    }

    /// Reads to the end and gives the digest of the whole stream.
    pub fn finish(mut self) -> (u64, Result<Digest, SourceError>) {
        loop {
            self.start = self.end;
            match self.fill() {
                Ok([]) => return (self.bytes, Ok(self.hasher.finish())),
                Ok(_) => {}
                Err(error) => return (self.bytes, Err(error)),
            }
        }
    }

    fn decode(&mut self) -> Result<usize, SourceError> {
        let n = loop {
            match self.decoder.read(&mut self.buffer) {
                Ok(n) => break n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(SourceError::Broken {
                        encoding: self.encoding,
                        offset: self.bytes,
                        source,
                    });
                }
            }
        };
        self.hasher.update(&self.buffer[..n]);
        self.bytes += n as u64;
        let limits = &self.limits;
        if self.bytes > limits.bytes_max {
            return Err(SourceError::TooLarge { max: limits.bytes_max });
        }
        // What the reader has buffered counts as used: the guard is for
        // factors of hundreds.
        if self.bytes > limits.ratio_free && self.bytes / limits.ratio_max > self.stored.get() {
            return Err(SourceError::Bomb { ratio: limits.ratio_max, free: limits.ratio_free });
        }
        Ok(n)
    }
}

/// The first bytes, without taking them.
fn peek(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    loop {
        match reader.fill_buf() {
            Ok(bytes) => return Ok(bytes.iter().take(4).copied().collect()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn sniff(head: &[u8]) -> LayerEncoding {
    match head {
        [0x1f, 0x8b, ..] => LayerEncoding::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => LayerEncoding::Zstd,
        _ => LayerEncoding::Plain,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(bytes, 1).expect("memory")
    }

    fn read(
        bytes: &[u8],
        declared: LayerEncoding,
        limits: &Limits,
    ) -> (u64, Option<String>, Result<Digest, String>) {
        let (source, complaint) = Source::open(bytes, declared, limits).expect("opens");
        let (bytes, end) = source.finish();
        (bytes, complaint, end.map_err(|error| error.to_string()))
    }

    /// `plain` is what the stored bytes must decode to; `None`: they break.
    fn check(stored: &[u8], declared: LayerEncoding, plain: Option<&[u8]>, complains: bool) {
        let (_, complaint, end) = read(stored, declared, &Limits::default());
        assert_eq!(end.clone().ok(), plain.map(Digest::sha256), "{end:?}");
        assert_eq!(complaint.is_some(), complains, "{complaint:?}");
    }

    #[test]
    fn decodes_what_is_there() {
        let text = b"some bytes".repeat(50_000);
        check(&text, LayerEncoding::Plain, Some(&text), false);
        check(&gzip(&text), LayerEncoding::Gzip, Some(&text), false);
        check(&zstd(&text), LayerEncoding::Zstd, Some(&text), false);
        check(&zstd(&text), LayerEncoding::Gzip, Some(&text), true);
        check(&gzip(&text), LayerEncoding::Unknown, Some(&text), false);
        check(b"", LayerEncoding::Plain, Some(b""), false);
        check(b"", LayerEncoding::Gzip, Some(b""), true);
    }

    #[test]
    fn members_and_frames_follow_each_other() {
        check(&[gzip(b"ab"), gzip(b"c")].concat(), LayerEncoding::Gzip, Some(b"abc"), false);
        check(&[zstd(b"ab"), zstd(b"c")].concat(), LayerEncoding::Zstd, Some(b"abc"), false);
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
        check(&[&skippable[..], &zstd(b"c")].concat(), LayerEncoding::Zstd, Some(b"c"), false);
    }

    #[test]
    fn broken_streams_are_errors() {
        let text = b"some bytes".repeat(50_000);
        let whole = gzip(&text);
        check(&whole[..whole.len() / 2], LayerEncoding::Gzip, None, false);
        check(&[&whole[..], b"garbage"].concat(), LayerEncoding::Gzip, None, false);
        let mut crc = whole;
        let at = crc.len() - 8;
        crc[at] ^= 1;
        check(&crc, LayerEncoding::Gzip, None, false);
        let whole = zstd(&text);
        check(&whole[..whole.len() / 2], LayerEncoding::Zstd, None, false);
        // A frame that asks for a window of 2 GiB.
        check(
            &[0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 3, 0x20, 0, 0],
            LayerEncoding::Zstd,
            None,
            false,
        );
    }

    #[test]
    fn bombs_are_left_at_the_limit() {
        let limits = Limits { ratio_free_bytes: 1 << 20, ..Limits::default() };
        let (bytes, _, end) = read(&gzip(&vec![0; 16 << 20]), LayerEncoding::Gzip, &limits);
        assert!(end.expect_err("a bomb").contains("times its size"));
        assert!(bytes < 8 << 20, "{bytes}");
        let limits = Limits { layer_bytes_max: 1 << 20, ..Limits::default() };
        let (bytes, _, end) = read(&vec![7; 2 << 20], LayerEncoding::Plain, &limits);
        assert!(end.expect_err("too large").contains("larger than"));
        assert!(bytes <= (1 << 20) + CHUNK_BYTES as u64);
    }
}
