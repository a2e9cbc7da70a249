//! One HTTP request over one fresh connection.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// A connection that is there: TCP, or TLS over it.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Connection for T {}

/// Sends `GET path` to `address` with `host` as its authority.
pub async fn get(address: SocketAddr, host: &str, path: &str, within: Duration) -> Result<Answer> {
    send(Method::GET, address, host, path, within).await
}

/// Sends `GET path` over a connection that is there.
pub async fn get_over(
    stream: impl Connection,
    host: &str,
    path: &str,
    within: Duration,
) -> Result<Answer> {
    let what = format!("GET {path} (host {host}) over a connection that is there");
    timeout(
        within,
        exchange(stream, Method::GET, host, path, Bytes::new()),
    )
    .await
    .with_context(|| format!("{what}: no answer within {within:?}"))?
    .with_context(|| what.clone())
}

/// Sends `GET path` to `address` and parses the answer, which must have status 200, as JSON.
pub async fn get_json(
    address: SocketAddr,
    path: &str,
    within: Duration,
) -> Result<serde_json::Value> {
    let answer = get(address, &address.to_string(), path, within).await?;
    ensure!(
        answer.status == 200,
        "GET http://{address}{path}: status {}: {}",
        answer.status,
        answer.body
    );
    serde_json::from_str(&answer.body)
        .with_context(|| format!("GET http://{address}{path}: no JSON: {:.200}", answer.body))
}

/// Sends JSON with `POST path` to `address` and parses the answer, which must have status 200, as JSON.
pub async fn post_json(
    address: SocketAddr,
    path: &str,
    body: &serde_json::Value,
    within: Duration,
) -> Result<serde_json::Value> {
    send_json(Method::POST, address, path, body, within).await
}

/// The same with `PUT path`.
pub async fn put_json(
    address: SocketAddr,
    path: &str,
    body: &serde_json::Value,
    within: Duration,
) -> Result<serde_json::Value> {
    send_json(Method::PUT, address, path, body, within).await
}

async fn send_json(
    method: Method,
    address: SocketAddr,
    path: &str,
    body: &serde_json::Value,
    within: Duration,
) -> Result<serde_json::Value> {
    let what = format!("{method} http://{address}{path}");
    let (host, body) = (address.to_string(), body.to_string().into());
    let answer = send_body(method, address, &host, path, body, within).await?;
    ensure!(
        answer.status == 200,
        "{what}: status {}: {}",
        answer.status,
        answer.body
    );
    serde_json::from_str(&answer.body)
        .with_context(|| format!("{what}: no JSON: {:.200}", answer.body))
}

/// Sends a request without a body.
pub async fn send(
    method: Method,
    address: SocketAddr,
    host: &str,
    path: &str,
    within: Duration,
) -> Result<Answer> {
    send_body(method, address, host, path, Bytes::new(), within).await
}

async fn send_body(
    method: Method,
    address: SocketAddr,
    host: &str,
    path: &str,
    body: Bytes,
    within: Duration,
) -> Result<Answer> {
    let what = || format!("{method} http://{address}{path} (host {host})");
    let connected = async {
        let stream = TcpStream::connect(address).await.context("connecting")?;
        exchange(stream, method.clone(), host, path, body).await
    };
    timeout(within, connected)
        .await
        .with_context(|| format!("{}: no answer within {within:?}", what()))?
        .with_context(what)
}

async fn exchange(
    stream: impl Connection,
    method: Method,
    host: &str,
    path: &str,
    body: Bytes,
) -> Result<Answer> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .context("opening HTTP/1.1")?;
    // Ends with this function, and with it the connection.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, host)
        .body(Full::new(body))
        .context("building the request")?;
    let response = sender
        .send_request(request)
        .await
        .context("sending the request")?;
    let status = response.status().as_u16();
    let body = response
        .into_body()
        .collect()
        .await
        .context("reading the body")?
        .to_bytes();
    Ok(Answer {
        status,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
