//! Servers that answer their name.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// An HTTP/1.1 and HTTP/2 server in this process; dropping it closes its connections and its port.
#[derive(Debug)]
pub struct Backend {
    name: Arc<str>,
    address: SocketAddr,
    requests: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Backend {
    /// Serves on a free port of `ip`, which may be any of 127.0.0.0/8.
    pub async fn start(name: &str, ip: IpAddr) -> Result<Self> {
        Self::start_at(name, SocketAddr::new(ip, 0)).await
    }

    /// Serves on the given address.
    pub async fn start_at(name: &str, address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("binding {address} for the backend {name}"))?;
        Self::start_on(name, listener)
    }

    /// Serves on a socket, wherever that stands.
    pub fn start_on(name: &str, listener: TcpListener) -> Result<Self> {
        let address = listener
            .local_addr()
            .context("asking for a bound address")?;
        let (name, requests) = (Arc::from(name), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&name), Arc::clone(&requests)));
        Ok(Self {
            name,
            address,
            requests,
            _tasks: tasks,
        })
    }

    /// What it answers.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests it has got.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Owns the connections: they end with this task.
async fn accept(listener: TcpListener, name: Arc<str>, requests: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (name, requests) = (Arc::clone(&name), Arc::clone(&requests));
        connections.spawn(async move {
            let service = service_fn(|_: Request<Incoming>| {
                requests.fetch_add(1, Ordering::Relaxed);
                let body = Full::new(Bytes::copy_from_slice(name.as_bytes()));
                std::future::ready(Ok::<_, std::convert::Infallible>(Response::new(body)))
            });
            // A client that breaks off is its own affair.
            auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        });
        while connections.try_join_next().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http;

    #[tokio::test]
    async fn it_answers_its_name_until_it_is_dropped() {
        let within = Duration::from_secs(5);
        let backend = Backend::start("reviews-v1", "127.0.0.2".parse().unwrap())
            .await
            .unwrap();
        let address = backend.address();
        let answer = http::get(address, "reviews", "/", within).await.unwrap();
        assert_eq!(
            (answer.status, answer.body.as_str(), backend.requests()),
            (200, "reviews-v1", 1)
        );
        drop(backend);
        assert!(http::get(address, "reviews", "/", within).await.is_err());
    }
}
