//! A server at a socket in the file system.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

/// Answers its name over HTTP/1.1; dropping it ends it.
pub(super) struct Server {
    dir: TempDir,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(super) fn start(name: &'static str) -> Self {
        let dir = TempDir::new().unwrap();
        let listener = UnixListener::bind(path(dir.path())).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, name));
        Self { dir, _tasks: tasks }
    }

    pub(super) fn path(&self) -> PathBuf {
        path(self.dir.path())
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("app.sock")
}

async fn serve(listener: UnixListener, name: &'static str) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(async move {
            let service = service_fn(|_: Request<Incoming>| {
                let body = Full::new(Bytes::from_static(name.as_bytes()));
                std::future::ready(Ok::<_, std::convert::Infallible>(Response::new(body)))
            });
            // A client that breaks off is its own affair.
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        });
    }
}
