//! The OpenAPI document of the native API. The functions here only carry its
//! description; `api/openapi.json` is the committed copy from which the
//! portal's client is made.

#![allow(dead_code)]

use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::types::*;

/// Name of the cookie that carries a session.
pub const SESSION_COOKIE: &str = "lazaret_session";

/// The document, built anew.
pub fn document() -> utoipa::openapi::OpenApi {
    NativeApi::openapi()
}

/// The document as the text that is served and committed.
pub fn document_json() -> Result<String, serde_json::Error> {
    document().to_pretty_json().map(|text| text + "\n")
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lazaret native API",
        version = "1",
        description = "What the portal reads. In paths a repository's `/` is written `~`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/api/v1")),
    paths(
        sign_in, read_session, sign_out, read_overview, list_registries, read_registry,
        list_repositories, list_images, read_image, list_findings, read_finding, list_packages,
        list_history, list_advisories, list_scans, search_findings, list_cache_rules, create_cache_rule,
        delete_cache_rule, list_credential_sets, put_credential_set, delete_credential_set,
        create_import, list_imports,
        read_import, stream_events,
    ),
    components(schemas(ImageEvent, RepositoryEvent, AdvisoriesEvent)),
    modifiers(&Security),
    security(("session" = []), ("basic" = [])),
)]
struct NativeApi;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(
            "session",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(SESSION_COOKIE))),
        );
        components
            .add_security_scheme("basic", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)));
    }
}

/// Signs in and sets the session cookie (HttpOnly, SameSite=Strict).
#[utoipa::path(post, path = "/session", operation_id = "signIn", tag = "session", request_body = SignIn, security(()),
    responses(
        (status = 200, body = Session),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn sign_in() {}

/// Who is signed in; 401 when nobody is.
#[utoipa::path(get, path = "/session", operation_id = "readSession", tag = "session",
    responses(
        (status = 200, body = Session),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn read_session() {}

/// Signs out; no error when nobody was signed in.
#[utoipa::path(delete, path = "/session", operation_id = "signOut", tag = "session",
    responses(
        (status = 204, description = "Signed out"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn sign_out() {}

/// Cache rules, by name.
#[utoipa::path(get, path = "/cacheRules", operation_id = "listCacheRules", tag = "registry",
    responses(
        (status = 200, body = Vec<CacheRule>),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn list_cache_rules() {}

/// Makes a cache rule. What is pulled below its target then comes from its source.
#[utoipa::path(post, path = "/cacheRules", operation_id = "createCacheRule", tag = "registry", request_body = NewCacheRule,
    responses(
        (status = 201, body = CacheRule),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn create_cache_rule() {}

/// Takes a cache rule away; what was cached stays.
#[utoipa::path(delete, path = "/cacheRules/{name}", operation_id = "deleteCacheRule", tag = "registry",
    params(("name" = String, Path, description = "Name of the rule")),
    responses(
        (status = 204, description = "It is gone"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn delete_cache_rule() {}

/// Logins of cache rules, by name, without their passwords.
#[utoipa::path(get, path = "/credentialSets", operation_id = "listCredentialSets", tag = "registry",
    responses(
        (status = 200, body = Vec<CredentialSet>),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn list_credential_sets() {}

/// Makes or changes a login of cache rules.
#[utoipa::path(put, path = "/credentialSets/{name}", operation_id = "putCredentialSet", tag = "registry", request_body = NewCredentialSet,
    params(("name" = String, Path, description = "Name of the login")),
    responses(
        (status = 200, body = CredentialSet),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn put_credential_set() {}

/// Takes a login away that no cache rule uses.
#[utoipa::path(delete, path = "/credentialSets/{name}", operation_id = "deleteCredentialSet", tag = "registry",
    params(("name" = String, Path, description = "Name of the login")),
    responses(
        (status = 204, description = "It is gone"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn delete_credential_set() {}

/// Copies an image from another registry, with its signatures and SBOMs. The
/// answer comes at once; ask for the import until it is done.
#[utoipa::path(post, path = "/imports", operation_id = "createImport", tag = "registry", request_body = NewImport,
    responses(
        (status = 202, body = Import),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn create_import() {}

/// Imports that the caller may see, newest first.
#[utoipa::path(get, path = "/imports", operation_id = "listImports", tag = "registry",
    responses(
        (status = 200, body = Vec<Import>),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn list_imports() {}

/// One import, as far as it has come.
#[utoipa::path(get, path = "/imports/{id}", operation_id = "readImport", tag = "registry",
    params(("id" = String, Path, description = "Name of the import")),
    responses(
        (status = 200, body = Import),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn read_import() {}

/// The first screen.
#[utoipa::path(get, path = "/overview", operation_id = "readOverview", tag = "posture",
    responses(
        (status = 200, body = Overview),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn read_overview() {}

/// All registries, by name.
#[utoipa::path(get, path = "/registries", operation_id = "listRegistries", tag = "registry",
    responses(
        (status = 200, body = Vec<Registry>),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn list_registries() {}

/// One registry.
#[utoipa::path(get, path = "/registries/{registry}", operation_id = "readRegistry", tag = "registry",
    params(("registry" = String, Path, description = "Name of the registry")),
    responses(
        (status = 200, body = Registry),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn read_registry() {}

/// Repositories of a registry, by name.
#[utoipa::path(get, path = "/registries/{registry}/repositories", operation_id = "listRepositories", tag = "registry",
    params(("registry" = String, Path, description = "Name of the registry"), PageQuery),
    responses(
        (status = 200, body = Page<Repository>),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn list_repositories() {}

/// Images of a repository, newest push first; those inside an index are its
/// children. A repository without a push yet is an empty page, so that one can
/// wait for it.
#[utoipa::path(get, path = "/registries/{registry}/repositories/{repository}/images", operation_id = "listImages", tag = "registry",
    params(
        ("registry" = String, Path, description = "Name of the registry"),
        ("repository" = String, Path, description = "Name of the repository, `/` written `~`"),
        ImagesQuery),
    responses(
        (status = 200, body = Page<ImageSummary>),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn list_images() {}

/// One image, index or artifact.
#[utoipa::path(get, path = "/registries/{registry}/repositories/{repository}/images/{digest}", operation_id = "readImage", tag = "image",
    params(
        ("registry" = String, Path, description = "Name of the registry"),
        ("repository" = String, Path, description = "Name of the repository, `/` written `~`"),
        ("digest" = String, Path, description = "Digest of the manifest")),
    responses(
        (status = 200, body = ImageDetail),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn read_image() {}

/// Findings of an image; of an index, of all its platforms.
#[utoipa::path(get, path = "/registries/{registry}/repositories/{repository}/images/{digest}/findings", operation_id = "listFindings", tag = "image",
    params(
        ("registry" = String, Path, description = "Name of the registry"),
        ("repository" = String, Path, description = "Name of the repository, `/` written `~`"),
        ("digest" = String, Path, description = "Digest of the manifest"),
        FindingsQuery),
    responses(
        (status = 200, body = FindingsPage),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn list_findings() {}

/// One finding of an image, with its proof.
#[utoipa::path(get, path = "/registries/{registry}/repositories/{repository}/images/{digest}/findings/{id}", operation_id = "readFinding", tag = "image",
    params(
        ("registry" = String, Path, description = "Name of the registry"),
        ("repository" = String, Path, description = "Name of the repository, `/` written `~`"),
        ("digest" = String, Path, description = "Digest of the manifest"),
        ("id" = String, Path, description = "Finding ID")),
    responses(
        (status = 200, body = FindingDetail),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn read_finding() {}

/// Packages of an image, by type and name.
#[utoipa::path(get, path = "/registries/{registry}/repositories/{repository}/images/{digest}/packages", operation_id = "listPackages", tag = "image",
    params(
        ("registry" = String, Path, description = "Name of the registry"),
        ("repository" = String, Path, description = "Name of the repository, `/` written `~`"),
        ("digest" = String, Path, description = "Digest of the manifest"),
        PageQuery),
    responses(
        (status = 200, body = Page<PackageRow>),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn list_packages() {}

/// Openings and closings of an image's findings, newest first.
#[utoipa::path(get, path = "/registries/{registry}/repositories/{repository}/images/{digest}/history", operation_id = "listHistory", tag = "image",
    params(
        ("registry" = String, Path, description = "Name of the registry"),
        ("repository" = String, Path, description = "Name of the repository, `/` written `~`"),
        ("digest" = String, Path, description = "Digest of the manifest"),
        PageQuery),
    responses(
        (status = 200, body = Page<HistoryRow>),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn list_history() {}

/// Freshness of each advisory source.
#[utoipa::path(get, path = "/advisories", operation_id = "listAdvisories", tag = "posture",
    responses(
        (status = 200, body = Vec<FeedStatus>),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn list_advisories() {}

/// Scans that wait, run or failed, oldest first.
#[utoipa::path(get, path = "/scans", operation_id = "listScans", tag = "posture",
    params(PageQuery),
    responses(
        (status = 200, body = Page<ScanJob>),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn list_scans() {}

/// Where am I affected: findings of all images whose ID, CVE, title or package
/// contains `q`, worst first.
#[utoipa::path(get, path = "/findings", operation_id = "searchFindings", tag = "posture",
    params(FindingSearch),
    responses(
        (status = 200, body = Page<FindingRef>),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn search_findings() {}

/// Server-sent events: `image` carries ImageEvent, `repository` carries
/// RepositoryEvent, `advisories` carries AdvisoriesEvent. Events are hints to
/// read again; none is replayed after a broken connection.
#[utoipa::path(get, path = "/events", operation_id = "streamEvents", tag = "events",
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
fn stream_events() {}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

    #[test]
    fn the_committed_document_is_the_generated_one() {
        let generated = document_json().unwrap();
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(COMMITTED, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
        assert!(
            committed == generated,
            "api/openapi.json is out of date: run UPDATE_OPENAPI=1 cargo test -p api openapi, \
             then npm run generate in portal/client"
        );
    }

    #[test]
    fn every_operation_answers_errors_as_problems() {
        let document = serde_json::to_value(document()).unwrap();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let content = &operation["responses"]["default"]["content"];
                let schema = &content["application/problem+json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/Problem", "{method} {path}");
            }
        }
    }
}
