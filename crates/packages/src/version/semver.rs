//! Semantic Versioning 2.0.0, and Go's reading of it.

use std::cmp::Ordering;

use super::digits;

/// Compares by semver.org, section 11. Build metadata does not count.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Semver::parse(a, Form::Full)?, Semver::parse(b, Form::Full)?);
    Some(a.compare_with(&b, compare_identifiers))
}

/// Compares by `golang.org/x/mod/semver`: `v1` and `v1.2` are short for
/// `v1.0.0` and `v1.2.0`. OSV leaves the `v` out, so it is optional.
pub(super) fn compare_go(a: &str, b: &str) -> Option<Ordering> {
    let a = Semver::parse(a.strip_prefix('v').unwrap_or(a), Form::MayBeShort)?;
    let b = Semver::parse(b.strip_prefix('v').unwrap_or(b), Form::MayBeShort)?;
    Some(a.compare_with(&b, compare_identifiers))
}

/// Whether minor and patch may be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Full,
    MayBeShort,
}

/// A version taken apart; build metadata is checked and dropped.
pub(super) struct Semver<'a> {
    /// Major, minor, patch: digits without leading zeros.
    pub(super) numbers: [&'a [u8]; 3],
    /// The pre-release behind the hyphen, never empty.
    pub(super) pre_release: Option<&'a [u8]>,
}

impl<'a> Semver<'a> {
    pub(super) fn parse(text: &'a str, form: Form) -> Option<Self> {
        let mut rest = text.as_bytes();
        let mut numbers: [&[u8]; 3] = [b"0"; 3];
        for (index, number) in numbers.iter_mut().enumerate() {
            if index > 0 {
                if rest.is_empty() && form == Form::MayBeShort {
                    return Some(Self { numbers, pre_release: None });
                }
                rest = rest.strip_prefix(b".")?;
            }
            (*number, rest) = digits::split(rest);
            if !is_plain_number(number) {
                return None;
            }
        }
        let (rest, build) = match rest.iter().position(|c| *c == b'+') {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        let pre_release = match rest {
            [] => None,
            [b'-', pre_release @ ..] => Some(pre_release),
            _ => return None,
        };
        let is_pre =
            |id: &[u8]| is_identifier(id) && (!digits::is_number(id) || is_plain_number(id));
        let valid = pre_release.is_none_or(|p| identifiers(p).all(is_pre))
            && build.is_none_or(|b| identifiers(b).all(is_identifier));
        valid.then_some(Self { numbers, pre_release })
    }

    /// `by_identifier` compares two identifiers of a pre-release, and says
    /// whether an equality lets the next pair decide.
    pub(super) fn compare_with(
        &self,
        other: &Self,
        by_identifier: fn(&[u8], &[u8]) -> IdentifierOrder,
    ) -> Ordering {
        for (a, b) in self.numbers.iter().zip(&other.numbers) {
            let order = digits::compare(a, b);
            if order != Ordering::Equal {
                return order;
            }
        }
        let (a, b) = match (self.pre_release, other.pre_release) {
            (Some(a), Some(b)) => (a, b),
            (a, b) => return a.is_none().cmp(&b.is_none()),
        };
        let (mut a, mut b) = (identifiers(a), identifiers(b));
        loop {
            match (a.next(), b.next()) {
                (Some(x), Some(y)) => match by_identifier(x, y) {
                    IdentifierOrder::Same => {}
                    IdentifierOrder::Decided(order) => return order,
                },
                (x, y) => return x.is_some().cmp(&y.is_some()),
            }
        }
    }
}

/// How two identifiers of a pre-release stand to each other.
pub(super) enum IdentifierOrder {
    /// Equal: the next pair decides.
    Same,
    /// The whole comparison ends here.
    Decided(Ordering),
}

fn compare_identifiers(a: &[u8], b: &[u8]) -> IdentifierOrder {
    let order = match (digits::is_number(a), digits::is_number(b)) {
        (true, true) => digits::compare(a, b),
        (false, false) => a.cmp(b),
        // Numbers come before words.
        (a, b) => b.cmp(&a),
    };
    match order {
        Ordering::Equal => IdentifierOrder::Same,
        order => IdentifierOrder::Decided(order),
    }
}

fn identifiers(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|c| *c == b'.')
}

fn is_identifier(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'-')
}

/// Digits without a leading zero.
fn is_plain_number(digits: &[u8]) -> bool {
    matches!(digits, [b'0'] | [b'1'..=b'9', ..])
}
