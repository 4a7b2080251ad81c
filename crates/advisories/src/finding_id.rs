//! The number a security check goes by, the same in every installation.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Ids stay below 2^53, so that a JavaScript client reads them exactly.
const BITS: u32 = 53;

/// A security check's stable number: a hash of the namespace family and the
/// canonical id of the defect, so that no installation needs to ask another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FindingId(pub u64);

impl FindingId {
    /// The number for a defect (its canonical id, see
    /// [`crate::record::canonical`]) in a family such as `Debian` or `PyPI`.
    pub fn of(family: &str, canonical_id: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(family.as_bytes());
        hash.update([0]);
        hash.update(canonical_id.as_bytes());
        let digest = hash.finalize();
        let mut head = [0u8; 8];
        head.copy_from_slice(&digest[..8]);
        Self(u64::from_be_bytes(head) >> (64 - BITS))
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for FindingId {
    type Err = BadFindingId;

    fn from_str(text: &str) -> Result<Self, BadFindingId> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { None };
        number
            .filter(|n| *n < 1 << BITS)
            .map(Self)
            .ok_or_else(|| BadFindingId(text.chars().take(40).collect()))
    }
}

/// A text that is no finding id.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no finding id; a finding id is a decimal number below 2^53")]
pub struct BadFindingId(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_never_change() {
        // Stored by users in rules and tickets: these numbers are a contract.
        assert_eq!(FindingId::of("Debian", "CVE-2023-5363").to_string(), "8507245864259998");
        assert_ne!(
            FindingId::of("Debian", "CVE-2023-5363"),
            FindingId::of("Ubuntu", "CVE-2023-5363")
        );
    }

    #[test]
    fn text_round_trips() {
        let id = FindingId::of("PyPI", "CVE-2019-12308");
        assert_eq!(id.to_string().parse::<FindingId>().unwrap(), id);
        for bad in ["", "-1", "+1", "9007199254740992", "x", "99999999999999999999999"] {
            assert!(bad.parse::<FindingId>().is_err(), "{bad}");
        }
    }
}
