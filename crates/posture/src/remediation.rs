//! What to do about a finding, in words and lines that fit the distribution
//! or ecosystem.

use matching::FixState;
use packages::PackageType;

use crate::finding::{Finding, Occurrence};

/// Most packages named on one line.
const PACKAGES_NAMED_MAX: usize = 20;

/// Steps, and a line for the Dockerfile where one does it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remediation {
    /// In order.
    pub steps: Vec<String>,
    /// A line to copy.
    pub dockerfile: Option<String>,
}

/// What to do about a finding. `advice` is the feeds' own, where there is some.
pub fn remediation(finding: &Finding, advice: &str) -> Remediation {
    let mut steps = Vec::new();
    if !advice.is_empty() {
        steps.push(advice.to_owned());
    }
    for occurrence in finding.occurrences.iter().take(PACKAGES_NAMED_MAX) {
        let step = step(occurrence);
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    let dockerfile = dockerfile(finding);
    if dockerfile.is_some() {
        steps.push(
            "Rebuild the image, push it, and delete the old digest once nobody pulls it."
                .to_owned(),
        );
    }
    Remediation { steps, dockerfile }
}

fn step(occurrence: &Occurrence) -> String {
    let package = &occurrence.item.package;
    let (name, installed) = (&package.name, &package.version);
    match (occurrence.verdict.state, &occurrence.verdict.fixed_version) {
        (FixState::PaidChannel, Some(fixed)) => format!(
            "Upgrade {name} {installed} to {fixed}, which the distribution offers in a paid channel only."
        ),
        (_, Some(fixed)) => format!("Upgrade {name} {installed} to {fixed} or later."),
        (FixState::Deferred, None) => format!(
            "No fixed version of {name} {installed} is out; the distribution will fix it with a later update."
        ),
        (FixState::WillNotFix, None) => format!(
            "The distribution has decided not to fix {name} {installed}: remove it if it is not needed, or move to a newer release."
        ),
        (FixState::EndOfLife, None) => {
            format!("{name} {installed} is no longer supported: move to a release that is.")
        }
        (_, None) => format!(
            "No fixed version of {name} {installed} is known: remove it if it is not needed, and watch this finding."
        ),
    }
}

/// Only for packages of one type whose fix can be had; a line that repairs half
/// of a finding would be taken for the whole.
fn dockerfile(finding: &Finding) -> Option<String> {
    let first = finding.occurrences.first()?.item.package.kind;
    let whole = finding.occurrences.len() <= PACKAGES_NAMED_MAX
        && finding.occurrences.iter().all(|o| o.item.package.kind == first && o.verdict.patchable);
    if !whole {
        return None;
    }
    let mut arguments: Vec<String> =
        finding.occurrences.iter().map(|o| argument(first, o)).collect::<Option<_>>()?;
    arguments.sort();
    arguments.dedup();
    let arguments = arguments.join(" ");
    Some(match first {
        PackageType::Deb => format!(
            "RUN apt-get update && apt-get install -y --only-upgrade {arguments} && rm -rf /var/lib/apt/lists/*"
        ),
        PackageType::Apk => format!("RUN apk upgrade --no-cache {arguments}"),
        PackageType::Pypi => format!("RUN pip install --no-cache-dir --upgrade {arguments}"),
        PackageType::Npm => format!("RUN npm install {arguments}"),
        _ => return None,
    })
}

/// `None` where a name or version has characters that a shell could take for
/// its own: such a line must not be offered to copy.
fn argument(kind: PackageType, occurrence: &Occurrence) -> Option<String> {
    let name = &occurrence.item.package.name;
    let fixed = occurrence.verdict.fixed_version.as_ref()?;
    let plain = |text: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "@/._+~:-".contains(c))
    };
    if !plain(name) || !plain(fixed) {
        return None;
    }
    Some(match kind {
        // The fixed version is the source's; the package manager knows best
        // which binary version that is.
        PackageType::Deb | PackageType::Apk => name.clone(),
        PackageType::Pypi => format!("'{name}>={fixed}'"),
        PackageType::Npm => format!("{name}@{fixed}"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{group, tests::row};

    fn check(packages: &[(&str, Option<&str>)], dockerfile: Option<&str>) {
        let rows = packages.iter().map(|(name, fixed)| row(1, 3, name, *fixed, None)).collect();
        let finding = &group(rows).unwrap()[0];
        let remediation = remediation(finding, "");
        assert_eq!(remediation.dockerfile.as_deref(), dockerfile);
        assert!(!remediation.steps.is_empty());
    }

    #[test]
    fn a_line_repairs_the_whole_finding_or_is_not_given() {
        let line = "RUN apt-get update && apt-get install -y --only-upgrade libssl3 openssl && rm -rf /var/lib/apt/lists/*";
        check(&[("openssl", Some("2")), ("libssl3", Some("2"))], Some(line));
        check(&[("openssl", Some("2")), ("libssl3", None)], None);
        check(&[("openssl", None)], None);
        check(&[("x; rm -rf /", Some("2"))], None);
        check(&[("--config", Some("2"))], None);
    }
}
