//! Wire types of imports.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An import that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewImport {
    /// `HOST/REPOSITORY[:TAG][@DIGEST]`, such as `docker.io/library/debian:12`.
    pub source: String,
    /// `REPOSITORY[:TAG]`; without a tag that of the source is kept.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Repositories that take the image without a tag.
    #[serde(default)]
    pub untagged: Vec<String>,
    /// Platforms of an index to take, as `os/arch[/variant]`; empty: all. The
    /// index itself stays as it is.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// Whether tags that exist may be moved.
    #[serde(default)]
    pub force: bool,
    /// Whether signatures, SBOMs and other referrers come along.
    #[serde(default = "yes")]
    pub referrers: bool,
    /// The login at the source; forgotten when the import has ended.
    #[serde(default)]
    pub credentials: Option<ImportCredentials>,
}

fn yes() -> bool {
    true
}

/// A login at another registry. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportCredentials {
    /// Absent where the password is a token that says who it is for.
    #[serde(default)]
    pub username: Option<String>,
    /// Password or token.
    #[schema(format = Password)]
    pub password: String,
}

impl std::fmt::Debug for ImportCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportCredentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Where an import stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ImportState {
    /// Waits for its turn.
    Queued,
    /// Under way.
    Running,
    /// Everything is here.
    Done,
    /// Given up; `failure` says why.
    Failed,
}

/// How far an import has come. Totals grow while manifests are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportFailure {
    /// A word that programs can act on, such as `conflict` or `source_throttled`.
    pub code: String,
    /// What happened, with the other registry's own words.
    pub message: String,
}

/// An import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    /// Its name.
    pub id: String,
    /// From where; without a host it is this registry.
    pub source: String,
    /// To where; by digest alone where there is no tag.
    pub targets: Vec<String>,
    /// Platforms that were asked for; empty: all.
    pub platforms: Vec<String>,
    /// Whether tags may be moved.
    pub force: bool,
    /// Whether referrers come along.
    pub referrers: bool,
    /// Where it stands.
    pub state: ImportState,
    /// How far it has come.
    pub progress: ImportProgress,
    /// Digest of what was imported, once it is here.
    pub digest: Option<String>,
    /// Why it was given up.
    pub failure: Option<ImportFailure>,
    /// Who asked for it.
    pub created_by: String,
    /// When.
    pub created_at: Option<String>,
    /// When it ended.
    pub finished_at: Option<String>,
}
