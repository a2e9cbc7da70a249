//! Servers that answer what they were asked, and requests of every kind.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::world::SOON;

/// What a server was asked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
}

/// Answers its name. `/silent` is never answered; `/failing` fails with 503 until a request has come twice.
#[derive(Debug)]
pub(super) struct Echo {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    _tasks: JoinSet<()>,
}

impl Echo {
    pub(super) async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, name, Arc::clone(&asked)));
        Self {
            address,
            asked,
            _tasks: tasks,
        }
    }

    /// What it was asked since this was called last.
    pub(super) fn take(&self) -> Vec<Asked> {
        let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *all)
    }
}

async fn accept(listener: TcpListener, name: &'static str, asked: Arc<Mutex<Vec<Asked>>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let asked = Arc::clone(&asked);
        connections.spawn(async move {
            let service = service_fn(|request| answer(name, Arc::clone(&asked), request));
            let builder = auto::Builder::new(TokioExecutor::new());
            builder
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    name: &'static str,
    asked: Arc<Mutex<Vec<Asked>>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let one = Asked {
        method: request.method().to_string(),
        path: request.uri().to_string(),
        headers: texts(request.headers()),
    };
    let path = one.path.clone();
    let id = one.headers.get("x-request-id").cloned();
    let before = {
        let mut all = asked.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(one);
        let same = |asked: &&Asked| asked.headers.get("x-request-id") == id.as_ref();
        all.iter().filter(same).count()
    };
    if path == "/silent" {
        std::future::pending::<()>().await;
    }
    let mut response = Response::new(Full::from(name));
    response
        .headers_mut()
        .insert("x-served-by", http::HeaderValue::from_static(name));
    if path == "/failing" && before <= 2 {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
}

impl<'a> Ask<'a> {
    pub(super) fn get(path: &'a str) -> Self {
        Self {
            method: Method::GET,
            host: "web.test",
            path,
            headers: &[],
        }
    }

    pub(super) fn with(self, headers: &'a [(&'a str, &'a str)]) -> Self {
        Self { headers, ..self }
    }
}

/// What comes back.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

pub(super) async fn ask(via: SocketAddr, ask: Ask<'_>) -> Result<Reply> {
    let exchange = async {
        let stream = TcpStream::connect(via).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(ask.path)
            .header(http::header::HOST, ask.host);
        for (name, value) in ask.headers {
            request = request.header(*name, *value);
        }
        let response = sender
            .send_request(request.body(Empty::<Bytes>::new())?)
            .await?;
        let (status, headers) = (response.status().as_u16(), texts(response.headers()));
        let body = response.into_body().collect().await?.to_bytes();
        anyhow::Ok(Reply {
            status,
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    };
    timeout(SOON, exchange)
        .await
        .with_context(|| format!("no answer to {ask:?}"))?
        .with_context(|| format!("{ask:?}"))
}

fn texts(headers: &http::HeaderMap) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        all.entry(name.to_string())
            .and_modify(|all| *all = format!("{all},{value}"))
            .or_insert_with(|| value.into_owned());
    }
    all
}
