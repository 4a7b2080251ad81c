//! What holds of every order, whatever the strings.

use std::cmp::Ordering;

use packages::version::VersionScheme;
use proptest::prelude::*;

use crate::generate::{self, Random};

/// Strings that are close to versions, three of them akin.
fn akin(scheme: VersionScheme) -> impl Strategy<Value = [String; 3]> {
    any::<u64>().prop_map(move |seed| {
        let mut random = Random(seed);
        let (a, b) = generate::pair(scheme, &[], &mut random);
        let (c, _) = generate::pair(scheme, std::slice::from_ref(&a), &mut random);
        [a, b, c]
    })
}

fn is_ordered(scheme: VersionScheme, [a, b, c]: &[String; 3]) -> Result<(), TestCaseError> {
    let compare = |a: &str, b: &str| scheme.compare(a, b);
    for x in [a, b, c] {
        prop_assert!(
            matches!(compare(x, x), None | Some(Ordering::Equal)),
            "{scheme:?}: {x:?} differs from itself"
        );
        prop_assert!(!scheme.is_valid(x) || compare(x, x).is_some());
    }
    prop_assert_eq!(
        compare(a, b),
        compare(b, a).map(Ordering::reverse),
        "{:?}: {:?} {:?}",
        scheme,
        a,
        b
    );
    // Two that are versions always compare; two that are not do so only where
    // apk's rule, up to the fault, decides.
    let comparable = |x: &str| compare(x, x).is_some();
    if scheme != VersionScheme::Alpine || (comparable(a) && comparable(b)) {
        prop_assert_eq!(
            compare(a, b).is_some(),
            comparable(a) && comparable(b),
            "{:?}: {:?} {:?}",
            scheme,
            a,
            b
        );
    }
    // Maven's own order has circles: "" < " " < "0a0" < "".
    if scheme == VersionScheme::Maven {
        return Ok(());
    }
    if let (Some(ab), Some(bc), Some(ac)) = (compare(a, b), compare(b, c), compare(a, c)) {
        let expected = match (ab, bc) {
            (x, y) if x == y => Some(x),
            (Ordering::Equal, x) | (x, Ordering::Equal) => Some(x),
            _ => None,
        };
        prop_assert!(
            expected.is_none_or(|x| x == ac),
            "{scheme:?}: {a:?} {ab:?} {b:?} {bc:?} {c:?}, yet {ac:?}"
        );
    }
    Ok(())
}

/// node-semver compares long pre-release numbers as doubles, which is no
/// order; npm's laws hold below that.
fn has_exact_numbers(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit()).all(|number| number.len() < 16)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn akin_strings_have_one_order(
        (scheme, strings) in prop::sample::select(&VersionScheme::ALL[..])
            .prop_flat_map(|scheme| (Just(scheme), akin(scheme)))
    ) {
        prop_assume!(scheme != VersionScheme::Npm || strings.iter().all(|s| has_exact_numbers(s)));
        is_ordered(scheme, &strings)?;
    }

    #[test]
    fn any_strings_are_survived(a in any::<String>(), b in any::<String>(), c in "[0-9a-c.~^+:_ -]{0,12}") {
        for scheme in VersionScheme::ALL {
            is_ordered(scheme, &[a.clone(), b.clone(), c.clone()])?;
        }
    }

    #[test]
    fn long_numbers_are_not_cut(digits in "[1-9][0-9]{40,60}") {
        let greater = format!("{digits}0");
        for (scheme, suffix) in [
            (VersionScheme::Debian, "-1"), (VersionScheme::Alpine, "-r1"), (VersionScheme::Rpm, "-1"),
            (VersionScheme::Pypi, ".post1"), (VersionScheme::Semver, ".0.0"), (VersionScheme::Go, ".0.0"),
        ] {
            let order = scheme.compare(&format!("{digits}{suffix}"), &format!("{greater}{suffix}"));
            prop_assert_eq!(order, Some(Ordering::Less), "{:?}", scheme);
        }
    }
}

#[test]
fn long_and_deep_strings_are_survived() {
    for piece in ["1", "1-", "a1", ".", "-", "~^", "1.a-0_p1", "\u{a0}"] {
        let long = piece.repeat(100_000);
        for scheme in VersionScheme::ALL {
            for prefix in ["", "1.0.0-", "1:"] {
                let order = scheme.compare(&format!("{prefix}{long}"), &format!("{prefix}{long}"));
                assert!(
                    matches!(order, None | Some(Ordering::Equal)),
                    "{scheme:?}: {prefix}{piece}..."
                );
            }
        }
        let nested = &long[..1024];
        assert_eq!(
            VersionScheme::Maven.compare(nested, nested),
            Some(Ordering::Equal),
            "{piece}..."
        );
    }
}
