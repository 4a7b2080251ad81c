//! Whether a version lies in a range of affected versions (OSV schema,
//! "Evaluation").

use std::cmp::Ordering;

use packages::version::VersionScheme;

use crate::record::{Event, Statement};

/// What a statement's ranges and versions say about one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// Affected.
    Inside {
        /// What decided.
        bound: Bound,
        /// The lowest fixed version above this one in the ranges that hold it.
        fix: Option<String>,
    },
    /// Not affected.
    Outside {
        /// The bound that decided, where one did.
        bound: Option<Bound>,
    },
    /// A version that is none by the ecosystem's rules.
    Incomparable {
        /// Which of the two compared.
        version: String,
    },
}

/// The bound that decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// The event of a range.
    Event(Event),
    /// One of the single versions.
    Version(String),
}

/// Places a version by a statement's ranges and single versions.
pub fn place(scheme: VersionScheme, statement: &Statement, version: &str) -> Placed {
    if let Some(single) = statement.versions.iter().find(|v| *v == version) {
        return Placed::Inside {
            bound: Bound::Version(single.clone()),
            fix: fix_above(scheme, statement, version),
        };
    }
    let mut outside = None;
    let mut incomparable = None;
    for range in &statement.ranges {
        match place_in_range(scheme, range, version) {
            Placed::Inside { bound, fix } => return Placed::Inside { bound, fix },
            Placed::Outside { bound } => outside = outside.or(bound),
            Placed::Incomparable { version } => incomparable = incomparable.or(Some(version)),
        }
    }
    for single in &statement.versions {
        if scheme.compare(single, version) == Some(Ordering::Equal) {
            let fix = fix_above(scheme, statement, version);
            return Placed::Inside { bound: Bound::Version(single.clone()), fix };
        }
    }
    // A list of single versions alone cannot place what has no order: unless
    // the version itself is at fault, the list was exhaustive.
    match incomparable {
        Some(version) => Placed::Incomparable { version },
        None if statement.ranges.is_empty() && scheme.compare(version, version).is_none() => {
            Placed::Incomparable { version: version.to_owned() }
        }
        None => Placed::Outside { bound: outside },
    }
}

/// The event that is last among those not above the version decides.
fn place_in_range(scheme: VersionScheme, range: &[Event], version: &str) -> Placed {
    let mut last: Option<&Event> = None;
    // The lowest bound above, to explain why an early version is outside.
    let mut next: Option<&Event> = None;
    let mut within_limits = None;
    for event in range {
        let bound = event_version(event);
        let order = match (event, bound) {
            (Event::Introduced(_), "0") => Ordering::Greater,
            (Event::Limit(_), "*") => Ordering::Less,
            _ => match compare(scheme, version, bound) {
                Ok(order) => order,
                Err(version) => return Placed::Incomparable { version },
            },
        };
        let reached = match event {
            Event::Introduced(_) | Event::Fixed(_) => order != Ordering::Less,
            Event::LastAffected(_) => order == Ordering::Greater,
            Event::Limit(_) => {
                within_limits = Some(within_limits.unwrap_or(false) || order == Ordering::Less);
                continue;
            }
        };
        let slot = if reached { &mut last } else { &mut next };
        let replace = match slot {
            None => true,
            // On a tie the later in the file counts: both `introduced 2,
            // fixed 2` and `fixed 2, introduced 2` occur, and mean opposites.
            Some(held) => match order_of_events(scheme, held, event) {
                Ok(order) if reached => order != Ordering::Greater,
                Ok(order) => order == Ordering::Greater,
                Err(version) => return Placed::Incomparable { version },
            },
        };
        if replace {
            *slot = Some(event);
        }
    }
    match last {
        Some(event @ Event::Introduced(_)) if within_limits != Some(false) => {
            let fixes = range.iter().filter_map(|e| match e {
                Event::Fixed(fix) => Some(fix.as_str()),
                _ => None,
            });
            let fix = lowest_above(scheme, fixes, version);
            // The upper bound says more than the lower.
            let bound = next.filter(|e| !matches!(e, Event::Introduced(_))).unwrap_or(event);
            Placed::Inside { bound: Bound::Event(bound.clone()), fix }
        }
        Some(event) => Placed::Outside { bound: Some(Bound::Event(event.clone())) },
        None => Placed::Outside { bound: next.map(|e| Bound::Event(e.clone())) },
    }
}

fn fix_above(scheme: VersionScheme, statement: &Statement, version: &str) -> Option<String> {
    let fixes = statement.ranges.iter().flatten().filter_map(|e| match e {
        Event::Fixed(fix) => Some(fix.as_str()),
        _ => None,
    });
    lowest_above(scheme, fixes, version)
}

fn lowest_above<'a>(
    scheme: VersionScheme,
    fixes: impl Iterator<Item = &'a str>,
    version: &str,
) -> Option<String> {
    fixes
        .filter(|fix| scheme.compare(fix, version) == Some(Ordering::Greater))
        .min_by(|a, b| scheme.compare(a, b).unwrap_or(Ordering::Equal))
        .map(str::to_owned)
}

/// The version that an event names.
pub fn event_version(event: &Event) -> &str {
    match event {
        Event::Introduced(v) | Event::Fixed(v) | Event::LastAffected(v) | Event::Limit(v) => v,
    }
}

fn order_of_events(scheme: VersionScheme, a: &Event, b: &Event) -> Result<Ordering, String> {
    match (event_version(a), event_version(b)) {
        ("0", "0") => Ok(Ordering::Equal),
        ("0", _) if matches!(a, Event::Introduced(_)) => Ok(Ordering::Less),
        (_, "0") if matches!(b, Event::Introduced(_)) => Ok(Ordering::Greater),
        (a, b) => compare(scheme, a, b),
    }
}

/// `Err` holds the one of the two that is no version.
fn compare(scheme: VersionScheme, a: &str, b: &str) -> Result<Ordering, String> {
    scheme.compare(a, b).ok_or_else(|| {
        let culprit = if scheme.compare(a, a).is_none() { a } else { b };
        culprit.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn statement(events: &str) -> Statement {
        let ranges = events
            .split(';')
            .filter(|r| !r.trim().is_empty())
            .map(|range| {
                range
                    .split_whitespace()
                    .map(|word| {
                        let (kind, version) = word.split_once('=').unwrap();
                        match kind {
                            "i" => Event::Introduced(version.into()),
                            "f" => Event::Fixed(version.into()),
                            "la" => Event::LastAffected(version.into()),
                            "l" => Event::Limit(version.into()),
                            _ => panic!("{word}"),
                        }
                    })
                    .collect()
            })
            .collect();
        Statement { ranges, ..Statement::default() }
    }

    fn check(events: &str, version: &str, inside: bool, fix: Option<&str>) {
        let scheme = VersionScheme::for_ecosystem("Debian").unwrap();
        match place(scheme, &statement(events), version) {
            Placed::Inside { fix: found, .. } => {
                assert_eq!((true, found.as_deref()), (inside, fix), "{events} {version}")
            }
            Placed::Outside { .. } => assert!(!inside, "{events} {version}"),
            Placed::Incomparable { version } => panic!("{version} is incomparable"),
        }
    }

    #[test]
    fn ranges_follow_the_schema() {
        check("i=0 f=2", "1", true, Some("2"));
        check("i=0 f=2", "2", false, None);
        check("i=0 f=1.11.21 i=2.1 f=2.1.9 i=2.2 f=2.2.2", "2.2.0", true, Some("2.2.2"));
        check("i=0 f=1.11.21 i=2.1 f=2.1.9 i=2.2 f=2.2.2", "2.1.9", false, None);
        check("i=1 la=3", "3", true, None);
        check("i=1 la=3", "3.0.1", false, None);
        check("f=2 i=1", "1", true, Some("2"));
        check("i=0 l=2", "2", false, None);
        check("i=0 l=*", "2", true, None);
        check("i=2 f=2", "2", false, None);
        check("i=0 f=2 i=2 f=3", "2", true, Some("3"));
        check("i=0 f=1; i=2 f=3", "2", true, Some("3"));
        check("i=0", "9", true, None);
        check("", "9", false, None);
    }

    #[test]
    fn what_has_no_order_is_not_placed() {
        let scheme = VersionScheme::for_ecosystem("Debian").unwrap();
        let placed = place(scheme, &statement("i=0 f=2"), "not a version");
        assert_eq!(placed, Placed::Incomparable { version: "not a version".into() });
        let list = Statement { versions: vec!["odd one".into()], ..Statement::default() };
        assert!(matches!(place(scheme, &list, "odd one"), Placed::Inside { .. }));
    }

    proptest! {
        /// Against a model that walks every version from the lowest up.
        #[test]
        fn agrees_with_walking_up(
            events in proptest::collection::vec((0usize..3, 1u32..12), 0..6),
            version in 1u32..13,
        ) {
            let scheme = VersionScheme::for_ecosystem("Debian").unwrap();
            let mut seen = std::collections::BTreeSet::new();
            let events: Vec<_> = events.into_iter().filter(|e| seen.insert(e.1)).collect();
            let range = events
                .iter()
                .map(|(kind, v)| match kind {
                    0 => Event::Introduced(v.to_string()),
                    1 => Event::Fixed(v.to_string()),
                    _ => Event::LastAffected(v.to_string()),
                })
                .collect();
            let mut affected = false;
            let mut expected = false;
            for v in 0..=version {
                // What begins at v, then v itself, then what ends behind v.
                for (kind, _) in events.iter().filter(|(_, at)| *at == v) {
                    match kind { 0 => affected = true, 1 => affected = false, _ => {} }
                }
                expected = affected;
                for _ in events.iter().filter(|(kind, at)| *at == v && *kind == 2) {
                    affected = false;
                }
            }
            let statement = Statement { ranges: vec![range], ..Statement::default() };
            let inside = matches!(place(scheme, &statement, &version.to_string()), Placed::Inside { .. });
            prop_assert_eq!(inside, expected);
        }
    }
}
