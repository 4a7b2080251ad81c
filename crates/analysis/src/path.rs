//! Names in an archive -> paths inside an image.

/// What an archive's name asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// A file, directory or link at this clean path; empty: the root.
    Entry(String),
    /// `.wh.NAME`: removes this clean path from the layers below.
    Whiteout(String),
    /// `.wh..wh..opq`: hides what the layers below have in this directory.
    Opaque(String),
    /// aufs's own bookkeeping, `.wh..wh.*`.
    Bookkeeping,
}

/// Why a name is no path of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It climbs out of the image.
    #[error("it leads out of the image")]
    Escapes,
    /// It is empty, or a whiteout of nothing.
    #[error("it is a whiteout that names no path")]
    OddWhiteout,
    /// Longer or deeper than is read.
    #[error("it is longer or deeper than any path that is read")]
    TooLong,
}

const WHITEOUT: &str = ".wh.";
const BOOKKEEPING: &str = ".wh..wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// Cleans a name: no leading slash, no empty, `.` or `..` names. Bytes that are
/// not UTF-8 are replaced; backslashes are ordinary characters.
pub fn clean(raw: &[u8], bytes_max: usize, depth_max: usize) -> Result<String, NameError> {
    if raw.len() > bytes_max {
        return Err(NameError::TooLong);
    }
    let text = String::from_utf8_lossy(raw);
    let mut names: Vec<&str> = Vec::new();
    for name in text.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop().ok_or(NameError::Escapes)?;
            }
            name => names.push(name),
        }
    }
    if names.len() > depth_max {
        return Err(NameError::TooLong);
    }
    Ok(names.join("/"))
}

/// Reads an entry's name with the whiteout conventions (OCI image-spec, "Layer
/// Changesets").
pub fn read_name(raw: &[u8], bytes_max: usize, depth_max: usize) -> Result<Named, NameError> {
    let path = clean(raw, bytes_max, depth_max)?;
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
    let Some(hidden) = name.strip_prefix(WHITEOUT) else {
        let bookkeeping = parent.split('/').any(|name| name.starts_with(BOOKKEEPING));
        return Ok(if bookkeeping { Named::Bookkeeping } else { Named::Entry(path) });
    };
    if name == OPAQUE {
        return Ok(Named::Opaque(parent.to_owned()));
    }
    if name.starts_with(BOOKKEEPING) {
        return Ok(Named::Bookkeeping);
    }
    match hidden {
        "" | "." | ".." => Err(NameError::OddWhiteout),
        _ if parent.is_empty() => Ok(Named::Whiteout(hidden.to_owned())),
        _ => Ok(Named::Whiteout(format!("{parent}/{hidden}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &[u8], expected: Result<Named, NameError>) {
        assert_eq!(read_name(raw, 4096, 256), expected, "{}", String::from_utf8_lossy(raw));
    }

    fn entry(path: &str) -> Result<Named, NameError> {
        Ok(Named::Entry(path.to_owned()))
    }

    #[test]
    fn names_become_clean_paths() {
        check(b"./a//b/", entry("a/b"));
        check(b"/a/./b", entry("a/b"));
        check(b"a/../b", entry("b"));
        check(b"./", entry(""));
        check(b"C:\\x", entry("C:\\x"));
        check(b"not-\xff", entry("not-\u{fffd}"));
        check(b"..", Err(NameError::Escapes));
        check(b"a/../../x", Err(NameError::Escapes));
        check(&b"d/".repeat(3000), Err(NameError::TooLong));
        check(&b"d/".repeat(1000), Err(NameError::TooLong));
    }

    #[test]
    fn whiteouts() {
        check(b"a/.wh.b", Ok(Named::Whiteout("a/b".into())));
        check(b".wh.b/", Ok(Named::Whiteout("b".into())));
        check(b"a/.wh..wh..opq", Ok(Named::Opaque("a".into())));
        check(b".wh..wh..opq", Ok(Named::Opaque(String::new())));
        check(b".wh..wh.plnk", Ok(Named::Bookkeeping));
        check(b".wh..wh.plnk/1.2", Ok(Named::Bookkeeping));
        for odd in [".wh.", ".wh..", "a/.wh..."] {
            check(odd.as_bytes(), Err(NameError::OddWhiteout));
        }
    }
}
