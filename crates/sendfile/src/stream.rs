//! A TCP stream that lets the kernel send what lies in a file window.

use std::future::Future;
use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Range;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags};
use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::FileWindows;
use crate::windows::Place;

/// Bytes that one call of `sendfile` may send: bounds how long it keeps a thread.
const SLICE_BYTES: usize = 1 << 20;
/// Bytes after which a connection lets others have the thread, however fast its client takes them.
const TURN_BYTES: usize = 4 << 20;
/// Bytes that are brought into memory at a time where a file is not there yet.
const WARM_BYTES: u64 = 4 << 20;
/// Bytes that are read at a time for it.
const WARM_BUFFER_BYTES: usize = 128 << 10;

/// A connection under hyper on which [`FileWindows`] are sent by the kernel. Everything else is
/// written as it would be on the stream below.
#[derive(Debug)]
pub struct KernelStream {
    tcp: TcpStream,
    windows: FileWindows,
    /// Bytes sent from files since others last had their turn.
    turn: usize,
    /// Addresses whose pages were seen in memory, or brought there.
    warm: Range<usize>,
    warming: Option<(Range<usize>, JoinHandle<io::Result<()>>)>,
}

impl KernelStream {
    /// Over a stream whose writes nobody else makes.
    pub fn new(tcp: TcpStream) -> Self {
        Self { tcp, windows: FileWindows::default(), turn: 0, warm: 0..0, warming: None }
    }

    /// What the requests of this connection may send files with.
    pub fn windows(&self) -> FileWindows {
        self.windows.clone()
    }

    /// Sends the beginning of a slice that lies in a window.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        slice: &[u8],
        place: &Place,
    ) -> Poll<io::Result<usize>> {
        if self.turn >= TURN_BYTES {
            self.turn = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let start = slice.as_ptr() as usize;
        let bytes = slice.len().min(place.bytes).min(SLICE_BYTES);
        ready!(self.poll_warm(cx, start..start + bytes, place))?;
        loop {
            ready!(self.tcp.poll_write_ready(cx))?;
            let mut offset = place.offset;
            let sent = self.tcp.try_io(Interest::WRITABLE, || {
                Ok(rustix::fs::sendfile(&self.tcp, &*place.file, Some(&mut offset), bytes)?)
            });
            match sent {
                Ok(0) => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        format!(
                            "cannot send a file: it ends before byte {offset}, it was cut short \
                             after it was opened; see what else writes to the data directory"
                        ),
                    )));
                }
                Ok(sent) => {
                    self.turn += sent;
                    return Poll::Ready(Ok(sent));
                }
                Err(error) => match error.kind() {
                    // Tells the runtime to wait; the next look at readiness does.
                    io::ErrorKind::WouldBlock => self.turn = 0,
                    io::ErrorKind::Interrupted => {}
                    _ => return Poll::Ready(Err(error)),
                },
            }
        }
    }

    /// `sendfile` waits for the disk where pages are not in memory, and with it the runtime's
    /// thread. So a thread that may wait reads them first.
    fn poll_warm(
        &mut self,
        cx: &mut Context<'_>,
        wanted: Range<usize>,
        place: &Place,
    ) -> Poll<io::Result<()>> {
        loop {
            if let Some((range, task)) = &mut self.warming {
                let done = ready!(Pin::new(task).poll(cx));
                self.warm = range.clone();
                self.warming = None;
                done.unwrap_or_else(|error| Err(io::Error::other(error)))?;
            }
            if self.warm.contains(&wanted.start) && wanted.end <= self.warm.end {
                return Poll::Ready(Ok(()));
            }
            if is_in_memory(place, wanted.len()) {
                self.warm = wanted;
                return Poll::Ready(Ok(()));
            }
            let bytes = WARM_BYTES.min(place.bytes as u64);
            let (place, range) = (place.clone(), wanted.start..wanted.start + bytes as usize);
            let task = tokio::task::spawn_blocking(move || read_through(&place, bytes));
            self.warming = Some((range, task));
        }
    }

    /// Writes slices from memory. `more`: a file follows, so that headers leave in one packet with
    /// its beginning.
    fn poll_write_memory(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
        more: bool,
    ) -> Poll<io::Result<usize>> {
        if !more {
            return Pin::new(&mut self.tcp).poll_write_vectored(cx, slices);
        }
        loop {
            ready!(self.tcp.poll_write_ready(cx))?;
            let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
            let sent = self.tcp.try_io(Interest::WRITABLE, || {
                let mut control = SendAncillaryBuffer::default();
                Ok(rustix::net::sendmsg(&self.tcp, slices, &mut control, flags)?)
            });
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }
}

/// Whether the last page is there without waiting: reading ahead goes forward, so the others are
/// too. What cannot be told counts as there.
fn is_in_memory(place: &Place, bytes: usize) -> bool {
    let last = place.offset + bytes as u64 - 1;
    let mut byte = [0];
    let read = rustix::io::preadv2(
        &*place.file,
        &mut [IoSliceMut::new(&mut byte)],
        last,
        ReadWriteFlags::NOWAIT,
    );
    read != Err(Errno::AGAIN)
}

/// Brings pages into memory by reading them, and asks for those that follow.
fn read_through(place: &Place, bytes: u64) -> io::Result<()> {
    let end = place.offset + bytes;
    let next = std::num::NonZeroU64::new(WARM_BYTES);
    // Advice: no harm where it is not taken.
    let _ = rustix::fs::fadvise(place.file.as_fd(), end, next, Advice::WillNeed);
    let mut buffer = vec![0; WARM_BUFFER_BYTES];
    let mut at = place.offset;
    while at < end {
        let some = buffer.len().min((end - at) as usize);
        match rustix::io::pread(&*place.file, &mut buffer[..some], at) {
            // Shorter than it was: `sendfile` will say so at the right byte.
            Ok(0) => break,
            Ok(read) => at += read as u64,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

impl AsyncRead for KernelStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl AsyncWrite for KernelStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut memory = 0;
        let place = slices.iter().find_map(|slice| {
            let place = this.windows.find(slice);
            memory += usize::from(place.is_none());
            place
        });
        let ahead = &slices[..memory];
        match place {
            Some(place) if ahead.iter().all(|slice| slice.is_empty()) => {
                this.poll_send(cx, &slices[memory], &place)
            }
            file => this.poll_write_memory(cx, ahead, file.is_some()),
        }
    }

    /// Above all: makes hyper queue bodies as they are, instead of copying them behind the headers.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
