//! An Envoy that does what a test says.

use std::convert::Infallible;
use std::path::Path;

use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::SOON;

pub(super) const DELTA: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
pub(super) const SOTW: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";

/// What it sends.
pub(super) type Sent = UnsyncBoxBody<Bytes, Infallible>;

/// A connection to the relay.
pub(super) struct Envoy {
    sender: http2::SendRequest<Sent>,
    _driver: JoinSet<Result<(), hyper::Error>>,
}

/// A stream whose answer has not come.
pub(super) struct Opening {
    pub(super) requests: mpsc::UnboundedSender<Bytes>,
    answer: JoinSet<hyper::Result<Response<Incoming>>>,
}

/// A stream.
pub(super) struct Stream {
    pub(super) requests: mpsc::UnboundedSender<Bytes>,
    pub(super) headers: HeaderMap,
    pub(super) responses: Incoming,
}

impl Envoy {
    pub(super) async fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).await.unwrap();
        let (sender, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        let mut driving = JoinSet::new();
        driving.spawn(driver);
        Self {
            sender,
            _driver: driving,
        }
    }

    /// Begins a stream.
    pub(super) fn begin(&mut self, path: &str) -> Opening {
        let (requests, sent) = mpsc::unbounded::<Bytes>();
        let body = StreamBody::new(sent.map(|bytes| Ok(Frame::data(bytes))));
        self.begin_with(path, requests, body.boxed_unsync())
    }

    /// Begins a stream with this body.
    pub(super) fn begin_with(
        &mut self,
        path: &str,
        requests: mpsc::UnboundedSender<Bytes>,
        body: Sent,
    ) -> Opening {
        let request = Request::post(format!("http://agent{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-accept-encoding", "gzip")
            .body(body)
            .unwrap();
        let mut answer = JoinSet::new();
        answer.spawn(self.sender.send_request(request));
        Opening { requests, answer }
    }

    /// Sends a request that is no stream.
    pub(super) async fn raw(&mut self, request: Request<Sent>) -> Response<Incoming> {
        self.sender.send_request(request).await.unwrap()
    }
}

impl Opening {
    /// Waits for the answer.
    pub(super) async fn answered(mut self) -> Stream {
        let answer = timeout(SOON, self.answer.join_next()).await.unwrap();
        let (parts, responses) = answer.unwrap().unwrap().unwrap().into_parts();
        Stream {
            requests: self.requests,
            headers: parts.headers,
            responses,
        }
    }
}

impl Stream {
    pub(super) fn send(&self, bytes: Vec<u8>) {
        self.requests.unbounded_send(bytes.into()).unwrap();
    }

    /// Waits for so many bytes.
    pub(super) async fn receive(&mut self, length: usize) -> Vec<u8> {
        let mut received = Vec::new();
        while received.len() < length {
            let frame = timeout(SOON, self.responses.frame()).await.unwrap();
            let frame = frame.expect("the stream has ended").unwrap();
            received.extend(frame.into_data().expect("trailers come"));
        }
        assert_eq!(received.len(), length, "more comes");
        received
    }

    /// Waits for the end, before which nothing may come.
    pub(super) async fn ended(&mut self) -> HeaderMap {
        match timeout(SOON, self.responses.frame()).await.unwrap() {
            Some(frame) => frame.unwrap().into_trailers().expect("data comes"),
            None => self.headers.clone(),
        }
    }
}
