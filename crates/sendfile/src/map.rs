//! The one unsafe step: a file range as a slice of memory.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use memmap2::{Mmap, MmapOptions};

/// Maps part of a file. The pages are not read.
pub(crate) fn map(file: &File, offset: u64, bytes: usize) -> io::Result<Mmap> {
    // SAFETY: a mapping is a `&[u8]` whose bytes somebody else could change, or take away by
    // cutting the file short. Both matter only to who reads through the mapping. Nobody here does:
    // the slice goes through hyper, which moves queued bodies without looking into them, to
    // `KernelStream`, which takes its address and length and gives the kernel the file. What goes
    // into a window is a finished blob, which is never written to again but only unlinked, so even
    // a reader by mistake would see the right bytes.
    unsafe { MmapOptions::new().offset(offset).len(bytes).map(file) }
}
