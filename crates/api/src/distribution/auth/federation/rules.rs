//! Which claims of an identity give which role.

use access::{Role, RoleScope};
use serde_json::{Map, Value};

/// Why a rule cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It would hold for whoever the issuer knows.
    #[error(
        "a rule needs at least one claim; write sub = \"*\" if everybody whom the issuer knows is meant"
    )]
    NoClaims,
}

/// A role for whoever has certain claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Name and pattern of each claim; all must match.
    claims: Vec<(String, String)>,
    /// The role.
    pub role: Role,
    /// Where it holds.
    scope: RoleScope,
}

impl Rule {
    /// A rule over at least one claim. In a pattern `*` stands for any text.
    pub fn new(
        claims: Vec<(String, String)>,
        role: Role,
        scope: RoleScope,
    ) -> Result<Self, RuleError> {
        if claims.is_empty() { Err(RuleError::NoClaims) } else { Ok(Self { claims, role, scope }) }
    }

    /// Whether claims fit.
    pub(super) fn matches(&self, claims: &Map<String, Value>) -> bool {
        self.claims
            .iter()
            .all(|(name, pattern)| claims.get(name).is_some_and(|value| fits_value(pattern, value)))
    }

    pub(super) fn scope(&self) -> &str {
        self.scope.as_str()
    }
}

/// Of a list, any element.
fn fits_value(pattern: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => fits(pattern, text),
        Value::Bool(_) | Value::Number(_) => fits(pattern, &value.to_string()),
        Value::Array(values) => {
            values.iter().any(|v| v.as_str().is_some_and(|text| fits(pattern, text)))
        }
        Value::Null | Value::Object(_) => false,
    }
}

/// Whether a text is the pattern, where `*` stands for any text. Each part is
/// looked for once, so the time is that of a few searches.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(pattern: &str, value: Value, expected: bool) {
        assert_eq!(fits_value(pattern, &value), expected, "{pattern:?} {value}");
    }

    #[test]
    fn patterns_fit_whole_values() {
        check("a", json!("a"), true);
        check("a", json!("ab"), false);
        check("*", json!(""), true);
        check("a*", json!("abc"), true);
        check("*c", json!("abc"), true);
        check("a*c", json!("abc"), true);
        check("a*c", json!("abcd"), false);
        check("a*b*c", json!("a-b-b-c"), true);
        check("ab*b", json!("ab"), false);
        check("repo:acme/*:ref:refs/heads/main", json!("repo:acme/web:ref:refs/heads/main"), true);
        check("repo:acme/*:ref:refs/heads/main", json!("repo:evil/web:ref:refs/heads/main"), false);
        check("é*", json!("éa"), true);
        check("true", json!(true), true);
        check("7", json!(7), true);
        check("admins", json!(["users", "admins"]), true);
        check("admins", json!(["users"]), false);
        check("*", json!(null), false);
        check("*", json!({"a": "b"}), false);
    }

    #[test]
    fn every_claim_of_a_rule_must_fit() {
        let rule = |claims: &[(&str, &str)]| {
            let claims = claims.iter().map(|(n, p)| ((*n).to_owned(), (*p).to_owned())).collect();
            Rule::new(claims, Role::AcrPull, RoleScope::root())
        };
        assert_eq!(rule(&[]), Err(RuleError::NoClaims));
        let both = rule(&[("sub", "a*"), ("ref", "main")]).unwrap();
        let claims = |value: Value| both.matches(value.as_object().unwrap());
        assert!(claims(json!({"sub": "ab", "ref": "main", "more": 1})));
        assert!(!claims(json!({"sub": "ab", "ref": "dev"})));
        assert!(!claims(json!({"sub": "ab"})));
    }
}
