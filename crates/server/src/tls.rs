//! TLS: given certificates, or a certificate authority of our own.
//!
//! The authority is made once and kept in `DATA/tls`; the server certificate
//! is made anew at every start, so that it never runs out and follows changes
//! of the host's name.

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

/// Validity of the authority: long, since every client must be told of it.
const CA_VALID: Duration = Duration::days(3650);

/// Validity of a server certificate; clients refuse more than 825 days.
const SERVER_VALID: Duration = Duration::days(397);

/// Where certificates come from.
pub enum Certificates<'a> {
    /// PEM files that the operator gave.
    Given { certificate: &'a Path, key: &'a Path },
    /// Our own authority under this directory.
    Own { directory: &'a Path },
}

/// A TLS configuration, and the authority's file where it is our own.
pub struct Tls {
    /// For the listener.
    pub config: Arc<ServerConfig>,
    /// The file that clients must trust.
    pub ca_file: Option<PathBuf>,
}

/// Reads or makes what the listener needs. `names` are the host names and
/// addresses that clients use.
pub fn load(
    certificates: &Certificates<'_>,
    names: &[String],
    now: OffsetDateTime,
) -> anyhow::Result<Tls> {
    let (chain, key, ca_file) = match certificates {
        Certificates::Given { certificate, key } => {
            let chain = CertificateDer::pem_file_iter(certificate)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .with_context(|| {
                    format!("cannot read certificates from {}", certificate.display())
                })?;
            if chain.is_empty() {
                bail!("{} holds no certificate in PEM form", certificate.display());
            }
            let key = PrivateKeyDer::from_pem_file(key)
                .with_context(|| format!("cannot read a private key from {}", key.display()))?;
            (chain, key, None)
        }
        Certificates::Own { directory } => {
            let authority = Authority::open(directory, now)?;
            let (chain, key) = authority.issue(names, now)?;
            (chain, key, Some(authority.file))
        }
    };
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the certificate and the private key do not fit together")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Tls { config: Arc::new(config), ca_file })
}

/// The names a certificate made here should carry: loopback, the host's own
/// name, and what the operator listens on.
pub fn default_names(listen: IpAddr) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).into();
    if let Ok(host) = fs::read_to_string("/proc/sys/kernel/hostname") {
        names.push(host.trim().to_owned());
    }
    if !listen.is_unspecified() {
        names.push(listen.to_string());
    }
    names.retain(|n| !n.is_empty());
    names.dedup();
    names
}

struct Authority {
    file: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn open(directory: &Path, now: OffsetDateTime) -> anyhow::Result<Self> {
        let file = directory.join("ca.pem");
        let key_file = directory.join("ca.key");
        if !file.exists() || !key_file.exists() {
            Self::create(directory, &file, &key_file, now).with_context(|| {
                format!("cannot make a certificate authority in {}", directory.display())
            })?;
        }
        let pem =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let key = fs::read_to_string(&key_file)
            .with_context(|| format!("cannot read {}", key_file.display()))?;
        let key = KeyPair::from_pem(&key)
            .with_context(|| format!("{} is not a private key", key_file.display()))?;
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .with_context(|| format!("{} is not a certificate", file.display()))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .with_context(|| format!("{} and its key do not fit together", file.display()))?;
        Ok(Self { issuer, certificate, file })
    }

    fn create(
        directory: &Path,
        file: &Path,
        key_file: &Path,
        now: OffsetDateTime,
    ) -> anyhow::Result<()> {
        fs::create_dir_all(directory)?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named("Lazaret certificate authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = now - Duration::days(1);
        params.not_after = now + CA_VALID;
        let certificate = params.self_signed(&key)?;
        // The key first: a certificate without its key would never be replaced.
        write_file(key_file, &key.serialize_pem(), 0o600)?;
        write_file(file, &certificate.pem(), 0o644)
    }

    fn issue(
        &self,
        names: &[String],
        now: OffsetDateTime,
    ) -> anyhow::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.to_vec())
            .context("a host name cannot stand in a certificate")?;
        params.distinguished_name = named("Lazaret");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = now - Duration::days(1);
        params.not_after = now + SERVER_VALID;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok((vec![certificate.der().clone(), self.certificate.clone()], key))
    }
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn write_file(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_outlives_a_restart() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let now = OffsetDateTime::now_utc();
        let names = default_names([127, 0, 0, 1].into());
        let certificates = Certificates::Own { directory: dir.path() };
        let first = load(&certificates, &names, now).expect("a first start");
        let pem = fs::read(first.ca_file.expect("an own authority")).expect("the authority's file");
        let second = load(&certificates, &names, now).expect("a second start");
        assert_eq!(
            pem,
            fs::read(second.ca_file.expect("an own authority")).expect("the authority's file")
        );
    }

    #[test]
    fn a_missing_certificate_names_its_file() {
        let missing = Path::new("no-such.pem");
        let error = load(
            &Certificates::Given { certificate: missing, key: missing },
            &[],
            OffsetDateTime::now_utc(),
        )
        .err()
        .expect("no such file");
        assert!(error.to_string().contains("no-such.pem"), "{error}");
    }
}
