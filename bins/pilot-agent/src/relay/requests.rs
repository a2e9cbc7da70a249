//! What goes to discovery: Envoy's requests as they come, with the agent's own between two of them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::Counters;
use super::boundary::Boundary;
use super::names::Subscription;

/// The body of a request to discovery. HTTP/2 asks it for more only when there is room, and Envoy gets room only as it is
/// asked, so nothing is queued here.
#[derive(Debug)]
pub(super) struct Requests {
    envoy: Incoming,
    counters: Arc<Counters>,
    own: Option<Own>,
}

/// What is needed to say something between two messages.
#[derive(Debug)]
struct Own {
    subscription: Arc<Subscription>,
    boundary: Boundary,
    /// What has come from Envoy and did not fit before a message of our own.
    rest: Bytes,
}

impl Requests {
    pub(super) fn new(
        envoy: Incoming,
        subscription: Option<Arc<Subscription>>,
        counters: Arc<Counters>,
    ) -> Self {
        let own = subscription.map(|subscription| Own {
            subscription,
            boundary: Boundary::default(),
            rest: Bytes::new(),
        });
        Self {
            envoy,
            counters,
            own,
        }
    }
}

impl Own {
    /// What can be sent without asking Envoy for more.
    fn next(&mut self, cx: &Context<'_>) -> Option<Bytes> {
        if self.boundary.reached() {
            if self.boundary.messages() > 0 {
                self.subscription.begin();
            }
            if let Some(due) = self.subscription.take_due(cx) {
                return Some(due);
            }
        }
        let mut end = 0;
        while let Some(ahead) = self.rest.get(end..).filter(|ahead| !ahead.is_empty()) {
            end += self.boundary.advance(ahead);
            let may_speak = self.boundary.reached();
            if may_speak && (self.boundary.messages() == 1 || self.subscription.is_due()) {
                break;
            }
        }
        (end > 0).then(|| self.rest.split_to(end))
    }
}

impl Body for Requests {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        loop {
            if let Some(bytes) = this.own.as_mut().and_then(|own| own.next(cx)) {
                this.counters.requested(bytes.len());
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            let frame = match Pin::new(&mut this.envoy).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                other => return other,
            };
            match (frame.into_data(), &mut this.own) {
                (Ok(data), Some(own)) => own.rest = data,
                (Ok(data), None) => {
                    this.counters.requested(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                (Err(frame), _) => return Poll::Ready(Some(Ok(frame))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let nothing_left = self.own.as_ref().is_none_or(|own| own.rest.is_empty());
        nothing_left && self.envoy.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
