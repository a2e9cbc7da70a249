//! HTTP/1.1 on one socket that others may reach: bounded in connections, and in what a slow or idle peer can hold.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::Peer;

/// The most connections at a time; further ones wait in the kernel.
const CONNECTIONS: usize = 256;
/// A connection without a complete request for this long is closed.
const REQUEST_WITHIN: Duration = Duration::from_secs(15);
/// After a stop a connection has this long to end its response.
const GRACE: Duration = Duration::from_secs(1);
/// After an accept that failed for want of a resource.
const RETRY: Duration = Duration::from_millis(100);

/// Serves `router` until `stop`, then lets responses under way end. Requests have the [`Peer`] that sent them.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    // The semaphore is never closed, so waiting for room ends with a permit.
    while let Some(Ok(permit)) = stop
        .run_until_cancelled(Arc::clone(&room).acquire_owned())
        .await
    {
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else {
            break;
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move {
                    connection(stream, Peer(peer), router, stop).await;
                    drop(permit);
                });
            }
            Err(error) if transient(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, peer: Peer, router: Router, stop: CancellationToken) {
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request)
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST_WITHIN)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = match stop.run_until_cancelled(connection.as_mut()).await {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(GRACE, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Whether only the one connection that was about to be accepted is concerned.
fn transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use axum::Extension;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{Instant, timeout};

    use super::*;

    /// A server whose one page says who asks, and a connection to it.
    async fn start(tasks: &mut JoinSet<()>, stop: &CancellationToken) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let page = async |Extension(Peer(peer)): Extension<Peer>| format!("here is {peer}");
        let router = Router::new().route("/", get(page));
        tasks.spawn(serve(listener, router, stop.clone()));
        TcpStream::connect(address).await.unwrap()
    }

    async fn ask(stream: &mut TcpStream) -> String {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0; 1024];
        let length = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    #[tokio::test]
    async fn a_stop_ends_idle_connections_at_once() {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        let mut stream = start(&mut tasks, &stop).await;
        let own = stream.local_addr().unwrap();
        let answer = ask(&mut stream).await;
        assert!(answer.ends_with(&format!("here is {own}")), "{answer}");
        let before = Instant::now();
        stop.cancel();
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        timeout(GRACE, tasks.join_next()).await.unwrap();
        assert!(before.elapsed() < GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_nothing_is_sent_away() {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        let mut stream = start(&mut tasks, &stop).await;
        let before = Instant::now();
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: loc")
            .await
            .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(before.elapsed() >= REQUEST_WITHIN);
        assert!(!String::from_utf8_lossy(&answer).contains("here"));
    }
}
