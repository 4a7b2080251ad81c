//! Issuers whose tokens are trusted: out of the configuration, with keys over
//! HTTPS or from a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use access::{Role, RoleScope};
use anyhow::{Context, bail};
use api::distribution::auth::federation::{
    Federation, Issuer, KEYS_BYTES_MAX, KeyFetcher, KeySource, Rule, check_address,
};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use serde::Deserialize;

/// Longest wait for an issuer, in all.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// `[[oidc]]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// Short name; who comes by it is called `name:subject`.
    name: String,
    /// Exactly as its tokens have it.
    issuer: String,
    /// Audiences of tokens that are accepted.
    #[serde(default)]
    audiences: Vec<String>,
    /// Keys that are given, instead of found by discovery.
    jwks_file: Option<PathBuf>,
    /// Certificate authority of the issuer, where the system does not know it.
    ca_file: Option<PathBuf>,
    /// Who gets which role.
    #[serde(default)]
    grant: Vec<GrantConfig>,
}

/// `[[oidc.grant]]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantConfig {
    /// Claims that must be there; `*` stands for any text.
    claims: BTreeMap<String, String>,
    role: String,
    scope: String,
}

/// Reads what the configuration says of issuers.
pub fn federation(configs: &[IssuerConfig], registry: &RoleScope) -> anyhow::Result<Federation> {
    let mut issuers: Vec<Issuer> = Vec::new();
    for config in configs {
        let issuer = issuer(config, registry)
            .with_context(|| format!("[[oidc]] {:?} cannot be used", config.name))?;
        if issuers.iter().any(|i| i.issuer == issuer.issuer || i.name == issuer.name) {
            bail!("[[oidc]] {:?}: this name or issuer is there twice", config.name);
        }
        issuers.push(issuer);
    }
    Ok(Federation::new(issuers))
}

fn issuer(config: &IssuerConfig, registry: &RoleScope) -> anyhow::Result<Issuer> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if config.name.is_empty() || !config.name.chars().all(plain) {
        bail!("its name must be letters, digits, dots, underscores and hyphens");
    }
    let keys = match &config.jwks_file {
        Some(path) => {
            let bytes = std::fs::read(path)
                .with_context(|| format!("cannot read the keys {}", path.display()))?;
            KeySource::Fixed(bytes.into())
        }
        None => {
            check_address(&config.issuer)?;
            KeySource::Discovery(Arc::new(HttpFetcher::new(config.ca_file.as_deref())?))
        }
    };
    let rules = config.grant.iter().map(|grant| rule(grant, registry));
    let rules = rules.collect::<anyhow::Result<Vec<_>>>()?;
    if rules.is_empty() {
        bail!("nobody gets a role; add [[oidc.grant]]");
    }
    Ok(Issuer {
        name: config.name.clone(),
        issuer: config.issuer.clone(),
        audiences: config.audiences.clone(),
        rules,
        keys,
    })
}

fn rule(grant: &GrantConfig, registry: &RoleScope) -> anyhow::Result<Rule> {
    let role =
        Role::parse(&grant.role).with_context(|| format!("there is no role {:?}", grant.role))?;
    let scope = RoleScope::parse(&grant.scope, registry)?;
    let claims = grant.claims.iter().map(|(name, pattern)| (name.clone(), pattern.clone()));
    Ok(Rule::new(claims.collect(), role, scope)?)
}

/// Reads an issuer's documents.
struct HttpFetcher(reqwest::Client);

impl HttpFetcher {
    fn new(ca_file: Option<&Path>) -> anyhow::Result<Self> {
        let mut client = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            // A redirect could lead where the address was not checked.
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = ca_file {
            let pem = std::fs::read(path)
                .with_context(|| format!("cannot read the certificates {}", path.display()))?;
            for certificate in reqwest::Certificate::from_pem_bundle(&pem)? {
                client = client.add_root_certificate(certificate);
            }
        }
        Ok(Self(client.build().context("cannot make an HTTP client")?))
    }
}

#[async_trait]
impl KeyFetcher for HttpFetcher {
    async fn fetch(&self, address: &str) -> Result<Bytes, String> {
        let failed = |error: reqwest::Error| format!("{address}: {}", error.without_url());
        let mut response = self.0.get(address).send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(format!("{address} answers {}", response.status()));
        }
        let mut bytes = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if bytes.len() + piece.len() > KEYS_BYTES_MAX {
                return Err(format!("{address} sends more than {KEYS_BYTES_MAX} bytes"));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: &str, problem: &str) {
        let registry = RoleScope::registry("s", "g", "main");
        let read = toml::from_str(config).map_err(anyhow::Error::from);
        let read = read.and_then(|config: IssuerConfig| federation(&[config], &registry));
        let said = read.err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(
            if problem.is_empty() { said.is_empty() } else { said.contains(problem) },
            "{config}: {said}"
        );
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let head = "name = \"gh\"\nissuer = \"https://issuer.example\"\n";
        let grant =
            "[[grant]]\nclaims = { sub = \"*\" }\nrole = \"AcrPull\"\nscope = \"registry\"\n";
        check(&format!("{head}{grant}"), "");
        check(head, "nobody gets a role");
        check(&format!("{head}{}", grant.replace("AcrPull", "Admin")), "no role \"Admin\"");
        check(&format!("{head}{}", grant.replace("\"registry\"", "\"a/*\"")), "has a *");
        check(&format!("{head}{}", grant.replace("sub = \"*\"", "")), "at least one claim");
        check(&format!("{}{grant}", head.replace("https", "http")), "not an https address");
        check(&format!("{}{grant}", head.replace("gh", "g:h")), "its name must be");
        check(&format!("{head}jwks_file = \"/nowhere/keys\"\n{grant}"), "cannot read the keys");
        check(&format!("{head}secret = \"x\"\n{grant}"), "unknown field");
    }
}
