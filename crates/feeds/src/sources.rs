//! Where each source is published.

/// One advisory source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Its id, as the advisory index names it.
    pub id: &'static str,
    /// Its files: address, and the name each is kept under.
    pub files: &'static [(&'static str, &'static str)],
}

macro_rules! osv {
    ($ecosystem:literal) => {
        Source {
            id: concat!("osv/", $ecosystem),
            files: &[(
                concat!(
                    "https://osv-vulnerabilities.storage.googleapis.com/",
                    $ecosystem,
                    "/all.zip"
                ),
                "all.zip",
            )],
        }
    };
}

macro_rules! alpine {
    ($($branch:literal),*) => {
        &[$(
            (concat!("https://secdb.alpinelinux.org/", $branch, "/main.json"), concat!($branch, "-main.json")),
            (concat!("https://secdb.alpinelinux.org/", $branch, "/community.json"), concat!($branch, "-community.json")),
        )*]
    };
}

/// Every source that `advisories update` fetches.
pub const SOURCES: &[Source] = &[
    osv!("PyPI"),
    osv!("npm"),
    Source {
        id: "debian/tracker",
        files: &[("https://security-tracker.debian.org/tracker/data/json", "tracker.json")],
    },
    Source {
        id: "debian/dsa",
        files: &[(
            "https://salsa.debian.org/security-tracker-team/security-tracker/-/raw/master/data/DSA/list",
            "DSA.list",
        )],
    },
    Source {
        id: "debian/dla",
        files: &[(
            "https://salsa.debian.org/security-tracker-team/security-tracker/-/raw/master/data/DLA/list",
            "DLA.list",
        )],
    },
    Source {
        id: "alpine/secdb",
        files: alpine!(
            "v3.10", "v3.11", "v3.12", "v3.13", "v3.14", "v3.15", "v3.16", "v3.17", "v3.18",
            "v3.19", "v3.20", "v3.21", "v3.22", "v3.23", "v3.24", "edge"
        ),
    },
    Source {
        id: "kev",
        files: &[(
            "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json",
            "known_exploited_vulnerabilities.json",
        )],
    },
    Source {
        id: "epss",
        files: &[(
            "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz",
            "epss_scores.csv.gz",
        )],
    },
];
