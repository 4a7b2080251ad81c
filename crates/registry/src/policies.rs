//! What an installation's administrators have decided: one JSON document in
//! the database, changed while the server runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use access::{Configuration, RegistryPermit};
use oci::RepositoryName;
use serde::{Deserialize, Serialize};
use store::policy::{PushRules, PutSetting};
use store::{Metadata, Pattern, StoreError};
use time::OffsetDateTime;

use crate::Registry;
use crate::retention::RetentionRule;

/// For how long what was read counts; a change by another process or replica
/// is in force after that.
const CACHE_MAX: Duration = Duration::from_secs(2);
/// Name of the setting.
const SETTING: &str = "registry-policies";
/// Most rules of one kind.
pub const RULES_MAX: usize = 200;
/// Longest and shortest time, in days, that what was put away can be restored.
pub const SOFT_DELETE_DAYS_MAX: u32 = 90;
const SOFT_DELETE_DAYS_DEFAULT: u32 = 7;

/// Everything that is decided. The default decides nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Policies {
    /// Which tags cannot be moved or removed once they are set.
    pub immutability: Vec<ImmutabilityRule>,
    /// What goes when it is old.
    pub retention: Vec<RetentionRule>,
    /// Whether what is deleted can be restored.
    pub soft_delete: SoftDelete,
    /// How much may be held.
    pub quotas: Quotas,
}

/// Tags that stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImmutabilityRule {
    /// Of these repositories.
    #[serde(default = "Pattern::any")]
    pub repositories: Pattern,
    /// These tags.
    #[serde(default = "Pattern::any")]
    pub tags: Pattern,
    /// Whether it counts.
    #[serde(default = "yes")]
    pub enabled: bool,
}

pub(crate) fn yes() -> bool {
    true
}

/// Whether what is deleted is put away at first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SoftDelete {
    /// Whether it is.
    pub enabled: bool,
    /// For how long it can be restored, 1 to [`SOFT_DELETE_DAYS_MAX`] days;
    /// counts also for what was put away before it was turned off.
    pub retention_days: u32,
}

impl Default for SoftDelete {
    fn default() -> Self {
        Self { enabled: false, retention_days: SOFT_DELETE_DAYS_DEFAULT }
    }
}

/// How many bytes may be held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Quotas {
    /// By all repositories together, blobs that they share counted once.
    pub registry_bytes: Option<u64>,
    /// By each repository; the first pattern that matches counts.
    pub repositories: Vec<RepositoryQuota>,
}

/// How many bytes a repository may hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepositoryQuota {
    /// Each of these.
    pub repositories: Pattern,
    /// Most bytes; `None`: without a limit, whatever later patterns say.
    pub bytes: Option<u64>,
}

/// Policies with the version that a change has to name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionedPolicies {
    /// What is decided.
    pub policies: Policies,
    /// 0: nobody has decided anything yet.
    pub version: u64,
    /// When it was last changed.
    pub changed_at: Option<OffsetDateTime>,
    /// By whom.
    pub changed_by: String,
}

/// Why policies were not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangePoliciesError {
    /// Out of range.
    #[error("{0}")]
    Invalid(String),
    /// Somebody else was faster.
    #[error("the policies have version {current} now; read them again and repeat the change")]
    Outdated {
        /// The version now.
        current: u64,
    },
    /// Storage failed.
    #[error("cannot change the policies: {0}")]
    Store(#[from] StoreError),
}

impl Policies {
    fn validate(&self) -> Result<(), ChangePoliciesError> {
        let invalid = |text: String| Err(ChangePoliciesError::Invalid(text));
        for (kind, count) in [
            ("immutability", self.immutability.len()),
            ("retention", self.retention.len()),
            ("quotas.repositories", self.quotas.repositories.len()),
        ] {
            if count > RULES_MAX {
                return invalid(format!("{kind} has {count} rules, more than {RULES_MAX}"));
            }
        }
        let days = self.soft_delete.retention_days;
        if !(1..=SOFT_DELETE_DAYS_MAX).contains(&days) {
            return invalid(format!(
                "softDelete.retentionDays is {days}; it must be 1 to {SOFT_DELETE_DAYS_MAX}"
            ));
        }
        for (at, rule) in self.retention.iter().enumerate() {
            if let Some(text) = rule.problem() {
                return invalid(format!("retention[{at}] {text}"));
            }
        }
        Ok(())
    }

    /// Patterns of the tags of a repository that stay as they are.
    pub fn immutable_tags(&self, repository: &RepositoryName) -> Vec<Pattern> {
        let rules = self.immutability.iter().filter(|rule| rule.enabled);
        let ours = rules.filter(|rule| rule.repositories.matches(repository.as_str()));
        ours.map(|rule| rule.tags.clone()).collect()
    }

    /// Most bytes of a repository.
    pub fn repository_quota(&self, repository: &RepositoryName) -> Option<u64> {
        let mut rules = self.quotas.repositories.iter();
        rules.find(|rule| rule.repositories.matches(repository.as_str()))?.bytes
    }

    pub(crate) fn push_rules(&self, repository: &RepositoryName) -> PushRules {
        PushRules {
            immutable_tags: self.immutable_tags(repository),
            repository_bytes_max: self.repository_quota(repository),
            registry_bytes_max: self.quotas.registry_bytes,
        }
    }
}

/// What was read last.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Option<(Instant, Arc<VersionedPolicies>)>>);

impl Cache {
    fn fresh(&self) -> Option<Arc<VersionedPolicies>> {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().filter(|(read, _)| read.elapsed() < CACHE_MAX).map(|(_, p)| Arc::clone(p))
    }

    fn put(&self, policies: Option<Arc<VersionedPolicies>>) {
        let slot = policies.map(|policies| (Instant::now(), policies));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = slot;
    }
}

async fn read(metadata: &dyn Metadata) -> Result<VersionedPolicies, StoreError> {
    let Some(stored) = metadata.versioned_setting(SETTING).await? else {
        return Ok(VersionedPolicies::default());
    };
    Ok(VersionedPolicies {
        policies: serde_json::from_str(&stored.value)
            .map_err(|error| StoreError::corrupt("registry policies", error))?,
        version: stored.version,
        changed_at: Some(stored.changed_at),
        changed_by: stored.changed_by,
    })
}

impl Registry {
    /// The policies in force, at most two seconds old.
    pub async fn policies(&self) -> Result<Arc<VersionedPolicies>, StoreError> {
        if let Some(fresh) = self.policies.fresh() {
            return Ok(fresh);
        }
        let policies = Arc::new(read(&*self.metadata).await?);
        self.policies.put(Some(Arc::clone(&policies)));
        Ok(policies)
    }

    /// Replaces the policies; with `expected`, only if that is their version.
    pub async fn change_policies(
        &self,
        permit: &RegistryPermit<Configuration>,
        policies: Policies,
        expected: Option<u64>,
    ) -> Result<VersionedPolicies, ChangePoliciesError> {
        policies.validate()?;
        let text = serde_json::to_string(&policies)
            .map_err(|error| ChangePoliciesError::Invalid(error.to_string()))?;
        let (by, at) = (permit.principal().name(), self.now());
        let stored = self.metadata.put_setting(SETTING, &text, expected, at, by).await?;
        self.policies.put(None);
        match stored {
            PutSetting::Stored(version) => Ok(VersionedPolicies {
                policies,
                version,
                changed_at: Some(at),
                changed_by: by.to_owned(),
            }),
            PutSetting::Outdated(current) => Err(ChangePoliciesError::Outdated { current }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &str) {
        let outcome = match serde_json::from_str::<Policies>(json) {
            Ok(policies) => policies.validate().err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        let outcome = outcome.unwrap_or_default();
        assert!(
            outcome.contains(expected) && outcome.is_empty() == expected.is_empty(),
            "{json}: {outcome}"
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        check("{}", "");
        check(r#"{"softDelete":{"enabled":true,"retentionDays":90}}"#, "");
        check(r#"{"softDelete":{"retentionDays":0}}"#, "must be 1 to 90");
        check(r#"{"softDelete":{"retentionDays":91}}"#, "must be 1 to 90");
        check(r#"{"imutability":[]}"#, "unknown field");
        check(r#"{"immutability":[{"tags":""}]}"#, "is no pattern");
        check(r#"{"retention":[{"name":"a"}]}"#, "retention[0]");
        check(r#"{"retention":[{"name":"a","olderThanDays":30}]}"#, "");
    }

    #[test]
    fn the_first_quota_that_matches_counts() {
        let policies: Policies = serde_json::from_str(
            r#"{"quotas":{"repositories":[{"repositories":"big/*"},{"repositories":"*","bytes":5}]}}"#,
        )
        .unwrap();
        let quota = |name: &str| policies.repository_quota(&RepositoryName::parse(name).unwrap());
        assert_eq!((quota("big/a"), quota("small")), (None, Some(5)));
    }
}
