//! File ranges that the kernel sends, under stock hyper.
//!
//! hyper takes a body as [`Bytes`](bytes::Bytes) and hands the connection slices of memory. So:
//!
//! ```text
//! handler      FileWindows::send(file, range) -> Bytes that are a mapping of the file,
//!              which the connection's FileWindows remembers
//! hyper        queues them beside the headers, without looking into them
//! connection   KernelStream finds that a slice lies in a remembered mapping, and calls
//!              sendfile(2) with the file and the place instead of write(2)
//! ```
//!
//! The mapping is an address and nothing more: no page of it is ever touched, so it costs no
//! memory and no page faults, and a file that was cut short is an error of `sendfile` and not a
//! signal that ends the process. This holds only on the connection that the mapping was made for,
//! and only for HTTP/1.x without TLS: everything else reads the file instead. hyper must be left at
//! queueing: `http1::Builder::pipeline_flush` makes it copy.

mod map;
mod stream;
mod windows;

pub use stream::KernelStream;
pub use windows::FileWindows;
