//! Imports from other registries: jobs that outlive the process that runs them.

use async_trait::async_trait;
use oci::{Digest, Reference, RepositoryName, Tag};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::StoreError;

/// Names an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImportId(pub Uuid);

impl ImportId {
    /// A fresh one.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl std::str::FromStr for ImportId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::try_parse(text).map(Self)
    }
}

impl std::fmt::Display for ImportId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A tag that is to stand for what is imported.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImportTarget {
    /// The repository.
    pub repository: RepositoryName,
    /// Its tag; `None`: by digest alone.
    pub tag: Option<Tag>,
}

/// What to import, and to where. Stored as a document of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRequest {
    /// The other registry's host; `None`: this registry itself.
    pub host: Option<String>,
    /// The repository there.
    pub repository: RepositoryName,
    /// The tag or digest there.
    pub reference: Reference,
    /// Never empty.
    pub targets: Vec<ImportTarget>,
    /// Platforms of an index to take, as `os/arch[/variant]`; empty: all.
    pub platforms: Vec<String>,
    /// Whether tags that point elsewhere may be moved.
    pub force: bool,
    /// Whether signatures, SBOMs and other referrers come along.
    pub referrers: bool,
}

/// Where an import stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportState {
    /// Waits for a runner.
    Queued,
    /// Somebody runs it, or did until the lease ran out.
    Running,
    /// Everything is here.
    Done,
    /// Given up.
    Failed,
}

impl ImportState {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

impl std::str::FromStr for ImportState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Queued, Self::Running, Self::Done, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no state of an import"))
    }
}

/// How far an import has come. Totals grow while manifests are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProgress {
    /// Manifests that are here.
    pub manifests: u64,
    /// Manifests in all.
    pub manifests_total: u64,
    /// Blobs that are here.
    pub blobs: u64,
    /// Blobs in all.
    pub blobs_total: u64,
    /// Bytes of blobs that are here.
    pub bytes: u64,
    /// Bytes of blobs in all.
    pub bytes_total: u64,
}

/// Why an import was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportFailure {
    /// A word that programs can act on, such as `conflict`.
    pub code: String,
    /// What happened, with the other registry's own words.
    pub message: String,
}

/// An import as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Its name.
    pub id: ImportId,
    /// What was asked for.
    pub request: ImportRequest,
    /// Where it stands.
    pub state: ImportState,
    /// How far it has come.
    pub progress: ImportProgress,
    /// Digest of what was imported, once it is known.
    pub digest: Option<Digest>,
    /// Why it was given up.
    pub failure: Option<ImportFailure>,
    /// How often it was begun.
    pub attempts: u32,
    /// Who asked for it.
    pub created_by: String,
    /// When.
    pub created_at: OffsetDateTime,
    /// When it ended.
    pub finished_at: Option<OffsetDateTime>,
}

/// A login at another registry. Kept for as long as it is needed and shown to
/// nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredLogin {
    /// Absent where the password says who it is for.
    pub username: Option<String>,
    /// Password or token.
    pub password: String,
}

impl std::fmt::Debug for StoredLogin {
    /// Never the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredLogin").field("username", &self.username).finish_non_exhaustive()
    }
}

/// How an import ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportOutcome {
    /// With everything here; the digest is that of what was asked for.
    Done(Digest),
    /// Not at all.
    Failed(ImportFailure),
}

/// Keeps imports.
#[async_trait]
pub trait ImportStore: Send + Sync {
    /// After it returns, the import will be run, whatever happens to this process.
    async fn create_import(
        &self,
        import: &Import,
        login: Option<&StoredLogin>,
    ) -> Result<(), StoreError>;

    /// One import. `None`: no such import, or it was long ago.
    async fn import(&self, id: ImportId) -> Result<Option<Import>, StoreError>;

    /// The newest imports first, at most `limit`.
    async fn imports(&self, limit: u32) -> Result<Vec<Import>, StoreError>;

    /// Takes the oldest import that waits or whose lease has run out, for
    /// `runner` and until `until`. No two runners have the same one.
    async fn claim_import(
        &self,
        runner: &str,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<(Import, Option<StoredLogin>)>, StoreError>;

    /// Writes progress down and keeps the lease. `false`: somebody else has
    /// the import now, or it ended.
    async fn renew_import(
        &self,
        id: ImportId,
        runner: &str,
        progress: &ImportProgress,
        until: OffsetDateTime,
    ) -> Result<bool, StoreError>;

    /// After it returns `true`, the import has ended and its login is forgotten.
    async fn finish_import(
        &self,
        id: ImportId,
        runner: &str,
        progress: &ImportProgress,
        outcome: &ImportOutcome,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError>;

    /// Lets go of what a runner of this name had when it stopped; says how
    /// many. They are claimed again at once.
    async fn release_imports(&self, runner: &str) -> Result<u64, StoreError>;

    /// Forgets imports that ended before `before`; says how many.
    async fn forget_imports(&self, before: OffsetDateTime) -> Result<u64, StoreError>;
}
