//! Runs of decimal digits as numbers of any length.

use std::cmp::Ordering;

/// Compares two runs of digits by value; leading zeros do not count, and the
/// empty run is zero.
pub(super) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (without_leading_zeros(a), without_leading_zeros(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Splits off the digits that the text begins with, possibly none.
pub(super) fn split(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|c| c.is_ascii_digit()).count())
}

/// Whether there is at least one byte and all are digits.
pub(super) fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

fn without_leading_zeros(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().take_while(|c| **c == b'0').count()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: &str, b: &str, expected: Ordering) {
        assert_eq!(compare(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
        assert_eq!(compare(b.as_bytes(), a.as_bytes()), expected.reverse(), "{b} {a}");
    }

    #[test]
    fn length_is_no_limit() {
        check("9", "10", Ordering::Less);
        check("007", "7", Ordering::Equal);
        check("", "0", Ordering::Equal);
        check("18446744073709551616", "18446744073709551615", Ordering::Greater);
        check("99999999999999999999999", "100000000000000000000000", Ordering::Less);
    }
}
