//! How bad a defect is: CVSS vectors and the feeds' own words.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How bad, in five steps. Ordered: `Unscored < Low < ... < Critical`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nobody has rated it. Not the same as harmless.
    #[default]
    Unscored,
    /// CVSS 0.1 to 3.9, or the feed's word.
    Low,
    /// CVSS 4.0 to 6.9, or the feed's word.
    Medium,
    /// CVSS 7.0 to 8.9, or the feed's word.
    High,
    /// CVSS 9.0 and above, or the feed's word.
    Critical,
}

impl Severity {
    /// Every step, the worst first.
    pub const ALL: [Self; 5] =
        [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Unscored];

    /// The step a CVSS score falls in (bands of CVSS v3 and v4). Version 2 has
    /// no critical band.
    pub fn of_score(score: f64, version: &str) -> Self {
        match score {
            s if s >= 9.0 && version != "2.0" => Self::Critical,
            s if s >= 7.0 => Self::High,
            s if s >= 4.0 => Self::Medium,
            s if s > 0.0 => Self::Low,
            _ => Self::Unscored,
        }
    }

    /// Reads a feed's word. `None`: the word rates nothing (`not yet
    /// assigned`, `untriaged`), or is unknown.
    pub fn of_word(word: &str) -> Option<Self> {
        let word = word.trim().trim_end_matches('*').to_ascii_lowercase();
        Some(match word.as_str() {
            "critical" => Self::Critical,
            "high" | "important" => Self::High,
            "medium" | "moderate" => Self::Medium,
            "low" | "unimportant" | "negligible" | "minor" => Self::Low,
            _ => return None,
        })
    }

    /// Lower-case word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Unscored => "unscored",
        }
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = UnknownSeverity;

    fn from_str(text: &str) -> Result<Self, UnknownSeverity> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownSeverity(text.to_owned()))
    }
}

/// A word that is none of the five steps.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no severity; use critical, high, medium, low or unscored")]
pub struct UnknownSeverity(String);

/// One CVSS vector with what it comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CvssVector {
    /// `2.0`, `3.0`, `3.1` or `4.0`.
    pub version: String,
    /// 0.0 to 10.0.
    pub score: f64,
    /// The vector as the feed writes it.
    pub vector: String,
    /// Advisory that carries it, such as `GHSA-...`.
    pub source: String,
}

impl CvssVector {
    /// Scores a vector; `None` for one that is not well formed.
    pub fn parse(vector: &str, source: &str) -> Option<Self> {
        let parsed = cvss::Cvss::from_str(vector.trim()).ok()?;
        let version = match parsed {
            cvss::Cvss::CvssV20(_) => "2.0",
            cvss::Cvss::CvssV30(_) => "3.0",
            cvss::Cvss::CvssV31(_) => "3.1",
            cvss::Cvss::CvssV40(_) => "4.0",
            _ => return None,
        };
        // The parser takes a version 3 vector with base metrics left out and
        // scores it zero, which would read as harmless.
        let names_impact = ["/C:", "/I:", "/A:"].iter().all(|metric| vector.contains(metric));
        if !names_impact && version != "4.0" {
            return None;
        }
        Some(Self {
            version: version.to_owned(),
            score: parsed.score(),
            vector: vector.trim().to_owned(),
            source: source.to_owned(),
        })
    }

    /// The step its score falls in.
    pub fn severity(&self) -> Severity {
        Severity::of_score(self.score, &self.version)
    }

    /// The vector that speaks: the newest version, among those the worst.
    pub fn best(vectors: &[CvssVector]) -> Option<&CvssVector> {
        vectors.iter().max_by(|a, b| a.version.cmp(&b.version).then(a.score.total_cmp(&b.score)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(vector: &str, expected: Option<(&str, f64, Severity)>) {
        let scored = CvssVector::parse(vector, "X");
        assert_eq!(
            scored.as_ref().map(|v| (v.version.as_str(), v.score, v.severity())),
            expected,
            "{vector}"
        );
    }

    #[test]
    fn scores_follow_the_specifications() {
        check(
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            Some(("3.1", 9.8, Severity::Critical)),
        );
        check("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", Some(("3.0", 6.1, Severity::Medium)));
        check("AV:N/AC:L/Au:N/C:C/I:C/A:C", Some(("2.0", 10.0, Severity::High)));
        check(
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
            Some(("4.0", 9.3, Severity::Critical)),
        );
        check("CVSS:3.1/AV:N", None);
        check("", None);
    }

    #[test]
    fn the_newest_version_speaks() {
        let of = |v: &str| CvssVector::parse(v, "X").unwrap();
        let old = of("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H");
        let new = of("CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:P/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N");
        assert_eq!(CvssVector::best(&[old, new.clone()]), Some(&new));
    }
}
