//! Wire types of cache rules and the logins they use.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A cache rule that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCacheRule {
    /// Its name.
    pub name: String,
    /// The other registry's repository or pattern, such as `docker.io/library/*`.
    pub source_repository: String,
    /// The repository or pattern here, such as `hub/*`.
    pub target_repository: String,
    /// Name of the login to use there.
    #[serde(default)]
    pub credential_set: Option<String>,
}

/// A cache rule: what is pulled below its target comes from its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CacheRule {
    /// Its name.
    pub name: String,
    /// The other registry's repository or pattern.
    pub source_repository: String,
    /// The repository or pattern here.
    pub target_repository: String,
    /// Name of the login that is used there.
    pub credential_set: Option<String>,
    /// When it was made.
    pub created_at: Option<String>,
}

/// A login at another registry, to be kept.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCredentialSet {
    /// The other registry's host.
    pub login_server: String,
    /// Absent where the password is a token that says who it is for.
    #[serde(default)]
    pub username: Option<String>,
    /// Password or token.
    #[schema(format = Password)]
    pub password: String,
}

/// A login at another registry. Its password is never shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialSet {
    /// Its name.
    pub name: String,
    /// The other registry's host.
    pub login_server: String,
    /// Who signs in there.
    pub username: Option<String>,
    /// When it was made or last changed.
    pub changed_at: Option<String>,
}
