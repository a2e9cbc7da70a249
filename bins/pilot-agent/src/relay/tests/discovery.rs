//! A discovery that does what a test says.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::SOON;

type Answer = UnsyncBoxBody<Bytes, Infallible>;

/// A server; dropping it breaks off all connections.
pub(super) struct Discovery {
    pub(super) address: SocketAddr,
    pub(super) accepted: Arc<AtomicU64>,
    streams: mpsc::UnboundedReceiver<Stream>,
    _serving: JoinSet<()>,
}

/// What the relay has opened.
pub(super) struct Stream {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) requests: Incoming,
    pub(super) responses: mpsc::Sender<Frame<Bytes>>,
}

/// Whether streams are taken.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Mood {
    Takes,
    Refuses,
}

impl Discovery {
    pub(super) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), Mood::Takes, None).await
    }

    pub(super) async fn start_at(
        address: SocketAddr,
        mood: Mood,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (opened, streams) = mpsc::unbounded();
        let accepted = Arc::new(AtomicU64::new(0));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, mood, tls, opened, Arc::clone(&accepted)));
        Self {
            address,
            accepted,
            streams,
            _serving: serving,
        }
    }

    pub(super) async fn stream(&mut self) -> Stream {
        let stream = timeout(SOON, self.streams.next()).await;
        stream.expect("no stream comes").unwrap()
    }
}

async fn serve(
    listener: TcpListener,
    mood: Mood,
    tls: Option<Arc<ServerConfig>>,
    opened: mpsc::UnboundedSender<Stream>,
    accepted: Arc<AtomicU64>,
) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        accepted.fetch_add(1, Ordering::Relaxed);
        let opened = opened.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            std::future::ready(Ok::<_, Infallible>(respond(request, mood, &opened)))
        });
        let tls = tls.clone();
        connections.spawn(async move {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(64 << 10);
            // How they end is what tests are about.
            if let Some(tls) = tls {
                if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                    let _ = builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                }
            } else {
                let _ = builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        });
    }
}

fn respond(
    request: Request<Incoming>,
    mood: Mood,
    opened: &mpsc::UnboundedSender<Stream>,
) -> Response<Answer> {
    if mood == Mood::Refuses {
        return tonic::Status::unavailable("not ready").into_http();
    }
    let (parts, requests) = request.into_parts();
    let (responses, sent) = mpsc::channel(0);
    let stream = Stream {
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        requests,
        responses,
    };
    opened.unbounded_send(stream).unwrap();
    let body = StreamBody::new(sent.map(Ok)).boxed_unsync();
    Response::builder()
        .header("content-type", "application/grpc")
        .body(body)
        .unwrap()
}

impl Stream {
    pub(super) async fn send(&mut self, bytes: impl Into<Bytes>) {
        let frame = Frame::data(bytes.into());
        timeout(SOON, self.responses.send(frame))
            .await
            .unwrap()
            .unwrap();
    }

    /// The next message, without its prefix.
    pub(super) async fn message(&mut self, rest: &mut Vec<u8>) -> Vec<u8> {
        loop {
            if let Some(prefix) = rest.get(1..5) {
                let length = u32::from_be_bytes(prefix.try_into().unwrap()) as usize;
                if rest.len() >= 5 + length {
                    let message = rest[5..5 + length].to_vec();
                    rest.drain(..5 + length);
                    return message;
                }
            }
            let next = poll_fn(|cx| Pin::new(&mut self.requests).poll_frame(cx));
            let frame = timeout(SOON, next).await.expect("no request comes");
            rest.extend(frame.unwrap().unwrap().into_data().unwrap());
        }
    }
}
