//! Inputs of what routers listen on: the servers of the gateways that select them, and the routes of the rules that are bound
//! to these.
//!
//! All of a router's is made in one go: servers of several gateways share ports, and rules share hosts. What comes out equal
//! is the same input, and is not translated again.

mod bound;
mod chains;
mod hosts;
mod ingresses;
mod resolving;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use pilothouse_core::mesh::{GatewayTopology, Mesh};
use pilothouse_core::model::{Host, NamespaceName, Resolution};
use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::resolve::{Bind, Termination};

use super::Input;
use super::dynamic::NameCache;
use super::reports::{Reports, reports};
use super::routing::{Connections, Routed};
use crate::extensions::Missing;
use crate::names;
use crate::resource::Name;
use crate::selection::ForGateways;
use crate::view::View;
use slots::{Kind, Slot};

/// What a resource for routers is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RouterInput {
    /// A listener.
    Listener(RouterListener),
    /// A route configuration.
    Route(RouterRoute),
}

/// An address and port on which a router listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RouterListener {
    /// Its name.
    pub name: Name,
    /// Where it listens.
    pub at: At,
    /// What becomes of connections, by server name.
    pub chains: Vec<RouterChain>,
    /// Whether connections are told apart by server name.
    pub is_tls: bool,
    /// Who stands before the router.
    pub topology: GatewayTopology,
    /// What is reported of its connections.
    pub reports: Arc<Reports>,
    /// What the proxy lacks of what listeners may have.
    pub without: Missing,
    /// Whose servers these are.
    pub gateways: Vec<ObjectKey>,
}

/// Where a router listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum At {
    /// On these addresses.
    Addresses(Vec<IpAddr>, u16),
    /// On a file.
    File(Arc<str>),
}

/// What becomes of certain connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RouterChain {
    /// With these server names; none stands for whatever.
    pub server_names: Vec<Host>,
    /// Only those between workloads of the mesh, as their protocols say.
    pub within_mesh: bool,
    /// How TLS ends; `None`: it does not.
    pub tls: Option<Arc<Termination>>,
    /// Where they go.
    pub to: ChainTo,
    /// How the names are resolved that they say; `None`: none is.
    pub names: Option<NameCache>,
}

/// Where connections to a router go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ChainTo {
    /// Their requests go where a route configuration says.
    Requests(Name),
    /// To clusters.
    Connections(Connections),
}

/// A route configuration of a router.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RouterRoute {
    /// Its name.
    pub name: Name,
    /// The port that clients ask for.
    pub port: u16,
    /// Whether they ask with TLS that ends at the router.
    pub tls: bool,
    /// What becomes of requests, by host.
    pub hosts: Vec<RouterHost>,
    /// Whose servers these are.
    pub gateways: Vec<ObjectKey>,
    /// What the proxy lacks of what routes may have.
    pub without: Missing,
}

/// What becomes of requests for a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RouterHost {
    /// The host, or a wildcard for several.
    pub host: Host,
    /// Whether clients without TLS are sent to where there is TLS.
    pub redirect: bool,
    /// Where requests go: the first that matches.
    pub routes: Vec<Routed>,
}

/// A part of a rule that has no effect on a router, because a part of another rule is there first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LostServer {
    /// The rule.
    pub loser: ObjectKey,
    /// The part, such as `spec.servers[0]`.
    pub field: Arc<str>,
    /// The rule that goes first.
    pub to: ObjectKey,
    /// The rule that decided.
    pub why: Arc<str>,
}

/// All that is made for routers of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Made {
    /// What listeners and route configurations are made from.
    pub inputs: Vec<Input>,
    /// What has no effect.
    pub lost: BTreeSet<LostServer>,
    /// On which hosts' services it depends; `None`: on all.
    pub reads: Option<BTreeSet<Host>>,
}

/// What all parts of a router are made from.
#[derive(Clone, Copy)]
struct From<'a> {
    mesh: &'a Mesh,
    view: &'a View,
    projection: &'a ForGateways,
    rules: &'a bound::Rules,
}

/// Makes everything for routers of `namespace` that are alike in `projection`.
pub fn router(
    mesh: &Mesh,
    view: &View,
    namespace: &NamespaceName,
    projection: &ForGateways,
) -> Made {
    let rules = bound::Rules::of(mesh, namespace, &projection.gateways);
    let from = From {
        mesh,
        view,
        projection,
        rules: &rules,
    };
    let mut made = Made {
        reads: Some(read(view, &rules)),
        ..Made::default()
    };
    for slot in slots::divide(&from, &mut made.lost) {
        slot_of(&from, &slot, &mut made);
    }
    made
}

fn slot_of(from: &From<'_>, slot: &Slot, made: &mut Made) {
    let mut chains = Vec::new();
    match slot.kind {
        Kind::Http => {
            let name = names::router_http_route(slot.port, &bind_text(&slot.bind));
            let route = hosts::route(from, slot.servers(), name.clone(), false, &mut made.lost);
            let names = resolving::of_requests(from, &route);
            made.inputs.push(Input::Router(RouterInput::Route(route)));
            chains.push(RouterChain {
                server_names: Vec::new(),
                within_mesh: false,
                tls: None,
                to: ChainTo::Requests(name),
                names,
            });
        }
        Kind::Opaque => chains.extend(chains::opaque(from, slot)),
        Kind::Tls => {
            let found = chains::tls(from, slot, &mut made.lost);
            chains.extend(found.chains);
            let routes = found.routes.into_iter().map(RouterInput::Route);
            made.inputs.extend(routes.map(Input::Router));
            if found.reads_everything {
                made.reads = None;
            }
        }
    }
    // Envoy takes no listener without a chain.
    if chains.is_empty() {
        return;
    }
    let (name, at) = place(from.projection, slot);
    let without = from.projection.without;
    made.inputs
        .push(Input::Router(RouterInput::Listener(RouterListener {
            name,
            at,
            chains,
            is_tls: slot.kind == Kind::Tls,
            topology: from.mesh.config().default_config.gateway_topology,
            reports: reports(from.mesh, from.projection.reports.as_ref(), without),
            without,
            gateways: slot.gateways(),
        })));
}

fn place(projection: &ForGateways, slot: &Slot) -> (Name, At) {
    let addresses = match &slot.bind {
        Bind::All => super::listeners::wildcards(projection.family),
        Bind::Ip(ip) => vec![*ip],
        Bind::File(path) => {
            let name = names::listener(path, slot.port);
            return (name, At::File(path.clone()));
        }
    };
    let first = addresses.first().map(ToString::to_string);
    let name = names::listener(first.unwrap_or_default(), slot.port);
    (name, At::Addresses(addresses, slot.port))
}

/// The address as names of routes have it.
fn bind_text(bind: &Bind) -> String {
    match bind {
        Bind::All => String::new(),
        Bind::Ip(ip) => ip.to_string(),
        Bind::File(path) => format!("unix://{path}"),
    }
}

/// The hosts whose services rules lead to.
fn read(view: &View, rules: &bound::Rules) -> BTreeSet<Host> {
    let mut hosts: BTreeSet<Host> = rules.all().flat_map(|rule| rule.destinations()).collect();
    let aliased: Vec<Host> = hosts
        .iter()
        .filter_map(|host| match &view.service(host)?.resolution {
            Resolution::Alias(target) => Some(target.clone()),
            _ => None,
        })
        .collect();
    hosts.extend(aliased);
    hosts
}
