//! Credentials of the person at the keyboard, in the files where docker,
//! podman and skopeo keep them. For the command line only: a server has none.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use registry::upstream::{Credentials, DOCKER_HUB};
use serde::Deserialize;

/// Under this name `docker login` keeps Docker Hub's.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    #[serde(rename = "identitytoken")]
    identity_token: Option<String>,
}

#[derive(Deserialize)]
struct AuthFile {
    #[serde(default)]
    auths: std::collections::HashMap<String, Entry>,
}

/// Credentials for a host, or none.
pub fn credentials(host: &str) -> Option<Credentials> {
    files().into_iter().find_map(|file| read(&std::fs::read(file).ok()?, host))
}

fn files() -> Vec<PathBuf> {
    let env = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let files = [
        env("REGISTRY_AUTH_FILE"),
        env("XDG_RUNTIME_DIR").map(|d| d.join("containers/auth.json")),
        // Where podman and skopeo put them for a user without a runtime directory.
        user_id().map(|id| format!("/run/containers/{id}/auth.json").into()),
        env("DOCKER_CONFIG").map(|d| d.join("config.json")),
        env("HOME").map(|d| d.join(".docker/config.json")),
        env("HOME").map(|d| d.join(".config/containers/auth.json")),
    ];
    files.into_iter().flatten().collect()
}

fn read(file: &[u8], host: &str) -> Option<Credentials> {
    let parsed: AuthFile = serde_json::from_slice(file).ok()?;
    let entry = parsed
        .auths
        .get(host)
        .or_else(|| parsed.auths.get(DOCKER_HUB_KEY).filter(|_| host == DOCKER_HUB))?;
    if let Some(token) = entry.identity_token.clone().filter(|t| !t.is_empty()) {
        return Some(Credentials { username: None, password: token });
    }
    let decoded = String::from_utf8(STANDARD.decode(entry.auth.as_deref()?).ok()?).ok()?;
    let (username, password) = decoded.split_once(':')?;
    Some(Credentials { username: Some(username.to_owned()), password: password.to_owned() })
}

/// The number of the user that this process runs as.
fn user_id() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").ok().map(|own| own.uid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_clients_are_read() {
        let check = |file: &str, host: &str, expected: Option<(Option<&str>, &str)>| {
            let found = read(file.as_bytes(), host);
            let found = found.as_ref().map(|c| (c.username.as_deref(), c.password.as_str()));
            assert_eq!(found, expected, "{file} {host}");
        };
        let basic = r#"{"auths":{"h:5000":{"auth":"YTpiOmM="}}}"#;
        check(basic, "h:5000", Some((Some("a"), "b:c")));
        check(basic, "h", None);
        let hub = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"}}}"#;
        check(hub, "docker.io", Some((Some("a"), "b")));
        check(hub, "quay.io", None);
        check(r#"{"auths":{"h.io":{"identitytoken":"t"}}}"#, "h.io", Some((None, "t")));
        check(r#"{"auths":{"h.io":{"auth":"not base64"}}}"#, "h.io", None);
        check("nothing", "h.io", None);
    }
}
