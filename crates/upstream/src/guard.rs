//! Which hosts may be asked. Whoever may import names a host, and a foreign
//! registry names more by redirects and token realms; none of them may lead
//! to what listens only for this machine or serves cloud credentials.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The operator's word.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// If not empty, registries that may be named; `*.example.org` is any host
    /// below that domain.
    pub only: Vec<String>,
    /// Hosts that may have a loopback or link-local address; `*` is any.
    pub local: Vec<String>,
}

/// Why a host is not asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Forbidden(String);

impl Guard {
    /// Checks a registry that a user or a rule names. `host` may have a port.
    pub fn check_registry(&self, host: &str) -> Result<(), Forbidden> {
        if self.only.is_empty() || self.only.iter().any(|p| is_match(p, host)) {
            return Ok(());
        }
        Err(Forbidden("upstream.only does not list it".into()))
    }

    /// Checks any address that is about to be asked. A name is checked when it
    /// is resolved, by [`Resolve`].
    pub fn check_url(&self, url: &Url) -> Result<(), Forbidden> {
        let host = url.host_str().unwrap_or_default();
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => self.check_address(host, address),
            Err(_) => Ok(()),
        }
    }

    fn check_address(&self, host: &str, address: IpAddr) -> Result<(), Forbidden> {
        if !is_local(address) || self.local.iter().any(|p| is_match(p, host)) {
            return Ok(());
        }
        Err(Forbidden(format!(
            "{address} is a loopback or link-local address; upstream.local lists the hosts that may have one"
        )))
    }
}

/// Whether a pattern means a host; ports count only where the pattern has one.
fn is_match(pattern: &str, host: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let bare = without_port(host);
    if pattern == "*" {
        return true;
    }
    if let Some(domain) = pattern.strip_prefix("*.") {
        return bare.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    }
    pattern == host || without_port(&pattern) == pattern && pattern == bare
}

/// `[::1]:5000` and `[::1]` are `::1`; `h:5000` is `h`.
fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match host.rsplit_once(':') {
        // More than one colon: a bare IPv6 address.
        Some((before, _)) if !before.contains(':') => before,
        _ => host,
    }
}

/// Addresses that mean this machine, its link (where clouds hand out
/// credentials) or no single host. Networks of a site are not among them:
/// registries of a company live there.
fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_link_local()
                || v4.octets()[0] == 0
                || v4.is_broadcast()
                || v4.is_multicast()
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = embedded(v6) {
                return is_local(v4.into());
            }
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
                // Amazon's metadata service.
                || v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
        }
    }
}

/// The IPv4 address that an IPv6 one only wraps: mapped, or translated
/// (`64:ff9b::/96`, RFC 6052).
fn embedded(v6: Ipv6Addr) -> Option<std::net::Ipv4Addr> {
    let s = v6.segments();
    let translated = s[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    v6.to_ipv4_mapped().or_else(|| {
        translated.then(|| {
            let [a, b] = s[6].to_be_bytes();
            let [c, d] = s[7].to_be_bytes();
            std::net::Ipv4Addr::new(a, b, c, d)
        })
    })
}

impl Resolve for Guard {
    /// Resolves and checks in one step: what is connected to is what was
    /// checked, whatever the name's owner answers the next time.
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            for address in &found {
                guard.check_address(name.as_str(), address.ip())?;
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_for_this_machine_is_not_asked() {
        let check = |url: &str, local: &[&str], allowed: bool| {
            let local = local.iter().map(|h| (*h).to_owned()).collect();
            let guard = Guard { local, ..Guard::default() };
            let url = Url::parse(url).unwrap();
            assert_eq!(guard.check_url(&url).is_ok(), allowed, "{url}");
        };
        check("https://203.0.113.7/v2/", &[], true);
        check("https://10.1.2.3/v2/", &[], true);
        check("http://127.0.0.1:80/", &[], false);
        check("http://127.0.0.1:80/", &["127.0.0.1"], true);
        // The URL reader sees through other spellings of an address.
        check("http://2130706433/", &[], false);
        check("http://0x7f.1/", &[], false);
        check("http://0.0.0.0/", &[], false);
        check("http://169.254.169.254/latest/", &["127.0.0.1"], false);
        check("http://[::1]:5000/", &[], false);
        check("http://[::1]:5000/", &["::1"], true);
        check("http://[::ffff:127.0.0.1]/", &[], false);
        check("http://[64:ff9b::a9fe:a9fe]/", &[], false);
        check("http://[fe80::1]/", &[], false);
    }

    #[test]
    fn only_what_is_listed_is_asked() {
        let check = |host: &str, allowed: bool| {
            let only = ["docker.io", "*.Example.org", "127.0.0.1:5000"];
            let guard = Guard { only: only.map(str::to_owned).into(), ..Guard::default() };
            assert_eq!(guard.check_registry(host).is_ok(), allowed, "{host}");
        };
        check("docker.io", true);
        check("docker.io:443", true);
        check("evil-docker.io", false);
        check("a.example.org", true);
        check("example.org", false);
        check("aexample.org", false);
        check("127.0.0.1:5000", true);
        check("127.0.0.1:5001", false);
        assert!(Guard::default().check_registry("anything.example").is_ok());
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_not_asked() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder().dns_resolver(std::sync::Arc::new(Guard::default()));
        let error = client.build().unwrap().get("http://localhost:9/").send().await.unwrap_err();
        let chain = std::iter::successors(std::error::Error::source(&error), |e| e.source());
        let words: Vec<_> = chain.map(ToString::to_string).collect();
        assert!(words.iter().any(|w| w.contains("loopback")), "{words:?}");
    }
}
