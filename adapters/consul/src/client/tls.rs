//! The client's side of TLS, from files that may change: they are read for each connection.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};

use super::Settings;

/// How connections are begun. Reads files: not for a thread that serves others.
pub(super) fn client_config(settings: &Settings) -> io::Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = if settings.verify {
        let roots = Arc::new(roots(settings)?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(io::Error::other)?;
        builder.with_webpki_verifier(verifier)
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    };
    match &settings.client_certificate {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => {
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| of(key, error))?;
            builder
                .with_client_auth_cert(certificates(chain)?, key)
                .map_err(|error| of(chain, error))
        }
    }
}

/// What to do about a handshake that has failed, if that is why something has.
pub(super) fn hint(mut error: &(dyn Error + 'static)) -> &'static str {
    loop {
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        let inner = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(error) = inner.or_else(|| error.downcast_ref::<rustls::Error>()) {
            return of_handshake(error);
        }
        match error.source() {
            Some(source) => error = source,
            None => return "",
        }
    }
}

fn of_handshake(error: &rustls::Error) -> &'static str {
    use AlertDescription as Alert;
    use CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer) => {
            " (its certificate is of another authority: name the right one with CONSUL_CACERT)"
        }
        rustls::Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            " (its certificate has expired: give it a new one)"
        }
        rustls::Error::InvalidCertificate(
            Bad::NotValidForName | Bad::NotValidForNameContext { .. },
        ) => " (its certificate bears another name: say which with CONSUL_TLS_SERVER_NAME)",
        rustls::Error::AlertReceived(
            Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::HandshakeFailure,
        ) => {
            " (it asks for a client certificate of its own authority: give one with CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY)"
        }
        rustls::Error::InvalidMessage(_) => " (it does not speak TLS there: is it the right port?)",
        _ => "",
    }
}

fn roots(settings: &Settings) -> io::Result<RootCertStore> {
    let mut files: Vec<PathBuf> = settings.ca_file.iter().cloned().collect();
    if let Some(directory) = &settings.ca_path {
        for entry in std::fs::read_dir(directory).map_err(|error| of(directory, error))? {
            let path = entry?.path();
            if path.is_file() {
                files.push(path);
            }
        }
    }
    let mut roots = RootCertStore::empty();
    for file in &files {
        for certificate in certificates(file)? {
            roots.add(certificate).map_err(|error| of(file, error))?;
        }
    }
    if files.is_empty() {
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
    }
    if roots.is_empty() {
        return Err(io::Error::other(
            "there is no certificate of an authority to check the server's with; name a file with CONSUL_CACERT",
        ));
    }
    Ok(roots)
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(file).map_err(|error| of(file, error))?;
    let all: Vec<_> = all
        .collect::<Result<_, _>>()
        .map_err(|error| of(file, error))?;
    match all.is_empty() {
        true => Err(of(file, "there is no certificate in it")),
        false => Ok(all),
    }
}

fn of(file: &Path, error: impl ToString) -> io::Error {
    io::Error::other(format!("{}: {}", file.display(), error.to_string()))
}

/// Takes any certificate, as its user asked for.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
