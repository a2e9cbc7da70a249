//! Inputs of what a proxy has for itself: the clusters and the listener of connections to its workload.
//!
//! Proxies whose workloads answer the same ports of the same services share them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::mesh::{InboundPolicy, Mesh};
use pilothouse_core::model::Interception;

use super::clusters::{ClusterInput, Inbound, InboundCluster};
use super::listeners::ListenerInput;
use super::reports::{Reports, reports};
use super::{Input, Lost};
use crate::extensions::Missing;
use crate::names;
use crate::resource::Name;
use crate::selection::{ForOwn, Target};
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
/// A proxy whose traffic is not captured has no inbound ports: it could not bind those that its workload has bound.
pub fn own(mesh: &Mesh, own: &ForOwn) -> Vec<Input> {
    let inbound = Inbound::of(mesh, own);
    let mut inputs = vec![Input::Cluster(ClusterInput::InboundPassthrough(
        inbound.clone(),
    ))];
    if own.interception == Interception::None {
        return inputs;
    }
    let mut by_port: BTreeMap<u16, Vec<Target>> = BTreeMap::new();
    for target in own.targets.iter() {
        by_port
            .entry(target.target_port)
            .or_default()
            .push(target.clone());
    }
    let chains = by_port
        .values()
        .filter_map(|targets| targets.first())
        .filter_map(|target| {
            let class = Class::of(target.port.protocol)?;
            Some(InboundChain {
                target: target.clone(),
                class,
                cluster: names::inbound_cluster(target.target_port),
            })
        });
    inputs.push(Input::Listener(ListenerInput::VirtualInbound(
        VirtualInbound {
            addresses: super::listeners::wildcards(own.family),
            transparent: inbound.transparent,
            chains: chains
                .filter(|chain| chain.target.target_port != names::INBOUND_PORT)
                .collect(),
            detection_timeout: mesh.config().protocol_detection_timeout,
            reports: reports(mesh, own.reports.as_ref(), own.without),
            without: own.without,
        },
    )));
    let loopback = mesh.config().inbound == InboundPolicy::Localhost;
    inputs.extend(by_port.into_iter().map(|(target_port, targets)| {
        Input::Cluster(ClusterInput::Inbound(InboundCluster {
            target_port,
            targets,
            loopback,
            inbound: inbound.clone(),
        }))
    }));
    inputs
}
