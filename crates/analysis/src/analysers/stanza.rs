//! Records of lines with an empty line between them: the shape that dpkg's and
//! apk's databases share.

/// Splits a database into its records, each a run of lines that are not empty.
pub fn stanzas(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let mut end = 0;
            let mut next = rest.len();
            let mut at = 0;
            while at < rest.len() {
                let line_end =
                    rest[at..].iter().position(|&b| b == b'\n').map_or(rest.len(), |n| at + n + 1);
                if rest[at..line_end].trim_ascii().is_empty() {
                    next = line_end;
                    break;
                }
                end = line_end;
                at = line_end;
            }
            let stanza = &rest[..end];
            rest = &rest[next..];
            if !stanza.is_empty() {
                return Some(stanza);
            }
        }
    })
}

/// The lines of a record, without their line ends.
pub fn lines(stanza: &[u8]) -> impl Iterator<Item = &[u8]> {
    stanza.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<_> =
            stanzas(text.as_bytes()).map(|s| String::from_utf8_lossy(s).into_owned()).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn empty_lines_part_records() {
        check("a\nb\n\nc\n", &["a\nb\n", "c\n"]);
        check("\n\n \na", &["a"]);
        check("a\n\n\n\nb\n\n", &["a\n", "b\n"]);
        check("", &[]);
        check("a\r\n\r\nb", &["a\r\n", "b"]);
    }
}
