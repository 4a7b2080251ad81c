//! What may be done to what repositories hold: locks, immutable tags, quotas,
//! retention, what was put away, and the settings that say so.

mod attributes;
mod retention;
mod settings;
mod trash;
mod usage;

use oci::{Digest, RepositoryName, Tag};

use crate::Pattern;

pub use attributes::{
    AttributeChange, AttributeStore, Attributes, ManifestDetail, Order, RepositoryDetail,
    TagDetail, TagsQuery,
};
pub use retention::{RetentionManifest, RetentionStore, RetentionTag, Retire, RetireOutcome};
pub use settings::{PutSetting, StoredSetting, VersionedSettingStore};
pub use trash::{DeleteRepository, DeletedManifestEntry, DeletedTagEntry, Restore, TrashStore};
pub use usage::{Pull, UsageDifference, UsageStore};

/// Everything that policies ask of storage.
pub trait PolicyStore:
    AttributeStore + VersionedSettingStore + UsageStore + TrashStore + RetentionStore
{
}
impl<T> PolicyStore for T where
    T: AttributeStore + VersionedSettingStore + UsageStore + TrashStore + RetentionStore + ?Sized
{
}

/// Something that can be locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lockable {
    /// With everything in it.
    Repository(RepositoryName),
    /// A tag of a repository.
    Tag(RepositoryName, Tag),
    /// A manifest of a repository.
    Manifest(RepositoryName, Digest),
}

/// One of the flags that attributes are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// Pulls are allowed.
    Read,
    /// Changes and deletion are allowed.
    Write,
    /// Deletion is allowed.
    Delete,
}

impl Flag {
    /// As Azure writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "readEnabled",
            Self::Write => "writeEnabled",
            Self::Delete => "deleteEnabled",
        }
    }
}

/// Why storage did not do what it was asked, although it could have. Nothing
/// was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A flag is off.
    #[error("{}", locked(.object, *.flag))]
    Locked {
        /// What is locked.
        object: Lockable,
        /// Which flag says so.
        flag: Flag,
    },
    /// The tag is there, and a setting says that it stays as it is.
    #[error(
        "TAG_IMMUTABLE: tag {tag} of repository {repository} is immutable (pattern {pattern}): it cannot be moved or removed; push under another tag, or have an administrator change the registry's immutability rules"
    )]
    ImmutableTag {
        /// Where.
        repository: RepositoryName,
        /// Which.
        tag: Tag,
        /// The pattern that matches it.
        pattern: Pattern,
    },
    /// There would be more bytes than allowed.
    #[error("{}", over_quota(.repository.as_ref(), *.used, *.limit, *.wanted))]
    OverQuota {
        /// Whose quota; `None` for that of the whole registry.
        repository: Option<RepositoryName>,
        /// Bytes that are held.
        used: u64,
        /// Bytes that may be held.
        limit: u64,
        /// Bytes that were to be added.
        wanted: u64,
    },
}

fn locked(object: &Lockable, flag: Flag) -> String {
    let (what, path, option) = match object {
        Lockable::Repository(name) => {
            (format!("repository {name}"), format!("{name}"), format!("--repository {name}"))
        }
        Lockable::Tag(name, tag) => (
            format!("tag {tag} of repository {name}"),
            format!("{name}/_tags/{tag}"),
            format!("--image {name}:{tag}"),
        ),
        Lockable::Manifest(name, digest) => (
            format!("manifest {digest} of repository {name}"),
            format!("{name}/_manifests/{digest}"),
            format!("--image {name}@{digest}"),
        ),
    };
    let flag_option = match flag {
        Flag::Read => "--read-enabled",
        Flag::Write => "--write-enabled",
        Flag::Delete => "--delete-enabled",
    };
    format!(
        "{what} is locked: {flag} is false; to unlock it, PATCH /acr/v1/{path} with {{\"{flag}\":true}} \
         (az acr repository update {option} {flag_option} true)",
        flag = flag.as_str()
    )
}

fn over_quota(repository: Option<&RepositoryName>, used: u64, limit: u64, wanted: u64) -> String {
    let whose = match repository {
        Some(name) => format!("of repository {name}"),
        None => "of the registry".to_owned(),
    };
    format!(
        "QUOTA_EXCEEDED: the quota {whose} is {limit} bytes, {used} are used and {wanted} more do not fit; \
         delete images that are not needed and let garbage collection run, or have an administrator raise the quota"
    )
}

/// What a push must keep to.
#[derive(Debug, Clone, Default)]
pub struct PushRules {
    /// Tags that cannot be moved once they are set.
    pub immutable_tags: Vec<Pattern>,
    /// Most bytes that the repository may hold.
    pub repository_bytes_max: Option<u64>,
    /// Most bytes that all repositories together may hold.
    pub registry_bytes_max: Option<u64>,
}

/// What a deletion must keep to, and how far it goes.
#[derive(Debug, Clone)]
pub struct DeleteRules {
    /// Tags that cannot be removed.
    pub immutable_tags: Vec<Pattern>,
    /// How far it goes.
    pub mode: DeleteMode,
    /// When.
    pub at: time::OffsetDateTime,
    /// By whom.
    pub by: String,
}

/// How far a deletion goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteMode {
    /// The manifest and its tags, for good; as the specification has it.
    Single,
    /// With what belongs to it, for good.
    Graph,
    /// With what belongs to it, and it can be restored.
    PutAway,
}

/// The first of the patterns that matches.
pub fn first_match<'p>(patterns: &'p [Pattern], name: &str) -> Option<&'p Pattern> {
    patterns.iter().find(|pattern| pattern.matches(name))
}

/// The digest that a tag of the form `sha256-HEX[.suffix]` is about: cosign's
/// `.sig`, `.att` and `.sbom`, and the fallback tag of the referrers list
/// (OCI Distribution 1.1, "Referrers Tag Schema").
pub fn attached_to(tag: &Tag) -> Option<Digest> {
    let (name, suffix) = match tag.as_str().split_once('.') {
        Some((name, suffix)) => (name, Some(suffix)),
        None => (tag.as_str(), None),
    };
    if suffix.is_some_and(|suffix| !matches!(suffix, "sig" | "att" | "sbom")) {
        return None;
    }
    let (algorithm, hex) = name.split_once('-')?;
    Digest::parse(&format!("{algorithm}:{hex}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn check(tag: &str, attached: bool) {
        let tag = Tag::parse(&tag.replace("HEX", HEX)).unwrap();
        assert_eq!(attached_to(&tag).is_some(), attached, "{tag}");
    }

    #[test]
    fn attached_tags_name_their_subject() {
        check("sha256-HEX.sig", true);
        check("sha256-HEX.att", true);
        check("sha256-HEX.sbom", true);
        check("sha256-HEX", true);
        check("sha256-HEX.txt", false);
        check("sha256-00.sig", false);
        check("latest", false);
        check("md5-HEX", false);
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let name = RepositoryName::parse("a/b").unwrap();
        let tag = Lockable::Tag(name.clone(), Tag::parse("v1").unwrap());
        let text = Refusal::Locked { object: tag, flag: Flag::Write }.to_string();
        assert!(
            text.contains("writeEnabled is false") && text.contains("PATCH /acr/v1/a/b/_tags/v1")
        );
        let text =
            Refusal::OverQuota { repository: None, used: 9, limit: 10, wanted: 2 }.to_string();
        assert!(text.contains("10 bytes, 9 are used and 2 more"), "{text}");
    }
}
