//! Who asks, and the one place that decides what they may do.

use std::collections::BTreeSet;

use crate::repositories::RepositoryPattern;
use crate::role::{OnRegistry, Role};
use crate::role_scope::RoleScope;
use crate::scope::{Action, ResourceKind, Scope};
use crate::scope_map::ScopeMapAction;

/// What kind of somebody it is. All kinds share one name space, but for
/// [`Kind::Federated`], whose names hold a colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nobody: a caller without credentials.
    Anonymous,
    /// Who works on the installation itself, from its command line.
    Operator,
    /// The registry's admin user, with two passwords.
    AdminUser,
    /// A person's account.
    Account,
    /// A service principal, named by its application ID.
    Service,
    /// A token limited to some repositories by a scope map.
    Token,
    /// Somebody whom a trusted issuer vouches for.
    Federated,
}

impl Kind {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Operator => "operator",
            Self::AdminUser => "adminUser",
            Self::Account => "account",
            Self::Service => "servicePrincipal",
            Self::Token => "token",
            Self::Federated => "federated",
        }
    }

    /// Reads a stored kind.
    pub fn parse(text: &str) -> Option<Self> {
        let stored = [Self::AdminUser, Self::Account, Self::Service, Self::Token];
        stored.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Some actions on some repositories, and rights on the registry itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    repositories: RepositoryPattern,
    actions: BTreeSet<Action>,
    on_registry: &'static [OnRegistry],
}

/// Somebody who was recognised, or nobody, before one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    name: String,
    kind: Kind,
    roles: Vec<(Role, RoleScope)>,
    grants: Vec<Grant>,
    /// What the presented token is limited to; `None` for a password.
    limited_to: Option<Vec<Scope>>,
}

impl Principal {
    /// Somebody who proved it, as yet without any right.
    pub fn new(kind: Kind, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            roles: Vec::new(),
            grants: Vec::new(),
            limited_to: None,
        }
    }

    /// A caller without credentials.
    pub fn anonymous() -> Self {
        Self::new(Kind::Anonymous, "")
    }

    /// Whoever can read the installation's own files may do everything.
    pub fn operator() -> Self {
        let registry = RoleScope::root();
        Self::new(Kind::Operator, "operator").with_role(Role::Owner, &registry, &registry)
    }

    /// Also holds a role at a scope; what it grants on `registry` counts here.
    pub fn with_role(mut self, role: Role, scope: &RoleScope, registry: &RoleScope) -> Self {
        if let Some(repositories) = scope.repositories_of(registry) {
            let whole = repositories == RepositoryPattern::All;
            self.grants.push(Grant {
                repositories,
                actions: role.on_repositories().iter().copied().collect(),
                on_registry: if whole { role.on_registry() } else { &[] },
            });
        }
        self.roles.push((role, scope.clone()));
        self
    }

    /// Also may do what a scope map says. Whoever reads the attributes of every
    /// repository may list them.
    pub fn with_scope_map(mut self, actions: &[ScopeMapAction]) -> Self {
        self.grants.extend(actions.iter().map(|one| {
            let lists =
                one.repositories == RepositoryPattern::All && one.action == Action::MetadataRead;
            Grant {
                repositories: one.repositories.clone(),
                actions: [one.action].into(),
                on_registry: if lists { &[OnRegistry::Catalog] } else { &[] },
            }
        }));
        self
    }

    /// Also may read all images, as everybody may where anonymous pull is on.
    pub fn with_public_read(mut self) -> Self {
        self.grants.push(Grant {
            repositories: RepositoryPattern::All,
            actions: [Action::Pull, Action::MetadataRead].into(),
            on_registry: &[OnRegistry::Catalog],
        });
        self
    }

    /// May work with every image, as the registry's admin user may.
    pub fn with_all_images(mut self) -> Self {
        self.grants.push(Grant {
            repositories: RepositoryPattern::All,
            actions: Action::REPOSITORY.into(),
            on_registry: &[OnRegistry::Catalog, OnRegistry::DeletedCatalog],
        });
        self
    }

    /// The same principal, able to do only what a token says.
    pub fn limited_to(self, scopes: Vec<Scope>) -> Self {
        Self { limited_to: Some(scopes), ..self }
    }

    /// The account without the limits of the token that it came with.
    pub fn account_behind(&self) -> Self {
        Self { limited_to: None, ..self.clone() }
    }

    /// The unique name; empty for nobody.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What kind of somebody.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its roles and where it holds them, whatever the token is limited to.
    pub fn roles(&self) -> &[(Role, RoleScope)] {
        &self.roles
    }

    /// Whether it is nobody.
    pub fn is_anonymous(&self) -> bool {
        self.kind == Kind::Anonymous
    }

    /// Whether anything at all was granted.
    pub fn has_grants(&self) -> bool {
        !self.grants.is_empty()
    }

    /// Whether it may do this, by its grants and by its token.
    pub fn may(&self, kind: ResourceKind, name: &str, action: Action) -> bool {
        let by_token = self.limited_to.as_ref().is_none_or(|scopes| {
            scopes.iter().any(|s| s.kind == kind && s.name == name && s.actions.contains(&action))
        });
        by_token && self.is_granted(kind, name, action)
    }

    /// Whether it may do this with a better token than the one it presented.
    pub fn is_granted(&self, kind: ResourceKind, name: &str, action: Action) -> bool {
        match kind {
            ResourceKind::Repository => self
                .grants
                .iter()
                .any(|g| g.actions.contains(&action) && g.repositories.matches(name)),
            ResourceKind::Registry => {
                let asked = [OnRegistry::Catalog, OnRegistry::DeletedCatalog];
                let asked = asked.into_iter().find(|right| right.as_str() == name);
                action == Action::All
                    && asked.is_some_and(|right| self.is_granted_on_registry(right))
            }
        }
    }

    /// Whether it may do this to the registry as a whole. A token may list, and
    /// with that read findings; it never configures or administers.
    pub fn may_on_registry(&self, right: OnRegistry) -> bool {
        let by_token = match right {
            OnRegistry::Catalog | OnRegistry::DeletedCatalog => {
                return self.may(ResourceKind::Registry, right.as_str(), Action::All);
            }
            OnRegistry::Findings => {
                self.limited_to.as_ref().is_none_or(|scopes| scopes.contains(&Scope::catalog()))
            }
            OnRegistry::Configuration | OnRegistry::Administration => self.limited_to.is_none(),
        };
        by_token && self.is_granted_on_registry(right)
    }

    fn is_granted_on_registry(&self, right: OnRegistry) -> bool {
        self.grants.iter().any(|g| g.on_registry.contains(&right))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> RoleScope {
        RoleScope::registry("s", "g", "main")
    }

    fn holder(role: Role, scope: &str) -> Principal {
        let scope = RoleScope::parse(scope, &registry()).unwrap();
        Principal::new(Kind::Service, "p").with_role(role, &scope, &registry())
    }

    /// All that a principal may do to `team/app`, and to the registry.
    fn rights(principal: &Principal) -> String {
        let actions = Action::REPOSITORY
            .into_iter()
            .filter(|a| principal.may(ResourceKind::Repository, "team/app", *a))
            .map(Action::as_str);
        let registry = OnRegistry::ALL
            .into_iter()
            .filter(|r| principal.may_on_registry(*r))
            .map(OnRegistry::as_str);
        actions.chain(registry).collect::<Vec<_>>().join(" ")
    }

    fn check(principal: &Principal, expected: &str) {
        assert_eq!(rights(principal), expected, "{principal:?}");
    }

    const EVERY_ACTION: &str =
        "pull push delete metadata_read metadata_write deleted_read deleted_restore";

    #[test]
    fn each_role_allows_what_azure_says() {
        let whole = |role, expected: &str| check(&holder(role, "registry"), expected);
        whole(
            Role::Owner,
            &format!(
                "{EVERY_ACTION} catalog deleted_catalog findings configuration administration"
            ),
        );
        whole(
            Role::Contributor,
            &format!("{EVERY_ACTION} catalog deleted_catalog findings configuration"),
        );
        let reads = "pull metadata_read deleted_read catalog deleted_catalog findings";
        whole(Role::Reader, reads);
        whole(Role::ResourcePolicyContributor, reads);
        whole(Role::AcrPull, "pull metadata_read catalog");
        whole(Role::AcrPush, "pull push metadata_read catalog");
        whole(Role::AcrDelete, "delete");
        whole(Role::AcrImageSigner, "");
        whole(Role::AcrQuarantineReader, "");
        whole(Role::AcrQuarantineWriter, "");
        whole(Role::SecurityReader, "findings");
        whole(Role::SecurityAdmin, "findings");
    }

    #[test]
    fn every_role_stays_in_its_scope() {
        for role in Role::ALL {
            let on_repositories = role.on_repositories().iter().map(|a| a.as_str());
            let on_repositories = on_repositories.collect::<Vec<_>>().join(" ");
            for above in ["/", "/subscriptions/s", "/subscriptions/S/resourcegroups/G"] {
                assert_eq!(rights(&holder(role, above)), rights(&holder(role, "registry")));
            }
            for around in ["repositories/team", "repositories/team/app"] {
                check(&holder(role, around), &on_repositories);
            }
            for elsewhere in [
                "repositories/tea",
                "repositories/team/app/sub",
                "repositories/other",
                "/subscriptions/t",
                "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/other",
            ] {
                check(&holder(role, elsewhere), "");
            }
        }
    }

    #[test]
    fn grants_add_up_and_nothing_is_granted_by_default() {
        check(&Principal::anonymous(), "");
        check(&Principal::new(Kind::Account, "a"), "");
        check(&Principal::anonymous().with_public_read(), "pull metadata_read catalog");
        let both = holder(Role::AcrDelete, "repositories/team");
        let both = both.with_role(Role::AcrPull, &RoleScope::root(), &registry());
        check(&both, "pull delete metadata_read catalog");
        check(
            &Principal::new(Kind::AdminUser, "main").with_all_images(),
            &format!("{EVERY_ACTION} catalog deleted_catalog"),
        );
        check(&Principal::operator(), &rights(&holder(Role::Owner, "/")));
    }

    #[test]
    fn scope_maps_allow_what_they_list() {
        let token = |actions: &[&str]| {
            let actions: Vec<_> =
                actions.iter().map(|a| ScopeMapAction::parse(a).unwrap()).collect();
            Principal::new(Kind::Token, "t").with_scope_map(&actions)
        };
        check(&token(&["repositories/team/app/content/read"]), "pull");
        check(&token(&["repositories/team/*/content/write"]), "push");
        check(&token(&["repositories/team/content/delete"]), "");
        check(&token(&["repositories/other/*/content/read"]), "");
        check(&token(&["repositories/team/*/metadata/read"]), "metadata_read");
        check(&token(&["repositories/*/metadata/read"]), "metadata_read catalog");
        let admin = crate::SystemScopeMap::named("_repositories_admin").unwrap();
        check(&token(admin.actions), "pull push delete metadata_read metadata_write catalog");
    }

    #[test]
    fn a_token_only_takes_away() {
        let limited = |role, scopes: &[&str]| {
            let scopes = scopes.iter().map(|s| Scope::parse(s).unwrap()).collect();
            holder(role, "/").limited_to(scopes)
        };
        check(&limited(Role::Owner, &[]), "");
        check(&limited(Role::Owner, &["repository:team/app:pull,delete"]), "pull delete");
        check(&limited(Role::Owner, &["repository:team:pull"]), "");
        check(&limited(Role::Owner, &["registry:catalog:*"]), "catalog findings");
        check(&limited(Role::Owner, &["registry:administration:*"]), "");
        check(
            &limited(Role::AcrPull, &["repository:team/app:*", "registry:catalog:*"]),
            "pull metadata_read catalog",
        );
    }
}
