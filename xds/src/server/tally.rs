//! What one stream adds to metrics and logs, and tells the observer.

use std::sync::Arc;

use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::Shared;
use super::source::StreamId;
use crate::protocol::{Refused, Rejection, Response, Settled, StreamReport};
use crate::resource::ResourceType;
use crate::snapshot::Snapshot;

/// Bytes of a rejection's text that are logged.
const LOGGED: usize = 1 << 10;

/// One stream's accounts; dropping it closes them.
pub(crate) struct Tally {
    shared: Arc<Shared>,
    id: StreamId,
    opened: Instant,
    sent: Instant,
    types: [OfType; ResourceType::ALL.len()],
    gate_timeouts: u64,
    connected: Gauge,
}

#[derive(Default)]
struct OfType {
    /// The hash of the nonce sent last; 0 if nothing was sent.
    nonce: u64,
    /// The last answer was a rejection.
    rejected: bool,
    /// What the observer has been told is refused.
    refused: Vec<Refused>,
    /// The hash of the rejection that was logged last: clients repeat themselves.
    logged: u64,
}

impl Tally {
    /// Opens the accounts of this stream.
    pub(crate) fn new(shared: Arc<Shared>, id: StreamId, now: Instant) -> Self {
        let version = id
            .proxy
            .metadata
            .get("ISTIO_VERSION")
            .map_or("unknown", |version| &**version);
        let connected = shared.context.metrics.connected(version);
        connected.inc();
        shared.context.observer.connected(&id);
        Self {
            shared,
            id,
            opened: now,
            sent: now,
            types: Default::default(),
            gate_timeouts: 0,
            connected,
        }
    }

    /// Whether [`Tally::heard`] needs the stream's report: where something is refused or was.
    pub(crate) fn follows(&self, resource_type: ResourceType, error: bool) -> bool {
        let of = &self.types[resource_type.index()];
        error || of.rejected || !of.refused.is_empty()
    }

    /// A request has come and has been taken.
    pub(crate) fn heard(
        &mut self,
        resource_type: ResourceType,
        nonce: &str,
        error: Option<&Rejection>,
        report: Option<&StreamReport>,
        snapshot: Option<&Snapshot>,
    ) {
        let metrics = &self.shared.context.metrics;
        let of = &mut self.types[resource_type.index()];
        if nonce.is_empty() {
            return;
        }
        if of.nonce != 0 && of.nonce != hash(nonce) {
            metrics.expired_nonce.of(resource_type).inc();
        }
        if let Some(error) = error {
            metrics.rejects.of(resource_type).inc();
            if std::mem::replace(&mut of.logged, hash(&error.message)) != hash(&error.message) {
                tracing::warn!(
                    target: "ads",
                    stream = %self.id.name,
                    resource_type = resource_type.short(),
                    // Quoted, so that control characters cannot pretend to be lines of the log.
                    message = ?&error.message[..error.message.floor_char_boundary(LOGGED)],
                    "rejected by the proxy"
                );
            }
        }
        if of.rejected != error.is_some() {
            of.rejected = error.is_some();
            let gauge = metrics.rejected.of(resource_type);
            if of.rejected {
                gauge.inc()
            } else {
                gauge.dec()
            };
        }
        if let Some(report) = report {
            let of_type = report
                .types
                .iter()
                .find(|of| of.resource_type == resource_type);
            let all = of_type.map(|of| of.refused.clone()).unwrap_or_default();
            self.refuses(resource_type, all, snapshot);
        }
    }

    /// The stream is to have another snapshot, which may not have what was refused any more.
    pub(crate) fn published(&mut self, snapshot: &Snapshot) {
        for resource_type in ResourceType::ALL {
            let refused = &self.types[resource_type.index()].refused;
            if !refused.is_empty() {
                let refused = refused.clone();
                self.refuses(resource_type, refused, Some(snapshot));
            }
        }
    }

    /// Tells the observer if what is refused of a type has changed. What the snapshot has in another version does not count.
    fn refuses(
        &mut self,
        resource_type: ResourceType,
        mut refused: Vec<Refused>,
        snapshot: Option<&Snapshot>,
    ) {
        if let Some(snapshot) = snapshot {
            let set = snapshot.set(resource_type);
            refused.retain(|refused| {
                set.get(refused.name.as_str())
                    .is_some_and(|resource| resource.version == refused.version)
            });
        }
        let told = &mut self.types[resource_type.index()].refused;
        if *told != refused {
            *told = refused;
            let observer = &self.shared.context.observer;
            observer.refused(&self.id, resource_type, told);
        }
    }

    /// A response has been made, which was begun at `begun`.
    pub(crate) fn sent(&mut self, response: &Response, begun: Instant) {
        let metrics = &self.shared.context.metrics;
        let resource_type = response.resource_type;
        self.sent = Instant::now();
        self.types[resource_type.index()].nonce = hash(&response.nonce);
        metrics.pushes.of(resource_type).inc();
        metrics
            .size
            .of(resource_type)
            .observe(response.message_len() as f64);
        let time = self.sent.saturating_duration_since(begun);
        metrics
            .push_time
            .of(resource_type)
            .observe(time.as_secs_f64());
        tracing::debug!(
            target: "ads",
            stream = %self.id.name,
            resource_type = resource_type.short(),
            resources = response.resources,
            removed = response.removed,
            nonce = response.nonce,
            bytes = response.message_len(),
            "sent"
        );
    }

    /// Everything of a snapshot has been acknowledged.
    pub(crate) fn settled(&mut self, settled: Settled, now: Instant) {
        if settled.responses > 0 {
            // What had changed before this stream was opened waited for nobody.
            let since = settled.since.max(self.opened);
            let metrics = &self.shared.context.metrics;
            let seconds = |until: Instant| until.saturating_duration_since(since).as_secs_f64();
            metrics.convergence.observe(seconds(self.sent));
            metrics.acknowledged.observe(seconds(now));
        }
        self.shared.context.observer.settled(&self.id, settled);
    }

    /// A deadline has passed.
    pub(crate) fn overdue(&mut self, report: &StreamReport) {
        let new = report.gate_timeouts.saturating_sub(self.gate_timeouts);
        self.gate_timeouts = report.gate_timeouts;
        self.shared.context.metrics.gate_timeouts.inc_by(new);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.connected.dec();
        for resource_type in ResourceType::ALL {
            if self.types[resource_type.index()].rejected {
                self.shared.context.metrics.rejected.of(resource_type).dec();
            }
        }
        self.shared.context.observer.disconnected(&self.id);
        tracing::info!(target: "ads", stream = %self.id.name, "disconnected");
    }
}

/// Never 0.
fn hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes()).max(1)
}
