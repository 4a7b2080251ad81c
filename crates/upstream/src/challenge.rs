//! `WWW-Authenticate`: what a registry asks for (RFC 9110, section 11.6.1;
//! Distribution, "Token Authentication").

/// What would open the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// Name and password.
    Basic,
    /// A token of this service.
    Bearer {
        /// Where tokens are given.
        realm: String,
        /// What the token service calls the registry.
        service: Option<String>,
        /// What the token must allow.
        scope: Option<String>,
    },
}

/// The strongest challenge among some headers: Bearer before Basic.
pub fn parse<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut basic = None;
    for header in headers {
        for (scheme, parameters) in challenges(header) {
            let find = |name: &str| {
                let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = find("realm")
            {
                return Some(Challenge::Bearer {
                    realm,
                    service: find("service"),
                    scope: find("scope"),
                });
            }
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            }
        }
    }
    basic
}

/// Every scheme of a header with its parameters. Commas separate both, so a
/// word followed by a blank begins a scheme and one followed by `=` does not.
fn challenges(header: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = header.trim_start_matches([' ', ',']);
    while !rest.is_empty() {
        let end = rest.find([' ', '=', ',']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if let Some(value) = after.strip_prefix('=') {
            let (value, after) = value_of(value);
            if let Some((_, parameters)) = found.last_mut() {
                parameters.push((word.to_owned(), value));
            }
            rest = after;
        } else {
            found.push((word.to_owned(), Vec::new()));
            rest = after;
        }
        rest = rest.trim_start_matches([' ', ',']);
    }
    found
}

/// A token or a quoted string, and what follows.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[&str], expected: Option<(&str, Option<&str>, Option<&str>)>) {
        let expected = expected.map(|(realm, service, scope)| Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        });
        assert_eq!(parse(headers.iter().copied()), expected, "{headers:?}");
    }

    #[test]
    fn challenges_of_known_registries() {
        check(
            &[
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/debian:pull""#,
            ],
            Some((
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
                Some("repository:library/debian:pull"),
            )),
        );
        check(
            &[
                r#"Bearer realm="https://h/oauth2/token",service="h",scope="repository:a:pull,push""#,
            ],
            Some(("https://h/oauth2/token", Some("h"), Some("repository:a:pull,push"))),
        );
        check(
            &[r#"bearer realm="https://quay.io/v2/auth", service="quay.io""#],
            Some(("https://quay.io/v2/auth", Some("quay.io"), None)),
        );
        check(&[r#"Basic realm="r", Bearer realm="https://t/""#], Some(("https://t/", None, None)));
        check(&["Basic realm=r", "Bearer realm=https://t"], Some(("https://t", None, None)));
        check(&[r#"Bearer service="no realm""#], None);
        check(&[], None);
        assert_eq!(parse(["Basic"].into_iter()), Some(Challenge::Basic));
    }

    #[test]
    fn anything_may_stand_there() {
        for text in
            ["", ",", "=", "\"", "Bearer realm=\"", "Bearer =,=", "a b c", "Bearer realm=\"\\"]
        {
            let _ = parse([text].into_iter());
        }
    }
}
