//! The mappings of one connection: made by its handlers, looked up by its stream.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::{Stream, stream};
use memmap2::Mmap;

/// Bytes of a file that are mapped at a time. Address space and nothing else; with the two that a
/// download has at most, the 128 TiB of a process suffice for 256,000 downloads.
const WINDOW_BYTES: u64 = 256 << 20;

/// The file windows of one connection. Clones are the same.
///
/// Whoever serves the connection puts one into the extensions of each request; its absence says
/// that the kernel cannot send files there.
#[derive(Debug, Clone, Default)]
pub struct FileWindows {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Length of `open`, so that a connection that sends no file takes no lock.
    count: AtomicUsize,
    open: Mutex<Vec<Window>>,
}

#[derive(Debug)]
struct Window {
    addresses: Range<usize>,
    file: Arc<File>,
    /// Where in the file the first address lies.
    offset: u64,
}

/// Where in which file an address lies.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub file: Arc<File>,
    pub offset: u64,
    /// Bytes from there to the end of the window.
    pub bytes: usize,
}

impl FileWindows {
    /// A range of a file as a body, one window after the other. The next one is made when hyper
    /// asks for it, which is when the one before is being sent.
    ///
    /// Fails at once where the first window cannot be made, so that the caller can still read the
    /// file instead. `range` must not be empty and must lie in the file.
    pub fn send(
        &self,
        file: Arc<File>,
        range: Range<u64>,
    ) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>> {
        let window = |windows: &Self, file: &Arc<File>, rest: &Range<u64>| {
            let bytes = (rest.end - rest.start).min(WINDOW_BYTES);
            Ok::<_, io::Error>((windows.window(file, rest.start, bytes as usize)?, bytes))
        };
        let (first, bytes) = window(self, &file, &range)?;
        let rest = (self.clone(), file, range.start + bytes..range.end);
        let rest = stream::try_unfold(rest, move |(windows, file, rest)| async move {
            if rest.is_empty() {
                return Ok(None);
            }
            let (piece, bytes) = window(&windows, &file, &rest)?;
            Ok(Some((piece, (windows, file, rest.start + bytes..rest.end))))
        });
        Ok(futures::StreamExt::chain(stream::once(async { Ok(first) }), rest))
    }

    /// One mapping; it goes when the last clone of the bytes goes.
    fn window(&self, file: &Arc<File>, offset: u64, bytes: usize) -> io::Result<Bytes> {
        let map = crate::map::map(file, offset, bytes)?;
        let start = map.as_ptr() as usize;
        let addresses = start..start + map.len();
        let window = Window { addresses, file: Arc::clone(file), offset };
        self.shared.change(|open| open.push(window));
        Ok(Bytes::from_owner(Mapping { map, windows: self.clone() }))
    }

    /// What is at this address, if it lies in a window.
    pub(crate) fn find(&self, slice: &[u8]) -> Option<Place> {
        if self.shared.count.load(Ordering::Acquire) == 0 || slice.is_empty() {
            return None;
        }
        let address = slice.as_ptr() as usize;
        let open = self.shared.open();
        let window = open.iter().find(|window| window.addresses.contains(&address))?;
        let inside = address - window.addresses.start;
        Some(Place {
            file: Arc::clone(&window.file),
            offset: window.offset + inside as u64,
            bytes: window.addresses.end - address,
        })
    }

    fn forget(&self, start: usize) {
        self.shared.change(|open| {
            if let Some(at) = open.iter().position(|window| window.addresses.start == start) {
                open.swap_remove(at);
            }
        });
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Vec<Window>> {
        // The list is whole between any two statements that touch it.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Window>)) {
        let mut open = self.open();
        change(&mut open);
        self.count.store(open.len(), Ordering::Release);
    }
}

/// Owns a mapping for as long as some `Bytes` speak of it.
struct Mapping {
    map: Mmap,
    windows: FileWindows,
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // Forgotten before it is unmapped (fields go after this): the addresses may belong to
        // something else right afterwards.
        self.windows.forget(self.map.as_ptr() as usize);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use futures::StreamExt;

    use super::*;

    fn file(bytes: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Arc::new(file)
    }

    #[test]
    fn an_address_leads_to_its_place_in_the_file() {
        let windows = FileWindows::default();
        let file = file(&[7; 10_000]);
        let bytes = windows.window(&file, 5_000, 3_000).unwrap();
        let check = |slice: &[u8], expected: Option<(u64, usize)>| {
            assert_eq!(windows.find(slice).map(|place| (place.offset, place.bytes)), expected);
        };
        check(&bytes, Some((5_000, 3_000)));
        check(&bytes[1_000..1_001], Some((6_000, 2_000)));
        check(&bytes[2_999..], Some((7_999, 1)));
        check(&bytes[..0], None);
        check(&[7; 10], None);
    }

    #[test]
    fn a_window_goes_with_the_last_of_its_bytes_and_lets_go_of_the_file() {
        let windows = FileWindows::default();
        let file = file(&[7; 10_000]);
        let whole = windows.window(&file, 0, 10_000).unwrap();
        let part = whole.slice(10..20);
        drop(whole);
        assert_eq!(windows.find(&part).unwrap().offset, 10);
        let other = windows.window(&file, 0, 10).unwrap();
        drop(part);
        assert!(windows.find(&other).is_some());
        drop(other);
        assert_eq!(windows.shared.open().len(), 0);
        assert_eq!(Arc::strong_count(&file), 1);
    }

    #[tokio::test]
    async fn a_range_larger_than_a_window_is_sent_in_several() {
        let sparse = tempfile::tempfile().unwrap();
        let size = 3 * WINDOW_BYTES;
        sparse.set_len(size).unwrap();
        let windows = FileWindows::default();
        let range = 5..size - 7;
        let pieces = windows.send(Arc::new(sparse), range.clone()).unwrap();
        let mut pieces = std::pin::pin!(pieces);
        let mut at = range.start;
        while let Some(piece) = pieces.next().await {
            let piece = piece.unwrap();
            assert_eq!(windows.find(&piece).unwrap().offset, at);
            // The one before has gone: as many are open as hyper holds.
            assert_eq!(windows.shared.open().len(), 1);
            at += piece.len() as u64;
        }
        assert_eq!(at, range.end);
    }

    #[tokio::test]
    async fn what_cannot_be_mapped_is_said_before_the_answer_begins() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let pipe = Arc::new(File::from(std::os::fd::OwnedFd::from(reader)));
        assert!(FileWindows::default().send(pipe, 0..10).is_err());
    }
}
