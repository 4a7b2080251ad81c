//! Downloads advisory sources; knows URLs and fingerprints, not formats.

pub mod download;
pub mod sources;

pub use download::{DownloadError, Downloaded, Downloader};
pub use sources::{SOURCES, Source};
