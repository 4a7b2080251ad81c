//! Where a role is assigned: a path of Azure Resource Manager, inherited
//! downwards.
//!
//! ```text
//! /
//! /subscriptions/S
//! /subscriptions/S/resourceGroups/G
//! /subscriptions/S/resourceGroups/G/providers/Microsoft.ContainerRegistry/registries/R
//! .../registries/R/repositories/team        (`team` and everything below `team/`)
//! ```

use crate::repositories::RepositoryPattern;

/// Longest scope, in bytes.
pub const SCOPE_BYTES_MAX: usize = 1024;

const REGISTRIES: &str = "providers/Microsoft.ContainerRegistry/registries";
const REPOSITORIES: &str = "repositories";

/// Why a text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoleScopeError {
    /// Longer than [`SCOPE_BYTES_MAX`].
    #[error("the scope has {0} bytes, more than the {SCOPE_BYTES_MAX} that are accepted")]
    TooLong(usize),
    /// Not one of the forms.
    #[error(
        "{0:?} is no scope; write / for everything, /subscriptions/S[/resourceGroups/G[/providers/Microsoft.ContainerRegistry/registries/R]], and /repositories/PREFIX behind a registry for a part of it"
    )]
    Malformed(String),
    /// Scopes are inherited downwards already.
    #[error("{0:?} has a *; a scope holds for everything below it, so leave the * out")]
    Wildcard(String),
}

/// A scope. Everything but repository names is compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoleScope {
    /// Without a slash at the end; empty for the root.
    path: String,
}

impl RoleScope {
    /// Everything there is.
    pub fn root() -> Self {
        Self { path: String::new() }
    }

    /// One registry.
    pub fn registry(subscription: &str, group: &str, name: &str) -> Self {
        Self {
            path: format!(
                "/subscriptions/{subscription}/resourceGroups/{group}/{REGISTRIES}/{name}"
            ),
        }
    }

    /// Reads a scope, or what stands behind a `registry`: `registry` itself, or
    /// `repositories/PREFIX`.
    pub fn parse(text: &str, registry: &Self) -> Result<Self, RoleScopeError> {
        if text.len() > SCOPE_BYTES_MAX {
            return Err(RoleScopeError::TooLong(text.len()));
        }
        if text.contains('*') {
            return Err(RoleScopeError::Wildcard(text.to_owned()));
        }
        let malformed = || RoleScopeError::Malformed(text.to_owned());
        let path = match text.strip_prefix('/') {
            Some(rest) => format!("/{rest}"),
            None if text == "registry" => registry.path.clone(),
            None if text.starts_with("repositories/") => format!("{}/{text}", registry.path),
            None => return Err(malformed()),
        };
        let scope = Self { path: path.trim_end_matches('/').to_owned() };
        if scope.is_wellformed() { Ok(scope) } else { Err(malformed()) }
    }

    /// As it is stored and shown.
    pub fn as_str(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }

    fn segments(&self) -> Vec<&str> {
        self.path.split('/').skip(1).collect()
    }

    fn is_wellformed(&self) -> bool {
        let segments = self.segments();
        let plain = |s: &&str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_graphic());
        if !segments.iter().all(plain) {
            return false;
        }
        let is = |at: usize, word: &str| segments[at].eq_ignore_ascii_case(word);
        match segments.len() {
            0 => true,
            2 => is(0, "subscriptions"),
            4 => {
                is(0, "providers") && is(1, "Microsoft.Management") && is(2, "managementGroups")
                    || is(0, "subscriptions") && is(2, "resourceGroups")
            }
            n if n >= 8 => {
                is(0, "subscriptions")
                    && is(2, "resourceGroups")
                    && is(4, "providers")
                    && is(5, "Microsoft.ContainerRegistry")
                    && is(6, "registries")
                    && (n == 8
                        || n > 9
                            && is(8, REPOSITORIES)
                            && oci::RepositoryName::parse(&segments[9..].join("/")).is_ok())
            }
            _ => false,
        }
    }

    /// Whether `self` is the other scope or stands above it.
    pub fn covers(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.segments(), other.segments());
        mine.len() <= theirs.len()
            && mine.iter().zip(&theirs).enumerate().all(|(i, (a, b))| {
                // Repository names begin behind `repositories` and mind case.
                if i > 8 { a == b } else { a.eq_ignore_ascii_case(b) }
            })
    }

    /// Which repositories of a registry it covers; `None`: none of them.
    pub fn repositories_of(&self, registry: &Self) -> Option<RepositoryPattern> {
        if self.covers(registry) {
            return Some(RepositoryPattern::All);
        }
        let segments = self.segments();
        (registry.covers(self) && segments.len() > 9)
            .then(|| RepositoryPattern::Tree(segments[9..].join("/")))
    }
}

impl std::fmt::Display for RoleScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> RoleScope {
        RoleScope::registry("s", "g", "main")
    }

    fn check(text: &str, covered: Option<RepositoryPattern>) {
        let scope = RoleScope::parse(text, &registry()).unwrap();
        assert_eq!(scope.repositories_of(&registry()), covered, "{text}");
        let again = RoleScope::parse(scope.as_str(), &registry()).unwrap();
        assert_eq!(again, scope, "what is stored is read back");
    }

    #[test]
    fn scopes_are_inherited_downwards() {
        let r =
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries";
        check("/", Some(RepositoryPattern::All));
        check("registry", Some(RepositoryPattern::All));
        check("/Subscriptions/S/", Some(RepositoryPattern::All));
        check("/subscriptions/s/RESOURCEGROUPS/G", Some(RepositoryPattern::All));
        check(&format!("{r}/Main"), Some(RepositoryPattern::All));
        check(&format!("{r}/other"), None);
        check("/subscriptions/t", None);
        check("/subscriptions/s/resourceGroups/h", None);
        check("/providers/Microsoft.Management/managementGroups/m", None);
        check("repositories/team/a", Some(RepositoryPattern::Tree("team/a".into())));
        check(&format!("{r}/main/repositories/team"), Some(RepositoryPattern::Tree("team".into())));
        check(&format!("{r}/other/repositories/team"), None);
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for text in [
            "",
            "main",
            "subscriptions/s",
            "/subscriptions",
            "//",
            "/x/y",
            "/subscriptions/s/x/y",
            "/subscriptions//resourceGroups/g",
            "repositories/",
            "repositories/A",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/registries/main",
        ] {
            let read = RoleScope::parse(text, &registry());
            // Slashes alone are the root.
            assert_eq!(read.is_ok(), text == "//", "{text}: {read:?}");
        }
        let wildcard = RoleScope::parse("repositories/a/*", &registry());
        assert!(matches!(wildcard, Err(RoleScopeError::Wildcard(_))));
        let long = RoleScope::parse(&"/x".repeat(SCOPE_BYTES_MAX), &registry());
        assert!(matches!(long, Err(RoleScopeError::TooLong(_))));
    }
}
