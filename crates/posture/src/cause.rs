//! Why an image has no verdict: the kind, which people and programs act on,
//! from what the store remembers.

use packages::{OsRelease, ProblemKind};
use store::scan::StoredImage;

/// What `matching` says of an image without packages.
const NO_PACKAGES: &str = "no packages were found in the image";
/// What `matching` says of packages that no feed judges.
const NOT_ASSESSED: &str = " not assessed";

/// Why there is no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CauseKind {
    /// A verdict will follow.
    NotScannedYet,
    /// The scan was given up.
    ScanFailed,
    /// Content that is not inspected.
    UnsupportedContent,
    /// Something that holds or names packages could not be read or compared.
    Unreadable,
    /// No feed speaks of this distribution, release or ecosystem.
    NoFeed,
    /// The release gets no security updates any more.
    EndOfLife,
    /// No advisories are imported at all.
    NoAdvisories,
    /// Nothing in it is a package.
    NoPackages,
}

/// Why there is no verdict, in words too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The kind.
    pub kind: CauseKind,
    /// What exactly.
    pub detail: Option<String>,
}

impl Cause {
    /// A cause with its words.
    pub fn new(kind: CauseKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: Some(detail.into()) }
    }
}

/// What the advisory index knows that bears on a cause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedFacts {
    /// Whether any feed of advisories is imported.
    pub any: bool,
    /// Last day of support of the image's release, where known.
    pub end_of_life: Option<String>,
    /// Today, `YYYY-MM-DD`.
    pub today: String,
}

/// Why an inspected image is not applicable. A failed scan outweighs what an
/// earlier one left behind; what could not be read outweighs what was.
pub fn cause_of(image: &StoredImage, facts: &FeedFacts) -> Cause {
    let text = image.cause.clone();
    if let Some(failure) = &image.failure {
        return Cause::new(CauseKind::ScanFailed, failure);
    }
    if let Some(problem) = image.problems.first() {
        let kind = match problem.kind {
            ProblemKind::UnsupportedLayer => CauseKind::UnsupportedContent,
            _ => CauseKind::Unreadable,
        };
        return Cause { kind, detail: text.or_else(|| Some(problem.message.clone())) };
    }
    if image.packages == 0 {
        // What the scanner declared inapplicable has a text of its own.
        let kind = match text.as_deref() {
            None | Some(NO_PACKAGES) => CauseKind::NoPackages,
            Some(_) => CauseKind::UnsupportedContent,
        };
        return Cause { kind, detail: text };
    }
    if text.as_deref().is_some_and(|text| text.contains(NOT_ASSESSED)) {
        return unjudged(image.os.as_ref(), facts, text);
    }
    Cause { kind: CauseKind::Unreadable, detail: text }
}

fn unjudged(os: Option<&OsRelease>, facts: &FeedFacts, text: Option<String>) -> Cause {
    if !facts.any {
        return Cause { kind: CauseKind::NoAdvisories, detail: text };
    }
    match &facts.end_of_life {
        // Dates in this form sort as text.
        Some(end) if *end < facts.today => {
            let name = os.map_or("the release", |os| os.pretty_name.as_deref().unwrap_or(&os.id));
            Cause::new(CauseKind::EndOfLife, format!("support of {name} ended on {end}"))
        }
        _ => Cause { kind: CauseKind::NoFeed, detail: text },
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use matching::{Tally, status_of};
    use oci::Digest;
    use packages::Problem;
    use store::scan::{ImagePlatform, SeverityCounts};

    use super::*;

    /// An inspected image with a verdict as `matching` gives it.
    pub(crate) fn image(tally: &Tally) -> StoredImage {
        let (status, cause) = status_of(tally);
        StoredImage {
            digest: Digest::sha256(b"x"),
            analyser_version: 1,
            failure: None,
            attempts: 0,
            trigger: "push".into(),
            started_at: 0,
            finished_at: 1,
            platform: ImagePlatform::default(),
            os: None,
            problems: vec![],
            status,
            cause,
            packages: tally.packages,
            severities: SeverityCounts::default(),
            patchable: 0,
            revision: 1,
        }
    }

    fn check(image: StoredImage, facts: &FeedFacts, kind: CauseKind) {
        let cause = cause_of(&image, facts);
        assert_eq!(cause.kind, kind, "{cause:?}");
        assert!(cause.detail.is_some(), "a bare cause tells nobody what to do");
    }

    fn reason(text: &str) -> BTreeMap<String, u64> {
        BTreeMap::from([(text.to_owned(), 2)])
    }

    #[test]
    fn what_matching_says_is_understood() {
        let facts = FeedFacts { any: true, end_of_life: None, today: "2026-11-22".into() };
        check(image(&Tally::default()), &facts, CauseKind::NoPackages);
        let unassessed = Tally { packages: 2, unassessed: reason("no feed"), ..Tally::default() };
        check(image(&unassessed), &facts, CauseKind::NoFeed);
        let ended = FeedFacts { end_of_life: Some("2020-06-30".into()), ..facts.clone() };
        check(image(&unassessed), &ended, CauseKind::EndOfLife);
        let later = FeedFacts { end_of_life: Some("2028-06-30".into()), ..facts.clone() };
        check(image(&unassessed), &later, CauseKind::NoFeed);
        check(image(&unassessed), &FeedFacts::default(), CauseKind::NoAdvisories);
        let open =
            Tally { packages: 2, undetermined: reason("x is no version"), ..Tally::default() };
        check(image(&open), &facts, CauseKind::Unreadable);
    }

    #[test]
    fn failures_and_unread_layers_come_first() {
        let facts = FeedFacts { any: true, ..FeedFacts::default() };
        let failed =
            StoredImage { failure: Some("the worker died".into()), ..image(&Tally::default()) };
        check(failed, &facts, CauseKind::ScanFailed);
        let problem = |kind| Problem { layer: Some(0), path: None, kind, message: "m".into() };
        let with = |kind| StoredImage { problems: vec![problem(kind)], ..image(&Tally::default()) };
        check(with(ProblemKind::UnsupportedLayer), &facts, CauseKind::UnsupportedContent);
        check(with(ProblemKind::UnreadableLayer), &facts, CauseKind::Unreadable);
        check(with(ProblemKind::DiffIdMismatch), &facts, CauseKind::Unreadable);
        let artifact = StoredImage {
            cause: Some("a Helm chart has no packages".into()),
            ..image(&Tally::default())
        };
        check(artifact, &facts, CauseKind::UnsupportedContent);
    }
}
