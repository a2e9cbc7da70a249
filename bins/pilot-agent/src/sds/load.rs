//! From files to a secret as Envoy takes it.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, Secret, TlsCertificate,
};
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use rustls::pki_types::CertificateDer;
use xxhash_rust::xxh3::xxh3_128;

use super::name::Source;
use crate::certificates::{certificates, certified, parse};

/// The largest file that is read: the roots of an operating system are a fifth of it.
const LIMIT: u64 = 1 << 20;

/// A secret that can be served.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Loaded {
    /// A hash of its content.
    pub(super) version: String,
    /// The resource.
    pub(super) body: Any,
    /// When the first of its own certificates is valid and the last is not any more, in seconds since 1970; for roots nothing,
    /// because one of many is often out of date.
    pub(super) validity: Option<(i64, i64)>,
}

impl Loaded {
    /// What is wrong with it at the moment, though it can be served.
    pub(super) fn doubt(&self, now: SystemTime) -> Option<&'static str> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        match self.validity {
            Some((from, _)) if now < from => Some("is not valid yet"),
            Some((_, until)) if now > until => Some("has expired"),
            _ => None,
        }
    }
}

/// Reads the files of a secret.
pub(super) fn load(name: &str, source: &Source) -> Result<Loaded, String> {
    let (kind, content, validity) = match source {
        Source::Pair { chain, key } => {
            let (chain_pem, key_pem) = (read(chain)?, read(key)?);
            let parsed = certificates(&chain_pem).map_err(|why| at(chain, &why))?;
            let validity = parsed.first().and_then(validity);
            certified(parsed, &key_pem)
                .map_err(|why| format!("{} (with {})", at(key, &why), chain.display()))?;
            let content = [chain_pem.as_slice(), b"\0", &key_pem].concat();
            let certificate = TlsCertificate {
                certificate_chain: Some(inline(chain_pem)),
                private_key: Some(inline(key_pem)),
                ..TlsCertificate::default()
            };
            (Type::TlsCertificate(certificate), content, validity)
        }
        Source::Roots(path) => {
            let pem = read(path)?;
            certificates(&pem).map_err(|why| at(path, &why))?;
            let content = pem.clone();
            let context = CertificateValidationContext {
                trusted_ca: Some(inline(pem)),
                ..CertificateValidationContext::default()
            };
            (Type::ValidationContext(context), content, None)
        }
    };
    let body = pack_any(Secret {
        name: name.to_owned(),
        r#type: Some(kind),
    });
    Ok(Loaded {
        version: format!("{:032x}", xxh3_128(&content)),
        body,
        validity,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let found = File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut content));
    match found {
        Ok(length) if length as u64 > LIMIT => Err(at(path, &"it is larger than 1 MiB")),
        Ok(_) => Ok(content),
        Err(error) => Err(at(path, &error)),
    }
}

fn validity(certificate: &CertificateDer<'_>) -> Option<(i64, i64)> {
    let parsed = parse(certificate)?;
    let validity = parsed.validity();
    Some((
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    ))
}

fn at(path: &Path, why: &dyn std::fmt::Display) -> String {
    format!("{}: {why}", path.display())
}

fn inline(bytes: Vec<u8>) -> DataSource {
    DataSource {
        specifier: Some(Specifier::InlineBytes(bytes)),
        ..DataSource::default()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
    use prost::Message;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn a_pair_becomes_a_secret_with_both_files() {
        let dir = tempfile::tempdir().unwrap();
        let (chain, key) = (dir.path().join("chain"), dir.path().join("key"));
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        let pem = params.self_signed(&pair).unwrap().pem();
        fs::write(&chain, &pem).unwrap();
        fs::write(&key, pair.serialize_pem()).unwrap();
        let source = Source::Pair {
            chain: chain.clone(),
            key: key.clone(),
        };
        let loaded = load("a name", &source).unwrap();
        assert_eq!(
            loaded,
            load("a name", &source).unwrap(),
            "the same files are the same version"
        );
        let secret = Secret::decode(&*loaded.body.value).unwrap();
        assert_eq!(secret.name, "a name");
        let Some(Type::TlsCertificate(found)) = secret.r#type else {
            panic!("it is another kind")
        };
        assert_eq!(found.certificate_chain, Some(inline(pem.into_bytes())));
        assert_eq!(
            found.private_key,
            Some(inline(pair.serialize_pem().into_bytes()))
        );

        let year = |years: u64| UNIX_EPOCH + Duration::from_secs(years * 31_557_600);
        assert_eq!(loaded.doubt(year(45)), Some("is not valid yet"));
        assert_eq!(
            loaded.doubt(year(50) + Duration::from_secs(86_400 * 9)),
            None
        );
        assert_eq!(loaded.doubt(year(56)), Some("has expired"));

        fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let error = load("a name", &source).unwrap_err();
        assert!(
            error.contains("does not belong") && error.contains(&key.display().to_string()),
            "{error}"
        );
        fs::remove_file(&key).unwrap();
        let error = load("a name", &source).unwrap_err();
        assert!(error.starts_with(&key.display().to_string()), "{error}");
    }

    #[test]
    fn roots_become_a_secret_and_other_files_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root");
        let issued = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        fs::write(&path, issued.cert.pem()).unwrap();
        let source = Source::Roots(path.clone());
        let loaded = load("ROOTCA", &source).unwrap();
        let secret = Secret::decode(&*loaded.body.value).unwrap();
        let Some(Type::ValidationContext(found)) = secret.r#type else {
            panic!("it is another kind")
        };
        assert_eq!(
            found.trusted_ca,
            Some(inline(issued.cert.pem().into_bytes()))
        );
        fs::write(&path, "root:x:0:0").unwrap();
        assert!(load("ROOTCA", &source).is_err(), "any file would be read");
        fs::write(&path, vec![b' '; 2 << 20]).unwrap();
        assert!(load("ROOTCA", &source).unwrap_err().contains("larger"));
    }
}
