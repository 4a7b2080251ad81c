//! Rules: which repository here stands for which one elsewhere.

use oci::RepositoryName;
use store::{CacheRule, CredentialSet};

use crate::upstream::{Credentials, Patience, Remote, RemoteNameError, parse_repository};

/// Longest name of a rule or credential set, in bytes.
pub const RULE_NAME_BYTES_MAX: usize = 64;

/// Why a rule is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Names are part of addresses.
    #[error("the name {0:?} is not 1 to {RULE_NAME_BYTES_MAX} letters, digits, '-', '_' or '.'")]
    Name(String),
    /// The source names no registry.
    #[error("source: {0}")]
    Source(#[from] RemoteNameError),
    /// The target is no repository and no pattern of some.
    #[error("target {0:?} is neither a repository nor a pattern such as hub/*")]
    Target(String),
    /// One names many repositories and the other one.
    #[error("source and target must both end in /* or both name one repository")]
    Uneven,
}

/// A text that ends in `/*` or names one thing.
fn prefix(pattern: &str) -> Option<&str> {
    pattern.strip_suffix('*').filter(|prefix| prefix.ends_with('/'))
}

/// Checks a rule before it is stored.
pub fn check(rule: &CacheRule) -> Result<(), RuleError> {
    check_name(&rule.name)?;
    match (prefix(&rule.source), prefix(&rule.target)) {
        (Some(source), Some(target)) => {
            // Any repository below it shows whether the rest is right.
            parse_repository(&format!("{source}a"))?;
            RepositoryName::parse(&format!("{target}a"))
                .map_err(|_| RuleError::Target(rule.target.clone()))?;
        }
        (None, None) => {
            parse_repository(&rule.source)?;
            RepositoryName::parse(&rule.target)
                .map_err(|_| RuleError::Target(rule.target.clone()))?;
        }
        _ => return Err(RuleError::Uneven),
    }
    Ok(())
}

/// Checks the name of a rule or credential set.
pub fn check_name(name: &str) -> Result<(), RuleError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if (1..=RULE_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(RuleError::Name(name.chars().take(RULE_NAME_BYTES_MAX).collect()))
}

/// Every rule with its login, as it is in force.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    /// The longest target first: it is the most particular.
    rules: Vec<(CacheRule, Option<Credentials>)>,
}

impl Rules {
    pub fn new(rules: Vec<CacheRule>, sets: &[CredentialSet]) -> Self {
        let login = |rule: &CacheRule| {
            let set = sets.iter().find(|set| Some(&set.name) == rule.credential_set.as_ref())?;
            let (username, password) = (set.login.username.clone(), set.login.password.clone());
            Some(Credentials { username, password })
        };
        let mut rules: Vec<_> =
            rules.into_iter().map(|rule| (rule.clone(), login(&rule))).collect();
        rules.sort_by_key(|(rule, _)| std::cmp::Reverse(rule.target.len()));
        Self { rules }
    }

    /// The rule for a repository here, and what the repository stands for.
    pub fn find(&self, repository: &RepositoryName) -> Option<(&CacheRule, Remote)> {
        self.rules.iter().find_map(|(rule, credentials)| {
            let source = match prefix(&rule.target) {
                Some(target) => {
                    let rest = repository.as_str().strip_prefix(target)?;
                    format!("{}{rest}", prefix(&rule.source)?)
                }
                None if rule.target == repository.as_str() => rule.source.clone(),
                None => return None,
            };
            let (host, repository) = parse_repository(&source).ok()?;
            let credentials = credentials.clone();
            Some((rule, Remote { host, repository, credentials, patience: Patience::Client }))
        })
    }

    /// The repository here that stands for one elsewhere.
    pub fn translate(&self, host: &str, repository: &RepositoryName) -> Option<RepositoryName> {
        let wanted = format!("{host}/{repository}");
        self.rules.iter().find_map(|(rule, _)| {
            let target = match (prefix(&rule.source), prefix(&rule.target)) {
                (Some(source), Some(target)) => {
                    format!("{target}{}", wanted.strip_prefix(source)?)
                }
                _ if rule.source == wanted => rule.target.clone(),
                _ => return None,
            };
            RepositoryName::parse(&target).ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    fn rule(source: &str, target: &str) -> CacheRule {
        CacheRule {
            name: "r".into(),
            source: source.into(),
            target: target.into(),
            credential_set: None,
            created_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn rules_are_pairs_of_names_or_of_patterns() {
        let check = |source: &str, target: &str, valid: bool| {
            assert_eq!(super::check(&rule(source, target)).is_ok(), valid, "{source} {target}");
        };
        check("docker.io/library/*", "hub/*", true);
        check("docker.io/*", "hub/*", true);
        check("mcr.microsoft.com/dotnet/sdk", "sdk", true);
        check("docker.io/library/*", "hub", false);
        check("docker.io/library/debian", "hub/*", false);
        check("library/*", "hub/*", false);
        check("docker.io/library/*", "*", false);
        check("docker.io/lib*", "hub*", false);
        check("docker.io/library/*", "HUB/*", false);
    }

    #[test]
    fn the_most_particular_rule_counts() {
        let rules = [rule("docker.io/*", "hub/*"), rule("quay.io/x/debian", "hub/debian")];
        let rules = Rules::new(rules.into(), &[]);
        let check = |here: &str, there: Option<&str>| {
            let found = rules.find(&RepositoryName::parse(here).unwrap());
            assert_eq!(found.map(|(_, remote)| remote.to_string()).as_deref(), there, "{here}");
        };
        check("hub/debian", Some("quay.io/x/debian"));
        check("hub/alpine", Some("docker.io/library/alpine"));
        check("hub/grafana/loki", Some("docker.io/grafana/loki"));
        check("hub", None);
        check("hubs/x", None);
        let back = |host: &str, there: &str, here: Option<&str>| {
            let found = rules.translate(host, &RepositoryName::parse(there).unwrap());
            assert_eq!(found.as_ref().map(RepositoryName::as_str), here, "{host}/{there}");
        };
        back("docker.io", "library/alpine", Some("hub/library/alpine"));
        back("quay.io", "x/debian", Some("hub/debian"));
        back("quay.io", "x/other", None);
    }
}
