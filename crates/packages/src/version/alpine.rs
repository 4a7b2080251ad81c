//! Alpine: `digit{.digit}{letter}{_suffix{number}}{~hash}{-r#}`, ordered as
//! apk-tools 3 does.
//!
//! apk itself orders a malformed version by whatever comes before the fault;
//! here it has no order, so that such a package is shown and not guessed at.

use std::cmp::Ordering;

use super::digits;

/// Compares as `apk version --test` does for two valid versions.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (read_tokens(a.as_bytes())?, read_tokens(b.as_bytes())?);
    for (x, y) in a.iter().zip(&b) {
        let order = x.cmp_to(y);
        if order != Ordering::Equal {
            return Some(order);
        }
    }
    // All tokens of the shorter are equal to the longer's: a pre-release
    // suffix that follows makes the longer one smaller, anything else greater.
    Some(match (a.get(b.len()), b.get(a.len())) {
        (Some(next), _) => next.cmp_to_end(),
        (_, Some(next)) => next.cmp_to_end().reverse(),
        (None, None) => Ordering::Equal,
    })
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

fn read_tokens(text: &[u8]) -> Option<Vec<Token<'_>>> {
    let (first, mut rest) = read_number(text)?;
    let mut tokens = vec![Token::First(first)];
    while let [c, tail @ ..] = rest {
        let last = tokens.last()?;
        let rank = last.rank();
        let token;
        (token, rest) = match c {
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
                let (number, rest) = read_number(rest)?;
                (Token::SuffixNumber(number), rest)
            }
            b'~' if rank < 5 => {
                let hex = |c: &&u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
                let end = tail.iter().take_while(hex).count();
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
        };
        tokens.push(token);
    }
    Some(tokens)
}

fn read_number(text: &[u8]) -> Option<(&[u8], &[u8])> {
    Some(digits::split(text)).filter(|(number, _)| !number.is_empty())
}
