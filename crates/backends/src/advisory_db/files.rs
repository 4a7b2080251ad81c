//! Reading, mapping and durably replacing files.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use memmap2::Mmap;

/// Maps a file that is never changed once written.
#[allow(unsafe_code)]
pub(super) fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: segment files are written under another name, renamed into place
    // and from then on only unlinked, never written or shortened by this
    // program. Their readers take every bound from the map with checked
    // slicing, so bytes changed by somebody else give wrong answers at worst;
    // a file shortened by somebody else would end the process with a signal,
    // as with any mapped file, which is why the directory is the server's own.
    unsafe { Mmap::map(&file) }
}

/// Reads a file, refusing one that is larger than expected.
pub(super) fn read_limited(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    take_limited(File::open(path)?, bytes_max)
}

/// Reads to the end, refusing what is longer than expected.
pub(super) fn take_limited(reader: impl Read, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than the limit of {bytes_max} bytes"),
        ));
    }
    Ok(bytes)
}

/// Puts bytes at a path, on disk when it returns: whoever opens the path sees
/// the old file or the new one, whole.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or_else(|| Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = parent.join(name);
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
        return written;
    }
    File::open(parent)?.sync_all()
}
