//! How it stands with discovery, for people and for metrics.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// How it stands with discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Which discovery is connected, if one is.
    pub upstream: Upstream,
    /// Since when.
    pub since: SystemTime,
    /// What went wrong last. It stays when things are well again.
    pub last_error: Option<String>,
}

/// Which discovery is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// None, and one is being looked for.
    Away,
    /// One.
    Connected {
        /// Its address as it was given.
        address: String,
        /// The socket that this stands for.
        peer: SocketAddr,
    },
}

impl Status {
    pub(super) fn new() -> Self {
        Self {
            upstream: Upstream::Away,
            since: SystemTime::now(),
            last_error: None,
        }
    }

    /// Whether a discovery is connected.
    pub fn is_connected(&self) -> bool {
        matches!(self.upstream, Upstream::Connected { .. })
    }

    pub(super) fn connected(&mut self, address: String, peer: SocketAddr) {
        self.upstream = Upstream::Connected { address, peer };
        self.since = SystemTime::now();
    }

    /// A connection is lost, or there was none and an attempt has failed.
    pub(super) fn failed(&mut self, why: String) {
        if self.is_connected() {
            self.upstream = Upstream::Away;
            self.since = SystemTime::now();
        }
        self.last_error = Some(why);
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What has been carried, since the process began.
        #[derive(Debug, Default)]
        pub struct Counters { $($name: AtomicU64,)* }

        impl Counters {
            $($(#[$doc])* pub fn $name(&self) -> u64 {
                self.$name.load(Ordering::Relaxed)
            })*
        }
    };
}

counters! {
    /// Connections to discovery that were made.
    connections,
    /// Attempts to connect that failed.
    failures,
    /// Streams of Envoy's.
    streams,
    /// Those of them that have ended.
    ended_streams,
    /// Bytes from Envoy to discovery.
    request_bytes,
    /// Bytes from discovery to Envoy.
    response_bytes,
    /// Name tables that were taken.
    name_tables,
    /// Name tables that were refused.
    refused_name_tables,
}

impl Counters {
    /// Streams that are open.
    pub fn open_streams(&self) -> u64 {
        self.streams().saturating_sub(self.ended_streams())
    }

    pub(super) fn connected(&self) {
        add(&self.connections, 1);
    }

    pub(super) fn failed(&self) {
        add(&self.failures, 1);
    }

    pub(super) fn opened(&self) {
        add(&self.streams, 1);
    }

    pub(super) fn ended(&self) {
        add(&self.ended_streams, 1);
    }

    pub(super) fn requested(&self, bytes: usize) {
        add(&self.request_bytes, bytes as u64);
    }

    pub(super) fn responded(&self, bytes: usize) {
        add(&self.response_bytes, bytes as u64);
    }

    pub(super) fn named(&self, taken: bool) {
        let counter = if taken {
            &self.name_tables
        } else {
            &self.refused_name_tables
        };
        add(counter, 1);
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
