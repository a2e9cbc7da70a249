//! The gRPC server: it moves bytes between proxies and [`protocol`], within limits.
//!
//! ```text
//! accept ─► serve (HTTP/2) ─► per_type (which method) ─► body: requests ─► protocol::Stream ─► rope ─► HTTP/2
//!                                                         ▲ source: snapshots        tally: metrics, observer ▼
//! connections: who is there, told to leave or close by time limits and by the drain
//! ```
//!
//! HTTP/2 is hyper's, driven directly: a response is a small head and bytes shared with every other proxy, and the usual
//! layers would copy those for each.

mod accept;
mod admission;
mod body;
mod connections;
mod deframe;
mod doubts;
mod drain;
mod flow;
mod limits;
mod node;
mod per_type;
mod rate;
mod requests;
mod rope;
mod serve;
mod source;
mod tally;
#[cfg(test)]
mod tests;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::model::Proxy;
use thiserror::Error;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

pub use accept::Peer;
pub use connections::{Client, Connections};
pub use limits::{LIMITS, Limits};
pub(crate) use node::KEPT;
pub use source::{Attachment, NotReady, Observer, Source, StreamId};

use crate::fanout::Fanout;
use crate::metrics::Metrics;
use crate::protocol;
use accept::Listener;
use admission::Admission;
use doubts::Doubts;

/// How often every connection is looked at: how late a limit in time may be noticed.
const SWEEP: Duration = Duration::from_secs(1);

/// What a server works with.
#[derive(Clone)]
pub struct Context {
    /// Who has the snapshots.
    pub source: Arc<dyn Source>,
    /// Who wants to know how streams fare.
    pub observer: Arc<dyn Observer>,
    /// What streams share.
    pub fanout: Arc<Fanout>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What peers may do.
    pub limits: Limits,
    /// Times and limits of the protocol.
    pub settings: protocol::Settings,
}

impl Context {
    fn limited(&self, limit: &str) {
        if let Some(counter) = self.metrics.limited.get(limit) {
            counter.inc();
        }
    }
}

struct Shared {
    context: Context,
    connections: Connections,
    admission: Admission,
    doubts: Doubts,
}

/// The proxy that an encoded `envoy.config.core.v3.Node` describes, as the first message of a stream does.
///
/// # Errors
/// It does not tell whose configuration is asked for; the text says what to set.
pub fn proxy(node: &[u8]) -> Result<Proxy, NodeError> {
    Ok(node::read(Some(node), Limits::default().node)?)
}

/// Why a node is no proxy's.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct NodeError(#[from] node::InvalidNode);

/// A server that is bound and not yet running.
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<Listener>,
}

impl Server {
    /// A server that listens nowhere yet.
    pub fn new(context: Context) -> Self {
        let limits = &context.limits;
        let metrics = &context.metrics;
        let connections = Connections::new(limits.clone(), Arc::clone(metrics));
        let admission = Admission::new(
            limits.initial_transfers,
            limits.initial_transfer,
            Arc::clone(metrics),
        );
        Self {
            shared: Arc::new(Shared {
                context,
                connections,
                admission,
                doubts: Doubts::default(),
            }),
            listeners: Vec::new(),
        }
    }

    /// Binds a TCP address and returns what was bound, which tells the port where 0 was asked for. To be called within a
    /// runtime.
    pub fn listen(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = Listener::tcp(address)?;
        let bound = listener.address().unwrap_or(address);
        self.listeners.push(listener);
        Ok(bound)
    }

    /// Binds a Unix socket. A socket that an earlier process left behind is replaced. To be called within a runtime.
    pub fn listen_unix(&mut self, path: &Path) -> io::Result<()> {
        self.listeners.push(Listener::unix(path)?);
        Ok(())
    }

    /// Who is connected.
    pub fn connections(&self) -> Connections {
        self.shared.connections.clone()
    }

    /// Serves until `stop` is cancelled; then stops listening and lets the clients go, spread over `grace`. Returns as soon as
    /// they have, at the latest after `grace`.
    pub async fn run(self, stop: CancellationToken, grace: Duration) {
        let Self { shared, listeners } = self;
        let connections = &shared.connections;
        let mut tasks = JoinSet::new();
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        {
            let mut next = pin!(accept::accept(&listeners));
            loop {
                tokio::select! {
                    // The end first, then what frees memory, then what keeps limits, then what is new.
                    biased;
                    () = stop.cancelled() => break,
                    Some(ended) = tasks.join_next() => shared.ended(ended),
                    _ = sweep.tick() => shared.sweep(Instant::now()),
                    (socket, peer) = &mut next => {
                        if let Some(open) = connections.open(peer, Instant::now()) {
                            tasks.spawn(serve::serve(socket, open, Arc::clone(&shared)));
                        }
                        next.set(accept::accept(&listeners));
                    }
                }
            }
        }
        drop(listeners);
        let mut drained = pin!(drain::drain(connections, grace));
        let mut forced = false;
        while !tasks.is_empty() {
            tokio::select! {
                biased;
                Some(ended) = tasks.join_next() => shared.ended(ended),
                _ = sweep.tick() => shared.sweep(Instant::now()),
                () = &mut drained, if !forced => forced = true,
            }
        }
    }
}

impl Shared {
    fn sweep(&self, now: Instant) {
        self.connections.sweep(now);
        self.admission.sweep(now);
    }

    fn ended(&self, task: Result<(), JoinError>) {
        if let Err(error) = task {
            self.context.metrics.internal_errors.inc();
            tracing::error!(target: "ads", %error, "a connection's task has failed");
        }
    }
}
