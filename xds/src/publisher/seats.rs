//! Who is connected, which selection each has, and the classes that follow from it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use pilothouse_core::model::{DataPlane, NamespaceName, ProxyKind};
use prometheus_client::metrics::gauge::Gauge;

use super::config::{Config, Sets};
use super::lane::Lane;
use crate::hub::{Class, Differences, MemberId, Seat};
use crate::selection::Selection;
use crate::snapshot::{Assignments, Snapshot};
use tokio::time::Instant;

/// See the [module](self).
pub(super) struct Seats {
    taken: BTreeMap<MemberId, Taken>,
    by_ip: BTreeMap<IpAddr, BTreeSet<MemberId>>,
    classes: BTreeMap<Arc<Selection>, Group>,
    generation: u64,
    /// Sidecars that no service has an endpoint at.
    without_service: Gauge,
}

struct Taken {
    seat: Arc<Seat>,
    selection: Option<Arc<Selection>>,
}

impl Taken {
    fn is_without_service(&self) -> bool {
        let selection = self.selection.as_ref();
        self.seat.proxy.id.kind == ProxyKind::Sidecar
            && selection
                .and_then(|selection| selection.envoy())
                .is_some_and(|envoy| envoy.own.targets.is_empty())
    }
}

/// The proxies of one selection.
#[derive(Default)]
struct Group {
    class: Arc<Class>,
    members: usize,
    sets: Sets,
}

/// What a publication did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Published {
    /// Classes that got a new snapshot.
    pub(super) classes: usize,
    /// Streams that were woken.
    pub(super) woken: usize,
}

impl Seats {
    /// Nobody is connected. Sidecars that no service has an endpoint at are counted by `without_service`.
    pub(super) fn new(without_service: Gauge) -> Self {
        Self {
            taken: BTreeMap::new(),
            by_ip: BTreeMap::new(),
            classes: BTreeMap::new(),
            generation: 0,
            without_service,
        }
    }

    /// Whether a proxy with this address is connected.
    pub(super) fn at(&self, ip: IpAddr) -> bool {
        self.by_ip.contains_key(&ip)
    }

    /// A stream has come. It has no selection yet.
    pub(super) fn take(&mut self, seat: Arc<Seat>) {
        // What a gRPC client gets does not depend on where it stands.
        let addresses = match seat.proxy.data_plane {
            DataPlane::Envoy => &seat.proxy.addresses[..],
            DataPlane::Grpc => &[],
        };
        for ip in addresses {
            self.by_ip.entry(*ip).or_default().insert(seat.id);
        }
        self.taken.insert(
            seat.id,
            Taken {
                seat,
                selection: None,
            },
        );
    }

    /// A stream has gone. Its class goes with its last member.
    pub(super) fn leave(&mut self, id: MemberId) {
        let Some(taken) = self.taken.remove(&id) else {
            return;
        };
        for ip in &taken.seat.proxy.addresses {
            if let Some(ids) = self.by_ip.get_mut(ip) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.by_ip.remove(ip);
                }
            }
        }
        if taken.is_without_service() {
            self.without_service.dec();
        }
        self.unselect(taken.selection);
    }

    /// The streams whose proxies have one of these addresses.
    pub(super) fn standing_at(&self, ips: &BTreeSet<IpAddr>) -> Vec<Arc<Seat>> {
        let ids: BTreeSet<_> = ips
            .iter()
            .filter_map(|ip| self.by_ip.get(ip))
            .flatten()
            .collect();
        ids.into_iter()
            .filter_map(|id| self.taken.get(id))
            .map(|taken| taken.seat.clone())
            .collect()
    }

    /// All streams.
    pub(super) fn all(&self) -> impl Iterator<Item = Arc<Seat>> {
        self.taken.values().map(|taken| taken.seat.clone())
    }

    /// The streams of routers.
    pub(super) fn routers(&self) -> impl Iterator<Item = Arc<Seat>> {
        self.all().filter(|seat| seat.proxy.is_router())
    }

    /// The streams whose proxies are in one of these namespaces.
    pub(super) fn in_namespaces(&self, namespaces: &BTreeSet<NamespaceName>) -> Vec<Arc<Seat>> {
        if namespaces.is_empty() {
            return Vec::new();
        }
        self.all()
            .filter(|seat| namespaces.contains(&seat.proxy.namespace))
            .collect()
    }

    /// Whether there is a proxy that has a name table.
    pub(super) fn has_names(&self) -> bool {
        let envoys = self
            .classes
            .keys()
            .filter_map(|selection| selection.envoy());
        envoys.into_iter().any(|envoy| envoy.names.is_some())
    }

    /// All selections that some stream has.
    pub(super) fn selections(&self) -> impl Iterator<Item = &Arc<Selection>> {
        self.classes.keys()
    }

    /// All selections that some stream has, with how many have it.
    pub(super) fn sizes(&self) -> impl Iterator<Item = (&Arc<Selection>, usize)> {
        let classes = self.classes.iter();
        classes.map(|(selection, group)| (selection, group.members))
    }

    /// Gives a stream its selection. Returns whether the class is known and complete, and the stream has been seated in it.
    pub(super) fn select(&mut self, id: MemberId, selection: Selection) -> bool {
        let Some(taken) = self.taken.get_mut(&id) else {
            return true;
        };
        if let Some(known) = taken
            .selection
            .as_ref()
            .filter(|known| ***known == selection)
        {
            return self
                .classes
                .get(known)
                .is_some_and(|group| group.class.current().is_some());
        }
        let selection = match self.classes.get_key_value(&selection) {
            Some((known, _)) => known.clone(),
            None => Arc::new(selection),
        };
        let group = self.classes.entry(selection.clone()).or_default();
        group.members += 1;
        let complete = group.class.current().is_some();
        if complete {
            taken.seat.place(&group.class);
        }
        let was_without = taken.is_without_service();
        let before = taken.selection.replace(selection);
        match (was_without, taken.is_without_service()) {
            (false, true) => {
                self.without_service.inc();
            }
            (true, false) => {
                self.without_service.dec();
            }
            _ => {}
        }
        self.unselect(before);
        complete
    }

    fn unselect(&mut self, selection: Option<Arc<Selection>>) {
        let Some(selection) = selection else { return };
        if let Some(group) = self.classes.get_mut(&selection) {
            group.members -= 1;
            if group.members == 0 {
                self.classes.remove(&selection);
            }
        }
    }

    /// Joins configuration and assignments, and gives every class in which something differs a new snapshot.
    pub(super) fn publish(
        &mut self,
        config: Option<&Config>,
        lane: &mut Lane,
        since: Instant,
    ) -> Published {
        let mut published = Published::default();
        let mut differences = Differences::default();
        if config.is_some() {
            let selections = self.classes.keys();
            lane.retain(&selections.map(|selection| &selection.assignments).collect());
        }
        for (selection, group) in &mut self.classes {
            if let Some(config) = config {
                config.restack(selection, &mut group.sets);
            }
            if group.sets.shared_clusters.layers().is_empty() {
                // A new selection: its configuration is being computed.
                continue;
            }
            let bodies = lane.set(&selection.view, &selection.assignments);
            let sets = &group.sets;
            let same = |old: &Snapshot| {
                Arc::ptr_eq(&old.clusters, &sets.clusters)
                    && Arc::ptr_eq(&old.listeners, &sets.listeners)
                    && Arc::ptr_eq(&old.routes, &sets.routes)
                    && Arc::ptr_eq(&old.names, &sets.names)
                    && Arc::ptr_eq(&old.assignments.bodies, bodies)
            };
            if group.class.current().is_some_and(|old| same(&old)) {
                continue;
            }
            self.generation += 1;
            published.classes += 1;
            let snapshot = Snapshot {
                generation: self.generation,
                since,
                clusters: sets.clusters.clone(),
                assignments: Assignments {
                    clusters: sets.shared_clusters.clone(),
                    bodies: bodies.clone(),
                },
                listeners: sets.listeners.clone(),
                routes: sets.routes.clone(),
                names: sets.names.clone(),
            };
            published.woken += group.class.publish(Arc::new(snapshot), &mut differences);
        }
        published
    }

    /// Seats the streams whose class was not complete when they were given their selection.
    pub(super) fn seat(&self, ids: impl IntoIterator<Item = MemberId>) {
        for id in ids {
            let Some(taken) = self.taken.get(&id) else {
                continue;
            };
            let group = taken
                .selection
                .as_ref()
                .and_then(|selection| self.classes.get(selection));
            if let Some(group) = group.filter(|group| group.class.current().is_some()) {
                taken.seat.place(&group.class);
            }
        }
    }
}
