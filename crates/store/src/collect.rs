//! What garbage collection asks of metadata. The protocol and its argument are
//! in `registry::collect`.

use async_trait::async_trait;
use oci::{Digest, RepositoryName, Tag};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{ReferenceKind, StoreError, UploadId};

/// What came of holding a blob for an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldBlob {
    /// Until the upload ends, nobody removes the blob's bytes.
    Held,
    /// Its bytes are being removed; they cannot be placed before that is done.
    Condemned,
    /// The upload has ended meanwhile.
    UploadEnded,
}

/// Names a run of the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunId(pub Uuid);

impl RunId {
    /// A fresh one.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Reads what [`std::fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Why somebody takes the collector's seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To remove what nobody needs.
    Collect,
    /// To keep everything where it is while it is copied.
    Backup,
}

impl Purpose {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Collect => "collect",
            Self::Backup => "backup",
        }
    }

    /// Reads what [`Purpose::as_str`] gave.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Collect, Self::Backup].into_iter().find(|p| p.as_str() == text)
    }
}

/// One step of a run. Each one renews the seat, in the transaction of the step.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Who.
    pub run: RunId,
    /// The time of the step.
    pub now: OffsetDateTime,
    /// When others may believe the run dead. `until > now`.
    pub until: OffsetDateTime,
}

/// What came of taking the seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeSeat {
    /// The run may go on until it lets the seat go.
    Taken,
    /// Somebody else sits there.
    Busy {
        /// Who.
        run: RunId,
        /// Why.
        purpose: Purpose,
        /// When they are believed dead unless heard of.
        alive_until: OffsetDateTime,
    },
}

/// What a run removed, or in a dry run would remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CollectFigures {
    /// Blobs that repositories held and no manifest of theirs needed.
    pub links: u64,
    /// Blobs whose bytes went.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of those blobs, the ones that no row spoke of.
    pub stray_blobs: u64,
    /// Uploads that nobody went on with.
    pub uploads: u64,
    /// Upload files that no row spoke of.
    pub stray_uploads: u64,
    /// Repositories without anything in them.
    pub repositories: u64,
    /// Blobs whose bytes could not be removed; the next run tries again.
    pub failed: u64,
}

/// A run, under way or past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// Its name.
    pub run: RunId,
    /// What for.
    pub purpose: Purpose,
    /// When it began.
    pub started_at: OffsetDateTime,
    /// When it came to its end, well or badly.
    pub ended_at: Option<OffsetDateTime>,
    /// What it removed; not there while it is under way, or if it died.
    pub figures: Option<CollectFigures>,
    /// Why it did not get through.
    pub error: Option<String>,
}

/// That a repository holds a blob. Means nothing outside its database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// The repository's row.
    pub repository: i64,
    /// The blob.
    pub digest: Digest,
}

/// One page of a walk through a table: only what was looked for, and where to
/// go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked<T, C> {
    /// What was looked for. May be empty although there is more.
    pub found: Vec<T>,
    /// Where the next page begins. `None`: this was the last one.
    pub next: Option<C>,
}

/// A blob with its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizedBlob {
    /// Its digest.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
}

/// Everything that keeps a blob, or what became of it. Lists are cut at the
/// asker's limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Its row.
    pub blob: Option<StandingBlob>,
    /// Repositories that hold it.
    pub links: Vec<StandingLink>,
    /// Manifests that refer to it, as a blob or as a child.
    pub references: Vec<StandingReference>,
    /// Where it is a manifest itself.
    pub manifests: Vec<StandingManifest>,
    /// Uploads that are placing it.
    pub uploads: Vec<StandingUpload>,
    /// Runs that freed it, newest first.
    pub freed: Vec<Freed>,
}

/// A blob's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandingBlob {
    /// Size in bytes.
    pub size: u64,
    /// Since when it is there.
    pub created_at: OffsetDateTime,
    /// Since when it is being removed.
    pub condemned_at: Option<OffsetDateTime>,
    /// Since when its bytes are known to be wrong or missing.
    pub damaged_at: Option<OffsetDateTime>,
}

/// A repository that holds the blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingLink {
    /// Its name.
    pub repository: RepositoryName,
    /// When it got the blob last.
    pub linked_at: OffsetDateTime,
    /// Whether a manifest of it needs the blob.
    pub needed: bool,
}

/// A manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingManifest {
    /// Where.
    pub repository: RepositoryName,
    /// Its digest.
    pub digest: Digest,
    /// Tags that point at it.
    pub tags: Vec<Tag>,
    /// Indexes of the repository that list it.
    pub indexes: Vec<Digest>,
    /// The manifest that it is about.
    pub subject: Option<Digest>,
}

/// A manifest that refers to the blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingReference {
    /// As what.
    pub kind: ReferenceKind,
    /// Which.
    pub manifest: StandingManifest,
}

/// An upload that holds the blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingUpload {
    /// Its name.
    pub id: UploadId,
    /// For which repository.
    pub repository: RepositoryName,
    /// When it was begun.
    pub started_at: OffsetDateTime,
}

/// That a run removed the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freed {
    /// Which run.
    pub run: RunId,
    /// When.
    pub at: OffsetDateTime,
    /// How large the blob was.
    pub size: u64,
}

/// Keeps who needs which blob, and lets one run at a time take away what nobody
/// needs.
///
/// Methods that take a [`Turn`] are one transaction in which nobody else
/// writes, and answer `None` if the run has lost its seat: then nothing was
/// changed.
#[async_trait]
pub trait CollectStore: Send + Sync {
    /// Says which blob an upload is about to place. After `Held`, the blob is
    /// not condemned before the upload ends.
    async fn hold_blob(&self, upload: UploadId, digest: &Digest) -> Result<HoldBlob, StoreError>;
    /// Lets a repository hold a blob that another one holds, and gives its
    /// size. `None`: that one does not hold it (any more), or it is damaged.
    async fn mount_blob(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        digest: &Digest,
        now: OffsetDateTime,
    ) -> Result<Option<u64>, StoreError>;

    /// Takes the seat if it is free, or if the time of who sits there was over
    /// before `dead_before`. `None`: they are dead, whatever the records say.
    async fn take_seat(
        &self,
        turn: Turn,
        purpose: Purpose,
        dead_before: Option<OffsetDateTime>,
    ) -> Result<TakeSeat, StoreError>;
    /// Keeps the seat.
    async fn keep_seat(&self, turn: Turn) -> Result<Option<()>, StoreError>;
    /// Lets the seat go, and leaves a record.
    async fn leave_seat(
        &self,
        turn: Turn,
        figures: &CollectFigures,
        error: Option<&str>,
    ) -> Result<Option<()>, StoreError>;
    /// The newest runs.
    async fn collections(&self, limit: u32) -> Result<Vec<Collection>, StoreError>;
    /// Forgets runs that ended before a time, with what they freed. Says how
    /// many.
    async fn forget_collections(&self, before: OffsetDateTime) -> Result<u64, StoreError>;

    /// Looks through `limit` links for those that no manifest of their
    /// repository needs and that are not younger than `cutoff`.
    async fn unneeded_links(
        &self,
        cutoff: OffsetDateTime,
        after: Option<&Link>,
        limit: u32,
    ) -> Result<Walked<Link, Link>, StoreError>;
    /// Takes away those of the links of which the same is still true. Says how
    /// many.
    async fn remove_links(
        &self,
        turn: Turn,
        cutoff: OffsetDateTime,
        links: &[Link],
    ) -> Result<Option<u64>, StoreError>;

    /// Looks through `limit` blobs for those that no repository holds. With
    /// `as_if`, for those that none would hold after every link that
    /// [`CollectStore::unneeded_links`] finds with this cutoff were gone.
    async fn unheld_blobs(
        &self,
        as_if: Option<OffsetDateTime>,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Walked<SizedBlob, Digest>, StoreError>;
    /// Condemns those of the blobs that no repository and no upload holds.
    async fn condemn_blobs(
        &self,
        turn: Turn,
        digests: &[Digest],
    ) -> Result<Option<Vec<SizedBlob>>, StoreError>;
    /// Those of the digests that have no row and that no upload is placing.
    async fn unknown_blobs(&self, digests: &[Digest]) -> Result<Vec<Digest>, StoreError>;
    /// Condemns those of the blobs that have no row and that no upload is
    /// placing: they get a row, so that no upload places them meanwhile.
    async fn condemn_strays(
        &self,
        turn: Turn,
        strays: &[SizedBlob],
    ) -> Result<Option<Vec<SizedBlob>>, StoreError>;
    /// Condemned blobs.
    async fn condemned_blobs(
        &self,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Vec<SizedBlob>, StoreError>;
    /// Removes the rows of condemned blobs whose bytes are gone, and remembers
    /// that the run freed them. Says how many.
    async fn forget_condemned(
        &self,
        turn: Turn,
        digests: &[Digest],
    ) -> Result<Option<u64>, StoreError>;

    /// Removes repositories made before `cutoff` in which nothing is and
    /// nothing is under way, at most `limit`. Says how many.
    async fn remove_empty_repositories(
        &self,
        turn: Turn,
        cutoff: OffsetDateTime,
        limit: u32,
    ) -> Result<Option<u64>, StoreError>;
    /// How many there are.
    async fn empty_repositories(&self, cutoff: OffsetDateTime) -> Result<u64, StoreError>;

    /// What keeps a blob or manifest, or what became of it.
    async fn standing(&self, digest: &Digest, limit: u32) -> Result<Standing, StoreError>;
}
