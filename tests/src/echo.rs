//! Servers that answer what they have got: who they are, and the request as it reached them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Duration, timeout};

/// How long a client of the server may take for its first bytes.
const FIRST_BYTES: Duration = Duration::from_secs(5);

/// A request as its endpoint got it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Got {
    /// Who got it.
    pub name: String,
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// `Host`, or `:authority`.
    pub host: String,
    /// All headers; the values of one that is there several times are joined by commas.
    pub headers: BTreeMap<String, String>,
}

/// A server of HTTP/1.1 and HTTP/2 that answers with a [`Got`] as JSON, and connections that are not HTTP with its name. Dropping it
/// closes its connections and its port.
#[derive(Debug)]
pub struct Echo {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Echo {
    /// Serves on a free port of 127.0.0.1.
    pub async fn start(name: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .with_context(|| format!("binding a port for the echo {name}"))?;
        let address = listener
            .local_addr()
            .context("asking for a bound address")?;
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, name.into()));
        Ok(Self {
            address,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Owns the connections: they end with this task.
async fn accept(listener: TcpListener, name: Arc<str>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        connections.spawn(serve(stream, Arc::clone(&name)));
        while connections.try_join_next().is_some() {}
    }
}

/// Whoever breaks off, it is his own affair.
async fn serve(mut stream: TcpStream, name: Arc<str>) {
    let mut first = [0; 4];
    let Ok(Ok(read)) = timeout(FIRST_BYTES, stream.peek(&mut first)).await else {
        return;
    };
    // Every method of HTTP is in capitals, and so is the preface of HTTP/2.
    let of_http = |byte: &u8| byte.is_ascii_uppercase() || *byte == b' ';
    if read == 0 || !first.iter().take(read).all(of_http) {
        stream.write_all(name.as_bytes()).await.ok();
        stream.shutdown().await.ok();
        return;
    }
    let service = service_fn(|request: Request<Incoming>| {
        let body = serde_json::to_vec(&got(&name, &request)).unwrap_or_default();
        let mut response = Response::new(Full::new(Bytes::from(body)));
        for (name, value) in [("x-from-server", "echo"), ("x-server-version", "1")] {
            response
                .headers_mut()
                .insert(name, http::HeaderValue::from_static(value));
        }
        std::future::ready(Ok::<_, Infallible>(response))
    });
    auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

fn got<B>(name: &str, request: &Request<B>) -> Got {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in request.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(key.as_str().to_owned())
            .and_modify(|all| {
                all.push(',');
                all.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    let uri = request.uri();
    Got {
        name: name.to_owned(),
        method: request.method().to_string(),
        path: uri
            .path_and_query()
            .map_or_else(|| "/".to_owned(), ToString::to_string),
        host: match uri.authority() {
            Some(authority) => authority.to_string(),
            None => headers.get("host").cloned().unwrap_or_default(),
        },
        headers,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn it_says_what_it_got() {
        let echo = Echo::start("one").await.unwrap();
        let within = Duration::from_secs(5);
        let answer = crate::http::get(echo.address(), "a.test", "/x?y=1", within)
            .await
            .unwrap();
        let got: Got = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(
            (got.name, got.method, got.path, got.host),
            ("one".into(), "GET".into(), "/x?y=1".into(), "a.test".into())
        );
        let mut stream = TcpStream::connect(echo.address()).await.unwrap();
        stream.write_all(b"\x16\x03\x01\x00").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "one");
    }
}
