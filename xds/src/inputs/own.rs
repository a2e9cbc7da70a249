//! Inputs of what a proxy has for itself: the clusters and the listener of connections to its workload.
//!
//! Proxies whose workloads answer the same ports of the same services share them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::mesh::{InboundPolicy, Mesh};
use pilothouse_core::model::{Interception, Protocol};
use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::resolve::{DefaultEndpoint, Termination};

use super::clusters::{ClusterInput, Inbound, InboundCluster, Upstream};
use super::listeners::ListenerInput;
use super::reports::{Reports, reports};
use super::{Input, Lost};
use crate::extensions::Missing;
use crate::names;
use crate::resource::Name;
use crate::selection::{Family, ForOwn, Target, is_bound};
use crate::view::Class;

/// The listener that captured inbound connections reach.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VirtualInbound {
    /// Where it listens.
    pub addresses: Vec<IpAddr>,
    /// Whether the client's address is kept as source (TPROXY).
    pub transparent: bool,
    /// The ports of the workload, by number.
    pub chains: Vec<InboundChain>,
    /// How long to wait for the first bytes; zero waits for ever.
    pub detection_timeout: Duration,
    /// What is reported of its connections.
    pub reports: Arc<Reports>,
    /// What the proxy lacks of what listeners may have.
    pub without: Missing,
}

/// A port of the workload.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InboundChain {
    /// The service that decides what is spoken there.
    pub target: Target,
    /// How its connections are told apart.
    pub class: Class,
    /// Its cluster.
    pub cluster: Name,
    /// The TLS that ends here.
    pub tls: Option<Arc<Termination>>,
    /// The addresses that the proxy binds for it; `None`: its connections are captured.
    pub bound: Option<Vec<IpAddr>>,
    /// The `Sidecar` that says it.
    pub rule: Option<ObjectKey>,
}

/// A listener that clients dial.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InboundListener {
    /// Its name.
    pub name: Name,
    /// Where it listens.
    pub addresses: Vec<IpAddr>,
    /// The one port.
    pub chain: InboundChain,
    /// How long to wait for the first bytes; zero waits for ever.
    pub detection_timeout: Duration,
    /// What is reported of its connections.
    pub reports: Arc<Reports>,
    /// What the proxy lacks of what listeners may have.
    pub without: Missing,
}

/// The services whose protocol does not count on a port of the workload, because another one decides.
pub fn lost(own: &ForOwn) -> Vec<(u16, Lost)> {
    if own.interception == Interception::None {
        return Vec::new();
    }
    let mut deciding: BTreeMap<u16, &Target> = BTreeMap::new();
    let mut all = Vec::new();
    for target in own.targets.iter() {
        let first = *deciding.entry(target.target_port).or_insert(target);
        let class = |target: &Target| Class::of(target.port.protocol);
        if class(first) != class(target) && first.service != target.service {
            let lost = Lost {
                service: target.service.clone(),
                to: first.service.clone(),
            };
            all.push((target.target_port, lost));
        }
    }
    all
}

/// All inputs of one proxy's own layer.
///
/// A proxy whose traffic is not captured has no inbound ports but those that a `Sidecar` says: it could not bind those that its
/// workload has bound.
pub fn own(mesh: &Mesh, own: &ForOwn) -> Vec<Input> {
    let inbound = Inbound::of(mesh, own);
    let mut inputs = vec![Input::Cluster(ClusterInput::InboundPassthrough(
        inbound.clone(),
    ))];
    let captures = own.interception != Interception::None;
    let says_ports = own
        .ingress
        .as_ref()
        .is_some_and(|ingress| !ingress.said.listeners.is_empty());
    if !captures && !says_ports {
        return inputs;
    }
    let mut by_port: BTreeMap<u16, Vec<Target>> = BTreeMap::new();
    for target in own.targets.iter() {
        by_port
            .entry(target.target_port)
            .or_default()
            .push(target.clone());
    }
    let chains = by_port.values().filter_map(|targets| targets.first());
    let chains = chains.filter_map(|target| chain(own, target));
    let (bound, captured): (Vec<_>, Vec<_>) = chains.partition(|chain| chain.bound.is_some());
    if captures {
        let listener = VirtualInbound {
            addresses: super::listeners::wildcards(own.family),
            transparent: inbound.transparent,
            chains: captured
                .into_iter()
                .filter(|chain| chain.target.target_port != names::INBOUND_PORT)
                .collect(),
            detection_timeout: mesh.config().protocol_detection_timeout,
            reports: reports(mesh, own.reports.as_ref(), own.without),
            without: own.without,
        };
        inputs.push(Input::Listener(Box::new(ListenerInput::VirtualInbound(
            listener,
        ))));
    }
    inputs.extend(bound.into_iter().filter_map(|chain| {
        let addresses = chain.bound.clone()?;
        let first = names::listener(*addresses.first()?, chain.target.target_port);
        Some(Input::Listener(Box::new(ListenerInput::Inbound(
            InboundListener {
                // Where traffic is captured, outbound listeners may have this name.
                name: match captures {
                    true => format!("inbound_{first}").as_str().into(),
                    false => first,
                },
                addresses,
                chain,
                detection_timeout: mesh.config().protocol_detection_timeout,
                reports: reports(mesh, own.reports.as_ref(), own.without),
                without: own.without,
            },
        ))))
    }));
    inputs.extend(by_port.into_iter().map(|(target_port, targets)| {
        let cluster = cluster(mesh, own, target_port, targets, &inbound);
        Input::Cluster(ClusterInput::Inbound(cluster))
    }));
    inputs
}

fn chain(own: &ForOwn, target: &Target) -> Option<InboundChain> {
    let said = own.ingress.as_ref();
    let listener = said.and_then(|said| said.listener(target.target_port));
    let tls = listener.and_then(|listener| listener.tls.clone());
    let class = match &tls {
        // What is within TLS that ends here.
        Some(_) if target.port.protocol == Protocol::Https => Class::Http,
        Some(_) => Class::Tcp,
        None => Class::of(target.port.protocol)?,
    };
    let bound = listener.filter(|listener| is_bound(listener, own.interception));
    let bound = bound.map(|listener| match listener.bind {
        Some(ip) => vec![ip],
        None => said.map_or_else(Vec::new, |said| said.addresses.to_vec()),
    });
    Some(InboundChain {
        target: target.clone(),
        class,
        cluster: names::inbound_cluster(target.target_port),
        tls,
        bound,
        rule: listener.and(said).map(|said| said.said.rule.clone()),
    })
}

fn cluster(
    mesh: &Mesh,
    own: &ForOwn,
    target_port: u16,
    mut targets: Vec<Target>,
    inbound: &Inbound,
) -> InboundCluster {
    let said = own.ingress.as_ref();
    let listener = said.and_then(|said| said.listener(target_port));
    if listener.is_some_and(|listener| listener.tls.is_some()) {
        // TLS ends at the proxy: this is what is within.
        for target in targets
            .iter_mut()
            .filter(|t| t.port.protocol == Protocol::Https)
        {
            target.port.protocol = Protocol::Http;
        }
    }
    let first = || said.and_then(|said| said.addresses.first().copied());
    let upstream = match listener.and_then(|listener| listener.endpoint.clone()) {
        Some(DefaultEndpoint::Loopback(ip, port)) => Upstream::Ip(ip, port),
        Some(DefaultEndpoint::Instance(port)) => {
            first().map_or(Upstream::Dialled, |ip| Upstream::Ip(ip, port))
        }
        Some(DefaultEndpoint::Unix(path)) => Upstream::Unix(path),
        None if mesh.config().inbound == InboundPolicy::Localhost => {
            let ip: IpAddr = match own.family {
                Family::V6 => Ipv6Addr::LOCALHOST.into(),
                Family::V4 | Family::Dual => Ipv4Addr::LOCALHOST.into(),
            };
            Upstream::Ip(ip, target_port)
        }
        None => Upstream::Dialled,
    };
    let pool = match listener {
        Some(listener) => listener.pool.clone(),
        None => said.and_then(|said| said.said.pool.clone()),
    };
    let is_said = listener.is_some() || pool.is_some();
    InboundCluster {
        target_port,
        targets,
        upstream,
        pool,
        rule: said.filter(|_| is_said).map(|said| said.said.rule.clone()),
        inbound: inbound.clone(),
    }
}
