//! TLS to discovery: who we are, from files, and who discovery must be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use x509_parser::extensions::GeneralName;

use crate::certificates::{certificates, certified, parse, provider};

/// The files of mutual TLS, and whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate to be known by, and what leads from it to its root.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The roots of discovery's certificate.
    pub root: PathBuf,
    /// Names of which discovery's certificate must have one: `spiffe://...` or a DNS name. Where none is given, it is the
    /// host that is connected to.
    pub server_names: Vec<String>,
}

/// Makes what a handshake needs, from the files as they are at that moment.
#[derive(Debug)]
pub(super) struct Files {
    tls: Tls,
    good: Option<Arc<ClientConfig>>,
    complaint: Option<String>,
}

impl Files {
    pub(super) fn new(tls: Tls) -> Self {
        Self {
            tls,
            good: None,
            complaint: None,
        }
    }

    /// The configuration for the next handshake. Files that cannot be used, such as half of a new pair, leave the last good ones
    /// in use; that is said once.
    pub(super) fn load(&mut self) -> Result<Arc<ClientConfig>, String> {
        match self.read() {
            Ok(config) => {
                self.complaint = None;
                let config = Arc::new(config);
                self.good = Some(Arc::clone(&config));
                Ok(config)
            }
            Err(why) => {
                let Some(good) = &self.good else {
                    return Err(why);
                };
                if self.complaint.as_ref() != Some(&why) {
                    tracing::warn!(target: "xdsproxy", why, "the certificates for discovery cannot be used; the last good ones are");
                    self.complaint = Some(why);
                }
                Ok(Arc::clone(good))
            }
        }
    }

    fn read(&self) -> Result<ClientConfig, String> {
        let (chain_path, key_path, root_path) = (&self.tls.chain, &self.tls.key, &self.tls.root);
        let chain = certificates(&read(chain_path)?).map_err(|why| at(chain_path, &why))?;
        let certified = certified(chain, &read(key_path)?).map_err(|why| at(key_path, &why))?;
        let mut roots = RootCertStore::empty();
        for root in certificates(&read(root_path)?).map_err(|why| at(root_path, &why))? {
            roots.add(root).map_err(|why| at(root_path, &why))?;
        }
        let provider = provider();
        let verifier = Verifier {
            roots,
            names: self.tls.server_names.clone(),
            provider: Arc::clone(&provider),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| at(path, &error))
}

fn at(path: &Path, why: &dyn std::fmt::Display) -> String {
    format!("{}: {why}", path.display())
}

/// Checks the chain as everybody does, and names of which some are URIs.
#[derive(Debug)]
struct Verifier {
    roots: RootCertStore,
    names: Vec<String>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn is_called(
        &self,
        der: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        name: &str,
    ) -> bool {
        if name.contains("://") {
            return has_uri(der, name);
        }
        ServerName::try_from(name).is_ok_and(|name| verify_server_name(parsed, &name).is_ok())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        if self.names.is_empty() {
            verify_server_name(&parsed, server_name)?;
        } else if !self
            .names
            .iter()
            .any(|name| self.is_called(end_entity, &parsed, name))
        {
            return Err(CertificateError::NotValidForName.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Whether a certificate has this URI among its names, byte for byte.
fn has_uri(der: &CertificateDer<'_>, uri: &str) -> bool {
    let Some(certificate) = parse(der) else {
        return false;
    };
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return false;
    };
    names
        .value
        .general_names
        .iter()
        .any(|name| matches!(name, GeneralName::URI(found) if *found == uri))
}
