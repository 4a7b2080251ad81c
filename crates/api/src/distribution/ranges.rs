//! The `Range` header of RFC 9110, section 14.

use std::ops::Range;

/// Most ranges that are served one by one; a header with more is ignored.
/// Clients of zstd:chunked layers ask for hundreds at once.
const RANGES_MAX: usize = 1024;

/// What to send of some content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it: no header, or one that is malformed or not worth it.
    Whole,
    /// These parts, none empty, in the order asked for.
    Parts(Vec<Range<u64>>),
    /// Nothing that was asked for is there.
    Unsatisfiable,
}

/// Reads a `Range` header for content of `size` bytes.
pub(super) fn select(header: Option<&str>, size: u64) -> Selection {
    let Some(set) = header.and_then(|h| h.trim().strip_prefix("bytes=")) else {
        return Selection::Whole;
    };
    let (mut parts, mut asked, mut total) = (Vec::new(), 0, 0u64);
    for spec in set.split(',').map(str::trim).filter(|s| !s.is_empty()) {
        asked += 1;
        if asked > RANGES_MAX {
            return Selection::Whole;
        }
        match range(spec, size) {
            None => return Selection::Whole,
            Some(part) if part.is_empty() => {}
            Some(part) => {
                total = total.saturating_add(part.end - part.start);
                parts.push(part);
            }
        }
    }
    match parts.len() {
        0 if asked == 0 => Selection::Whole,
        0 => Selection::Unsatisfiable,
        // Overlapping ranges that add up to more than everything are an attack
        // or a mistake.
        n if n > 1 && total > size => Selection::Whole,
        _ => Selection::Parts(parts),
    }
}

/// One range, empty if it lies beyond the content; `None` if it is malformed.
fn range(spec: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = spec.split_once('-')?;
    if first.is_empty() {
        let suffix = number(last)?;
        return Some(size.saturating_sub(suffix)..size);
    }
    let first = number(first)?;
    let end = if last.is_empty() {
        size
    } else {
        let last = number(last)?;
        if last < first {
            // Malformed by the RFC; the conformance suite wants 416 for it.
            return Some(0..0);
        }
        last.saturating_add(1).min(size)
    };
    Some(first.min(end)..end)
}

/// Digits only; what does not fit is as large as can be.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, size: u64, expected: &str) {
        let selected = match select(Some(header), size) {
            Selection::Whole => "whole".to_owned(),
            Selection::Unsatisfiable => "416".to_owned(),
            Selection::Parts(parts) => parts
                .iter()
                .map(|p| format!("{}..{}", p.start, p.end))
                .collect::<Vec<_>>()
                .join(" "),
        };
        assert_eq!(selected, expected, "{header} of {size}");
    }

    #[test]
    fn one_range() {
        check("bytes=0-9", 100, "0..10");
        check("bytes=90-", 100, "90..100");
        check("bytes=-10", 100, "90..100");
        check("bytes=-500", 100, "0..100");
        check("bytes=90-500", 100, "90..100");
        check("bytes=0-99999999999999999999999", 100, "0..100");
        check("bytes=100-", 100, "416");
        check("bytes=100-200", 100, "416");
        check("bytes=9-2", 100, "416");
        check("bytes=-0", 100, "416");
        check("bytes=0-", 0, "416");
    }

    #[test]
    fn several_ranges() {
        check("bytes=0-0, -1", 100, "0..1 99..100");
        check("bytes=0-0,200-300", 100, "0..1");
        check("bytes=200-,300-", 100, "416");
        check("bytes=0-,0-,0-", 100, "whole");
        check(&format!("bytes={}", "0-0,".repeat(RANGES_MAX + 1)), 1 << 20, "whole");
    }

    #[test]
    fn what_is_malformed_is_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=a-b",
            "bytes=1",
            "bytes=--1",
            "bytes=+1-2",
            "items=0-1",
            "bytes=0-1,x",
        ] {
            check(header, 100, "whole");
        }
    }
}
