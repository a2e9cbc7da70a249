//! The publisher: the one task that turns meshes into snapshots.
//!
//! Two lanes come together here. The **configuration lane** recomputes clusters, listeners and routes on a blocking thread, one
//! push at a time. The **endpoint lane** recomputes load assignments only, in this task, and never waits for the other. A
//! publication joins the newest configuration with the newest assignments, so neither ever carries an old version of the
//! other.
//!
//! ```text
//! core Changes ─┬─ endpoints ─► Lane ──────────┐
//!               └─ anything else ─► Config ────┴─► snapshot per class ─► Hub wakes those concerned
//! ```

mod config;
mod lacking;
mod lane;
mod memo;
mod relevance;
mod scope;
mod seats;
#[cfg(test)]
mod tests;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::FutureExt;
use pilothouse_core::debounce::{self, Debounce};
use pilothouse_core::mesh::{Mesh, Touched};
use pilothouse_core::model::{Host, ServiceKey};
use pilothouse_core::readiness::Readiness;
use pilothouse_core::store::{Change, Changes, StoreHandle};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::conflicts::Telling;
use crate::hub::{Event, Hub, MemberId, Seat};
use crate::metrics::Metrics;
use crate::patch;
use crate::selection::Selection;
use config::{Config, Work};
use lacking::Lacking;
use lane::Lane;
use relevance::Clients;
use seats::Seats;

/// The publisher ended before it was told to.
#[derive(Debug, Error)]
pub enum PublisherError {
    /// The store has gone.
    #[error("the store has ended")]
    StoreEnded,
    /// Computing a configuration failed: a defect of this program.
    #[error("computing a configuration failed")]
    Compute(#[source] tokio::task::JoinError),
}

/// See the [module](self).
pub struct Publisher {
    hub: Hub,
    events: mpsc::UnboundedReceiver<Event>,
    changes: Changes,
    readiness: Readiness,
    metrics: Metrics,
    /// `None` while a job has it.
    config: Option<Box<Config>>,
    job: Option<Job>,
    lane: Option<Lane>,
    seats: Seats,
    telling: Telling,
    patch_telling: patch::Telling,
    lacking: Lacking,
    newest: Arc<Mesh>,
    pending: Pending,
    config_debounce: Debounce,
    endpoint_debounce: Debounce,
}

/// What has been seen and has not been computed.
#[derive(Default)]
struct Pending {
    /// For the configuration lane.
    touched: Touched,
    since: Option<Instant>,
    /// For the endpoint lane.
    endpoints: BTreeSet<ServiceKey>,
    endpoints_since: Option<Instant>,
    /// Streams whose selection has to be found, or found again.
    seats: BTreeMap<MemberId, Arc<Seat>>,
}

/// A configuration that is being computed.
struct Job {
    handle: JoinHandle<(Box<Config>, BTreeSet<Host>)>,
    since: Option<Instant>,
    begun: Instant,
    /// Streams that wait for it.
    seats: Vec<MemberId>,
}

impl Publisher {
    /// A publisher that serves what is in `store`, and the hub through which streams get it.
    ///
    /// Streams are taken as soon as the store's readiness says that the mesh is complete.
    pub fn new(store: &StoreHandle, debounce: debounce::Settings, metrics: Metrics) -> (Self, Hub) {
        let (changes, readiness) = (store.subscribe(), store.readiness().clone());
        let (hub, events) = Hub::new(readiness.clone());
        let newest = changes.mesh().clone();
        let seats = Seats::new(metrics.without_service.clone());
        let publisher = Self {
            hub: hub.clone(),
            events,
            changes,
            readiness,
            metrics,
            config: None,
            job: None,
            lane: None,
            seats,
            telling: Telling::new(store.status().clone()),
            patch_telling: patch::Telling::new(store.status().clone()),
            lacking: Lacking::default(),
            newest,
            pending: Pending::default(),
            config_debounce: Debounce::new(debounce),
            endpoint_debounce: Debounce::new(debounce),
        };
        (publisher, hub)
    }

    /// Publishes until `stop`.
    ///
    /// # Errors
    /// The store ended, or a computation panicked.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), PublisherError> {
        let mut events = Vec::new();
        loop {
            let endpoints_due = due(self.endpoint_debounce.due());
            let config_due = due(self.config_debounce.due());
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                // What is computed goes out before anything else is begun.
                done = finished(&mut self.job), if self.job.is_some() => self.computed(done?),
                () = self.readiness.ready(), if !self.hub.is_ready() => self.ready(),
                change = self.changes.next() => self.changed(change.ok_or(PublisherError::StoreEnded)?),
                _ = self.events.recv_many(&mut events, EVENTS_AT_ONCE) => {
                    for event in events.drain(..) {
                        self.event(event);
                    }
                }
                () = endpoints_due, if self.lane.is_some() => self.push_endpoints(),
                () = config_due, if self.job.is_none() => self.begin(),
            }
        }
    }

    fn changed(&mut self, change: Change) {
        let now = Instant::now();
        let before = std::mem::replace(&mut self.newest, change.mesh);
        let after = &self.newest;
        if !self.hub.is_ready() {
            return;
        }
        if !change.touched.endpoints.is_empty() {
            self.pending
                .endpoints
                .extend(change.touched.endpoints.iter().cloned());
            self.pending.endpoints_since.get_or_insert(change.since);
            self.endpoint_debounce.changed(now);
        }
        let touched = relevance::for_configuration(
            &before,
            after,
            &change.touched,
            self.seats.has_names(),
            |ip| self.seats.at(ip),
        );
        if !touched.is_empty() {
            let ips = relevance::addresses(&before, after, &touched);
            let mut seats = self.seats.standing_at(&ips);
            match relevance::clients(&before, after, &touched) {
                Clients::All => seats.extend(self.seats.all()),
                Clients::In(namespaces) => seats.extend(self.seats.in_namespaces(&namespaces)),
            }
            if relevance::gateways(&before, after, &touched) {
                seats.extend(self.seats.routers());
            }
            self.pending
                .seats
                .extend(seats.into_iter().map(|seat| (seat.id, seat)));
            self.pending.touched.merge(touched);
            self.pending.since.get_or_insert(change.since);
            self.config_debounce.changed(now);
        }
    }

    /// The mesh is complete: streams may come.
    fn ready(&mut self) {
        // The store publishes before it says so, and that publication may not have been looked at.
        while let Some(Some(change)) = self.changes.next().now_or_never() {
            self.changed(change);
        }
        let config = Config::new(self.newest.clone(), self.metrics.clone());
        self.lane = Some(Lane::new(
            self.newest.clone(),
            config.views.clone(),
            self.metrics.clone(),
        ));
        self.config = Some(Box::new(config));
        self.hub.set_ready();
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Connected(seat) => {
                self.lacking.note(&seat.proxy, &self.metrics);
                self.seats.take(seat.clone());
                if !self
                    .seats
                    .select(seat.id, Selection::of(&self.newest, &seat.proxy))
                {
                    self.pending.seats.insert(seat.id, seat);
                    self.config_debounce.changed(Instant::now());
                }
            }
            Event::Left(id) => {
                self.pending.seats.remove(&id);
                self.seats.leave(id);
            }
        }
    }

    /// Hands the configuration to a blocking thread to be brought up to date.
    fn begin(&mut self) {
        let Some(mut config) = self.config.take() else {
            return;
        };
        let begun = Instant::now();
        self.config_debounce.begins();
        let touched = std::mem::take(&mut self.pending.touched);
        let mesh = self.newest.clone();
        let seats = std::mem::take(&mut self.pending.seats);
        for (id, seat) in &seats {
            self.seats.select(*id, Selection::of(&mesh, &seat.proxy));
        }
        let selections = self.seats.selections().cloned().collect();
        self.count_triggers(&touched, !seats.is_empty());
        let handle = tokio::task::spawn_blocking(move || {
            let hosts = config.apply(Work {
                mesh,
                touched,
                selections,
            });
            (config, hosts)
        });
        self.job = Some(Job {
            handle,
            since: self.pending.since.take(),
            begun,
            seats: seats.into_keys().collect(),
        });
    }

    fn computed(&mut self, (job, mut config, hosts): (Job, Box<Config>, BTreeSet<Host>)) {
        self.config_debounce.ends();
        if let Some(conflicts) = config.take_conflicts() {
            self.telling.tell(&config.mesh, &conflicts);
            self.metrics.conflicts(&conflicts);
        }
        let patches = self.seats.sizes().flat_map(|(selection, count)| {
            let patches = selection.patches().into_iter();
            patches.map(move |patches| (patches, count))
        });
        self.patch_telling
            .tell(&config.mesh, config.patch_outcomes(), patches);
        let Some(lane) = &mut self.lane else { return };
        // The lane may be ahead of the mesh that the configuration was computed from.
        lane.configured(self.newest.clone(), config.views.clone(), &hosts);
        self.config = Some(config);
        self.publish(true, job.since, job.begun);
        self.seats.seat(job.seats);
    }

    fn push_endpoints(&mut self) {
        let Some(lane) = &mut self.lane else { return };
        let begun = Instant::now();
        self.endpoint_debounce.begins();
        lane.follow(
            self.newest.clone(),
            &std::mem::take(&mut self.pending.endpoints),
        );
        if let Some(counter) = self.metrics.triggers.get("endpoint") {
            counter.inc();
        }
        let since = self.pending.endpoints_since.take();
        self.publish(false, since, begun);
        self.endpoint_debounce.ends();
    }

    fn count_triggers(&self, touched: &Touched, proxy: bool) {
        let triggers = [
            ("config", !touched.rules.is_empty()),
            ("service", !touched.services.is_empty()),
            ("endpoint", !touched.endpoints.is_empty()),
            ("global", touched.config),
            ("proxy", proxy),
        ];
        for (name, _) in triggers.iter().filter(|(_, applies)| *applies) {
            if let Some(counter) = self.metrics.triggers.get(name) {
                counter.inc();
            }
        }
    }

    fn publish(&mut self, configured: bool, since: Option<Instant>, begun: Instant) {
        let Some(lane) = &mut self.lane else { return };
        let since = since.unwrap_or(begun);
        self.metrics
            .debounce_time
            .observe((begun - since).as_secs_f64());
        let config = self.config.as_deref().filter(|_| configured);
        let published = self.seats.publish(config, lane, since);
        self.metrics
            .services
            .set(self.newest.service_count().try_into().unwrap_or(i64::MAX));
        self.metrics
            .publish_time
            .observe(begun.elapsed().as_secs_f64());
        tracing::debug!(target: "ads", classes = published.classes, woken = published.woken, configured, took = ?begun.elapsed(), "published");
    }
}

/// How many streams' comings and goings are taken in before anything else is looked at.
const EVENTS_AT_ONCE: usize = 256;

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn finished(
    job: &mut Option<Job>,
) -> Result<(Job, Box<Config>, BTreeSet<Host>), PublisherError> {
    let Some(running) = job else {
        return std::future::pending().await;
    };
    let (config, hosts) = (&mut running.handle)
        .await
        .map_err(PublisherError::Compute)?;
    match job.take() {
        Some(job) => Ok((job, config, hosts)),
        None => std::future::pending().await,
    }
}
