//! Scope maps: what a repository token may do, as Azure Container Registry
//! writes it (`repositories/team/*/content/read`).

use crate::repositories::RepositoryPattern;
use crate::scope::Action;

/// Most actions of one scope map.
pub const SCOPE_MAP_ACTIONS_MAX: usize = 500;

const ACTIONS: [(&str, Action); 5] = [
    ("content/read", Action::Pull),
    ("content/write", Action::Push),
    ("content/delete", Action::Delete),
    ("metadata/read", Action::MetadataRead),
    ("metadata/write", Action::MetadataWrite),
];

/// Why a text is no action of a scope map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no action of a scope map; write repositories/NAME/ACTION, where NAME may end in * and ACTION is content/read, content/write, content/delete, metadata/read or metadata/write"
)]
pub struct ScopeMapError(pub String);

/// One action of a scope map.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScopeMapAction {
    /// Where.
    pub repositories: RepositoryPattern,
    /// What.
    pub action: Action,
}

impl ScopeMapAction {
    /// Reads `repositories/NAME/content/read` and its like.
    pub fn parse(text: &str) -> Result<Self, ScopeMapError> {
        let malformed = || ScopeMapError(text.chars().take(300).collect());
        let rest = text.strip_prefix("repositories/").ok_or_else(malformed)?;
        let (name, action) = ACTIONS
            .iter()
            .find_map(|(word, action)| Some((rest.strip_suffix(word)?.strip_suffix('/')?, *action)))
            .ok_or_else(malformed)?;
        let repositories = match name.strip_suffix('*') {
            Some("") => RepositoryPattern::All,
            Some(prefix) if is_prefix(prefix) => RepositoryPattern::Beginning(prefix.to_owned()),
            None if oci::RepositoryName::parse(name).is_ok() => {
                RepositoryPattern::Exactly(name.to_owned())
            }
            _ => return Err(malformed()),
        };
        Ok(Self { repositories, action })
    }
}

/// Whether some repository's name can begin so.
fn is_prefix(prefix: &str) -> bool {
    oci::RepositoryName::parse(prefix).is_ok()
        || oci::RepositoryName::parse(&format!("{prefix}x")).is_ok()
}

/// The maps that every registry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemScopeMap {
    /// Begins with `_repositories_`, which no other map's name does.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// Its actions, as they are written.
    pub actions: &'static [&'static str],
}

impl SystemScopeMap {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self {
            name: "_repositories_pull",
            description: "Can pull any repository of the registry",
            actions: &["repositories/*/content/read"],
        },
        Self {
            name: "_repositories_pull_metadata_read",
            description: "Can perform all read operations on the registry",
            actions: &["repositories/*/content/read", "repositories/*/metadata/read"],
        },
        Self {
            name: "_repositories_push",
            description: "Can push to any repository of the registry",
            actions: &["repositories/*/content/read", "repositories/*/content/write"],
        },
        Self {
            name: "_repositories_push_metadata_write",
            description: "Can perform all read and write operations on the registry",
            actions: &[
                "repositories/*/content/read",
                "repositories/*/content/write",
                "repositories/*/metadata/read",
                "repositories/*/metadata/write",
            ],
        },
        Self {
            name: "_repositories_admin",
            description: "Can perform all read, write and delete operations on the registry",
            actions: &[
                "repositories/*/content/read",
                "repositories/*/content/write",
                "repositories/*/content/delete",
                "repositories/*/metadata/read",
                "repositories/*/metadata/write",
            ],
        },
    ];

    /// Whether a name is kept for maps of the system.
    pub fn reserves(name: &str) -> bool {
        name.starts_with('_')
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|map| map.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(RepositoryPattern, Action)>) {
        let read = ScopeMapAction::parse(text).ok().map(|a| (a.repositories, a.action));
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn actions_are_read_as_azure_writes_them() {
        let exactly = |name: &str| RepositoryPattern::Exactly(name.into());
        check("repositories/a/b/content/read", Some((exactly("a/b"), Action::Pull)));
        check("repositories/a/content/content/write", Some((exactly("a/content"), Action::Push)));
        check("repositories/a/content/delete", Some((exactly("a"), Action::Delete)));
        check("repositories/a/metadata/write", Some((exactly("a"), Action::MetadataWrite)));
        check("repositories/*/metadata/read", Some((RepositoryPattern::All, Action::MetadataRead)));
        let team = RepositoryPattern::Beginning("team/".into());
        check("repositories/team/*/content/read", Some((team, Action::Pull)));
        let beginning = RepositoryPattern::Beginning("te".into());
        check("repositories/te*/content/read", Some((beginning, Action::Pull)));
    }

    #[test]
    fn what_is_malformed_grants_nothing() {
        for text in [
            "",
            "repositories/a/content",
            "repositories//content/read",
            "repositories/content/read",
            "repositories/A/content/read",
            "repositories/a*b/content/read",
            "repositories/**/content/read",
            "repositories/../content/read",
            "repositories/a/content/Read",
            "registry/a/content/read",
        ] {
            check(text, None);
        }
        for map in SystemScopeMap::ALL {
            assert!(SystemScopeMap::reserves(map.name));
            map.actions.iter().for_each(|a| assert!(ScopeMapAction::parse(a).is_ok(), "{a}"));
        }
    }
}
