//! Adversarial version strings: built from each scheme's own pieces, and then
//! bent a little, so that pairs differ late and in one place.

use packages::version::VersionScheme;

/// SplitMix64: the same strings on every machine and in every run.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform enough below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "9",
    "10",
    "00",
    "01",
    "010",
    "20240101",
    "18446744073709551616",
    "99999999999999999999",
];

/// Pieces that occur in versions of a scheme or nearly do.
pub fn pieces(scheme: VersionScheme) -> &'static [&'static str] {
    match scheme {
        VersionScheme::Debian => &[
            ".",
            "-",
            "~",
            "+",
            ":",
            "a",
            "rc",
            "Z",
            "deb12u1",
            "~bpo",
            "+dfsg",
            "ubuntu",
            "1:",
            "_",
            " ",
            "\t",
            "é",
            "^",
            "0:",
            "+b1",
            "-1",
            "2147483648:",
            "2147483647:",
            "\n",
            "!",
            "/",
            "+1:",
            "-0:",
        ],
        VersionScheme::Alpine => &[
            ".", "_", "-r", "~", "a", "b", "_alpha", "_beta", "_pre", "_rc", "_cvs", "_svn",
            "_git", "_hg", "_p", "~ab12", "-", "-r0", "-r1", ".0", ".01",
        ],
        VersionScheme::Rpm => &[
            ".", "-", "~", "^", ":", "a", "el9", "rc", "Z", "1:", "0:", "_", "+", "~rc1", "^git",
            "-1", "..", "é",
        ],
        VersionScheme::Pypi => &[
            ".", "-", "_", "+", "!", "a", "b", "c", "rc", "RC", "alpha", "Beta", "pre", "preview",
            "post", "rev", "r", "dev", ".dev", "DEV", ".post", "v", "V", " ", "\n", "\u{a0}",
            "\u{1c}", "\u{85}", "1!", "+ubuntu", "+1", "ſ", ".0", ".0.0", "-1", "\u{feff}", "*",
            "١", "K",
        ],
        VersionScheme::RubyGems => &[
            ".", "-", "a", "b", "pre", ".pre", ".rc", "beta", "A", ".0", ".0.0", "-1", " ", "\n",
            "_", "..", "x",
        ],
        VersionScheme::Maven => &[
            ".",
            "-",
            "a",
            "b",
            "m",
            "alpha",
            "BETA",
            "milestone",
            "rc",
            "cr",
            "snapshot",
            "-SNAPSHOT",
            "ga",
            "final",
            ".Final",
            "release",
            "sp",
            ".SP1",
            "x",
            "-jre",
            "_",
            "+",
            "..",
            "--",
            ".0",
            "-0",
            "é",
        ],
        VersionScheme::Npm | VersionScheme::Semver | VersionScheme::Go => &[
            ".",
            "-",
            "+",
            "v",
            "=",
            " ",
            "alpha",
            "beta",
            "x",
            "-rc.1",
            "-0",
            "+build.5",
            ".1",
            ".0",
            "1.2.3",
            "0.0.0",
            "--",
            "A",
            "9007199254740991",
            "9007199254740992",
            "9007199254740993",
            "\u{a0}",
            "\u{feff}",
            "\u{85}",
            "\n",
            "é",
            "-00",
            "-0a",
        ],
    }
}

/// A shape that the scheme accepts more often than chance would give.
fn skeleton(scheme: VersionScheme, random: &mut Random) -> String {
    let number = |random: &mut Random| random.pick(NUMBERS).to_owned();
    let plain = |random: &mut Random| random.below(12).to_string();
    match scheme {
        VersionScheme::Npm | VersionScheme::Semver | VersionScheme::Go => {
            let mut text = format!("{}.{}.{}", plain(random), plain(random), plain(random));
            for (chance, lead) in [(2, '-'), (4, '+')] {
                if random.below(chance) == 0 {
                    let ids: Vec<_> = (0..1 + random.below(4))
                        .map(|_| {
                            random.pick(&[
                                "0",
                                "1",
                                "10",
                                "2",
                                "a",
                                "A",
                                "-",
                                "1a",
                                "a1",
                                "9007199254740993",
                            ])
                        })
                        .collect();
                    text = format!("{text}{lead}{}", ids.join("."));
                }
            }
            text
        }
        _ => {
            let mut text = number(random);
            for _ in 0..random.below(6) {
                text.push_str(random.pick(pieces(scheme)));
                if random.below(3) > 0 {
                    text.push_str(&number(random));
                }
            }
            text
        }
    }
}

/// Pieces in any order.
fn soup(scheme: VersionScheme, random: &mut Random) -> String {
    (0..random.below(7))
        .map(
            |_| {
                if random.below(2) == 0 {
                    random.pick(NUMBERS)
                } else {
                    random.pick(pieces(scheme))
                }
            },
        )
        .collect()
}

/// Takes one character out, doubles one, replaces one, or puts a piece in.
fn bend(text: &str, scheme: VersionScheme, random: &mut Random) -> String {
    let mut parts: Vec<String> = text.chars().map(String::from).collect();
    let at = random.below(parts.len() + 1);
    let piece =
        if random.below(3) == 0 { random.pick(NUMBERS) } else { random.pick(pieces(scheme)) };
    match (random.below(4), at < parts.len()) {
        (0, true) => {
            parts.remove(at);
        }
        (1, true) => parts[at] = piece.to_owned(),
        (2, true) => {
            let twice = parts[at].clone();
            parts.insert(at, twice);
        }
        _ => parts.insert(at, piece.to_owned()),
    }
    parts.concat()
}

/// One string.
pub fn version(scheme: VersionScheme, seen: &[String], random: &mut Random) -> String {
    match random.below(8) {
        0 => soup(scheme, random),
        1..=3 if !seen.is_empty() => seen[random.below(seen.len())].clone(),
        _ => skeleton(scheme, random),
    }
}

/// Two strings, mostly akin. `seen` are versions from the wild, if there are any.
pub fn pair(scheme: VersionScheme, seen: &[String], random: &mut Random) -> (String, String) {
    let a = version(scheme, seen, random);
    let b = match random.below(4) {
        0 => version(scheme, seen, random),
        1 => {
            let once = bend(&a, scheme, random);
            bend(&once, scheme, random)
        }
        _ => bend(&a, scheme, random),
    };
    // Which side was bent shall not matter.
    if random.below(2) == 0 { (a, b) } else { (b, a) }
}
