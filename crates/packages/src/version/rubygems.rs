//! RubyGems: `Gem::Version`.

use std::cmp::Ordering;

use super::digits;

/// Compares as `Gem::Version#<=>` does. A hyphen begins a pre-release.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (segments(a)?, segments(b)?);
    let order = (0..a.len().max(b.len()))
        .map(|index| cmp_segments(a.get(index).unwrap_or(&ZERO), b.get(index).unwrap_or(&ZERO)))
        .find(|order| order.is_ne());
    Some(order.unwrap_or(Ordering::Equal))
}

/// A run of digits or of letters.
type Segment<'a> = &'a [u8];

const ZERO: Segment<'static> = b"0";

/// The segments without the zeros that say nothing: those before the first
/// word and those at the end.
fn segments(text: &str) -> Option<Vec<Segment<'_>>> {
    let text = text.trim_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    if text.is_empty() {
        return Some(Vec::new());
    }
    let (release, pre_release) = match text.split_once('-') {
        Some((release, pre_release)) => (release, Some(pre_release)),
        None => (text, None),
    };
    let begins_with_number = digits::is_number(release.split('.').next()?.as_bytes());
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric());
    let is_pre = |part: &str| {
        !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    if !begins_with_number
        || !release.split('.').all(is_part)
        || !pre_release.is_none_or(|pre| pre.split('.').all(is_pre))
    {
        return None;
    }
    let mut numbers = Vec::new();
    let mut words = Vec::new();
    let mut rest = text.as_bytes();
    while let [c, tail @ ..] = rest {
        let segment: Segment<'_> = match c {
            b'.' => {
                rest = tail;
                continue;
            }
            b'-' => {
                rest = tail;
                b"pre"
            }
            c => {
                let same =
                    |d: &&u8| d.is_ascii_alphanumeric() && d.is_ascii_digit() == c.is_ascii_digit();
                let segment;
                (segment, rest) = rest.split_at(rest.iter().take_while(same).count());
                segment
            }
        };
        let list =
            if words.is_empty() && digits::is_number(segment) { &mut numbers } else { &mut words };
        list.push(segment);
    }
    drop_zeros(&mut numbers);
    drop_zeros(&mut words);
    numbers.append(&mut words);
    Some(numbers)
}

fn drop_zeros(segments: &mut Vec<Segment<'_>>) {
    let is_zero = |segment: &Segment<'_>| segment.iter().all(|c| *c == b'0');
    while segments.last().is_some_and(is_zero) {
        segments.pop();
    }
}

/// Words come before numbers.
fn cmp_segments(a: &Segment<'_>, b: &Segment<'_>) -> Ordering {
    match (digits::is_number(a), digits::is_number(b)) {
        (true, true) => digits::compare(a, b),
        (false, false) => a.cmp(b),
        (a, b) => a.cmp(&b),
    }
}
