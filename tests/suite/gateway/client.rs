//! Clients and servers that speak TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use pilothouse_tests::http::{self, Answer};
use pilothouse_tests::wait::eventually;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::world::SOON;

/// A certificate that believes in itself, for these names.
pub(super) struct Identity(CertifiedKey<KeyPair>);

impl Identity {
    pub(super) fn new(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Self(generate_simple_self_signed(names).unwrap())
    }

    /// Writes `NAME.pem` and `NAME.key`.
    pub(super) fn write(&self, dir: &Path, name: &str) {
        std::fs::write(dir.join(format!("{name}.pem")), self.0.cert.pem()).unwrap();
        let key = self.0.signing_key.serialize_pem();
        std::fs::write(dir.join(format!("{name}.key")), key).unwrap();
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.0.signing_key.serialize_der().into())
    }
}

/// A client that believes one certificate.
pub(super) struct Client<'a> {
    pub(super) believes: &'a Identity,
    pub(super) own: Option<&'a Identity>,
    pub(super) protocols: &'a [&'a str],
}

impl<'a> Client<'a> {
    pub(super) fn of(believes: &'a Identity) -> Self {
        Self {
            believes,
            own: None,
            protocols: &[],
        }
    }

    /// Waits until requests for `name` are answered with `body`.
    pub(super) async fn answers(&self, via: SocketAddr, name: &str, body: &str) {
        let asked = async || {
            let answer = self.get(via, name).await?;
            ensure!(answer.body == body, "it answers {answer:?}");
            Ok(())
        };
        eventually(&format!("{name} answers {body:?} at {via}"), SOON, asked)
            .await
            .unwrap();
    }

    /// Waits until requests for `name` are not answered.
    pub(super) async fn is_refused(&self, via: SocketAddr, name: &str) {
        let refused = async || {
            let answer = self.get(via, name).await;
            ensure!(answer.is_err(), "it answers {answer:?}");
            Ok(())
        };
        eventually(&format!("{name} is refused at {via}"), SOON, refused)
            .await
            .unwrap();
    }

    /// Asks for `name` by server name and by host.
    pub(super) async fn get(&self, via: SocketAddr, name: &str) -> Result<Answer> {
        self.get_by(via, name, name).await
    }

    /// Asks for `host` over a connection to `server_name`.
    pub(super) async fn get_by(
        &self,
        via: SocketAddr,
        server_name: &str,
        host: &str,
    ) -> Result<Answer> {
        let tcp = TcpStream::connect(via).await.context("connecting")?;
        let name = ServerName::try_from(server_name.to_owned())?;
        let connector = TlsConnector::from(Arc::new(self.config()?));
        let stream = connector.connect(name, tcp).await.context("TLS")?;
        http::get_over(stream, host, "/", SOON).await
    }

    /// Waits until connections to a server name that no certificate bears are answered with `body`, or by nobody.
    pub(super) async fn is_let_through(&self, via: SocketAddr, name: &str, body: Option<&str>) {
        let asked = async || {
            let found = self.get_unnamed(via, name).await.ok();
            ensure!(found.as_deref() == body, "it answers {found:?}");
            Ok(())
        };
        eventually(&format!("{name} is answered with {body:?}"), SOON, asked)
            .await
            .unwrap();
    }

    async fn get_unnamed(&self, via: SocketAddr, name: &str) -> Result<String> {
        let mut config = self.config()?;
        config
            .dangerous()
            .set_certificate_verifier(Arc::new(Anybody));
        let tcp = TcpStream::connect(via).await.context("connecting")?;
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from(name.to_owned())?;
        let stream = connector.connect(name, tcp).await.context("TLS")?;
        Ok(http::get_over(stream, "any", "/", SOON).await?.body)
    }

    fn config(&self) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.believes.0.cert.der().clone())?;
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match self.own {
            Some(own) => {
                builder.with_client_auth_cert(vec![own.0.cert.der().clone()], own.key())?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self
            .protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Ok(config)
    }
}

/// A server with TLS that answers its name.
pub(super) struct TlsServer {
    pub(super) address: SocketAddr,
    _running: JoinSet<()>,
}

impl TlsServer {
    pub(super) async fn start(name: &'static str, identity: &Identity, protocols: &[&str]) -> Self {
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let mut config = builder
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![identity.0.cert.der().clone()], identity.key())
            .unwrap();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut running = JoinSet::new();
        running.spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), name));
        Self {
            address,
            _running: running,
        }
    }
}

/// Answers one request on each connection.
async fn serve(listener: TcpListener, acceptor: TlsAcceptor, name: &'static str) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            let mut stream = acceptor.accept(stream).await.ok()?;
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.ok()? == 0 {
                    return None;
                }
            }
            let length = name.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{name}"
            );
            stream.write_all(answer.as_bytes()).await.ok()?;
            stream.shutdown().await.ok()
        });
    }
}

/// Believes whoever answers: workloads look at identities, which these servers have not.
#[derive(Debug)]
struct Anybody;

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
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = aws_lc_rs::default_provider();
        provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
