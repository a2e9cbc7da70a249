//! Calls to other services.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks for `url`, through the HTTP proxy port of a sidecar if there is one.
pub(crate) async fn call(url: &Uri, sidecar: Option<SocketAddr>) -> Result<String> {
    timeout(TIMEOUT, exchange(url, sidecar))
        .await
        .with_context(|| format!("{url}: no answer within {TIMEOUT:?}"))?
        .with_context(|| url.to_string())
}

async fn exchange(url: &Uri, sidecar: Option<SocketAddr>) -> Result<String> {
    let authority = url.authority().context("the URL has no host")?;
    let stream = match sidecar {
        Some(address) => TcpStream::connect(address)
            .await
            .with_context(|| format!("connecting to the sidecar at {address}"))?,
        None => TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(80)))
            .await
            .with_context(|| format!("connecting to {authority}"))?,
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .context("opening HTTP/1.1")?;
    // Ends with this function, and with it the connection.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    // A proxy is told the whole URL, a server the path.
    let target = if sidecar.is_some() {
        url.to_string()
    } else {
        url.path().to_owned()
    };
    let request = Request::get(target)
        .header(HOST, authority.as_str())
        .body(Empty::<Bytes>::new())
        .context("building the request")?;
    let response = sender
        .send_request(request)
        .await
        .context("sending the request")?;
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .context("reading the answer")?
        .to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    ensure!(
        status == StatusCode::OK,
        "status {}: {}",
        status.as_u16(),
        text.trim()
    );
    Ok(text)
}
