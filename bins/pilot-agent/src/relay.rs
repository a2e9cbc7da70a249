//! Carries xDS between Envoy and discovery.
//!
//! ```text
//! Envoy ── unix socket ──► stream ─ requests ─► upstream ── one connection ──► discovery
//!                                 ◄─ responses ─
//!                            names: the agent's own subscription, put in and taken out
//! ```
//!
//! Bytes pass as they come: nothing is queued, decoded or copied on the way, and each direction has HTTP/2's flow control for
//! its bound. The two directions never wait for each other, so that an Envoy which writes much before it reads, or a
//! discovery which reads nothing while it writes, cannot bring both to a stop.
//!
//! A stream that begins while discovery is away is held, unread, until discovery is back; one that was open when discovery went is
//! ended with UNAVAILABLE. Envoy keeps its configuration, opens the next stream with the versions that it has, and
//! is sent what differs. Nothing is replayed here, because only Envoy knows what it has applied.

mod address;
mod backoff;
mod boundary;
mod connection;
mod dial;
mod downstream;
mod health;
mod names;
mod requests;
mod responses;
mod sieve;
mod status;
mod tasks;
#[cfg(test)]
mod tests;
mod tls;
mod upstream;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use address::Address;
pub use status::{Counters, Status, Upstream};
pub use tls::Tls;

use crate::dns::table::NameTable;
use crate::unix_socket::UnixSocket;
use downstream::Downstream;
use names::Table;
use tasks::Tasks;
use upstream::Connector;

/// How xDS is carried.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The socket that Envoy connects to.
    pub socket: PathBuf,
    /// Its mode: 0600, or 0660 where Envoy runs as another user of the same group.
    pub mode: u32,
    /// Where discovery is, in the order in which it is tried.
    pub discovery: Vec<Address>,
    /// How discovery is spoken to; without it in plaintext.
    pub tls: Option<Tls>,
    /// Whether discovery is asked for the names of the mesh.
    pub names: bool,
    /// Times and limits.
    pub limits: Limits,
}

/// Times and limits of the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long one address may take to be connected to, until discovery has said its first word.
    pub connect: Duration,
    /// How often discovery is asked whether it is there.
    pub keepalive: Duration,
    /// How long it may take to answer that.
    pub keepalive_timeout: Duration,
    /// The first wait before discovery is tried again.
    pub backoff: Duration,
    /// The longest.
    pub longest_backoff: Duration,
    /// Streams that are carried at a time. An Envoy has one, two while one replaces another.
    pub streams: usize,
    /// What a stream may have on its way in one direction, in bytes.
    pub window: u32,
    /// The largest name table, in bytes.
    pub table: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            keepalive: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            backoff: Duration::from_millis(100),
            longest_backoff: Duration::from_secs(15),
            streams: 16,
            window: 1 << 20,
            table: 64 << 20,
        }
    }
}

/// The variant of the protocol that a stream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    Delta,
    Sotw,
}

/// A relay whose socket is bound and which carries nothing yet.
#[derive(Debug)]
pub struct Relay {
    settings: Settings,
    socket: UnixSocket,
    status: watch::Sender<Status>,
    counters: Arc<Counters>,
    names: watch::Sender<Option<Arc<NameTable>>>,
}

impl Relay {
    /// Binds Envoy's socket. To be called within a runtime.
    ///
    /// # Errors
    /// The socket cannot be bound, or another process serves it.
    pub async fn bind(settings: Settings) -> Result<Self> {
        let socket = UnixSocket::bind(&settings.socket, settings.mode).await?;
        Ok(Self {
            socket,
            status: watch::Sender::new(Status::new()),
            counters: Arc::default(),
            names: watch::Sender::new(None),
            settings,
        })
    }

    /// How it stands with discovery.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// What has been carried.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// The names of the mesh: none until discovery has told them, then the last that it has told.
    pub fn names(&self) -> watch::Receiver<Option<Arc<NameTable>>> {
        self.names.subscribe()
    }

    /// Carries until `stop` is cancelled. Then every stream is broken off: whoever stops the relay has let Envoy go before.
    pub async fn run(self, stop: CancellationToken) {
        let Self {
            settings,
            socket,
            status,
            counters,
            names,
        } = self;
        let tasks = Tasks::new(stop.child_token());
        let table = settings
            .names
            .then(|| Arc::new(Table::new(names, settings.limits.table)));
        let (connector, upstream) =
            Connector::new(&settings, status, Arc::clone(&counters), tasks.clone());
        let downstream =
            Downstream::new(upstream, table, counters, &settings.limits, tasks.clone());
        let serve = async {
            loop {
                let stream = socket.accept().await;
                tasks.spawn(downstream.clone().serve(stream));
            }
        };
        tokio::select! {
            // Once it is to end, nothing more begins.
            biased;
            () = stop.cancelled() => {}
            () = connector.run() => {}
            () = serve => {}
        }
        drop(socket);
        tasks.ended().await;
    }
}
