//! The verdict on an index: the worst of what it lists.

use matching::Status;

use crate::cause::{Cause, CauseKind};

/// A verdict; the cause is present exactly when the status is not applicable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// In one word.
    pub status: Status,
    /// Why there is none.
    pub cause: Option<Cause>,
}

impl Verdict {
    /// No verdict, and why.
    pub fn none(cause: Cause) -> Self {
        Self { status: Status::NotApplicable, cause: Some(cause) }
    }
}

/// The verdict on an index from those on what it lists, each with a name for
/// people. One platform that nobody looked at keeps the index from being
/// healthy. The caller leaves out what is no image, such as attestations.
pub fn aggregate<'a>(children: impl IntoIterator<Item = (String, &'a Verdict)>) -> Verdict {
    let mut unjudged = None;
    let mut any = false;
    for (name, verdict) in children {
        any = true;
        match verdict.status {
            Status::Unhealthy => return Verdict { status: Status::Unhealthy, cause: None },
            Status::Healthy => {}
            Status::NotApplicable => {
                unjudged.get_or_insert_with(|| named(&name, verdict.cause.as_ref()));
            }
        }
    }
    match unjudged {
        Some(cause) => Verdict::none(cause),
        None if any => Verdict { status: Status::Healthy, cause: None },
        None => {
            Verdict::none(Cause::new(CauseKind::UnsupportedContent, "the index lists no image"))
        }
    }
}

fn named(name: &str, cause: Option<&Cause>) -> Cause {
    let kind = cause.map_or(CauseKind::NotScannedYet, |cause| cause.kind);
    let detail = cause.and_then(|cause| cause.detail.as_deref());
    let detail = detail.map_or_else(|| name.to_owned(), |detail| format!("{name}: {detail}"));
    Cause { kind, detail: Some(detail) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(children: &[Status], expected: Status) {
        let verdicts: Vec<_> = children
            .iter()
            .map(|status| {
                let cause = Cause::new(CauseKind::NoFeed, "no feed");
                let none = *status == Status::NotApplicable;
                Verdict { status: *status, cause: none.then_some(cause) }
            })
            .collect();
        let verdict = aggregate(verdicts.iter().map(|v| ("linux/arm64".to_owned(), v)));
        assert_eq!(verdict.status, expected);
        assert_eq!(verdict.cause.is_some(), expected == Status::NotApplicable);
    }

    #[test]
    fn the_worst_platform_speaks() {
        use Status::{Healthy, NotApplicable, Unhealthy};
        check(&[Healthy, Healthy], Healthy);
        check(&[Healthy, NotApplicable], NotApplicable);
        check(&[NotApplicable, Unhealthy], Unhealthy);
        check(&[], NotApplicable);
    }

    #[test]
    fn the_cause_names_the_platform() {
        let child = Verdict::none(Cause::new(CauseKind::NoFeed, "no feed"));
        let cause = aggregate([("linux/arm64".to_owned(), &child)]).cause.unwrap();
        assert_eq!(
            (cause.kind, cause.detail.as_deref()),
            (CauseKind::NoFeed, Some("linux/arm64: no feed"))
        );
    }
}
