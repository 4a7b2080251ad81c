//! Azure's built-in roles and what each allows here.

use crate::scope::Action;

/// A built-in role, by Azure's name. Custom roles are not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Everything, handing out roles included.
    Owner,
    /// Everything but handing out roles.
    Contributor,
    /// Reads everything.
    Reader,
    /// Pulls.
    AcrPull,
    /// Pulls and pushes.
    AcrPush,
    /// Deletes, and nothing else: not even reads.
    AcrDelete,
    /// Signs. Nothing asks for it yet.
    AcrImageSigner,
    /// Reads quarantined images. Nothing asks for it yet.
    AcrQuarantineReader,
    /// Releases quarantined images. Nothing asks for it yet.
    AcrQuarantineWriter,
    /// Reads findings, not images.
    SecurityReader,
    /// Reads findings and decides about them.
    SecurityAdmin,
    /// Reads everything and writes policy.
    ResourcePolicyContributor,
}

/// What can be done to a registry as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OnRegistry {
    /// List its repositories.
    Catalog,
    /// List what was deleted and can be restored.
    DeletedCatalog,
    /// Read what inspection found.
    Findings,
    /// Change its settings and policies.
    Configuration,
    /// Say who may do what.
    Administration,
}

impl OnRegistry {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Catalog,
        Self::DeletedCatalog,
        Self::Findings,
        Self::Configuration,
        Self::Administration,
    ];

    /// As it is written in a scope, where it can be.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::DeletedCatalog => "deleted_catalog",
            Self::Findings => "findings",
            Self::Configuration => "configuration",
            Self::Administration => "administration",
        }
    }
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 12] = [
        Self::Owner,
        Self::Contributor,
        Self::Reader,
        Self::AcrPull,
        Self::AcrPush,
        Self::AcrDelete,
        Self::AcrImageSigner,
        Self::AcrQuarantineReader,
        Self::AcrQuarantineWriter,
        Self::SecurityReader,
        Self::SecurityAdmin,
        Self::ResourcePolicyContributor,
    ];

    /// Azure's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::Contributor => "Contributor",
            Self::Reader => "Reader",
            Self::AcrPull => "AcrPull",
            Self::AcrPush => "AcrPush",
            Self::AcrDelete => "AcrDelete",
            Self::AcrImageSigner => "AcrImageSigner",
            Self::AcrQuarantineReader => "AcrQuarantineReader",
            Self::AcrQuarantineWriter => "AcrQuarantineWriter",
            Self::SecurityReader => "Security Reader",
            Self::SecurityAdmin => "Security Admin",
            Self::ResourcePolicyContributor => "Resource Policy Contributor",
        }
    }

    /// Azure's GUID of its definition, the same in every tenant.
    pub fn id(self) -> &'static str {
        match self {
            Self::Owner => "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
            Self::Contributor => "b24988ac-6180-42a0-ab88-20f7382dd24c",
            Self::Reader => "acdd72a7-3385-48ef-bd42-f606fba81ae7",
            Self::AcrPull => "7f951dda-4ed3-4680-a7ca-43fe172d538d",
            Self::AcrPush => "8311e382-0749-4cb8-b61a-304f252e45ec",
            Self::AcrDelete => "c2f4ef07-c644-48eb-af81-4b1b4947fb11",
            Self::AcrImageSigner => "6cef56e8-d556-48e5-a04f-b8e64114680f",
            Self::AcrQuarantineReader => "cdda3590-29a3-44f6-95f2-9f980659eb04",
            Self::AcrQuarantineWriter => "c8d4ff99-41c3-41a8-9f60-21dfdad59608",
            Self::SecurityReader => "39bc4728-0917-49c7-9d2c-d95423bc2eb4",
            Self::SecurityAdmin => "fb1c8493-542b-48eb-b624-b4c8fea62acd",
            Self::ResourcePolicyContributor => "36243c78-bf99-498c-9df9-86d9f8d28608",
        }
    }

    /// Reads a name, whatever its case of letters, or a GUID.
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|role| role.name().eq_ignore_ascii_case(text) || role.id() == text)
    }

    /// What it allows on the repositories in its scope.
    ///
    /// Locks are not lifted by whoever may push: changing attributes needs
    /// Contributor, or a scope map that says so.
    pub fn on_repositories(self) -> &'static [Action] {
        use Action::*;
        match self {
            Self::Owner | Self::Contributor => &Action::REPOSITORY,
            Self::Reader | Self::ResourcePolicyContributor => &[Pull, MetadataRead, DeletedRead],
            Self::AcrPull => &[Pull, MetadataRead],
            Self::AcrPush => &[Pull, Push, MetadataRead],
            Self::AcrDelete => &[Delete],
            Self::AcrImageSigner
            | Self::AcrQuarantineReader
            | Self::AcrQuarantineWriter
            | Self::SecurityReader
            | Self::SecurityAdmin => &[],
        }
    }

    /// What it allows on a registry in its scope.
    pub fn on_registry(self) -> &'static [OnRegistry] {
        use OnRegistry::*;
        match self {
            Self::Owner => &OnRegistry::ALL,
            Self::Contributor => &[Catalog, DeletedCatalog, Findings, Configuration],
            Self::Reader | Self::ResourcePolicyContributor => &[Catalog, DeletedCatalog, Findings],
            Self::AcrPull | Self::AcrPush => &[Catalog],
            Self::SecurityReader | Self::SecurityAdmin => &[Findings],
            Self::AcrDelete
            | Self::AcrImageSigner
            | Self::AcrQuarantineReader
            | Self::AcrQuarantineWriter => &[],
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Role>) {
        assert_eq!(Role::parse(text), expected, "{text}");
    }

    #[test]
    fn roles_are_read_by_name_and_id() {
        check("AcrPull", Some(Role::AcrPull));
        check("acrpush", Some(Role::AcrPush));
        check("security reader", Some(Role::SecurityReader));
        check("8e3af657-a8ff-443c-a75c-2fe8c4bcb635", Some(Role::Owner));
        check("Admin", None);
        check("", None);
        Role::ALL.into_iter().for_each(|role| {
            check(role.name(), Some(role));
            check(role.id(), Some(role));
        });
    }
}
