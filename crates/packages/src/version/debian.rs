//! Debian: deb-version(7), with dpkg's leniency and dpkg's refusals.
//!
//! dpkg refuses less than its manual says: a strange character or a missing
//! first digit only earns a warning, and the comparison goes on. We follow the
//! tool, since packages with such versions were built and installed.

use std::cmp::Ordering;

use super::digits;

/// Greatest epoch that dpkg takes (INT_MAX).
const EPOCH_MAX: &[u8] = b"2147483647";

/// What dpkg writes for a package that has no version.
const UNKNOWN: &str = "<unknown>";

/// Compares as `dpkg --compare-versions` does. An absent version (the empty
/// text) comes before every other.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    if a.is_absent() || b.is_absent() {
        return Some(b.is_absent().cmp(&a.is_absent()));
    }
    Some(
        digits::compare(a.epoch, b.epoch)
            .then_with(|| compare_part(a.upstream, b.upstream))
            .then_with(|| compare_part(a.revision, b.revision)),
    )
}

struct Version<'a> {
    epoch: &'a [u8],
    upstream: &'a [u8],
    revision: &'a [u8],
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if text.is_empty() || text == UNKNOWN {
            return Some(Self { epoch: b"", upstream: b"", revision: b"" });
        }
        let text = text.trim_matches([' ', '\t']);
        // A NUL cannot reach dpkg; it ends a C string.
        if text.is_empty() || text.contains([' ', '\t', '\0']) {
            return None;
        }
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) => (read_epoch(epoch.as_bytes())?, rest.as_bytes()),
            None => (&b""[..], text.as_bytes()),
        };
        let (upstream, revision) = match rest.iter().rposition(|c| *c == b'-') {
            Some(at) if at + 1 == rest.len() => return None,
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, &b""[..]),
        };
        (!upstream.is_empty()).then_some(Self { epoch, upstream, revision })
    }

    fn is_absent(&self) -> bool {
        self.upstream.is_empty()
    }
}

/// dpkg reads the epoch with strtol: blanks of other kinds and a sign pass.
fn read_epoch(text: &[u8]) -> Option<&[u8]> {
    let blanks = text.iter().take_while(|c| matches!(c, b'\n' | 0x0b | 0x0c | b'\r')).count();
    let (negative, number) = match &text[blanks..] {
        [b'-', number @ ..] => (true, number),
        [b'+', number @ ..] => (false, number),
        number => (false, number),
    };
    let zero = || digits::compare(number, b"0") == Ordering::Equal;
    let in_range = digits::compare(number, EPOCH_MAX) != Ordering::Greater;
    (digits::is_number(number) && in_range && (!negative || zero())).then_some(number)
}

/// Alternates between runs of other characters and runs of digits.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let other = |text: &[u8]| text.first().is_some_and(|c| !c.is_ascii_digit());
        while other(a) || other(b) {
            let order = weight(a.first()).cmp(&weight(b.first()));
            if order != Ordering::Equal {
                return order;
            }
            // Equal weights other than zero: both have a character here.
            (a, b) = (&a[1..], &b[1..]);
        }
        let (number_a, rest_a) = digits::split(a);
        let (number_b, rest_b) = digits::split(b);
        let order = digits::compare(number_a, number_b);
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

/// `~` before the end, the end and digits before letters, letters before all
/// else. Bytes beyond ASCII are negative chars on the machines dpkg mostly
/// runs on, and so fall between letters and punctuation.
fn weight(c: Option<&u8>) -> i32 {
    match c {
        None => 0,
        Some(b'~') => -1,
        Some(c) if c.is_ascii_digit() => 0,
        Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
        Some(c) => i32::from(*c as i8) + 256,
    }
}
