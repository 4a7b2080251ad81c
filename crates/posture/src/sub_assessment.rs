//! Findings in the words of Azure's sub-assessments (the schema of 2019-2023,
//! "Vulnerabilities in container registry images").
//!
//! - An image with findings has one row for each.
//! - An image that was looked at and is clean has exactly one row, with code
//!   `Healthy`: clients read it as "scanned, nothing found".
//! - An image without a verdict has no row: clients read that as "not scanned",
//!   so a gate stays shut on what nobody looked at.

use advisories::{FindingId, Severity};
use oci::{Digest, RepositoryName};
use uuid::Uuid;

/// The recommendation "Container registry images should have vulnerability
/// findings resolved".
pub const ASSESSMENT_KEY: &str = "dbd0cb49-b563-45e7-9724-889e799fa648";
/// Its name.
pub const ASSESSMENT_NAME: &str =
    "Container registry images should have vulnerability findings resolved";

/// Names of sub-assessments are made in this space. Never change it: clients
/// keep the names.
const NAME_SPACE: Uuid = Uuid::from_u128(0x3f0b_5f7e_91d4_5d0f_8a6c_2f1f_0a77_c0de);

/// Azure's three steps; it knows no Critical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AzureSeverity {
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High, and what is worse.
    High,
}

impl AzureSeverity {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
        }
    }
}

impl From<Severity> for AzureSeverity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Critical | Severity::High => Self::High,
            // Unrated is not harmless: as Low, a filter "at least Medium" would
            // lose it.
            Severity::Medium | Severity::Unscored => Self::Medium,
            Severity::Low => Self::Low,
        }
    }
}

/// State of a sub-assessment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The image is clean.
    Healthy,
    /// The finding applies.
    Unhealthy,
}

impl Code {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Unhealthy => "Unhealthy",
        }
    }
}

/// The image that a row is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssessedImage {
    /// The repository that holds it.
    pub repository: RepositoryName,
    /// Digest of its manifest.
    pub digest: Digest,
}

/// Which row of an image: its clean bill, or one finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubAssessment {
    /// The image.
    pub image: AssessedImage,
    /// The finding; `None` for the clean bill.
    pub finding: Option<FindingId>,
}

impl SubAssessment {
    /// Its name, a GUID that stays the same across scans.
    pub fn name(&self) -> Uuid {
        sub_assessment_name(&self.image, self.finding)
    }

    /// Its state.
    pub fn code(&self) -> Code {
        if self.finding.is_some() { Code::Unhealthy } else { Code::Healthy }
    }
}

/// The GUID of a row: a function of image, repository and finding alone.
pub fn sub_assessment_name(image: &AssessedImage, finding: Option<FindingId>) -> Uuid {
    let finding = finding.map_or_else(|| "healthy".to_owned(), |id| id.to_string());
    let text = format!("{}\n{}\n{finding}", image.digest, image.repository);
    Uuid::new_v5(&NAME_SPACE, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(severity: Severity, expected: &str) {
        assert_eq!(AzureSeverity::from(severity).as_str(), expected);
    }

    #[test]
    fn azure_knows_three_steps() {
        check(Severity::Critical, "High");
        check(Severity::High, "High");
        check(Severity::Medium, "Medium");
        check(Severity::Low, "Low");
        check(Severity::Unscored, "Medium");
    }

    #[test]
    fn names_are_a_contract() {
        let image = AssessedImage {
            repository: RepositoryName::parse("demo/web").unwrap(),
            digest: Digest::sha256(b""),
        };
        let name = |finding| sub_assessment_name(&image, finding).to_string();
        assert_eq!(name(Some(FindingId(178_000))), "97862d2a-ce0e-5ac0-b17b-85016fdabd8a");
        assert_eq!(name(None), "465f715b-b378-55e5-ad93-32fcac6e32dc");
        let elsewhere = AssessedImage {
            repository: RepositoryName::parse("demo/other").unwrap(),
            ..image.clone()
        };
        assert_ne!(sub_assessment_name(&elsewhere, None).to_string(), name(None));
    }
}
