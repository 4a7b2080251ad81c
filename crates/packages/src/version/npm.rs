//! npm: node-semver, strict mode, with its limits.

use std::cmp::Ordering;

use super::digits;
use super::semver::{Form, IdentifierOrder, Semver};

/// Longest version that node-semver reads, in UTF-16 units, blanks included.
const LENGTH_MAX: usize = 256;

/// Greatest major, minor and patch (`Number.MAX_SAFE_INTEGER`).
const NUMBER_MAX: &[u8] = b"9007199254740991";

/// Compares as `semver.compare(a, b)` does.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(parse(a)?.compare_with(&parse(b)?, compare_identifiers))
}

fn parse(text: &str) -> Option<Semver<'_>> {
    // A UTF-16 unit takes one byte at least and three at most.
    if text.len() > 3 * LENGTH_MAX || text.encode_utf16().count() > LENGTH_MAX {
        return None;
    }
    let text = text.trim_matches(is_blank);
    let version = Semver::parse(text.strip_prefix('v').unwrap_or(text), Form::Full)?;
    let safe = |number: &&[u8]| digits::compare(number, NUMBER_MAX) != Ordering::Greater;
    version.numbers.iter().all(safe).then_some(version)
}

/// What `String.prototype.trim` removes: a byte order mark, but not U+0085.
fn is_blank(c: char) -> bool {
    c == '\u{feff}' || (c != '\u{85}' && c.is_whitespace())
}

/// node-semver holds a pre-release number in a double. Beyond 2^53 two that
/// are written differently can be one double, and the comparison then ends as
/// equal there, whatever follows. Agreement with the tool is worth more here
/// than an order that npm itself would not use.
fn compare_identifiers(a: &[u8], b: &[u8]) -> IdentifierOrder {
    if a == b {
        return IdentifierOrder::Same;
    }
    IdentifierOrder::Decided(match (digits::is_number(a), digits::is_number(b)) {
        (true, true) => double(a).total_cmp(&double(b)),
        (false, false) => a.cmp(b),
        (a, b) => b.cmp(&a),
    })
}

fn double(digits: &[u8]) -> f64 {
    // `LENGTH_MAX` digits are far below the greatest double.
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::INFINITY)
}
