//! The address of a PostgreSQL database, which may hold a password.

use std::fmt;
use std::str::FromStr;

use anyhow::bail;
use serde::Deserialize;

/// What such an address begins with.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Printed without its password, wherever it turns up.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Whole, for who connects.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        if !SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
            bail!("the address of a database is postgres://user:password@host/database");
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for DatabaseUrl {
    type Error = anyhow::Error;

    fn try_from(text: String) -> anyhow::Result<Self> {
        text.parse()
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Parameters may hold one, too: `?password=`.
        let without = self.0.split('?').next().unwrap_or_default();
        let Some((scheme, rest)) = without.split_once("://") else { return f.write_str("?") };
        match rest.rsplit_once('@') {
            Some((who, place)) => {
                let user = who.split(':').next().unwrap_or_default();
                write!(f, "{scheme}://{user}@{place}")
            }
            None => write!(f, "{scheme}://{rest}"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, shown: &str) {
        let url: DatabaseUrl = url.parse().unwrap();
        assert_eq!(format!("{url}"), shown);
        assert_eq!(format!("{url:?}"), shown);
    }

    #[test]
    fn a_password_is_never_shown() {
        check("postgres://a:b@c/d", "postgres://a@c/d");
        check("postgres://a:b@@c:1/d?sslmode=disable&password=e", "postgres://a@c:1/d");
        check("postgresql://c/d?user=a", "postgresql://c/d");
        check("postgres://?password=b", "postgres://");
    }

    #[test]
    fn other_databases_are_refused_without_repeating_them() {
        let error = "mysql://a:b@c/d".parse::<DatabaseUrl>().unwrap_err().to_string();
        assert!(error.contains("postgres://") && !error.contains("a:b"));
    }
}
