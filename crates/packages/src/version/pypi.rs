//! PyPI: PEP 440 as PyPA `packaging` reads it, all spellings included.

use std::cmp::Ordering;

use super::digits;

/// Compares as `packaging.version.Version` does. Legacy versions have no order.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(Version::parse(a)?.cmp_to(&Version::parse(b)?))
}

/// Pre-release kinds in ascending order; `DevOnly` is a development release
/// of the final version, before its first alpha.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    DevOnly,
    Alpha,
    Beta,
    Candidate,
    Final,
}

/// Spellings of a pre-release; a longer one stands before its own beginning.
const PHASES: [(&str, Phase); 8] = [
    ("alpha", Phase::Alpha),
    ("a", Phase::Alpha),
    ("beta", Phase::Beta),
    ("b", Phase::Beta),
    ("preview", Phase::Candidate),
    ("pre", Phase::Candidate),
    ("c", Phase::Candidate),
    ("rc", Phase::Candidate),
];

/// Spellings of a post-release, likewise.
const POSTS: [(&str, ()); 3] = [("post", ()), ("rev", ()), ("r", ())];

struct Version<'a> {
    epoch: &'a [u8],
    /// Numbers with dots between them.
    release: &'a [u8],
    phase: Phase,
    /// Of the pre-release; an absent number is zero.
    phase_number: &'a [u8],
    post: Option<&'a [u8]>,
    dev: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_matches(is_blank).as_bytes();
        let text = strip_word(text, "v").unwrap_or(text);
        let (epoch, rest) = match digits::split(text) {
            (epoch, [b'!', rest @ ..]) if !epoch.is_empty() => (epoch, rest),
            _ => (&b""[..], text),
        };
        let (release, rest) = read_release(rest)?;
        let (pre, rest) = read_segment(rest, &PHASES);
        let (post, rest) = read_post(rest);
        let (dev, rest) = read_segment(rest, &[("dev", ())]);
        let local = match rest {
            [] => None,
            [b'+', local @ ..] if local.split(is_separator).all(is_local_part) => Some(local),
            _ => return None,
        };
        let dev = dev.map(|((), number)| number);
        let (phase, phase_number) = pre.unwrap_or(match (post, dev) {
            (None, Some(_)) => (Phase::DevOnly, b""),
            _ => (Phase::Final, b""),
        });
        Some(Self { epoch, release, phase, phase_number, post, dev, local })
    }

    fn cmp_to(&self, other: &Self) -> Ordering {
        digits::compare(self.epoch, other.epoch)
            .then_with(|| compare_releases(self.release, other.release))
            .then_with(|| self.phase.cmp(&other.phase))
            .then_with(|| digits::compare(self.phase_number, other.phase_number))
            // A post-release follows what it is a release of ...
            .then_with(|| self.post.is_some().cmp(&other.post.is_some()))
            .then_with(|| digits::compare(self.post.unwrap_or(b""), other.post.unwrap_or(b"")))
            // ... and a development release comes before.
            .then_with(|| self.dev.is_none().cmp(&other.dev.is_none()))
            .then_with(|| digits::compare(self.dev.unwrap_or(b""), other.dev.unwrap_or(b"")))
            .then_with(|| compare_locals(self.local, other.local))
    }
}

/// Python's `\s`: Unicode blanks and the four ASCII separators.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn is_separator(c: &u8) -> bool {
    matches!(c, b'.' | b'_' | b'-')
}

fn is_local_part(part: &[u8]) -> bool {
    !part.is_empty() && part.iter().all(u8::is_ascii_alphanumeric)
}

fn strip_word<'a>(text: &'a [u8], word: &str) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word.as_bytes()).then_some(rest)
}

fn strip_separator(text: &[u8]) -> &[u8] {
    match text {
        [c, rest @ ..] if is_separator(c) => rest,
        _ => text,
    }
}

/// Reads `1.2.3`; a dot that no digit follows is left for the next segment.
fn read_release(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut end = digits::split(text).0.len();
    if end == 0 {
        return None;
    }
    while let [b'.', rest @ ..] = &text[end..] {
        match digits::split(rest).0.len() {
            0 => break,
            length => end += 1 + length,
        }
    }
    Some(text.split_at(end))
}

/// A word with its meaning and the number behind it.
type Segment<'a, T> = Option<(T, &'a [u8])>;

/// Reads `[sep] word [sep] [number]`, or nothing.
fn read_segment<'a, T: Copy>(text: &'a [u8], words: &[(&str, T)]) -> (Segment<'a, T>, &'a [u8]) {
    let start = strip_separator(text);
    let found = words.iter().find_map(|(word, kind)| Some((*kind, strip_word(start, word)?)));
    match found {
        Some((kind, rest)) => {
            let (number, rest) = digits::split(strip_separator(rest));
            (Some((kind, number)), rest)
        }
        None => (None, text),
    }
}

/// A post-release may also be written `-N`.
fn read_post(text: &[u8]) -> (Option<&[u8]>, &[u8]) {
    if let [b'-', rest @ ..] = text
        && let (number @ [_, ..], rest) = digits::split(rest)
    {
        return (Some(number), rest);
    }
    let (segment, rest) = read_segment(text, &POSTS);
    (segment.map(|((), number)| number), rest)
}

/// Number by number; missing ones are zero.
fn compare_releases(a: &[u8], b: &[u8]) -> Ordering {
    let (mut a, mut b) = (a.split(|c| *c == b'.'), b.split(|c| *c == b'.'));
    loop {
        let (x, y) = (a.next(), b.next());
        if x.is_none() && y.is_none() {
            return Ordering::Equal;
        }
        let order = digits::compare(x.unwrap_or(b""), y.unwrap_or(b""));
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// No local version comes first; then part by part, words before numbers.
fn compare_locals(a: Option<&[u8]>, b: Option<&[u8]>) -> Ordering {
    let (a, b) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (a, b) => return a.is_some().cmp(&b.is_some()),
    };
    let (mut a, mut b) = (a.split(is_separator), b.split(is_separator));
    loop {
        let (x, y) = match (a.next(), b.next()) {
            (Some(x), Some(y)) => (x, y),
            (x, y) => return x.is_some().cmp(&y.is_some()),
        };
        let order = match (digits::is_number(x), digits::is_number(y)) {
            (true, true) => digits::compare(x, y),
            (false, false) => x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase()),
            (x, y) => x.cmp(&y),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}
