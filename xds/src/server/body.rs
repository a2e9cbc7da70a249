//! A stream: the body of a response, and everything that happens on it.
//!
//! HTTP/2 asks the body for its next frame, and that *is* the stream's loop: read what the client says, look at what it is to
//! have, ask the state machine what may be sent. There is no task and no channel beside it. Three parties wake it: the client,
//! whoever has a new snapshot, and whoever ends the stream.
//!
//! HTTP/2 holds one frame until the client has room for it and does not ask for another meanwhile, so requests are not read
//! then; [`Flow`](super::flow::Flow) is how that is noticed.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, HeaderValue};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use pilothouse_core::model::{DataPlane, Proxy};
use tokio::time::{Instant, Sleep};
use tonic::{Code, Status};

use super::Shared;
use super::admission::{Progress, Turn};
use super::connections::{Connection, Live};
use super::deframe::{Deframer, Unreadable};
use super::node::{self, InvalidNode};
use super::per_type::Method;
use super::rate::Allowance;
use super::requests::{self, Unacceptable};
use super::rope::Rope;
use super::source::{Attachment, StreamId};
use super::tally::Tally;
use crate::protocol::{Interest, ProtocolError, Stream, StreamReport};
use crate::resource::ResourceType;
use crate::snapshot::Snapshot;

/// Frames and messages that are taken before others get their turn on this thread.
const READS: usize = 64;

/// What HTTP/2 sends: a stream, or nothing because the headers have said it all.
#[derive(Default)]
pub(crate) struct Body(Option<Box<Ads>>);

impl Body {
    /// The stream that these requests make.
    pub(crate) fn stream(
        shared: &Arc<Shared>,
        connection: &Arc<Connection>,
        method: Method,
        requests: Incoming,
    ) -> Self {
        let now = Instant::now();
        let context = &shared.context;
        let stream = Stream::new(
            method.mode,
            method.service(),
            Arc::clone(&context.fanout),
            context.settings,
        );
        Self(Some(Box::new(Ads {
            shared: Arc::clone(shared),
            connection: Arc::clone(connection),
            live: connection.opened(method.mode, stream, now),
            method,
            requests: Some(requests),
            deframer: Deframer::new(context.limits.message),
            allowance: Allowance::full(context.limits.burst, now),
            client: None,
            turn: Turn::Fresh,
            alarm: None,
            over: false,
        })))
    }
}

impl http_body::Body for Body {
    type Data = Rope;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Rope>, Infallible>>> {
        match &mut self.get_mut().0 {
            Some(ads) => ads.poll_frame(cx).map(|frame| frame.map(Ok)),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

struct Ads {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    live: Arc<Live>,
    method: Method,
    /// `None` once the client has said that nothing more comes.
    requests: Option<Incoming>,
    deframer: Deframer,
    allowance: Allowance,
    /// Known after the first message.
    client: Option<Client>,
    turn: Turn,
    /// Made when there is a deadline for the first time; most streams never have one.
    alarm: Option<Pin<Box<Sleep>>>,
    over: bool,
}

struct Client {
    proxy: Arc<Proxy>,
    attachment: Box<dyn Attachment>,
    published: Option<Arc<Snapshot>>,
    tally: Tally,
}

impl Ads {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Rope>>> {
        if self.over {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(match ready!(self.poll_response(cx)) {
            Ok(rope) => Frame::data(rope),
            Err(status) => {
                self.over = true;
                self.log(&status);
                Frame::trailers(trailers(&status))
            }
        }))
    }

    /// The next response, or the status with which the stream ends.
    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Result<Rope, Status>> {
        if let Some(ending) = self.live.poll_ending(cx.waker()) {
            return Poll::Ready(Err(ending.into()));
        }
        self.poll_requests(cx)?;
        match ready!(self.poll_send(cx)) {
            Some(rope) => Poll::Ready(Ok(rope)),
            // What was asked for is answered, and nothing more will be asked.
            None if self.requests.is_none() => Poll::Ready(Err(Status::new(Code::Ok, ""))),
            None => Poll::Pending,
        }
    }

    /// Takes what the client has said.
    fn poll_requests(&mut self, cx: &mut Context<'_>) -> Result<(), Status> {
        for _ in 0..READS {
            if let Some(message) = self
                .deframer
                .message()
                .map_err(|error| self.unreadable(error))?
            {
                self.take(&message)?;
                continue;
            }
            let Some(requests) = &mut self.requests else {
                return Ok(());
            };
            match Pin::new(requests).poll_frame(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.deframer.push(data);
                    }
                }
                Poll::Ready(Some(Err(_))) => return Err(Status::cancelled("the client has gone")),
                Poll::Ready(None) => {
                    self.requests = None;
                    self.deframer
                        .finish()
                        .map_err(|error| self.unreadable(error))?;
                }
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Takes one message.
    fn take(&mut self, message: &[u8]) -> Result<(), Status> {
        let now = Instant::now();
        let context = &self.shared.context;
        let limits = &context.limits;
        context.metrics.received(message.len());
        if !self.allowance.take(limits.rate, limits.burst, now) {
            context.limited("rate");
            return Err(Status::resource_exhausted(format!(
                "more than {} requests a second",
                limits.rate
            )));
        }
        let names = context.settings.limits.names;
        let message = requests::read(message, self.method.mode, self.method.only, names)
            .map_err(|error| self.unacceptable(&error))?;
        if self.client.is_none() {
            self.client = Some(self.connect(message.node, now)?);
        }
        let (Some(request), Some(client)) = (message.request, &mut self.client) else {
            return Ok(());
        };
        let (resource_type, nonce, error) =
            (request.resource_type, request.nonce, request.error.clone());
        let mut stream = self.live.protocol.lock();
        if let Err(error) = stream.request(request, now) {
            drop(stream);
            return Err(self.protocol_error(&error));
        }
        let interests = stream.subscriptions();
        let report = client
            .tally
            .follows(resource_type, error.is_some())
            .then(|| stream.report());
        drop(stream);
        client.tally.heard(
            resource_type,
            nonce,
            error.as_ref(),
            report.as_ref(),
            client.published.as_deref(),
        );
        if let Some(interests) = interests {
            for (resource_type, interest) in ResourceType::ALL.into_iter().zip(interests) {
                client.attachment.regroup(resource_type, interest);
            }
        }
        Ok(())
    }

    /// Finds out who the client is, and gives the stream what it is to have before the first request is looked at: what a
    /// client reports about itself need not be kept then.
    fn connect(&self, node: Option<&[u8]>, now: Instant) -> Result<Client, Status> {
        let context = &self.shared.context;
        let proxy =
            node::read(node, context.limits.node).map_err(|error| self.invalid_node(&error))?;
        let proxy = Arc::new(proxy);
        let attachment = context
            .source
            .connect(Arc::clone(&proxy))
            .map_err(|not_ready| Status::unavailable(not_ready.to_string()))?;
        let id = StreamId {
            name: self.live.name(&proxy),
            proxy: Arc::clone(&proxy),
        };
        let doubted = self.shared.doubts.take(&proxy.id);
        self.live.protocol.lock().doubt(&doubted);
        if proxy.data_plane == DataPlane::Grpc {
            self.live.protocol.lock().by_name_only();
        }
        let published = attachment.current();
        if let Some(snapshot) = &published {
            self.live.protocol.lock().publish(Arc::clone(snapshot), now);
            self.live.given(snapshot);
        }
        self.live.identify(id.clone());
        tracing::info!(target: "ads", stream = %id.name, peer = %self.connection.peer, "connected");
        Ok(Client {
            proxy,
            attachment,
            published,
            tally: Tally::new(Arc::clone(&self.shared), id, now),
        })
    }

    /// The next response; `None` if there is none to be sent, pending while it has to wait for its turn.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Option<Rope>> {
        let Some(client) = &mut self.client else {
            return Poll::Ready(None);
        };
        // First register, then look: a snapshot that comes in between wakes.
        client.attachment.register(cx.waker());
        let Some(snapshot) = client.attachment.current() else {
            return Poll::Ready(None);
        };
        ready!(self.turn.poll_enter(&self.shared.admission, cx));
        // Twice, because an alarm that has gone off already may have made something due.
        for _ in 0..2 {
            let now = Instant::now();
            let seen = client.published.as_ref();
            let fresh = seen.is_none_or(|seen| !Arc::ptr_eq(seen, &snapshot));
            if fresh {
                client.published = Some(Arc::clone(&snapshot));
                client.tally.published(&snapshot);
                self.live.given(&snapshot);
            }
            let mut stream = self.live.protocol.lock();
            if fresh {
                stream.publish(Arc::clone(&snapshot), now);
            }
            if let Some(response) = stream.poll(now) {
                drop(stream);
                client.tally.sent(&response, now);
                let time = &self.shared.context.metrics.send_time;
                return Poll::Ready(Some(Rope::new(response, &self.live, time, now)));
            }
            let settled = stream.settled();
            let due = stream.deadline();
            let look_again = match self.turn {
                Turn::Transferring(_) => {
                    self.turn.look(progress(&stream.report(), self.method), now)
                }
                _ => None,
            };
            drop(stream);
            if let Some(settled) = settled {
                client.tally.settled(settled, now);
            }
            let Some(when) = due.into_iter().chain(look_again).min() else {
                self.alarm = None;
                return Poll::Ready(None);
            };
            if poll_alarm(&mut self.alarm, when, cx).is_pending() {
                return Poll::Ready(None);
            }
            client.tally.overdue(&self.live.protocol.lock().report());
        }
        cx.waker().wake_by_ref();
        Poll::Ready(None)
    }

    fn unreadable(&self, error: Unreadable) -> Status {
        let code = match error {
            Unreadable::TooLarge { .. } => {
                self.shared.context.limited("message_size");
                Code::ResourceExhausted
            }
            Unreadable::Compressed => Code::Unimplemented,
            Unreadable::Cut => Code::InvalidArgument,
        };
        Status::new(code, error.to_string())
    }

    fn unacceptable(&self, error: &Unacceptable) -> Status {
        if matches!(error, Unacceptable::TooManyNames { .. }) {
            self.shared.context.limited("names");
        }
        Status::new(error.code(), error.to_string())
    }

    fn invalid_node(&self, error: &InvalidNode) -> Status {
        let code = match error {
            InvalidNode::TooLarge { .. } => {
                self.shared.context.limited("node");
                Code::ResourceExhausted
            }
            _ => Code::InvalidArgument,
        };
        Status::new(code, error.to_string())
    }

    fn protocol_error(&self, error: &ProtocolError) -> Status {
        if error.code() == Code::ResourceExhausted {
            self.shared.context.limited("names");
        }
        Status::new(error.code(), error.to_string())
    }

    fn log(&self, status: &Status) {
        let peer = &self.connection.peer;
        let (code, why) = (status.code(), status.message());
        match code {
            Code::Ok | Code::Cancelled | Code::Unavailable => {
                tracing::debug!(target: "ads", %peer, ?code, why, "stream ends");
            }
            _ => tracing::warn!(target: "ads", %peer, ?code, why, "stream refused"),
        }
    }
}

impl Drop for Ads {
    fn drop(&mut self) {
        if let Some(client) = &self.client {
            let doubted = self.live.protocol.lock().in_doubt();
            self.shared.doubts.add(&client.proxy.id, doubted);
        }
        self.connection.ended(&self.live, Instant::now());
    }
}

/// How far the initial transfer is.
fn progress(report: &StreamReport, method: Method) -> Progress {
    let of_envoy = || {
        let types = report.types.iter();
        types.filter(|of| ResourceType::OF_ENVOY.contains(&of.resource_type))
    };
    let asked = of_envoy().filter(|of| !matches!(of.interest, Interest::None));
    Progress {
        settled: of_envoy().all(|of| of.unacknowledged == 0 && !of.pending),
        all_types: asked.count() >= method.only.map_or(ResourceType::OF_ENVOY.len(), |_| 1),
    }
}

/// Ready when `when` has come.
fn poll_alarm(
    alarm: &mut Option<Pin<Box<Sleep>>>,
    when: Instant,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let alarm = alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(when)));
    if alarm.deadline() != when {
        alarm.as_mut().reset(when);
    }
    alarm.as_mut().poll(cx)
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    if status.add_header(&mut trailers).is_err() {
        let code = HeaderValue::from(i32::from(status.code()));
        trailers.insert(Status::GRPC_STATUS, code);
    }
    trailers
}
