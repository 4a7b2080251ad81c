//! Segments as a whole: what goes in comes out, and damage never panics.

use packages::Namespace;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::record::{Affected, Event, FixPlan};

fn record(number: u32) -> Record {
    let fixed = Statement {
        ranges: vec![vec![Event::Introduced("0".into()), Event::Fixed(number.to_string())]],
        ..Statement::default()
    };
    Record {
        id: format!("X-{number}"),
        aliases: vec![format!("CVE-2020-{}", 1000 + number)],
        title: format!("Title {number}"),
        details: "Some details. ".repeat(number as usize % 7),
        references: vec![Reference {
            kind: "WEB".into(),
            link: format!("https://example.org/{number}"),
        }],
        modified: Some(1_600_000_000 + i64::from(number)),
        withdrawn: (number.is_multiple_of(5)).then_some(1_600_000_000),
        cvss: vec!["CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".into()],
        affected: vec![Affected {
            namespace: Namespace::new(if number.is_multiple_of(2) {
                "Debian:12"
            } else {
                "Debian:11"
            }),
            name: format!("package-{}", number % 9),
            statement: match number % 4 {
                0 => Statement {
                    stance: Stance::NotAffected,
                    channel: Some("main".into()),
                    ..Statement::default()
                },
                1 => Statement { channel: Some("odd".into()), ..fixed },
                2 => Statement { plan: FixPlan::NotYetAvailable, ..fixed },
                _ => fixed,
            },
        }],
        ..Record::default()
    }
}

fn draft(content: Content) -> Draft {
    Draft {
        source: "test".into(),
        family: "Debian".into(),
        role: Role::Base,
        data_date: Some(7),
        imported_at: 8,
        content,
    }
}

fn sample() -> Vec<u8> {
    compile(draft(Content::Records((0..60).map(record).collect()))).unwrap()
}

/// Asks everything that can be asked.
fn ask(segment: &Segment) {
    for number in (0..segment.record_count().min(100)).chain([u32::MAX]) {
        segment.record(number);
        segment.text(number);
    }
    for name in ["package-1", "package-8", "nothing"] {
        segment.statements(&Namespace::new("Debian:12"), name);
    }
    for id in ["X-1", "x-59", "CVE-2020-1007", ""] {
        segment.records_of(id);
        segment.score(id);
        segment.exploited(id);
    }
    segment.records_of_finding(crate::FindingId::of("Debian", "CVE-2020-1007"));
    segment.ends_of_life();
    segment.export();
}

#[test]
fn what_goes_in_comes_out() {
    let segment = Segment::open(sample()).unwrap();
    let mut expected: Vec<Record> = (0..60).map(record).collect();
    expected.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(segment.export(), expected);
    assert_eq!((segment.meta().records, segment.meta().withdrawn), (60, 12));
    assert_eq!(segment.meta().namespaces, ["Debian:11", "Debian:12"]);
    let found = segment.records_of("cve-2020-1007");
    assert_eq!(
        found.iter().filter_map(|n| segment.record(*n)).map(|r| r.id).collect::<Vec<_>>(),
        ["X-7"]
    );
    assert_eq!(segment.records_of_finding(crate::FindingId::of("Debian", "CVE-2020-1007")), found);
    assert_eq!(segment.text(found[0]).unwrap().title, "Title 7");
}

#[test]
fn order_does_not_matter() {
    let backwards = compile(draft(Content::Records((0..60).rev().map(record).collect()))).unwrap();
    assert_eq!(backwards, sample());
}

#[test]
fn facts_come_out() {
    let scores = vec![Score::new("CVE-2021-44228", 0.97, 1.0).unwrap()];
    let segment = Segment::open(compile(draft(Content::Scores(scores.clone()))).unwrap()).unwrap();
    assert_eq!(segment.score("CVE-2021-44228"), Some(scores[0]));
    assert_eq!(segment.score("CVE-2021-44229"), None);
    let entry = Exploited {
        date_added: "2021-12-10".into(),
        due_date: None,
        ransomware: true,
        name: "Log4j".into(),
    };
    let content = Content::Exploited(vec![("CVE-2021-44228".into(), entry.clone())]);
    let segment = Segment::open(compile(draft(content)).unwrap()).unwrap();
    assert_eq!(segment.exploited("CVE-2021-44228"), Some(entry));
}

#[test]
fn every_flipped_byte_is_noticed() {
    let bytes = sample();
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x55;
        assert!(Segment::open(bytes).is_err(), "byte {at}");
    }
    for length in 0..bytes.len() {
        assert!(Segment::open(bytes[..length].to_vec()).is_err(), "cut at {length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Somebody who can seal a segment again cannot make it panic.
    #[test]
    fn sealed_damage_never_panics(damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let mut bytes = sample();
        let body = bytes.len() - SEAL_BYTES;
        for (at, value) in damage {
            bytes[at.index(body)] = value;
        }
        let seal = Sha256::digest(&bytes[..body]);
        bytes[body..].copy_from_slice(&seal);
        if let Ok(segment) = Segment::open(bytes) {
            ask(&segment);
        }
    }
}
