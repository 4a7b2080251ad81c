//! Alpine: `digit{.digit}{letter}{_suffix{number}}{~hash}{-r#}`, ordered as
//! apk-tools 3 does.
//!
//! A malformed version (`6.7.1p1-r1` in Alpine's own security database) is
//! compared up to its fault, as apk does; where nothing before the fault
//! decides, apk guesses and we do not.

use std::cmp::Ordering;

use super::digits;

/// Compares as `apk version --test` does.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a.as_bytes()), Version::parse(b.as_bytes()));
    let decided = a.tokens.iter().zip(&b.tokens).map(|(x, y)| x.cmp_to(y)).find(|o| o.is_ne());
    if decided.is_some() {
        return decided;
    }
    // All tokens of the shorter are equal to the longer's: a pre-release
    // suffix that follows makes the longer one smaller, anything else greater.
    match (a.tokens.get(b.tokens.len()), b.tokens.get(a.tokens.len())) {
        (Some(next), _) if b.is_whole => Some(next.cmp_to_end()),
        (_, Some(next)) if a.is_whole => Some(next.cmp_to_end().reverse()),
        (None, None) if a.is_whole && b.is_whole => Some(Ordering::Equal),
        _ => None,
    }
}

/// Suffix names in ascending order, and where the plain version stands.
const SUFFIXES: [&[u8]; 9] =
    [b"alpha", b"beta", b"pre", b"rc", b"cvs", b"svn", b"git", b"hg", b"p"];
const PRE_RELEASES: usize = 4;

#[derive(Debug, Clone, Copy)]
enum Token<'a> {
    /// The number a version begins with.
    First(&'a [u8]),
    /// A number behind a dot.
    Number(&'a [u8]),
    Letter(u8),
    /// Index into `SUFFIXES`.
    Suffix(usize),
    SuffixNumber(&'a [u8]),
    Hash(&'a [u8]),
    Revision(&'a [u8]),
}

impl Token<'_> {
    /// Position in the grammar; nothing moves backwards, and where two
    /// versions differ in kind the earlier kind is the greater version.
    fn rank(&self) -> u8 {
        match self {
            Self::First(_) => 0,
            Self::Number(_) => 1,
            Self::Letter(_) => 2,
            Self::Suffix(_) => 3,
            Self::SuffixNumber(_) => 4,
            Self::Hash(_) => 5,
            Self::Revision(_) => 6,
        }
    }

    fn is_pre_release(&self) -> bool {
        matches!(self, Self::Suffix(index) if *index < PRE_RELEASES)
    }

    fn cmp_to_end(&self) -> Ordering {
        if self.is_pre_release() { Ordering::Less } else { Ordering::Greater }
    }

    fn cmp_to(&self, other: &Self) -> Ordering {
        match (self, other) {
            // A leading zero makes it a decimal fraction, as in Gentoo.
            (Self::Number(a), Self::Number(b)) if a[0] == b'0' || b[0] == b'0' => a.cmp(b),
            (Self::First(a), Self::First(b))
            | (Self::Number(a), Self::Number(b))
            | (Self::SuffixNumber(a), Self::SuffixNumber(b))
            | (Self::Revision(a), Self::Revision(b)) => digits::compare(a, b),
            (Self::Letter(a), Self::Letter(b)) => a.cmp(b),
            (Self::Suffix(a), Self::Suffix(b)) => a.cmp(b),
            (Self::Hash(a), Self::Hash(b)) => a.cmp(b),
            (a, b) => b.is_pre_release().cmp(&a.is_pre_release()).then(b.rank().cmp(&a.rank())),
        }
    }
}

struct Version<'a> {
    tokens: Vec<Token<'a>>,
    /// Whether the tokens reach the end of the text without a fault.
    is_whole: bool,
}

impl<'a> Version<'a> {
    fn parse(text: &'a [u8]) -> Self {
        let mut version = Self { tokens: Vec::new(), is_whole: false };
        let Some((first, mut rest)) = read_number(text) else { return version };
        let mut last = Token::First(first);
        loop {
            version.tokens.push(last);
            if rest.is_empty() {
                version.is_whole = true;
                return version;
            }
            match read_token(rest, last) {
                Some(next) => (last, rest) = next,
                None => return version,
            }
        }
    }
}

/// Reads the token that follows `last`; `None` where the grammar has none.
fn read_token<'a>(text: &'a [u8], last: Token<'a>) -> Option<(Token<'a>, &'a [u8])> {
    let (c, tail) = text.split_first()?;
    let rank = last.rank();
    Some(match c {
        b'.' if rank <= 1 => {
            let (number, rest) = read_number(tail)?;
            (Token::Number(number), rest)
        }
        b'a'..=b'z' if rank <= 1 => (Token::Letter(*c), tail),
        b'_' if rank <= 4 => {
            let end = tail.iter().take_while(|c| c.is_ascii_lowercase()).count();
            let index = SUFFIXES.iter().position(|name| *name == &tail[..end])?;
            (Token::Suffix(index), &tail[end..])
        }
        b'0'..=b'9' if matches!(last, Token::Suffix(_)) => {
            let (number, rest) = read_number(text)?;
            (Token::SuffixNumber(number), rest)
        }
        b'~' if rank < 5 => {
            let end = tail.iter().take_while(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')).count();
            if end == 0 {
                return None;
            }
            (Token::Hash(&tail[..end]), &tail[end..])
        }
        b'-' if rank < 6 => {
            let (number, rest) = read_number(tail.strip_prefix(b"r")?)?;
            (Token::Revision(number), rest)
        }
        _ => return None,
    })
}

fn read_number(text: &[u8]) -> Option<(&[u8], &[u8])> {
    Some(digits::split(text)).filter(|(number, _)| !number.is_empty())
}
