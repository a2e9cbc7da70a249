//! One connection and one stream, as everybody but the task that serves them sees them.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, SystemTime};

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use pilothouse_core::model::Proxy;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::{Idle, Seen};
use crate::protocol::{Mode, Stream, StreamReport};
use crate::server::flow::{Flow, Watch};
use crate::server::{Peer, StreamId};
use crate::snapshot::Snapshot;

/// What a connection is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Order {
    /// Go on.
    Serve,
    /// Say goodbye (`GOAWAY`) and end when the last stream has.
    Leave,
    /// End at once.
    Close,
}

/// One TCP or Unix connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) id: u64,
    pub(crate) peer: Peer,
    expires: Option<Instant>,
    order: AtomicU8,
    waker: AtomicWaker,
    streams: Mutex<Streams>,
}

#[derive(Debug)]
struct Streams {
    live: Vec<Arc<Live>>,
    opened: u64,
    empty_since: Instant,
    leaving_since: Option<Instant>,
}

impl Connection {
    pub(super) fn new(id: u64, peer: Peer, now: Instant, expires: Option<Instant>) -> Self {
        Self {
            id,
            peer,
            expires,
            order: AtomicU8::new(Order::Serve as u8),
            waker: AtomicWaker::new(),
            streams: Mutex::new(Streams {
                live: Vec::new(),
                opened: 0,
                empty_since: now,
                leaving_since: None,
            }),
        }
    }

    /// Adds a stream until [`Connection::ended`].
    pub(crate) fn opened(&self, mode: Mode, protocol: Stream, now: Instant) -> Arc<Live> {
        let mut streams = self.streams.lock();
        streams.opened += 1;
        let live = Arc::new(Live {
            id: format!("{}-{}", self.id, streams.opened).into(),
            mode,
            opened: now,
            since: SystemTime::now(),
            who: OnceLock::new(),
            protocol: Mutex::new(protocol),
            snapshot: Mutex::default(),
            flow: Flow::default(),
            watch: Mutex::default(),
            ending: Mutex::default(),
            waker: AtomicWaker::new(),
        });
        streams.live.push(Arc::clone(&live));
        // Whoever orders does so before looking at the streams, so that none slips in between.
        if self.ordered() != Order::Serve {
            live.end(LEAVING);
        }
        live
    }

    /// Takes a stream out.
    pub(crate) fn ended(&self, stream: &Arc<Live>, now: Instant) {
        let mut streams = self.streams.lock();
        streams.live.retain(|live| !Arc::ptr_eq(live, stream));
        streams.empty_since = now;
    }

    /// Tells the connection's task what to do; an order is never taken back.
    pub(crate) fn order(&self, order: Order) {
        if self.order.fetch_max(order as u8, Ordering::AcqRel) < order as u8 {
            self.waker.wake();
        }
    }

    /// What the connection's task is to do; it is woken when that changes.
    pub(crate) fn poll_order(&self, waker: &std::task::Waker) -> Order {
        self.waker.register(waker);
        self.ordered()
    }

    pub(crate) fn ordered(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            0 => Order::Serve,
            1 => Order::Leave,
            _ => Order::Close,
        }
    }

    /// Says goodbye because of `why`, and ends the streams with UNAVAILABLE, which makes their clients connect again, here or elsewhere.
    pub(crate) fn leave(&self, why: &'static str) {
        self.order(Order::Leave);
        for stream in &self.streams.lock().live {
            stream.end(Ending(Code::Unavailable, why));
        }
    }

    pub(super) fn look(&self, now: Instant, first_message: Duration) -> Seen {
        let mut streams = self.streams.lock();
        if self.ordered() != Order::Serve {
            streams.leaving_since.get_or_insert(now);
        }
        let since = |then: Instant| now.saturating_duration_since(then);
        let mut seen = Seen {
            stalled: Duration::ZERO,
            unheard: 0,
            without_stream: match (streams.live.is_empty(), streams.opened) {
                (false, _) => None,
                (true, 0) => Some(Idle::NeverUsed(since(streams.empty_since))),
                (true, _) => Some(Idle::Unused(since(streams.empty_since))),
            },
            leaving: streams.leaving_since.map(since),
            expired: self.expires.is_some_and(|expires| now >= expires),
        };
        for stream in &streams.live {
            seen.stalled = seen
                .stalled
                .max(stream.watch.lock().stalled(&stream.flow, now));
            if stream.who.get().is_none()
                && since(stream.opened) >= first_message
                && stream.end(Ending(
                    Code::DeadlineExceeded,
                    "the first message did not come in time",
                ))
            {
                seen.unheard += 1;
            }
        }
        seen
    }

    pub(super) fn clients(&self) -> Vec<Client> {
        let streams = self.streams.lock().live.clone();
        streams
            .iter()
            .filter_map(|live| live.client(&self.peer))
            .collect()
    }
}

/// For streams that come when their connection is going already.
const LEAVING: Ending = Ending(Code::Unavailable, "this connection is going; connect again");

/// Why a stream is ended by this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending(pub(crate) Code, pub(crate) &'static str);

impl From<Ending> for Status {
    fn from(Ending(code, message): Ending) -> Self {
        Self::new(code, message)
    }
}

/// One stream. Its body does the work; others look, and may end it.
pub(crate) struct Live {
    id: Box<str>,
    mode: Mode,
    opened: Instant,
    since: SystemTime,
    who: OnceLock<StreamId>,
    pub(crate) protocol: Mutex<Stream>,
    /// What the stream was given last; its body keeps it.
    snapshot: Mutex<Weak<Snapshot>>,
    pub(crate) flow: Flow,
    watch: Mutex<Watch>,
    ending: Mutex<Option<Ending>>,
    waker: AtomicWaker,
}

impl Live {
    /// Shows this as what the stream is to have.
    pub(crate) fn given(&self, snapshot: &Arc<Snapshot>) {
        *self.snapshot.lock() = Arc::downgrade(snapshot);
    }

    /// The name of a stream of this proxy: no two are alike.
    pub(crate) fn name(&self, proxy: &Proxy) -> Arc<str> {
        format!("{}-{}", proxy.id, self.id).into()
    }

    /// The client has said who it is.
    pub(crate) fn identify(&self, who: StreamId) {
        // Only the first message counts, so nothing can have been set before.
        let _ = self.who.set(who);
    }

    /// Ends the stream as soon as its body is asked again; `false` if it has been told so before.
    pub(crate) fn end(&self, ending: Ending) -> bool {
        let first = self.ending.lock().replace(ending).is_none();
        self.waker.wake();
        first
    }

    /// Why the stream is to end, if it is; `waker` is woken when that changes.
    pub(crate) fn poll_ending(&self, waker: &std::task::Waker) -> Option<Ending> {
        self.waker.register(waker);
        *self.ending.lock()
    }

    fn client(&self, peer: &Peer) -> Option<Client> {
        let StreamId { name, proxy } = self.who.get()?.clone();
        Some(Client {
            stream: name,
            proxy,
            peer: peer.clone(),
            connected: self.since,
            mode: self.mode,
            bytes_sent: self.flow.handed(),
            report: self.protocol.lock().report(),
            snapshot: self.snapshot.lock().upgrade(),
        })
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Live").field(&self.id).finish()
    }
}

/// What a debug page shows of one stream.
#[derive(Debug, Clone)]
pub struct Client {
    /// Tells streams of one proxy apart: its node id and a number.
    pub stream: Arc<str>,
    /// The proxy.
    pub proxy: Arc<Proxy>,
    /// Where it connects from.
    pub peer: Peer,
    /// Since when.
    pub connected: SystemTime,
    /// How the stream speaks.
    pub mode: Mode,
    /// Bytes of all responses so far.
    pub bytes_sent: u64,
    /// What it asked for, was sent and has acknowledged, for each type.
    pub report: StreamReport,
    /// What its proxy is to have, as of the last change that concerned it.
    pub snapshot: Option<Arc<Snapshot>>,
}
