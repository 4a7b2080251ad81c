//! Which repositories and tags a webhook wants to hear of (Azure Container
//! Registry, "Webhook scope"): empty for all, `repo`, `repo:tag`; a `*` at the
//! end of either part stands for whatever follows.

/// Longest scope, in bytes: a repository name, a colon, a tag.
pub const SCOPE_BYTES_MAX: usize = 384;

/// Whether a scope covers a repository, and a tag of it if one is concerned.
pub fn covers(scope: &str, repository: &str, tag: Option<&str>) -> bool {
    if scope.is_empty() {
        return true;
    }
    match scope.rsplit_once(':') {
        None => fits(scope, repository),
        Some((name, "*")) => fits(name, repository),
        // Without a tag, a scope that names one is not meant.
        Some((name, wanted)) => fits(name, repository) && tag.is_some_and(|tag| fits(wanted, tag)),
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => text.starts_with(beginning),
        None => text == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scope: &str, repository: &str, tag: Option<&str>, expected: bool) {
        assert_eq!(covers(scope, repository, tag), expected, "{scope} {repository} {tag:?}");
    }

    #[test]
    fn a_scope_covers_what_it_names() {
        check("", "a", None, true);
        check("a", "a", Some("1"), true);
        check("a", "a", None, true);
        check("a", "ab", None, false);
        check("a:*", "a", None, true);
        check("a:1", "a", Some("1"), true);
        check("a:1", "a", Some("10"), false);
        check("a:1", "a", None, false);
        check("a:v*", "a", Some("v2"), true);
        check("shop/*", "shop/web", Some("x"), true);
        check("shop/*", "shopping", None, false);
        check("shop/*:v*", "shop/web", Some("v1"), true);
        check("*", "anything", None, true);
    }
}
