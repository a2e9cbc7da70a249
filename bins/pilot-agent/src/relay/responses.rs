//! What goes to Envoy: discovery's responses as they come, without those that are the agent's.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use pilothouse_process::causes;
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Code, Status};

use super::Counters;
use super::health::Health;
use super::names::Subscription;
use super::sieve::{Piece, Sieve};

/// The body of a response to Envoy. Discovery gets room only as Envoy takes what was sent.
#[derive(Debug, Default)]
pub(super) struct Responses(Option<Box<Carried>>);

#[derive(Debug)]
struct Carried {
    discovery: Incoming,
    own: Option<(Sieve, Arc<Subscription>)>,
    /// Whether anything has come.
    answered: bool,
    over: bool,
    open: OpenStream,
}

/// A stream that counts as open.
#[derive(Debug)]
pub(super) struct OpenStream {
    counters: Arc<Counters>,
    health: Option<Arc<Health>>,
    _permit: OwnedSemaphorePermit,
}

impl OpenStream {
    pub(super) fn new(counters: Arc<Counters>, permit: OwnedSemaphorePermit) -> Self {
        counters.opened();
        Self {
            counters,
            health: None,
            _permit: permit,
        }
    }

    /// It goes over the connection with this health, and over no other.
    pub(super) fn over(&mut self, health: &Arc<Health>) {
        health.opened();
        if let Some(former) = self.health.replace(Arc::clone(health)) {
            former.ended();
        }
    }

    /// It was turned away, with this status of gRPC.
    pub(super) fn refused(&self, headers: &HeaderMap) {
        let Some(status) = Status::from_header_map(headers) else {
            return;
        };
        // Another discovery may be ready, or have room.
        if matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) {
            self.turned_away(status.message());
        }
    }

    pub(super) fn turned_away(&self, why: &str) {
        if let Some(health) = &self.health {
            health.refuses(&format!("it takes no stream: {why}"));
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.counters.ended();
        if let Some(health) = &self.health {
            health.ended();
        }
    }
}

impl Responses {
    pub(super) fn new(
        discovery: Incoming,
        own: Option<(Sieve, Arc<Subscription>)>,
        open: OpenStream,
    ) -> Self {
        if discovery.is_end_stream() {
            // The headers have said it all, and must say that they have.
            return Self(None);
        }
        Self(Some(Box::new(Carried {
            discovery,
            own,
            answered: false,
            over: false,
            open,
        })))
    }
}

impl Carried {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        loop {
            if let Some((sieve, subscription)) = &mut self.own {
                while let Some(piece) = sieve.next() {
                    match piece {
                        Piece::Passed(bytes) => return Poll::Ready(Some(self.data(bytes))),
                        Piece::Taken(message) => subscription.heard(message),
                    }
                }
            }
            if self.over {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut self.discovery).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        if !std::mem::replace(&mut self.answered, true)
                            && let Some(health) = &self.open.health
                        {
                            health.works();
                        }
                        match &mut self.own {
                            Some((sieve, _)) => sieve.push(data),
                            None => return Poll::Ready(Some(self.data(data))),
                        }
                    }
                    Err(frame) => {
                        if let Some(trailers) = frame.trailers_ref().filter(|_| !self.answered) {
                            self.open.refused(trailers);
                        }
                        return Poll::Ready(Some(frame));
                    }
                },
                Some(Err(error)) => {
                    self.over = true;
                    let why = causes(&error);
                    tracing::debug!(target: "xdsproxy", why, "a stream is lost");
                    return Poll::Ready(Some(Frame::trailers(lost(&why))));
                }
                None => self.over = true,
            }
        }
    }

    fn data(&self, bytes: Bytes) -> Frame<Bytes> {
        self.open.counters.responded(bytes.len());
        Frame::data(bytes)
    }
}

impl Body for Responses {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.get_mut().0 {
            Some(carried) => carried.poll_frame(cx).map(|frame| frame.map(Ok)),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

/// The end of a stream whose discovery is gone.
fn lost(why: &str) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    let status = Status::unavailable(format!("the stream to discovery is lost: {why}"));
    if status.add_header(&mut trailers).is_err() {
        let code = HeaderValue::from(i32::from(Code::Unavailable));
        trailers.insert(Status::GRPC_STATUS, code);
    }
    trailers
}
