//! The distribution's package databases, layer by layer.

use std::collections::BTreeMap;

use packages::{Package, PackageType, Problem, ProblemKind};

use super::Listed;
use super::live::{Live, LiveItem};
use super::overlay::{Overlay, Resolution, Resolved};
use crate::layer::Record;
use crate::table::{Mention, PathTable};

/// Where the package managers look.
const DPKG_STATUS: &str = "var/lib/dpkg/status";
const DPKG_STATUS_D: &str = "var/lib/dpkg/status.d";
const DPKG_INFO: &str = "var/lib/dpkg/info";
const APK_INSTALLED: [&str; 3] =
    ["lib/apk/db/installed", "usr/lib/apk/db/installed", "var/lib/apk/db/installed"];

/// What the databases list after the layers so far.
#[derive(Default)]
pub struct Databases<'a> {
    places: BTreeMap<&'static str, Resolution>,
    listed: Listed<'a>,
}

impl<'a> Databases<'a> {
    /// Reads the databases again where the layer just applied, of this index,
    /// may have changed them. `evidence_changed`: some file with evidence came
    /// or went.
    pub fn update(
        &mut self,
        index: u32,
        overlay: &Overlay<'_>,
        live: &Live<'a>,
        evidence_changed: bool,
    ) {
        let mut moved = false;
        for path in [DPKG_STATUS, DPKG_STATUS_D, DPKG_INFO].into_iter().chain(APK_INSTALLED) {
            let touched = match (self.places.get(path), overlay.top()) {
                (Some(before), Some(table)) => touches(table, before),
                (Some(_), None) => false,
                (None, _) => true,
            };
            if touched {
                let now = overlay.resolve(path);
                moved |= self.places.get(path).is_none_or(|before| before.end != now.end);
                self.places.insert(path, now);
            }
        }
        if !moved && !evidence_changed {
            return;
        }
        let mut listed = Listed::new();
        for (path, item) in self.files(live) {
            let (Record::DpkgStatus(packages)
            | Record::DpkgControl(packages)
            | Record::Apk { packages, .. }) = item.record
            else {
                continue;
            };
            for package in packages {
                let origin = self.listed.get(package).map_or(index, |(origin, _)| *origin);
                listed.entry(package).or_insert((origin, path.to_owned()));
            }
        }
        self.listed = listed;
    }

    /// Every package that is listed, the layer it came with, and the database
    /// it stands in.
    pub fn packages(&self) -> impl Iterator<Item = (&'a Package, u32, &str)> {
        self.listed.iter().map(|(package, (origin, path))| (*package, *origin, path.as_str()))
    }

    /// The files that are the databases, at their real paths, each once.
    pub fn files<'s>(&'s self, live: &'s Live<'a>) -> Vec<(&'s str, &'s LiveItem<'a>)> {
        let mut files = Vec::new();
        let mut at = |place: &str, fits: fn(&Record) -> bool| {
            let Some(Resolved::Path(real)) = self.places.get(place).map(|place| &place.end) else {
                return;
            };
            if let Some(item) = live.at(real).filter(|item| fits(item.record)) {
                files.push((real.as_str(), item));
            }
        };
        at(DPKG_STATUS, |record| matches!(record, Record::DpkgStatus(_)));
        for place in APK_INSTALLED {
            at(place, |record| matches!(record, Record::Apk { .. }));
        }
        if let Some(Resolved::Path(real)) = self.places.get(DPKG_STATUS_D).map(|place| &place.end) {
            files.extend(
                live.directly_in(real)
                    .filter(|(_, item)| matches!(item.record, Record::DpkgControl(_))),
            );
        }
        files.sort_by_key(|(path, _)| *path);
        files.dedup_by_key(|(path, _)| *path);
        files
    }

    /// Language metadata that the databases claim: the kind of package, the
    /// path as the database writes it, and the package's name.
    pub fn owned(&self, live: &Live<'a>) -> Vec<(PackageType, &'a str, &'a str)> {
        let mut owned = Vec::new();
        for place in [DPKG_INFO, DPKG_STATUS_D] {
            let Some(Resolved::Path(real)) = self.places.get(place).map(|place| &place.end) else {
                continue;
            };
            for (_, item) in live.directly_in(real) {
                if let Record::DpkgFiles { owner, paths } = item.record {
                    owned.extend(
                        paths.iter().map(|path| (PackageType::Deb, path.as_str(), owner.as_str())),
                    );
                }
            }
        }
        for (_, item) in self.files(live) {
            if let Record::Apk { owned: files, .. } = item.record {
                owned.extend(
                    files
                        .iter()
                        .map(|(path, owner)| (PackageType::Apk, path.as_str(), owner.as_str())),
                );
            }
        }
        owned
    }

    /// Databases that are there and lead nowhere, or hold something else.
    pub fn complain(&self, live: &Live<'a>, problems: &mut Vec<Problem>) {
        for place in [DPKG_STATUS].into_iter().chain(APK_INSTALLED) {
            let message = match self.places.get(place).map(|place| &place.end) {
                Some(Resolved::Dangling) => {
                    "package database is a symbolic link that leads nowhere in the image"
                }
                Some(Resolved::Path(real)) if live.at(real).is_none() => {
                    "package database is no file that could be read as one"
                }
                _ => continue,
            };
            problems.push(Problem {
                layer: None,
                path: Some(place.to_owned()),
                kind: ProblemKind::MalformedMetadata,
                message: message.to_owned(),
            });
        }
    }
}

/// Whether a layer may change where a path leads.
fn touches(table: &PathTable, before: &Resolution) -> bool {
    before.looked_at.iter().any(|path| table.mention(path) != Mention::None)
}
