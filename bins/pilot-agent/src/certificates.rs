//! Certificates and keys as files have them: read, and found fit to be used together.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use thiserror::Error as ThisError;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// Why files cannot be used. Which file it is about, the caller knows.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub(crate) enum Unfit {
    #[error("its PEM cannot be read ({0})")]
    Pem(String),
    #[error("it has no certificate in PEM")]
    NoCertificate,
    #[error("its certificate {0} is broken")]
    Certificate(usize),
    #[error("it has no private key in PEM")]
    NoKey,
    #[error("its key cannot be used ({0}); RSA, ECDSA and Ed25519 can")]
    Key(String),
    #[error("its key does not belong to the certificate")]
    Mismatch,
}

/// The one provider of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// All certificates of a PEM file, of which there must be one.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unfit> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| Unfit::Pem(error.to_string()))?;
    if found.is_empty() {
        return Err(Unfit::NoCertificate);
    }
    for (nth, certificate) in (1..).zip(&found) {
        parse(certificate).ok_or(Unfit::Certificate(nth))?;
    }
    Ok(found)
}

/// The private key of a PEM file, together with the certificates that it belongs to.
pub(crate) fn certified(
    chain: Vec<CertificateDer<'static>>,
    key_pem: &[u8],
) -> Result<CertifiedKey, Unfit> {
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => Unfit::NoKey,
        other => Unfit::Pem(other.to_string()),
    })?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Unfit::Mismatch,
        other => Unfit::Key(other.to_string()),
    })
}

/// A certificate, if it is one.
pub(crate) fn parse<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(der.as_ref())
        .ok()
        .map(|(_, certificate)| certificate)
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, generate_simple_self_signed};

    use super::*;

    #[test]
    fn a_pair_is_fit_only_together() {
        let issued = generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        let (pem, key) = (issued.cert.pem(), issued.signing_key.serialize_pem());
        let chain = || certificates(pem.as_bytes()).unwrap();
        certified(chain(), key.as_bytes()).unwrap();
        let check = |key: &str, expected: Unfit| {
            assert_eq!(certified(chain(), key.as_bytes()).unwrap_err(), expected);
        };
        check(
            &KeyPair::generate().unwrap().serialize_pem(),
            Unfit::Mismatch,
        );
        check("", Unfit::NoKey);
        check(&pem, Unfit::NoKey);
        let cut = key.get(..key.len() / 2).unwrap();
        assert!(matches!(
            certified(chain(), cut.as_bytes()),
            Err(Unfit::Pem(_))
        ));
    }

    #[test]
    fn every_certificate_of_a_file_must_be_one() {
        let pem = || {
            generate_simple_self_signed(["a.test".to_owned()])
                .unwrap()
                .cert
                .pem()
        };
        let (first, second) = (pem(), pem());
        let both = format!("{first}a comment\n{second}");
        assert_eq!(certificates(both.as_bytes()).unwrap().len(), 2);
        assert_eq!(certificates(b"").unwrap_err(), Unfit::NoCertificate);
        let broken =
            format!("{first}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        assert_eq!(
            certificates(broken.as_bytes()).unwrap_err(),
            Unfit::Certificate(2)
        );
        let cut = both.get(..both.len() - 40).unwrap();
        assert!(matches!(
            certificates(cut.as_bytes()).unwrap_err(),
            Unfit::Pem(_)
        ));
    }
}
