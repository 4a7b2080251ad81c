//! Wire types of `/acr/v1` (api-version 2021-07-01).

use registry::attributes::ReferencedManifest;
use serde::{Deserialize, Serialize};
use store::policy::{AttributeChange, Attributes, ManifestDetail, RepositoryDetail, TagDetail};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(super) fn time(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChangeableAttributes {
    delete_enabled: bool,
    write_enabled: bool,
    read_enabled: bool,
    list_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine_details: Option<String>,
}

impl From<Attributes> for ChangeableAttributes {
    fn from(attributes: Attributes) -> Self {
        Self {
            delete_enabled: attributes.delete,
            write_enabled: attributes.write,
            read_enabled: attributes.read,
            list_enabled: attributes.list,
            quarantine_state: None,
            quarantine_details: None,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Repository {
    pub registry: String,
    pub image_name: String,
    created_time: String,
    last_update_time: String,
    manifest_count: u64,
    tag_count: u64,
    changeable_attributes: ChangeableAttributes,
}

impl Repository {
    pub fn new(registry: &str, name: &str, detail: &RepositoryDetail) -> Self {
        Self {
            registry: registry.to_owned(),
            image_name: name.to_owned(),
            created_time: time(detail.created_at),
            last_update_time: time(detail.updated_at),
            manifest_count: detail.manifests,
            tag_count: detail.tags,
            changeable_attributes: detail.attributes.into(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tag {
    name: String,
    digest: String,
    created_time: String,
    last_update_time: String,
    signed: bool,
    changeable_attributes: ChangeableAttributes,
}

impl From<&TagDetail> for Tag {
    fn from(detail: &TagDetail) -> Self {
        Self {
            name: detail.tag.to_string(),
            digest: detail.digest.to_string(),
            created_time: time(detail.created_at),
            last_update_time: time(detail.updated_at),
            signed: detail.signed,
            changeable_attributes: detail.attributes.into(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reference {
    digest: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    architecture: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    os: String,
}

impl From<ReferencedManifest> for Reference {
    fn from(reference: ReferencedManifest) -> Self {
        let (architecture, os) = reference.platform.unwrap_or_default();
        Self { digest: reference.digest.to_string(), architecture, os }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    digest: String,
    image_size: u64,
    created_time: String,
    last_update_time: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    architecture: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    os: String,
    media_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    config_media_type: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    changeable_attributes: ChangeableAttributes,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
}

impl Manifest {
    pub fn new(detail: &ManifestDetail, platform: Option<(String, String)>) -> Self {
        let (architecture, os) = platform.unwrap_or_default();
        Self {
            digest: detail.digest.to_string(),
            image_size: detail.image_size,
            created_time: time(detail.created_at),
            last_update_time: time(detail.updated_at),
            architecture,
            os,
            media_type: detail.media_type.clone(),
            config_media_type: detail.config.as_ref().map(|(_, kind)| kind.clone()),
            tags: detail.tags.iter().map(ToString::to_string).collect(),
            changeable_attributes: ChangeableAttributes {
                quarantine_state: detail.quarantine_state.clone(),
                quarantine_details: detail.quarantine_details.clone(),
                ..detail.attributes.into()
            },
            references: Vec::new(),
        }
    }
}

/// Body of a PATCH; whatever else it holds is not ours.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Change {
    delete_enabled: Option<bool>,
    write_enabled: Option<bool>,
    read_enabled: Option<bool>,
    list_enabled: Option<bool>,
    quarantine_state: Option<String>,
    quarantine_details: Option<String>,
}

impl From<Change> for AttributeChange {
    fn from(change: Change) -> Self {
        Self {
            read: change.read_enabled,
            write: change.write_enabled,
            delete: change.delete_enabled,
            list: change.list_enabled,
            quarantine_state: change.quarantine_state,
            quarantine_details: change.quarantine_details,
        }
    }
}
