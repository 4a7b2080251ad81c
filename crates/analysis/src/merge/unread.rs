//! Content that nobody looked into, as problems of the image.

use std::collections::BTreeMap;

use packages::{Problem, ProblemKind};

use crate::analysers::UnreadKind;

/// What the finished image holds of it, by layer and kind.
#[derive(Default)]
pub struct Unread<'a> {
    found: BTreeMap<(u32, UnreadKind), Files<'a>>,
}

struct Files<'a> {
    count: usize,
    first: &'a str,
}

impl<'a> Unread<'a> {
    /// Counts a file that `layer` wrote. What a distribution's package owns is
    /// that distribution's to judge.
    pub fn see(
        &mut self,
        kind: UnreadKind,
        layer: u32,
        path: &'a str,
        owners: &BTreeMap<String, &str>,
    ) {
        if !owners.contains_key(path) {
            self.found.entry((layer, kind)).or_insert(Files { count: 0, first: path }).count += 1;
        }
    }

    /// One problem for each kind and layer.
    pub fn complain(self, problems: &mut Vec<Problem>) {
        for ((layer, kind), Files { count, first }) in self.found {
            let (one, several) = kind.words();
            let message = match count {
                1 => format!("1 {one} is not read by this version: {first}"),
                _ => {
                    format!("{count} {several} are not read by this version, the first is {first}")
                }
            };
            problems.push(Problem {
                layer: Some(layer),
                path: Some(first.to_owned()),
                kind: ProblemKind::UnreadContent,
                message,
            });
        }
    }
}
