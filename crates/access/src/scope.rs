//! Token scopes: `repository:library/debian:pull,push` (Distribution, "Token
//! Scope Documentation"; Azure Container Registry adds the metadata actions).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What can be done to a repository or registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Read manifests, blobs, tags, referrers.
    Pull,
    /// Write blobs, manifests, tags.
    Push,
    /// Delete them.
    Delete,
    /// Read attributes of repositories, tags and manifests.
    MetadataRead,
    /// Change them.
    MetadataWrite,
    /// See what was deleted and can be restored.
    DeletedRead,
    /// Restore it.
    DeletedRestore,
    /// Everything a registry-wide scope allows: list the repositories.
    #[serde(rename = "*")]
    All,
}

impl Action {
    /// Every action on a repository.
    pub const REPOSITORY: [Self; 7] = [
        Self::Pull,
        Self::Push,
        Self::Delete,
        Self::MetadataRead,
        Self::MetadataWrite,
        Self::DeletedRead,
        Self::DeletedRestore,
    ];

    /// As it is written in a scope.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::MetadataRead => "metadata_read",
            Self::MetadataWrite => "metadata_write",
            Self::DeletedRead => "deleted_read",
            Self::DeletedRestore => "deleted_restore",
            Self::All => "*",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::REPOSITORY.into_iter().chain([Self::All]).find(|a| a.as_str() == text)
    }
}

/// What kind of thing a scope names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResourceKind {
    /// A repository, by name.
    Repository,
    /// Something registry-wide: `catalog`, `deleted_catalog`.
    Registry,
}

impl ResourceKind {
    /// As it is written in a scope.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repository => "repository",
            Self::Registry => "registry",
        }
    }
}

/// Some actions on one thing. Also the shape of a token's `access` claim.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// Kind of the thing.
    #[serde(rename = "type")]
    pub kind: ResourceKind,
    /// Name of the thing.
    pub name: String,
    /// What may be done; empty when nothing was granted.
    pub actions: BTreeSet<Action>,
}

impl Scope {
    /// Some actions on a repository.
    pub fn repository(name: &str, actions: impl IntoIterator<Item = Action>) -> Self {
        Self {
            kind: ResourceKind::Repository,
            name: name.to_owned(),
            actions: actions.into_iter().collect(),
        }
    }

    /// The list of repositories.
    pub fn catalog() -> Self {
        Self::registry("catalog")
    }

    /// Something registry-wide.
    pub fn registry(name: &str) -> Self {
        Self { kind: ResourceKind::Registry, name: name.to_owned(), actions: [Action::All].into() }
    }

    /// Reads `type[(class)]:name:action,action`. Actions that are not known are
    /// left out; a type that is not known gives `None`: what cannot be granted
    /// is not an error of the request (the allowed subset is granted).
    ///
    /// The name may hold colons (a host with a port), so the first and the last
    /// colon count.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let kind = match kind.split('(').next()? {
            "repository" => ResourceKind::Repository,
            "registry" => ResourceKind::Registry,
            _ => return None,
        };
        let known = actions.split(',').filter_map(|a| Action::parse(a.trim()));
        // On a repository `*` means every action; spelled out it can be cut down.
        let actions = match kind {
            ResourceKind::Repository => known
                .flat_map(|a| if a == Action::All { Action::REPOSITORY.to_vec() } else { vec![a] })
                .collect(),
            ResourceKind::Registry => known.collect(),
        };
        Some(Self { kind, name: name.to_owned(), actions })
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:", self.kind.as_str(), self.name)?;
        for (i, action) in self.actions.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { "," }, action.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(
            Scope::parse(text).map(|s| s.to_string()).unwrap_or_default(),
            expected,
            "{text:?}"
        );
    }

    #[test]
    fn reads_what_clients_ask_for() {
        check("repository:a/b:push,pull", "repository:a/b:pull,push");
        check("repository(plugin):a:pull", "repository:a:pull");
        check(
            "repository:a:*",
            "repository:a:pull,push,delete,metadata_read,metadata_write,deleted_read,deleted_restore",
        );
        check("repository:a:pull,fly", "repository:a:pull");
        check("repository:host:5000/a:pull", "repository:host:5000/a:pull");
        check("registry:catalog:*", "registry:catalog:*");
        check("artifact:a:pull", "");
        check("repository", "");
        check("", "");
    }
}
