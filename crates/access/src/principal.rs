//! Who asks.

use std::collections::BTreeSet;

use crate::scope::{Action, ResourceKind, Scope};

/// What an account may do. Azure's roles at their scopes will stand here; so
/// far there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// May do everything.
    Admin,
}

/// Somebody who was recognised, or nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    name: String,
    role: Option<Role>,
    /// What the presented token is limited to; `None` for a password.
    limited_to: Option<Vec<Scope>>,
}

impl Principal {
    /// An account that proved itself.
    pub fn account(name: &str, role: Option<Role>) -> Self {
        Self { name: name.to_owned(), role, limited_to: None }
    }

    /// A caller without credentials.
    pub fn anonymous() -> Self {
        Self { name: String::new(), role: None, limited_to: None }
    }

    /// The same account, able to do only what a token says.
    pub fn limited_to(self, scopes: Vec<Scope>) -> Self {
        Self { limited_to: Some(scopes), ..self }
    }

    /// The account without the limits of the token that it came with.
    pub fn account_behind(&self) -> Self {
        Self { limited_to: None, ..self.clone() }
    }

    /// The account's name; empty for nobody.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The account's role, whatever the token is limited to.
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// Whether it is nobody.
    pub fn is_anonymous(&self) -> bool {
        self.name.is_empty()
    }

    /// Whether it may do this, by role and by token.
    pub fn may(&self, kind: ResourceKind, name: &str, action: Action) -> bool {
        let by_role = matches!(self.role, Some(Role::Admin));
        let by_token = self.limited_to.as_ref().is_none_or(|scopes| {
            scopes.iter().any(|s| s.kind == kind && s.name == name && s.actions.contains(&action))
        });
        by_role && by_token
    }

    /// The part of a scope that it may have, possibly without any action: a
    /// token request never fails for asking too much.
    pub fn grant(&self, wanted: &Scope) -> Scope {
        let allowed: BTreeSet<_> = wanted
            .actions
            .iter()
            .copied()
            .filter(|a| self.may(wanted.kind, &wanted.name, *a))
            .collect();
        Scope { kind: wanted.kind, name: wanted.name.clone(), actions: allowed }
    }
}
