//! Blobs as local files.
//!
//! ```text
//! DIR/uploads/UUID            grows
//! DIR/blobs/sha256/ab/abcd…   finished: verified, synchronised, then renamed here
//! ```

mod upload;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use oci::{Algorithm, Digest};
use store::{
    Blob, BlobFile, BlobSource, BlobStore, ListedBlob, StoreError, UploadId, UploadWriter,
};
use time::OffsetDateTime;

use upload::FileUpload;

/// Keeps blobs below a folder of the local file system.
#[derive(Debug, Clone)]
pub struct FileBlobs {
    folder: PathBuf,
}

impl FileBlobs {
    /// Opens a folder, and makes it and its 512 subfolders where they are not
    /// there yet. Blocks; for the start of the server.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let blobs = Self { folder: folder.to_owned() };
        blobs
            .make_folders()
            .map_err(StoreError::io(format!("prepare the blob folder {}", folder.display())))?;
        Ok(blobs)
    }

    fn make_folders(&self) -> io::Result<()> {
        fs::create_dir_all(self.folder.join("uploads"))?;
        for algorithm in Algorithm::ALL {
            let folder = self.folder.join("blobs").join(algorithm.as_str());
            fs::create_dir_all(&folder)?;
            for shard in 0..=255u8 {
                match fs::create_dir(folder.join(format!("{shard:02x}"))) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    other => other?,
                }
            }
            sync_folder(&folder)?;
        }
        sync_folder(&self.folder.join("blobs"))?;
        sync_folder(&self.folder)
    }

    /// Takes over a blob from another folder of this kind on the same file
    /// system, as a second name of the same file. Finished blobs are never
    /// written to, so neither sees what becomes of the other's name.
    pub async fn link_blob_from(&self, other: &Path, digest: &Digest) -> Result<(), StoreError> {
        let from = Self { folder: other.to_owned() }.blob_path(digest);
        let to = self.blob_path(digest);
        blocking(format!("link blob {digest}"), move || {
            found(fs::remove_file(&to))?;
            fs::hard_link(from, &to)?;
            sync_folder(to.parent().unwrap_or(&to))
        })
        .await
    }

    fn upload_path(&self, id: UploadId) -> PathBuf {
        self.folder.join("uploads").join(id.to_string())
    }

    /// A file and its size. `None`: there is none.
    async fn open_file(
        &self,
        attempted: String,
        path: PathBuf,
    ) -> Result<Option<(File, u64)>, StoreError> {
        blocking(attempted, move || {
            let Some(file) = found(File::open(path))? else { return Ok(None) };
            let size = file.metadata()?.len();
            Ok(Some((file, size)))
        })
        .await
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.folder.join("blobs").join(digest.algorithm().as_str()).join(&hex[..2]).join(&hex)
    }
}

/// A file's data can be on disk while its name is not: the folder has to be
/// synchronised too.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// `NotFound` is an answer.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Runs file operations where they may block.
async fn blocking<T: Send + 'static>(
    attempted: String,
    operation: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    let outcome = tokio::task::spawn_blocking(operation)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)));
    outcome.map_err(StoreError::io(attempted))
}

#[async_trait]
impl BlobStore for FileBlobs {
    async fn begin_upload(&self, id: UploadId) -> Result<(), StoreError> {
        let path = self.upload_path(id);
        blocking(format!("begin upload {id}"), move || File::create_new(path).map(drop)).await
    }

    async fn continue_upload(
        &self,
        id: UploadId,
    ) -> Result<Option<Box<dyn UploadWriter>>, StoreError> {
        let path = self.upload_path(id);
        let upload =
            blocking(format!("open upload {id}"), move || found(FileUpload::open(&path, id)))
                .await?;
        Ok(upload.map(|upload| Box::new(upload) as Box<dyn UploadWriter>))
    }

    async fn upload_size(&self, id: UploadId) -> Result<Option<u64>, StoreError> {
        let path = self.upload_path(id);
        blocking(format!("measure upload {id}"), move || {
            Ok(found(fs::metadata(path))?.map(|m| m.len()))
        })
        .await
    }

    fn upload_reader(&self, id: UploadId) -> Result<Option<File>, StoreError> {
        found(File::open(self.upload_path(id))).map_err(StoreError::io(format!("read upload {id}")))
    }

    async fn seal_upload(&self, id: UploadId) -> Result<Option<Blob>, StoreError> {
        let opened = self.open_file(format!("read upload {id} back"), self.upload_path(id)).await?;
        Ok(opened.map(|(file, size)| Blob { size, source: BlobSource::File(Arc::new(file)) }))
    }

    async fn commit_upload(&self, id: UploadId, digest: &Digest) -> Result<u64, StoreError> {
        let (from, to) = (self.upload_path(id), self.blob_path(digest));
        blocking(format!("store upload {id} as {digest}"), move || {
            let file = File::open(&from)?;
            file.sync_all()?;
            let size = file.metadata()?.len();
            // Replaces the same bytes if they are there already: whoever reads
            // them keeps the old file, and a damaged one is healed.
            fs::rename(&from, &to)?;
            sync_folder(to.parent().unwrap_or(&to))?;
            Ok(size)
        })
        .await
    }

    async fn discard_upload(&self, id: UploadId) -> Result<(), StoreError> {
        let path = self.upload_path(id);
        blocking(format!("discard upload {id}"), move || found(fs::remove_file(path)).map(drop))
            .await
    }

    async fn uploads(&self) -> Result<Vec<UploadId>, StoreError> {
        let folder = self.folder.join("uploads");
        blocking("list the uploads".into(), move || {
            let mut ids = Vec::new();
            for entry in fs::read_dir(folder)? {
                ids.extend(entry?.file_name().to_str().and_then(UploadId::parse));
            }
            Ok(ids)
        })
        .await
    }

    async fn open_blob(&self, digest: &Digest) -> Result<Option<Blob>, StoreError> {
        let opened = self.open_file(format!("open blob {digest}"), self.blob_path(digest)).await?;
        Ok(opened.map(|(file, size)| Blob { size, source: BlobSource::File(Arc::new(file)) }))
    }

    async fn blob_file(&self, digest: &Digest) -> Result<Option<BlobFile>, StoreError> {
        let opened = self.open_file(format!("open blob {digest}"), self.blob_path(digest)).await?;
        Ok(opened.map(|(file, size)| BlobFile { file, size, held: None }))
    }

    async fn blob_url(&self, _: &Digest, _: Duration) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let path = self.blob_path(digest);
        blocking(format!("measure blob {digest}"), move || {
            Ok(found(fs::metadata(path))?.map(|m| m.len()))
        })
        .await
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.blob_path(digest);
        blocking(format!("delete blob {digest}"), move || found(fs::remove_file(path)).map(drop))
            .await
    }

    async fn blobs(&self, shard: u8) -> Result<Vec<ListedBlob>, StoreError> {
        let folder = self.folder.join("blobs");
        blocking(format!("list the blobs of shard {shard:02x}"), move || {
            let mut listed = Vec::new();
            for algorithm in Algorithm::ALL {
                let folder = folder.join(algorithm.as_str()).join(format!("{shard:02x}"));
                for entry in fs::read_dir(folder)? {
                    let entry = entry?;
                    let name = entry.file_name();
                    let digest =
                        name.to_str().map(|hex| Digest::parse(&format!("{algorithm}:{hex}")));
                    // A stray file is no blob; one may be deleted while it is listed.
                    let (Some(Ok(digest)), Some(facts)) = (digest, found(entry.metadata())?) else {
                        continue;
                    };
                    let stored_at = OffsetDateTime::from(facts.modified()?);
                    listed.push(ListedBlob { digest, stored_at });
                }
            }
            Ok(listed)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passes_the_suite() {
        let folder = tempfile::tempdir().unwrap();
        let open = || FileBlobs::open(folder.path()).unwrap();
        store::suite::blobs::run(&open()).await;
        store::suite::blobs::run_shared(&open(), &open(), 1 << 20).await;
    }

    #[tokio::test]
    async fn a_second_start_finds_what_the_first_one_kept() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FileBlobs::open(folder.path()).unwrap();
        let id = UploadId::random();
        blobs.begin_upload(id).await.unwrap();
        blobs
            .continue_upload(id)
            .await
            .unwrap()
            .unwrap()
            .append(vec!["half".into()])
            .await
            .unwrap();
        std::fs::write(folder.path().join("uploads/not-an-upload"), "x").unwrap();

        let again = FileBlobs::open(folder.path()).unwrap();
        assert_eq!(again.uploads().await.unwrap(), [id]);
        assert_eq!(again.upload_size(id).await.unwrap(), Some(4));
    }

    /// Two servers over one folder are two stores.
    #[tokio::test]
    async fn an_upload_has_one_writer_whatever_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) =
            (FileBlobs::open(folder.path()).unwrap(), FileBlobs::open(folder.path()).unwrap());
        let id = UploadId::random();
        one.begin_upload(id).await.unwrap();
        let writer = one.continue_upload(id).await.unwrap().unwrap();
        assert!(two.continue_upload(id).await.err().unwrap().is_busy());
        drop(writer);
        assert!(two.continue_upload(id).await.unwrap().is_some());
    }
}
