//! Requests that are really sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pilothouse_tests::echo::Got;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::outcome::{Seen, Who};
use super::table::Request;
use crate::world::SOON;

/// Sends a request to `to` and says what came back.
pub(crate) async fn send(request: &Request, to: SocketAddr) -> Seen {
    let sent = async {
        match request.method.as_str() {
            "TCP" => bytes(to, b"\0hello").await,
            "TLS" => {
                let name = request.sni.as_deref().unwrap_or("nobody.test");
                bytes(to, &hello(name)?).await
            }
            _ => http(request, to).await,
        }
    };
    match timeout(SOON, sent).await {
        Ok(Ok(seen)) => seen,
        // What the proxy does not take it closes, at once or at the first bytes.
        Ok(Err(_)) => Seen::default(),
        Err(_) => panic!("no answer within {SOON:?} to {request:?}"),
    }
}

async fn bytes(to: SocketAddr, first: &[u8]) -> Result<Seen> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(first).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(Seen {
        who: if text.is_empty() {
            Who::Closed
        } else {
            Who::Backend([text].into())
        },
        ..Seen::default()
    })
}

/// How TLS begins.
fn hello(name: &str) -> Result<Vec<u8>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned())?;
    let mut bytes = Vec::new();
    ClientConnection::new(Arc::new(config), name)?.write_tls(&mut bytes)?;
    Ok(bytes)
}

async fn http(request: &Request, to: SocketAddr) -> Result<Seen> {
    let stream = TokioIo::new(TcpStream::connect(to).await?);
    let mut driver = JoinSet::new();
    let mut builder = http::Request::builder().method(request.method.as_str());
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let response = if request.http2 {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        driver.spawn(async { drop(connection.await) });
        let uri = Uri::builder()
            .scheme("http")
            .authority(request.authority.as_str())
            .path_and_query(request.path.as_str())
            .build()?;
        sender
            .send_request(builder.uri(uri).body(Empty::<Bytes>::new())?)
            .await?
    } else {
        let (mut sender, connection) = http1::handshake(stream).await?;
        driver.spawn(async { drop(connection.await) });
        let builder = builder
            .uri(&request.path)
            .header(http::header::HOST, &request.authority);
        sender
            .send_request(builder.body(Empty::<Bytes>::new())?)
            .await?
    };
    let status = response.status().as_u16();
    let mut answer: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        answer
            .entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push(',');
                all.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    let body = response
        .into_body()
        .collect()
        .await
        .context("reading the body")?
        .to_bytes();
    let got: Option<Got> = serde_json::from_slice(&body).ok();
    Ok(match got {
        Some(got) => Seen {
            who: Who::Backend([got.name].into()),
            method: got.method,
            path: got.path,
            host: got.host,
            request: got.headers,
            answer,
            ..Seen::default()
        },
        None => Seen {
            who: Who::Status(status),
            body: String::from_utf8_lossy(&body).into_owned(),
            answer,
            ..Seen::default()
        },
    })
}
