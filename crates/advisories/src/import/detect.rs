//! What a document is, by its contents.

use super::osv;

/// A document's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One OSV record (JSON).
    OsvRecord,
    /// Debian security tracker, `tracker/data/json`.
    DebianTracker,
    /// Debian's `data/DSA/list` or `data/DLA/list`.
    DebianList,
    /// Alpine's `main.json` or `community.json`.
    AlpineSecdb,
    /// CISA's catalogue of known exploited vulnerabilities (JSON).
    Kev,
    /// FIRST's daily scores (CSV).
    Epss,
    /// Debian's and Ubuntu's releases as distro-info-data has them (CSV).
    EndOfLife,
}

/// Bytes at either end that are searched for a format's marks.
const SNIFF_BYTES: usize = 8 << 10;
/// Largest document that is parsed to find out whether it is an OSV record.
const PROBE_BYTES_MAX: usize = 32 << 20;

impl Format {
    /// `None`: no format known here.
    pub fn detect(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let head = &bytes[..bytes.len().min(SNIFF_BYTES)];
        let tail = &bytes[bytes.len().saturating_sub(SNIFF_BYTES)..];
        let has = |mark: &str| contains(head, mark.as_bytes()) || contains(tail, mark.as_bytes());
        let first = bytes.iter().find(|b| !b.is_ascii_whitespace())?;
        match first {
            b'{' if has("\"catalogVersion\"") && has("\"vulnerabilities\"") => Some(Self::Kev),
            b'{' if has("\"packages\"") && has("\"reponame\"") && has("\"distroversion\"") => {
                Some(Self::AlpineSecdb)
            }
            b'{' if contains(head, b"\"releases\"")
                && contains(head, b"\"status\"")
                && contains(head, b"\"urgency\"") =>
            {
                Some(Self::DebianTracker)
            }
            b'{' if bytes.len() <= PROBE_BYTES_MAX && has("\"id\"") && osv::is_record(bytes) => {
                Some(Self::OsvRecord)
            }
            b'[' => {
                let line = head.split(|b| *b == b'\n').next()?;
                let advisory =
                    [" DSA-", " DLA-", " DTSA-"].iter().any(|mark| contains(line, mark.as_bytes()));
                (advisory && line.contains(&b']')).then_some(Self::DebianList)
            }
            b'#' if head.starts_with(b"#model_version") => Some(Self::Epss),
            b'c' if head.starts_with(b"cve,epss,percentile") => Some(Self::Epss),
            b'v' if head.starts_with(b"version,codename,series,") => Some(Self::EndOfLife),
            _ => None,
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Format>) {
        assert_eq!(Format::detect(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn contents_tell() {
        check(r#"{"id":"A","modified":"x","affected":[]}"#, Some(Format::OsvRecord));
        check(r#"{"id":"A","modified":"x"}"#, None);
        check(r#"{"id":"A","modified":"x","affected":["#, None);
        check(
            r#"{"a":{"CVE-1":{"releases":{"sid":{"status":"open","urgency":"low"}}}}}"#,
            Some(Format::DebianTracker),
        );
        check("[30 Jun 2026] DSA-6374-1 nginx - security update\n", Some(Format::DebianList));
        check("[1]", None);
        check(
            r#"{"reponame":"main","packages":[],"distroversion":"v3.18"}"#,
            Some(Format::AlpineSecdb),
        );
        check(r#"{"catalogVersion":"1","vulnerabilities":[]}"#, Some(Format::Kev));
        check("#model_version:v1,score_date:2026-01-01\ncve,epss,percentile\n", Some(Format::Epss));
        check("version,codename,series,created,release,eol\n", Some(Format::EndOfLife));
        check("", None);
        check("MODIFIED,ID", None);
    }
}
