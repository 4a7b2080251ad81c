//! The end of a growing file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use store::{StoreError, UploadId, UploadWriter};

/// Pieces per system call; the kernel takes no more than 1024.
const SLICES_MAX: usize = 256;

/// An upload, open for appending and locked: several servers may share the
/// folder, and what one has hashed another must not change. The lock ends with
/// the process, too.
pub(super) struct FileUpload {
    file: Arc<LockedFile>,
    id: UploadId,
    size: u64,
}

/// A file whose lock ends with this value. Closing it would not be enough: a
/// worker that is being started holds every open file until it runs its own
/// program, and the next request of the upload would find it locked.
struct LockedFile(File);

impl Drop for LockedFile {
    fn drop(&mut self) {
        // Closing ends it as well, a moment later.
        let _ = self.0.unlock();
    }
}

impl FileUpload {
    pub fn open(path: &Path, id: UploadId) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
            TryLockError::Error(error) => error,
        })?;
        let file = LockedFile(file);
        // Another server may have made it a blob before it was locked.
        let (opened, named) = (file.0.metadata()?, fs::metadata(path)?);
        if (opened.dev(), opened.ino()) != (named.dev(), named.ino()) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let size = opened.len();
        Ok(Self { file: Arc::new(file), id, size })
    }
}

fn write_all(mut file: &File, pieces: &[Bytes]) -> io::Result<()> {
    for some in pieces.chunks(SLICES_MAX) {
        let mut slices: Vec<_> = some.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut rest = &mut slices[..];
        // Empty pieces would look like a file that takes nothing.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match file.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

#[async_trait]
impl UploadWriter for FileUpload {
    fn size(&self) -> u64 {
        self.size
    }

    async fn append(&mut self, pieces: Vec<Bytes>) -> Result<u64, StoreError> {
        let file = self.file.clone();
        let bytes: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        super::blocking(format!("append to upload {}", self.id), move || {
            write_all(&file.0, &pieces)
        })
        .await?;
        self.size += bytes;
        Ok(self.size)
    }

    /// The page cache outlives this process, and other machines do not see it.
    async fn flush(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
