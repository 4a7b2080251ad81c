//! Percent-encoding as purl-spec has it.

use std::fmt::Write;

use super::PurlError;

/// Whether `/` separates segments of the text or belongs to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Allow {
    /// Only what every part may have.
    Nothing,
    /// `/` as well.
    Slash,
}

/// Leaves letters, digits and `.-_~:` as they are.
pub(super) fn encode(text: &str, allow: Allow) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.bytes() {
        match c {
            b'.' | b'-' | b'_' | b'~' | b':' => out.push(char::from(c)),
            b'/' if allow == Allow::Slash => out.push('/'),
            c if c.is_ascii_alphanumeric() => out.push(char::from(c)),
            // Writing to a string cannot fail.
            c => drop(write!(out, "%{c:02X}")),
        }
    }
    out
}

/// Undoes it. `+` is a plus sign: purls are not forms.
pub(super) fn decode(text: &str) -> Result<String, PurlError> {
    let invalid = || PurlError::InvalidEncoding(text.to_owned());
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [c, tail @ ..] = rest {
        rest = tail;
        if *c != b'%' {
            out.push(*c);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return Err(invalid()) };
        let digit = |c: u8| char::from(c).to_digit(16);
        let (high, low) = digit(*high).zip(digit(*low)).ok_or_else(invalid)?;
        out.push((high * 16 + low) as u8);
        rest = tail;
    }
    String::from_utf8(out).map_err(|_| invalid())
}
