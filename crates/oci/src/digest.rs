//! Content digests: `algorithm:hex` (OCI Image Spec, "Digests").

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256, Sha512};

/// The registered algorithms. Others are refused: what cannot be computed
/// cannot be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, which everything uses.
    Sha256,
    /// SHA-512, which the specification allows.
    Sha512,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The name in a digest, such as `sha256`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Reads a name; `None` for an algorithm that is not registered.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str() == name)
    }

    /// Length of the value in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no colon between algorithm and value.
    #[error("digest {0:?} is not of the form algorithm:hex")]
    NotADigest(String),
    /// The algorithm is not one of [`Algorithm::ALL`].
    #[error("digest algorithm {0:?} is not supported, use sha256 or sha512")]
    UnsupportedAlgorithm(String),
    /// The value has the wrong length or is not lower-case hexadecimal.
    #[error("{algorithm} value must be {} lower-case hexadecimal digits", .algorithm.size() * 2)]
    MalformedValue {
        /// The algorithm that the value claims to be of.
        algorithm: Algorithm,
    },
}

/// Longest foreign text that an error repeats, in characters.
const QUOTED_CHARS_MAX: usize = 80;

pub(crate) fn quoted(text: &str) -> String {
    text.chars().take(QUOTED_CHARS_MAX).collect()
}

/// The digest of some content. Two digests are equal if algorithm and value
/// are; the same bytes have one digest per algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    /// Bytes beyond `algorithm.size()` are zero.
    value: [u8; 64],
}

impl Digest {
    /// Reads `algorithm:hex`, strictly: hexadecimal digits in lower case and
    /// as many as the algorithm makes.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let (name, hex) =
            text.split_once(':').ok_or_else(|| DigestError::NotADigest(quoted(text)))?;
        let algorithm = Algorithm::parse(name)
            .ok_or_else(|| DigestError::UnsupportedAlgorithm(quoted(name)))?;
        let malformed = DigestError::MalformedValue { algorithm };
        if hex.len() != algorithm.size() * 2 {
            return Err(malformed);
        }
        let mut value = [0; 64];
        for (byte, pair) in value.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let (Some(high), Some(low)) = (nibble(pair[0]), nibble(pair[1])) else {
                return Err(malformed);
            };
            *byte = high << 4 | low;
        }
        Ok(Self { algorithm, value })
    }

    /// Hashes bytes held in memory.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// SHA-256 of bytes held in memory.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, bytes)
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The raw value.
    pub fn value(&self) -> &[u8] {
        &self.value[..self.algorithm.size()]
    }

    /// The value in lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
        self.value().iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex())
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::parse(text)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Hashes content that arrives in pieces.
#[derive(Debug, Clone)]
pub enum Hasher {
    /// State of SHA-256.
    Sha256(Sha256),
    /// State of SHA-512.
    Sha512(Sha512),
}

impl Hasher {
    /// A hasher that has seen nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    /// The algorithm it computes.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(state) => state.update(bytes),
            Self::Sha512(state) => state.update(bytes),
        }
    }

    /// The digest of everything seen.
    pub fn finish(self) -> Digest {
        let mut value = [0; 64];
        let algorithm = self.algorithm();
        match self {
            Self::Sha256(state) => value[..32].copy_from_slice(&state.finalize()),
            Self::Sha512(state) => value.copy_from_slice(&state.finalize()),
        }
        Digest { algorithm, value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, valid: bool) {
        match Digest::parse(text) {
            Ok(digest) => {
                assert!(valid, "{text:?} was accepted");
                assert_eq!(digest.to_string(), text);
            }
            Err(error) => assert!(!valid, "{text:?}: {error}"),
        }
    }

    #[test]
    fn only_whole_lower_case_digests_are_digests() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        check(&format!("sha256:{hex}"), true);
        check(&format!("sha512:{hex}{hex}"), true);
        check(&format!("sha256:{}", hex.to_uppercase()), false);
        check(&format!("sha256:{hex}0"), false);
        check(&format!("sha256:{}", &hex[1..]), false);
        check(&format!("sha512:{hex}"), false);
        check(&format!("SHA256:{hex}"), false);
        check(&format!("md5:{hex}"), false);
        check(&format!("sha256:{}é", &hex[2..]), false);
        check("sha256:../../../etc/passwd", false);
        check("sha256", false);
        check("", false);
    }

    #[test]
    fn pieces_hash_as_the_whole() {
        for algorithm in Algorithm::ALL {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(b"ab");
            hasher.update(b"");
            hasher.update(b"c");
            assert_eq!(hasher.finish(), Digest::of(algorithm, b"abc"));
        }
        assert_eq!(
            Digest::sha256(b"").to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
