//! A caller: what was recognised, and what a token must carry so that it can be
//! recognised again.

use access::{Kind, Principal, Role, RoleScope, ScopeMapAction, SystemScopeMap};
use serde::{Deserialize, Serialize};
use store::AccountRecord;
use time::OffsetDateTime;

/// What stands in our tokens beside the claims that clients know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Proof {
    /// Generation of the account; a later one refuses the token.
    #[serde(default)]
    pub generation: i64,
    /// Who vouched for a federated caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What a federated caller was granted: role and scope.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<(String, String)>,
}

/// Somebody who was recognised.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who it is and what it may do.
    pub principal: Principal,
    pub(super) proof: Proof,
    /// When what it showed expires; no token outlives it.
    pub(super) until: Option<OffsetDateTime>,
}

impl Caller {
    /// Nobody.
    pub(super) fn anonymous(public: bool) -> Self {
        let nobody = Principal::anonymous();
        let principal = if public { nobody.with_public_read() } else { nobody };
        Self { principal, proof: Proof::default(), until: None }
    }

    /// The holder of an account.
    pub(super) fn account(record: &AccountRecord, registry: &RoleScope) -> Self {
        let proof = Proof { generation: record.account.generation, ..Proof::default() };
        Self { principal: principal(record, registry), proof, until: None }
    }

    /// Somebody whom an issuer vouches for.
    pub(super) fn federated(name: &str, proof: Proof, registry: &RoleScope) -> Self {
        let roles = proof.roles.iter().map(|(role, scope)| (role.as_str(), scope.as_str()));
        let principal = with_roles(Principal::new(Kind::Federated, name), roles, registry);
        Self { principal, proof, until: None }
    }
}

/// What an account may do. What was stored and is not understood grants nothing.
pub(crate) fn principal(record: &AccountRecord, registry: &RoleScope) -> Principal {
    let account = &record.account;
    let principal = Principal::new(account.kind, &account.name);
    let principal =
        if account.kind == Kind::AdminUser { principal.with_all_images() } else { principal };
    let roles = record.roles.iter().map(|a| (a.role.as_str(), a.scope.as_str()));
    let principal = with_roles(principal, roles, registry);
    let system = account.scope_map.as_deref().and_then(SystemScopeMap::named);
    let actions = match system {
        Some(map) => map.actions.iter().filter_map(|a| ScopeMapAction::parse(a).ok()).collect(),
        None => {
            record.actions.iter().filter_map(|a| ScopeMapAction::parse(a).ok()).collect::<Vec<_>>()
        }
    };
    principal.with_scope_map(&actions)
}

fn with_roles<'a>(
    principal: Principal,
    roles: impl Iterator<Item = (&'a str, &'a str)>,
    registry: &RoleScope,
) -> Principal {
    let known = roles.filter_map(|(role, scope)| {
        Some((Role::parse(role)?, RoleScope::parse(scope, registry).ok()?))
    });
    known.fold(principal, |principal, (role, scope)| principal.with_role(role, &scope, registry))
}
