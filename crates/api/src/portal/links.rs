//! Addresses to read more at: only what a browser may follow.

/// Where one can read about an id.
pub(crate) fn link(id: &str) -> Option<String> {
    let safe = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let base = match id.split('-').next()? {
        "CVE" => "https://nvd.nist.gov/vuln/detail/",
        "GHSA" => "https://github.com/advisories/",
        "DSA" | "DLA" => "https://security-tracker.debian.org/tracker/",
        "PYSEC" | "GO" | "RUSTSEC" | "MAL" => "https://osv.dev/vulnerability/",
        _ => return None,
    };
    safe.then(|| format!("{base}{id}"))
}

/// Only what a browser may follow.
pub(crate) fn web_link(address: &str) -> Option<String> {
    let lower = address.to_ascii_lowercase();
    (lower.starts_with("https://") || lower.starts_with("http://")).then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, expected: Option<&str>) {
        assert_eq!(link(id).as_deref(), expected);
    }

    #[test]
    fn links_are_made_for_known_ids_only() {
        check("CVE-2024-1", Some("https://nvd.nist.gov/vuln/detail/CVE-2024-1"));
        check("DSA-5532-1", Some("https://security-tracker.debian.org/tracker/DSA-5532-1"));
        check("CVE-2024/../../x", None);
        check("", None);
        assert_eq!(web_link("javascript:alert(1)"), None);
        assert_eq!(web_link("HTTPS://a").as_deref(), Some("HTTPS://a"));
    }
}
