//! Retention: what is old goes, by rules, a manifest with everything that
//! belongs to it.
//!
//! ```text
//! rules, facts of a repository --plan--> untag / retire, each by a rule
//!                                          |
//!                      decided again in the deleting transaction
//! ```
//!
//! Never taken: what is locked or immutable; what a kept index lists; what is
//! about a kept subject, by its `subject` or by a tag with the subject's digest
//! (it goes and stays with it); what was tagged or pulled after it was planned.

use std::collections::{HashMap, HashSet};

use access::{Configuration, RegistryPermit};
use oci::{Digest, RepositoryName, Tag};
use serde::{Deserialize, Serialize};
use store::policy::{
    DeleteMode, DeleteRules, RetentionManifest, RetentionTag, Retire, RetireOutcome, attached_to,
    first_match,
};
use store::{Pattern, StoreError};
use time::{Duration, OffsetDateTime};

use crate::policies::{Policies, yes};
use crate::{DeletedManifest, DeletedTag, Registry};

/// Longest name of a rule, in bytes.
pub const RULE_NAME_BYTES_MAX: usize = 100;
/// Oldest age that a rule may name, in days: a century.
pub const RULE_DAYS_MAX: u32 = 36_525;
/// Deletions that a report lists one by one; all are counted.
pub const REPORTED_MAX: usize = 10_000;
/// Repositories read at a time.
const REPOSITORIES_PAGE: u32 = 500;

/// Since when something is old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AgeBasis {
    /// Its push; of a tag, when it was last set.
    #[default]
    Push,
    /// Its last pull, or its push if that is later.
    Pull,
}

/// What goes. All that a rule names must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetentionRule {
    /// For reports.
    pub name: String,
    /// In these repositories.
    #[serde(default = "Pattern::any")]
    pub repositories: Pattern,
    /// What these tags name; not looked at with `untagged_only`.
    #[serde(default = "Pattern::any")]
    pub tags: Pattern,
    /// Manifests without a tag, and no others.
    #[serde(default)]
    pub untagged_only: bool,
    /// The newest of those that the rule speaks of stay, per repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_newest: Option<u32>,
    /// Only what is older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_than_days: Option<u32>,
    /// Since when it is old.
    #[serde(default)]
    pub by: AgeBasis,
    /// Whether it counts.
    #[serde(default = "yes")]
    pub enabled: bool,
}

impl RetentionRule {
    /// What is wrong with it.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.name.is_empty() || self.name.len() > RULE_NAME_BYTES_MAX {
            return Some(format!("needs a name of 1 to {RULE_NAME_BYTES_MAX} bytes"));
        }
        if self.keep_newest.is_none() && self.older_than_days.is_none() {
            return Some(
                "names neither keepNewest nor olderThanDays and would take everything".into(),
            );
        }
        let days = self.older_than_days.unwrap_or(0);
        (days > RULE_DAYS_MAX).then(|| format!("names {days} days, more than {RULE_DAYS_MAX}"))
    }
}

/// Something that goes by a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Where.
    pub repository: RepositoryName,
    /// The manifest, or what the tag points at.
    pub digest: Digest,
    /// `Some`: only this tag goes; the manifest has others that stay.
    pub untag: Option<Tag>,
    /// The tags that go, each as last set.
    pub tags: Vec<(Tag, OffsetDateTime)>,
    /// Name of the rule.
    pub rule: String,
    /// Age counts from the last pull, so that one since then keeps it.
    pub pulled_before: Option<OffsetDateTime>,
}

/// What a run did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RetentionReport {
    /// Whether nothing was taken.
    pub dry_run: bool,
    /// How many repositories were looked at.
    pub repositories: u64,
    /// Manifests planned.
    pub manifests: u64,
    /// Tags planned to be removed from manifests that stay.
    pub tags: u64,
    /// Manifests that are gone, those that went along too; 0 for a dry run.
    pub deleted: u64,
    /// The first [`REPORTED_MAX`] of what was planned.
    pub planned: Vec<Planned>,
    /// What stayed in the end, and why.
    pub kept: Vec<(Planned, String)>,
}

/// What of a repository goes by the rules.
pub fn plan(
    repository: &RepositoryName,
    manifests: &[RetentionManifest],
    policies: &Policies,
    now: OffsetDateTime,
) -> Vec<Planned> {
    let rules = policies.retention.iter().filter(|rule| rule.enabled);
    let rules: Vec<_> = rules.filter(|r| r.repositories.matches(repository.as_str())).collect();
    if rules.is_empty() {
        return Vec::new();
    }
    let immutable = policies.immutable_tags(repository);
    let here: HashSet<Digest> = manifests.iter().map(|m| m.digest).collect();
    let listed: HashSet<Digest> =
        manifests.iter().flat_map(|m| m.children.iter().copied()).collect();
    let attached = |tag: &Tag| attached_to(tag).is_some_and(|about| here.contains(&about));
    let belongs = |manifest: &RetentionManifest| {
        manifest.subject.is_some_and(|subject| here.contains(&subject))
            || listed.contains(&manifest.digest)
            || manifest.tags.iter().any(|tag| attached(&tag.tag))
    };
    let fixed = |tag: &RetentionTag| {
        tag.locked || attached(&tag.tag) || first_match(&immutable, tag.tag.as_str()).is_some()
    };

    // Which rule takes which tag, and which untagged manifest; the first counts.
    let mut tags: HashMap<&Tag, &RetentionRule> = HashMap::new();
    let mut untagged: HashMap<Digest, &RetentionRule> = HashMap::new();
    for rule in rules {
        if rule.untagged_only {
            let ours = manifests.iter().filter(|m| m.tags.is_empty() && !belongs(m));
            let aged = ours.map(|m| (since(rule.by, m.pushed_at, m.pulled_at), m)).collect();
            for manifest in outlived(rule, aged, now, |m| m.digest.to_string()) {
                untagged.entry(manifest.digest).or_insert(rule);
            }
        } else {
            let ours = manifests.iter().flat_map(|m| m.tags.iter());
            let ours = ours.filter(|t| rule.tags.matches(t.tag.as_str()) && !attached(&t.tag));
            let aged = ours.map(|t| (since(rule.by, t.updated_at, t.pulled_at), t)).collect();
            for tag in outlived(rule, aged, now, |t| t.tag.to_string()) {
                tags.entry(&tag.tag).or_insert(rule);
            }
        }
    }

    let mut planned = Vec::new();
    for manifest in manifests {
        let going: Vec<_> = manifest
            .tags
            .iter()
            .filter(|tag| !fixed(tag))
            .filter_map(|tag| tags.get(&tag.tag).map(|rule| (tag, *rule)))
            .collect();
        let whole = going.len() == manifest.tags.len() && !manifest.locked && !belongs(manifest);
        let one = |rule: &RetentionRule, untag: Option<Tag>, tags| Planned {
            repository: repository.clone(),
            digest: manifest.digest,
            untag,
            tags,
            rule: rule.name.clone(),
            pulled_before: (rule.by == AgeBasis::Pull).then_some(now),
        };
        let as_set = |tag: &RetentionTag| (tag.tag.clone(), tag.updated_at);
        if !whole {
            let untag = |(tag, rule): &(&RetentionTag, &RetentionRule)| {
                one(rule, Some(tag.tag.clone()), vec![as_set(tag)])
            };
            planned.extend(going.iter().map(untag));
        } else if let Some((_, rule)) = going.first() {
            planned.push(one(rule, None, going.iter().map(|(tag, _)| as_set(tag)).collect()));
        } else if let Some(rule) = untagged.get(&manifest.digest) {
            planned.push(one(rule, None, Vec::new()));
        }
    }
    planned
}

fn since(
    by: AgeBasis,
    pushed_at: OffsetDateTime,
    pulled_at: Option<OffsetDateTime>,
) -> OffsetDateTime {
    match by {
        AgeBasis::Push => pushed_at,
        AgeBasis::Pull => pulled_at.map_or(pushed_at, |at| at.max(pushed_at)),
    }
}

/// Those that are neither among the newest nor young.
fn outlived<'m, T>(
    rule: &RetentionRule,
    mut aged: Vec<(OffsetDateTime, &'m T)>,
    now: OffsetDateTime,
    name: impl Fn(&T) -> String,
) -> Vec<&'m T> {
    aged.sort_by_cached_key(|(at, one)| (std::cmp::Reverse(*at), name(one)));
    let keep = rule.keep_newest.unwrap_or(0) as usize;
    let oldest = rule.older_than_days.map(|days| now - Duration::days(i64::from(days)));
    let old = |(at, _): &(OffsetDateTime, &T)| oldest.is_none_or(|oldest| *at < oldest);
    aged.into_iter().skip(keep).filter(old).map(|(_, one)| one).collect()
}

impl Registry {
    /// Applies the rules to every repository. A dry run says what would go.
    pub async fn run_retention(
        &self,
        permit: &RegistryPermit<Configuration>,
        dry_run: bool,
    ) -> Result<RetentionReport, StoreError> {
        self.apply_retention(permit.principal().name(), dry_run).await
    }

    /// The same for the product itself.
    pub async fn apply_retention(
        &self,
        by: &str,
        dry_run: bool,
    ) -> Result<RetentionReport, StoreError> {
        // What was pulled a moment ago counts.
        self.flush_pulls().await?;
        let policies = self.policies().await?;
        let policies = &policies.policies;
        let mut report = RetentionReport { dry_run, ..RetentionReport::default() };
        if policies.retention.iter().all(|rule| !rule.enabled) {
            return Ok(report);
        }
        let mut after: Option<RepositoryName> = None;
        loop {
            let names = self
                .metadata
                .all_repositories(after.as_ref().map(RepositoryName::as_str), REPOSITORIES_PAGE)
                .await?;
            let Some(last) = names.last() else { return Ok(report) };
            after = Some(last.clone());
            for name in &names {
                report.repositories += 1;
                let (manifests, open) = self.metadata.retention_manifests(name).await?;
                if !open {
                    continue;
                }
                for planned in plan(name, &manifests, policies, self.now()) {
                    self.apply(planned, policies, by, &mut report).await?;
                }
            }
        }
    }

    async fn apply(
        &self,
        planned: Planned,
        policies: &Policies,
        by: &str,
        report: &mut RetentionReport,
    ) -> Result<(), StoreError> {
        match planned.untag {
            Some(_) => report.tags += 1,
            None => report.manifests += 1,
        }
        if !report.dry_run {
            let outcome = self.take(&planned, policies, by).await?;
            match outcome {
                RetireOutcome::Retired(gone) => {
                    report.deleted += gone.len() as u64;
                    self.tell_retired(&planned, gone, by);
                }
                RetireOutcome::Kept(reason) if report.kept.len() < REPORTED_MAX => {
                    report.kept.push((planned.clone(), reason));
                }
                RetireOutcome::Kept(_) => {}
            }
        }
        if report.planned.len() < REPORTED_MAX {
            report.planned.push(planned);
        }
        Ok(())
    }

    async fn take(
        &self,
        planned: &Planned,
        policies: &Policies,
        by: &str,
    ) -> Result<RetireOutcome, StoreError> {
        let rules = DeleteRules {
            immutable_tags: policies.immutable_tags(&planned.repository),
            mode: if policies.soft_delete.enabled {
                DeleteMode::PutAway
            } else {
                DeleteMode::Graph
            },
            at: self.now(),
            by: by.to_owned(),
        };
        match (&planned.untag, planned.tags.first()) {
            (Some(tag), Some((_, updated_at))) => {
                self.metadata.retire_tag(&planned.repository, tag, *updated_at, &rules).await
            }
            _ => {
                let retire = Retire {
                    repository: &planned.repository,
                    digest: &planned.digest,
                    tags: &planned.tags,
                    pulled_before: planned.pulled_before,
                };
                self.metadata.retire_manifest(retire, &rules).await
            }
        }
    }

    fn tell_retired(&self, planned: &Planned, gone: Vec<store::DeletedEntry>, by: &str) {
        if let Some(tag) = &planned.untag {
            self.observer.tag_deleted(&DeletedTag {
                repository: planned.repository.clone(),
                tag: tag.clone(),
                digest: planned.digest,
                by: by.to_owned(),
                at: self.now(),
                request: None,
            });
        }
        for entry in gone {
            self.observer.manifest_deleted(&DeletedManifest {
                repository: planned.repository.clone(),
                digest: entry.digest,
                media_type: entry.media_type,
                tags: entry.tags,
                by: by.to_owned(),
                at: self.now(),
                request: None,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn digest(name: &str) -> Digest {
        Digest::sha256(name.as_bytes())
    }

    /// `NAME AGE [tag...]`, age in days; `<NAME` is about, `>NAME` lists, `!` is
    /// locked, `^AGE` was pulled, `tag!` is locked. `@NAME.sig` stands for a
    /// tag with that digest.
    fn manifest(line: &str) -> RetentionManifest {
        let mut words = line.split(' ');
        let (name, age) = (words.next().unwrap(), words.next().unwrap());
        let ago = |days: &str| NOW - Duration::days(days.parse().unwrap());
        let mut one = RetentionManifest {
            digest: digest(name),
            pushed_at: ago(age),
            pulled_at: None,
            locked: false,
            subject: None,
            children: Vec::new(),
            tags: Vec::new(),
        };
        for word in words {
            let (first, rest) = word.split_at(1);
            match first {
                "<" => one.subject = Some(digest(rest)),
                ">" => one.children.push(digest(rest)),
                "^" => one.pulled_at = Some(ago(rest)),
                "!" => one.locked = true,
                _ => {
                    let locked = word.ends_with('!');
                    let word = word.trim_end_matches('!');
                    let name = match word.strip_prefix('@') {
                        Some(about) => {
                            let (name, suffix) = about.split_once('.').unwrap();
                            format!("sha256-{}.{suffix}", digest(name).hex())
                        }
                        None => word.to_owned(),
                    };
                    one.tags.push(RetentionTag {
                        tag: Tag::parse(&name).unwrap(),
                        updated_at: one.pushed_at,
                        pulled_at: None,
                        locked,
                    });
                }
            }
        }
        for tag in &mut one.tags {
            tag.pulled_at = one.pulled_at;
        }
        one
    }

    fn check(rules: &str, manifests: &[&str], expected: &[&str]) {
        let policies: Policies = serde_json::from_str(rules).unwrap();
        let names: HashMap<Digest, &str> = manifests
            .iter()
            .map(|line| line.split(' ').next().unwrap())
            .map(|name| (digest(name), name))
            .collect();
        let facts: Vec<_> = manifests.iter().map(|line| manifest(line)).collect();
        let repository = RepositoryName::parse("team/app").unwrap();
        let mut planned: Vec<_> = plan(&repository, &facts, &policies, NOW)
            .into_iter()
            .map(|planned| match planned.untag {
                Some(tag) => format!("{}:{tag} by {}", names[&planned.digest], planned.rule),
                None => format!("{} by {}", names[&planned.digest], planned.rule),
            })
            .collect();
        planned.sort();
        assert_eq!(planned, expected, "{rules}");
    }

    #[test]
    fn old_tags_go_and_the_newest_stay() {
        let rules = r#"{"retention":[{"name":"r","keepNewest":1,"olderThanDays":10}]}"#;
        check(rules, &["a 30 a", "b 20 b", "c 5 c", "d 1 d"], &["a by r", "b by r"]);
        check(rules, &["a 30 a", "b 20 b"], &["a by r"]);
        let rules = r#"{"retention":[{"name":"r","tags":"dev-*","olderThanDays":10}]}"#;
        check(rules, &["a 30 v1 dev-1", "b 30 dev-2", "c 30 v2"], &["a:dev-1 by r", "b by r"]);
        let rules = r#"{"retention":[{"name":"r","repositories":"other/*","olderThanDays":1}]}"#;
        check(rules, &["a 30 a"], &[]);
        let rules = r#"{"retention":[{"name":"r","olderThanDays":1,"enabled":false}]}"#;
        check(rules, &["a 30 a"], &[]);
    }

    #[test]
    fn a_pull_keeps_young_where_the_rule_says_so() {
        let by_pull = r#"{"retention":[{"name":"r","olderThanDays":10,"by":"pull"}]}"#;
        check(by_pull, &["a 30 a ^5", "b 30 b ^20", "c 5 c"], &["b by r"]);
        let by_push = r#"{"retention":[{"name":"r","olderThanDays":10}]}"#;
        check(by_push, &["a 30 a ^5"], &["a by r"]);
    }

    #[test]
    fn what_belongs_to_something_kept_stays() {
        let rules = r#"{"retention":[{"name":"u","untaggedOnly":true,"olderThanDays":10},
            {"name":"old","tags":"*","olderThanDays":20}]}"#;
        check(
            rules,
            &["index 1 v1 >amd >arm", "amd 30", "arm 30", "orphan 30", "young 1"],
            &["orphan by u"],
        );
        check(rules, &["image 1 v1", "sig 30 <image", "sbom 30 <sig"], &[]);
        check(rules, &["sig 30 <gone"], &["sig by u"]);
        check(rules, &["image 1 v1", "sig 30 @image.sig"], &[]);
        check(rules, &["image 30 v1", "sig 30 @image.sig", "new 1 <image"], &["image by old"]);
        check(rules, &["sig 30 @gone.sig"], &["sig by old"]);
    }

    #[test]
    fn locks_and_immutable_tags_hold() {
        let rules = r#"{"immutability":[{"repositories":"team/*","tags":"v*"}],
            "retention":[{"name":"all","olderThanDays":1},
            {"name":"u","untaggedOnly":true,"olderThanDays":1}]}"#;
        check(
            rules,
            &["a 9 v1", "b 9 b!", "c 9 c !", "d 9 d", "e 9 e v2", "f 9 !"],
            &["c:c by all", "d by all", "e:e by all"],
        );
    }
}
