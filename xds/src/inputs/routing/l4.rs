//! Routes of connections.

use std::sync::Arc;

use pilothouse_core::mesh::Routing;
use pilothouse_core::model::{Cidr, Host};
use pilothouse_core::rules::resolve::{L4Match, L4Target, Place};

use super::{Client, concrete, port};
use crate::inputs::destination::{Forwarding, Governed};
use crate::names;
use crate::resource::Name;

/// What routes tell connections apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By address and server name.
    Tls,
    /// By address alone.
    Tcp,
}

/// Some connections to a service, and where they go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// With these server names; none stands for whatever, or for no TLS at all.
    pub server_names: Vec<Host>,
    /// To these addresses; none stands for all of the service's.
    pub subnets: Vec<Cidr>,
    /// Where they go.
    pub to: Connections,
}

/// Where connections go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Connections {
    /// The clusters, each with its weight. One at least; a weight counts where there are several.
    pub clusters: Arc<[(Name, u32)]>,
    /// How.
    pub forwarding: Forwarding,
    /// The rule that says so, if one does.
    pub said: Option<Place>,
}

impl Connections {
    /// All to a cluster, though no rule says so.
    pub fn to(cluster: Name, forwarding: Forwarding) -> Self {
        Self {
            clusters: [(cluster, 1)].into(),
            forwarding,
            said: None,
        }
    }

    fn by(client: &Client<'_>, targets: &[L4Target], place: &Place) -> Self {
        let counts = |target: &&L4Target| targets.len() == 1 || target.weight > 0;
        let targets: Vec<_> = targets.iter().filter(counts).collect();
        let reach = |target: &L4Target| {
            let service = concrete(client.view, &target.to.host);
            let host = service.map_or(&target.to.host, |service| &service.key.host);
            let port = port(service, &target.to, client.port);
            (host.clone(), port)
        };
        // Bytes are forwarded in one way wherever they go: as the first destination has it.
        let governed = targets.first().and_then(|target| {
            let (host, port) = reach(target);
            Governed::of(client.view, client.selected, &host, &target.to.subset, port)
        });
        let clusters = targets.iter().map(|target| {
            let (host, port) = reach(target);
            let cluster = names::outbound_cluster(port, &target.to.subset, &host);
            (cluster, target.weight)
        });
        Self {
            clusters: clusters.collect(),
            forwarding: governed.map_or_else(Forwarding::default, |governed| governed.forwarding()),
            said: Some(place.clone()),
        }
    }
}

/// The ways that a rule says of connections to a service, the first that fits first; `None` where it says nothing about them.
/// What it says of some addresses only leaves the others to the service itself.
pub fn ways(client: &Client<'_>, routing: &Routing, kind: Kind) -> Option<Vec<Way>> {
    let mut all = Vec::new();
    match kind {
        Kind::Tls => {
            for route in &routing.tls {
                let to = || Connections::by(client, &route.route, &route.place);
                let matches = route.matches.iter();
                all.extend(matches.filter(|one| fits(client, &one.l4)).map(|one| Way {
                    server_names: one.sni_hosts.clone(),
                    subnets: one.l4.destination_subnets.clone(),
                    to: to(),
                }));
            }
        }
        Kind::Tcp => {
            for route in &routing.tcp {
                let to = || Connections::by(client, &route.route, &route.place);
                let way = |subnets: &[Cidr]| Way {
                    server_names: Vec::new(),
                    subnets: subnets.to_vec(),
                    to: to(),
                };
                if route.matches.is_empty() {
                    all.push(way(&[]));
                }
                let matches = route.matches.iter().filter(|one| fits(client, one));
                all.extend(matches.map(|one| way(&one.destination_subnets)));
            }
        }
    }
    (!all.is_empty()).then_some(all)
}

fn fits(client: &Client<'_>, one: &L4Match) -> bool {
    let namespace = one.source_namespace.as_ref();
    client.fits(&one.gateways, &one.source_labels, namespace, one.port)
}
