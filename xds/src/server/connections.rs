//! Who is connected: for debug pages, for the drain, and for the limits in time, which one look a second at every connection
//! enforces. No connection has a timer of its own for them.

mod live;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

pub use live::Client;
pub(crate) use live::{Connection, Live, Order};

use super::Peer;
use super::limits::Limits;
use crate::metrics::Metrics;

/// The open connections of one server. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    open: Mutex<BTreeMap<u64, Arc<Connection>>>,
    next: AtomicU64,
    draining: AtomicBool,
    spread: RandomState,
    limits: Limits,
    metrics: Arc<Metrics>,
}

impl Connections {
    pub(crate) fn new(limits: Limits, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Shared {
            open: Mutex::default(),
            next: AtomicU64::new(1),
            draining: AtomicBool::new(false),
            spread: RandomState::new(),
            limits,
            metrics,
        }))
    }

    /// Every stream whose proxy is known, in the order in which their connections were made.
    pub fn clients(&self) -> Vec<Client> {
        self.all()
            .iter()
            .flat_map(|connection| connection.clients())
            .collect()
    }

    /// How many connections are open, with streams or without.
    pub fn len(&self) -> usize {
        self.0.open.lock().len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a connection until the guard is dropped; `None` if there are as many as may be.
    pub(crate) fn open(&self, peer: Peer, now: Instant) -> Option<Open> {
        let mut open = self.0.open.lock();
        if open.len() >= self.0.limits.connections {
            self.0.limited("connections");
            return None;
        }
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let expires = self
            .0
            .limits
            .age
            .map(|age| now + jittered(age, self.0.spread.hash_one(id)));
        let connection = Arc::new(Connection::new(id, peer, now, expires));
        open.insert(id, Arc::clone(&connection));
        self.0.metrics.connections.inc();
        Some(Open {
            connections: self.clone(),
            connection,
        })
    }

    /// Whether new streams are to be refused because this server is going.
    pub(crate) fn draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// From here on new streams are refused. Returns the connections that have to go.
    pub(crate) fn drain(&self) -> Vec<Arc<Connection>> {
        self.0.draining.store(true, Ordering::Relaxed);
        self.all()
    }

    /// Closes every connection without asking.
    pub(crate) fn close_all(&self) {
        for connection in self.all() {
            connection.order(Order::Close);
        }
    }

    /// Looks at the age, the idleness and the streams of every connection.
    pub(crate) fn sweep(&self, now: Instant) {
        for connection in self.all() {
            self.sweep_one(&connection, now);
        }
    }

    fn sweep_one(&self, connection: &Connection, now: Instant) {
        let limits = &self.0.limits;
        let seen = connection.look(now, limits.first_message);
        if seen.stalled >= limits.send {
            self.0.metrics.write_timeout.inc();
            tracing::warn!(
                target: "ads",
                peer = %connection.peer,
                seconds = seen.stalled.as_secs(),
                "the client does not take what is sent; closing its connection"
            );
            return connection.order(Order::Close);
        }
        for _ in 0..seen.unheard {
            self.0.limited("first_message");
        }
        match seen.without_stream {
            Some(Idle::NeverUsed(time)) if time >= limits.handshake => {
                self.0.limited("handshake");
                return connection.order(Order::Close);
            }
            Some(Idle::Unused(time)) if time >= limits.idle => {
                self.0.limited("idle");
                connection.order(Order::Leave);
            }
            _ => {}
        }
        if seen.leaving.is_some_and(|time| time >= limits.send) {
            connection.order(Order::Close);
        } else if seen.leaving.is_none() && seen.expired {
            self.0.limited("age");
            connection.leave("this connection has reached its maximum age; connect again");
        }
    }

    fn all(&self) -> Vec<Arc<Connection>> {
        self.0.open.lock().values().cloned().collect()
    }
}

impl Shared {
    fn limited(&self, limit: &str) {
        if let Some(counter) = self.metrics.limited.get(limit) {
            counter.inc();
        }
    }
}

/// What a look at a connection saw.
#[derive(Debug, PartialEq)]
struct Seen {
    /// The longest time for which a stream's bytes have not moved.
    stalled: Duration,
    /// Streams that were ended because their first message did not come.
    unheard: usize,
    /// Since when there is no stream.
    without_stream: Option<Idle>,
    /// Since when it has been asked to leave.
    leaving: Option<Duration>,
    /// Whether it has reached its maximum age.
    expired: bool,
}

#[derive(Debug, PartialEq)]
enum Idle {
    NeverUsed(Duration),
    Unused(Duration),
}

/// A connection's place among the open ones.
#[derive(Debug)]
pub(crate) struct Open {
    connections: Connections,
    pub(crate) connection: Arc<Connection>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.0.open.lock().remove(&self.connection.id);
        self.connections.0.metrics.connections.dec();
    }
}

/// `time` ± 15 %, so that what connected at once does not come back at once.
fn jittered(time: Duration, random: u64) -> Duration {
    let share = (random % 1_000) as f64 / 1_000.0;
    time.mul_f64(0.85 + 0.3 * share)
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    fn connections(limits: Limits) -> Connections {
        Connections::new(limits, Arc::new(Metrics::new(&mut Registry::default(), "")))
    }

    fn peer() -> Peer {
        Peer::Tcp("127.0.0.1:1".parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_never_more_than_may_be() {
        let connections = connections(Limits {
            connections: 2,
            ..Limits::default()
        });
        let now = Instant::now();
        let first = connections.open(peer(), now);
        let second = connections.open(peer(), now);
        assert!(first.is_some() && second.is_some());
        assert!(connections.open(peer(), now).is_none());
        drop(first);
        assert!(connections.open(peer(), now).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_streams_is_closed() {
        let connections = connections(Limits::default());
        let start = Instant::now();
        let open = connections.open(peer(), start).unwrap();
        connections.sweep(start + Duration::from_secs(9));
        assert_eq!(open.connection.ordered(), Order::Serve);
        connections.sweep(start + Duration::from_secs(10));
        assert_eq!(open.connection.ordered(), Order::Close);
        assert_eq!(
            connections
                .0
                .metrics
                .limited
                .get("handshake")
                .unwrap()
                .get(),
            1
        );
    }

    #[test]
    fn ages_are_spread() {
        let hour = Duration::from_secs(3600);
        let ages: Vec<_> = (0..1_000).map(|n| jittered(hour, n).as_secs()).collect();
        assert_eq!((ages[0], ages[999]), (3060, 4138));
    }
}
