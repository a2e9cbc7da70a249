//! A server that takes whatever proxies report, by HTTP or gRPC, and keeps it.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// An HTTP/1.1 and HTTP/2 server in this process; dropping it closes its connections and its port.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    taken: Kept,
    _tasks: JoinSet<()>,
}

type Kept = Arc<Mutex<Vec<Taken>>>;

/// A request that it has got, as far as that has come.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Its path.
    pub path: String,
    /// Its authority.
    pub host: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl Taken {
    /// Whether a text is somewhere in its body.
    pub fn has(&self, text: &str) -> bool {
        let text = text.as_bytes();
        self.body.windows(text.len()).any(|window| window == text)
    }
}

impl Collector {
    /// Serves on a free port of 127.0.0.1.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("binding a collector")?;
        let address = listener
            .local_addr()
            .context("asking for a bound address")?;
        let taken = Kept::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&taken)));
        Ok(Self {
            address,
            taken,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that it has got.
    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().clone()
    }
}

/// Owns the connections: they end with this task.
async fn accept(listener: TcpListener, kept: Kept) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let kept = Arc::clone(&kept);
        connections.spawn(async move {
            let service = service_fn(|request| take(request, Arc::clone(&kept)));
            // A client that breaks off is its own affair.
            auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Keeps a request piece by piece: a stream of reports may never end.
async fn take(
    request: Request<Incoming>,
    kept: Kept,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let header = request.headers().get(http::header::HOST);
    let header = header.and_then(|host| host.to_str().ok());
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    let at = {
        let mut all = kept.lock();
        all.push(Taken {
            path: request.uri().path().to_owned(),
            host: authority.or(header).unwrap_or_default().to_owned(),
            body: Vec::new(),
        });
        all.len() - 1
    };
    let mut body = request.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        if let (Some(data), Some(taken)) = (frame.data_ref(), kept.lock().get_mut(at)) {
            taken.body.extend_from_slice(data);
        }
    }
    let mut response = Response::new(Full::new(Bytes::new()));
    let headers = response.headers_mut();
    // A response of gRPC that has no message.
    headers.insert("grpc-status", http::HeaderValue::from_static("0"));
    headers.insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/grpc"),
    );
    Ok(response)
}
