//! Permits: proof that a check was made, as a value.

use std::marker::PhantomData;
use std::sync::Arc;

use oci::RepositoryName;

use crate::principal::Principal;
use crate::request::RequestInfo;
use crate::role::OnRegistry;
use crate::scope::{Action, ResourceKind, Scope};

mod sealed {
    pub trait Sealed {}
}

/// A right on a repository, as a type.
pub trait Right: sealed::Sealed {
    /// The action that the right allows.
    const ACTION: Action;
}

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;
        impl sealed::Sealed for $name {}
        impl Right for $name {
            const ACTION: Action = Action::$name;
        }
    )*};
}
rights!(
    /// To read content.
    Pull,
    /// To write content.
    Push,
    /// To delete content.
    Delete,
    /// To read attributes.
    MetadataRead,
    /// To change attributes.
    MetadataWrite,
    /// To see what was deleted.
    DeletedRead,
    /// To restore what was deleted.
    DeletedRestore
);

/// A right on the registry as a whole, as a type.
pub trait RegistryRight: sealed::Sealed {
    /// The right.
    const RIGHT: OnRegistry;
}

macro_rules! registry_rights {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;
        impl sealed::Sealed for $name {}
        impl RegistryRight for $name {
            const RIGHT: OnRegistry = OnRegistry::$name;
        }
    )*};
}
registry_rights!(
    /// To list what was deleted and can be restored.
    DeletedCatalog,
    /// To read what inspection found.
    Findings,
    /// To change settings and policies.
    Configuration,
    /// To say who may do what.
    Administration
);

/// Proof that a principal may do `R` to the registry. Only
/// [`authorise_registry`] makes one.
#[derive(Debug, Clone)]
pub struct RegistryPermit<R> {
    principal: Principal,
    right: PhantomData<R>,
}

impl<R> RegistryPermit<R> {
    /// Who holds it.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}

/// Proof that a principal may do `R` to one repository. Only [`authorise`]
/// makes one.
#[derive(Debug, Clone)]
pub struct Permit<R> {
    repository: RepositoryName,
    principal: Principal,
    request: Option<Arc<RequestInfo>>,
    right: PhantomData<R>,
}

impl<R> Permit<R> {
    /// The repository it is good for.
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// Who holds it.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The same, saying for which request it was given.
    pub fn for_request(self, request: Arc<RequestInfo>) -> Self {
        Self { request: Some(request), ..self }
    }

    /// The request that it was given for; `None` for what the product does itself.
    pub fn request(&self) -> Option<&Arc<RequestInfo>> {
        self.request.as_ref()
    }
}

impl Permit<MetadataWrite> {
    /// Whoever changes attributes is told what they are then: the answer to a
    /// change asks for no second right (Azure's clients bring none).
    pub fn reading_back(&self) -> Permit<MetadataRead> {
        Permit {
            repository: self.repository.clone(),
            principal: self.principal.clone(),
            request: self.request.clone(),
            right: PhantomData,
        }
    }
}

/// Proof that a principal may list the repositories.
#[derive(Debug, Clone)]
pub struct Catalog {
    principal: Principal,
}

impl Catalog {
    /// Who holds it.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}

/// A refusal. Holds what would have been needed, for the challenge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} may not {} on {} {}", if .who.is_empty() { "an anonymous caller" } else { .who.as_str() },
    .wanted.actions.iter().map(|a| a.as_str()).collect::<Vec<_>>().join(","), .wanted.kind.as_str(), .wanted.name)]
pub struct Denied {
    /// Name of the principal; empty for nobody.
    pub who: String,
    /// What was asked.
    pub wanted: Scope,
}

/// Lets a principal do `R` to a repository, or says what it lacks.
pub fn authorise<R: Right>(
    principal: &Principal,
    repository: &RepositoryName,
) -> Result<Permit<R>, Denied> {
    if principal.may(ResourceKind::Repository, repository.as_str(), R::ACTION) {
        Ok(Permit {
            repository: repository.clone(),
            principal: principal.clone(),
            request: None,
            right: PhantomData,
        })
    } else {
        let wanted = Scope::repository(repository.as_str(), [R::ACTION]);
        Err(Denied { who: principal.name().to_owned(), wanted })
    }
}

/// Lets a principal read the source of a mount, by what its account may do.
///
/// The scopes of its token do not count: clients ask for a token for the
/// repository that they push to, and a mount that names no source could not
/// name a scope either. What a mount gives away is a blob whose digest the
/// caller knows and which the account may read.
pub fn authorise_mount(
    principal: &Principal,
    source: &RepositoryName,
) -> Result<Permit<Pull>, Denied> {
    authorise(&principal.account_behind(), source)
}

/// Lets a principal list the repositories, or says what it lacks.
pub fn authorise_catalog(principal: &Principal) -> Result<Catalog, Denied> {
    if principal.may_on_registry(OnRegistry::Catalog) {
        Ok(Catalog { principal: principal.clone() })
    } else {
        Err(Denied { who: principal.name().to_owned(), wanted: Scope::catalog() })
    }
}

/// Lets a principal do `R` to the registry, or says what it lacks.
pub fn authorise_registry<R: RegistryRight>(
    principal: &Principal,
) -> Result<RegistryPermit<R>, Denied> {
    if principal.may_on_registry(R::RIGHT) {
        Ok(RegistryPermit { principal: principal.clone(), right: PhantomData })
    } else {
        let wanted = Scope::registry(R::RIGHT.as_str());
        Err(Denied { who: principal.name().to_owned(), wanted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::Kind;
    use crate::role::Role;
    use crate::role_scope::RoleScope;

    fn account(name: &str, role: Role) -> Principal {
        let root = RoleScope::root();
        Principal::new(Kind::Account, name).with_role(role, &root, &root)
    }

    fn check(principal: &Principal, repository: &str, push: bool) {
        let repository = RepositoryName::parse(repository).unwrap();
        assert_eq!(
            authorise::<Push>(principal, &repository).is_ok(),
            push,
            "{principal:?} {repository}"
        );
    }

    #[test]
    fn a_permit_needs_the_right_there() {
        let admin = account("admin", Role::Owner);
        check(&admin, "a", true);
        let scoped = admin.limited_to(vec![Scope::repository("a", [Action::Pull, Action::Push])]);
        check(&scoped, "a", true);
        check(&scoped, "b", false);
        let source = RepositoryName::parse("b").unwrap();
        assert!(authorise::<Pull>(&scoped, &source).is_err());
        assert!(authorise_mount(&scoped, &source).is_ok(), "the account may read it");
        let nobody = Principal::new(Kind::Account, "guest").limited_to(vec![]);
        assert!(authorise_mount(&nobody, &source).is_err());
        check(&Principal::anonymous(), "a", false);
        let denied =
            authorise::<Delete>(&scoped, &RepositoryName::parse("a").unwrap()).unwrap_err();
        assert_eq!(denied.to_string(), "admin may not delete on repository a");
        assert!(authorise_catalog(&scoped).is_err());
        let denied = authorise_registry::<Administration>(&scoped).unwrap_err();
        assert_eq!(denied.to_string(), "admin may not * on registry administration");
        assert!(authorise_registry::<Administration>(&account("a", Role::Contributor)).is_err());
        assert!(authorise_registry::<Configuration>(&account("a", Role::Contributor)).is_ok());
    }

    #[test]
    fn the_allowed_subset_is_granted() {
        let scoped =
            account("a", Role::Owner).limited_to(vec![Scope::repository("r", [Action::Pull])]);
        assert_eq!(
            scoped.grant(&Scope::parse("repository:r:pull,push").unwrap()).to_string(),
            "repository:r:pull"
        );
        assert!(scoped.grant(&Scope::catalog()).actions.is_empty());
    }
}
