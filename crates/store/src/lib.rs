//! Storage traits, and the suite every backend passes.

pub mod accounts;
pub mod blob;
pub mod blobs;
pub mod cache_rules;
pub mod catalog;
pub mod collect;
pub mod database;
pub mod error;
pub mod imports;
mod pattern;
pub mod policy;
pub mod registry;
pub mod scan;
pub mod scrub;
pub mod settings;
pub mod suite;
pub mod transfer;
pub mod webhooks;

pub use accounts::{
    Account, AccountRecord, AccountStore, CreateAccount, DeleteScopeMap, RoleAssignment, ScopeMap,
    Secret,
};
pub use blob::{Blob, BlobFile, BlobSource, RangeReader};
pub use blobs::{BlobStore, ListedBlob, UploadId, UploadWriter};
pub use cache_rules::{CacheRule, CacheRuleStore, CredentialSet, DeleteCredentials, PutCacheRule};
pub use catalog::CatalogStore;
pub use collect::CollectStore;
pub use database::{Database, Metadata};
pub use error::StoreError;
pub use imports::{
    Import, ImportFailure, ImportId, ImportOutcome, ImportProgress, ImportRequest, ImportState,
    ImportStore, ImportTarget, StoredLogin,
};
pub use pattern::{PATTERN_BYTES_MAX, Pattern, PatternError};
pub use policy::PolicyStore;
pub use registry::{
    DeleteManifest, DeleteTag, DeletedEntry, LinkBlob, ManifestReference, ManifestSummary,
    NewManifest, PutManifest, ReferenceKind, RegistryStore, StoredManifest, StoredUpload,
};
pub use scrub::ScrubStore;
pub use settings::SettingsStore;
pub use transfer::Transfer;
