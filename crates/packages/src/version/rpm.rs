//! RPM: `[epoch:]version[-release]` under rpmvercmp, with `~` and `^`.

use std::cmp::Ordering;

use super::digits;

/// Compares as rpm's `rpmverCmp` does: no epoch is epoch 0, no release comes
/// before any release. Any text but the empty one is a version to rpm.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    Some(
        digits::compare(a.epoch, b.epoch)
            .then_with(|| compare_part(a.version, b.version))
            .then_with(|| match (a.release, b.release) {
                (Some(a), Some(b)) => compare_part(a, b),
                (a, b) => a.is_some().cmp(&b.is_some()),
            }),
    )
}

struct Version<'a> {
    epoch: &'a [u8],
    version: &'a [u8],
    release: Option<&'a [u8]>,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if text.is_empty() || text.contains('\0') {
            return None;
        }
        let (epoch, rest) = match digits::split(text.as_bytes()) {
            (epoch, [b':', rest @ ..]) => (epoch, rest),
            _ => (&b""[..], text.as_bytes()),
        };
        let (version, release) = match rest.iter().rposition(|c| *c == b'-') {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        Some(Self { epoch, version, release })
    }
}

/// Walks segments of digits and of letters; everything else only separates,
/// save `~`, which sorts before the end, and `^`, which sorts just behind it.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        (a, b) = (skip_separators(a), skip_separators(b));
        match (a.first(), b.first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                (a, b) = (&a[1..], &b[1..]);
                continue;
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (Some(b'^'), None) => return Ordering::Greater,
            (None, Some(b'^')) => return Ordering::Less,
            (Some(b'^'), Some(_)) => return Ordering::Less,
            (Some(_), Some(b'^')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() != y.is_ascii_digit() => {
                // Digits beat letters.
                return x.is_ascii_digit().cmp(&y.is_ascii_digit());
            }
            (Some(x), Some(_)) => {
                let numeric = x.is_ascii_digit();
                let split = if numeric { digits::split } else { split_letters };
                let ((segment_a, rest_a), (segment_b, rest_b)) = (split(a), split(b));
                let order = if numeric {
                    digits::compare(segment_a, segment_b)
                } else {
                    segment_a.cmp(segment_b)
                };
                if order != Ordering::Equal {
                    return order;
                }
                (a, b) = (rest_a, rest_b);
            }
        }
    }
}

fn skip_separators(text: &[u8]) -> &[u8] {
    let separates = |c: &&u8| !c.is_ascii_alphanumeric() && !matches!(c, b'~' | b'^');
    &text[text.iter().take_while(separates).count()..]
}

fn split_letters(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|c| c.is_ascii_alphabetic()).count())
}
