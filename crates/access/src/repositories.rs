//! Which repositories a grant speaks of.

/// Some repositories of one registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RepositoryPattern {
    /// Every one.
    All,
    /// The one of this name.
    Exactly(String),
    /// Those whose names begin so (`team/*` in a scope map).
    Beginning(String),
    /// The one of this name and those below it, by whole segments.
    Tree(String),
}

impl RepositoryPattern {
    /// Whether it speaks of this repository.
    pub fn matches(&self, repository: &str) -> bool {
        match self {
            Self::All => true,
            Self::Exactly(name) => repository == name,
            Self::Beginning(prefix) => repository.starts_with(prefix),
            Self::Tree(root) => {
                let rest = repository.strip_prefix(root.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &RepositoryPattern, repository: &str, expected: bool) {
        assert_eq!(pattern.matches(repository), expected, "{pattern:?} {repository}");
    }

    #[test]
    fn patterns_end_where_they_should() {
        check(&RepositoryPattern::All, "a", true);
        let exactly = RepositoryPattern::Exactly("a".into());
        check(&exactly, "a", true);
        check(&exactly, "a/b", false);
        let beginning = RepositoryPattern::Beginning("a/".into());
        check(&beginning, "a/b", true);
        check(&beginning, "a", false);
        check(&RepositoryPattern::Beginning("a".into()), "ab", true);
        let tree = RepositoryPattern::Tree("a".into());
        check(&tree, "a", true);
        check(&tree, "a/b", true);
        check(&tree, "ab", false);
        check(&tree, "b/a", false);
    }
}
