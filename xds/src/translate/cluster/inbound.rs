//! Clusters of the workload behind a proxy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use envoy_types::pb::envoy::config::cluster::v3::{Cluster, cluster};
use envoy_types::pb::envoy::config::core::v3::{Address, BindConfig, ExtraSourceAddress};
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint,
};

use pilothouse_core::rules::resolve::Blocks;

use super::super::common::{
    ISTIO_METADATA, duration, ip_address, metadata, object, pipe, socket_address,
};
use super::super::{Notes, Output};
use super::{
    INBOUND_CLEANUP, as_downstream, http_options, of_type, output, policy, services, unlimited,
};
use crate::inputs::clusters::{Inbound, InboundCluster, Upstream};
use crate::names;
use crate::resource::Cause;
use crate::selection::Family;

/// The source address of connections to the workload: the rules that capture connections let it through.
const SOURCE_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 6));
/// The same, in IPv6.
const SOURCE_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6));

/// The cluster of one port of the workload.
pub(super) fn translate(input: &InboundCluster) -> Output {
    let name = names::inbound_cluster(input.target_port);
    let deciding = input.targets.first().map(|target| target.port.protocol);
    let blocks = Blocks {
        connection_pool: input.pool.clone(),
        ..Blocks::default()
    };
    let of = input.targets.iter().map(|t| {
        (
            t.service.host.as_str(),
            &*t.name,
            t.service.namespace.as_str(),
        )
    });
    let mut cluster = Cluster {
        metadata: metadata([(ISTIO_METADATA, object([("services", services(of))]))]),
        typed_extension_protocol_options: http_options(
            deciding.and_then(|protocol| policy::protocol_options(protocol, &blocks)),
        ),
        ..dialled(name.as_str(), &input.inbound)
    };
    cluster.alt_stat_name = format!("{name};");
    let at = match &input.upstream {
        Upstream::Dialled => None,
        Upstream::Ip(ip, port) => Some((ip_address(*ip, *port), *ip)),
        Upstream::Unix(path) => Some((pipe(path), IpAddr::V4(Ipv4Addr::LOCALHOST))),
    };
    if let Some((address, ip)) = at {
        cluster.cluster_discovery_type = of_type(cluster::DiscoveryType::Static);
        cluster.lb_policy = cluster::LbPolicy::RoundRobin.into();
        cluster.cleanup_interval = None;
        cluster.load_assignment = Some(only(name.as_str(), address));
        // The source is of the same version of IP; a file has none.
        cluster.upstream_bind_config = match (&input.upstream, ip) {
            (Upstream::Unix(_), _) => None,
            (_, IpAddr::V6(_)) => cluster.upstream_bind_config.map(|_| source(Family::V6)),
            (_, IpAddr::V4(_)) => cluster.upstream_bind_config.map(|_| source(Family::V4)),
        };
    }
    if let Some(pool) = &input.pool {
        policy::pool(&mut cluster, pool);
    }
    let mut notes = Notes::default();
    notes.causes.extend(
        input
            .targets
            .iter()
            .map(|target| Cause::Service(target.service.clone())),
    );
    notes.causes.extend(input.rule.clone().map(Cause::Rule));
    output(name, notes, cluster)
}

/// The cluster of all other ports.
pub(super) fn passthrough(input: &Inbound) -> Output {
    let cluster = Cluster {
        typed_extension_protocol_options: http_options(Some(as_downstream())),
        ..dialled(names::INBOUND_PASSTHROUGH, input)
    };
    output(names::INBOUND_PASSTHROUGH, Notes::of_mesh_config(), cluster)
}

/// A cluster that forwards to the address that the client dialled.
fn dialled(name: &str, inbound: &Inbound) -> Cluster {
    Cluster {
        name: name.into(),
        connect_timeout: duration(inbound.connect_timeout),
        cluster_discovery_type: of_type(cluster::DiscoveryType::OriginalDst),
        lb_policy: cluster::LbPolicy::ClusterProvided.into(),
        cleanup_interval: duration(INBOUND_CLEANUP),
        circuit_breakers: Some(unlimited()),
        // Where the client's address is kept as source, there is none of our own.
        upstream_bind_config: (!inbound.transparent).then(|| source(inbound.family)),
        ..Default::default()
    }
}

fn source(family: Family) -> BindConfig {
    let (first, extra) = match family {
        Family::V4 => (SOURCE_V4, None),
        Family::V6 => (SOURCE_V6, None),
        Family::Dual => (SOURCE_V4, Some(SOURCE_V6)),
    };
    let extra = extra.map(|ip| ExtraSourceAddress {
        address: Some(socket_address(ip, 0)),
        ..Default::default()
    });
    BindConfig {
        source_address: Some(socket_address(first, 0)),
        extra_source_addresses: extra.into_iter().collect(),
        ..Default::default()
    }
}

fn only(cluster: &str, address: Address) -> ClusterLoadAssignment {
    let endpoint = Endpoint {
        address: Some(address),
        ..Default::default()
    };
    let endpoint = LbEndpoint {
        host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(endpoint)),
        ..Default::default()
    };
    ClusterLoadAssignment {
        cluster_name: cluster.into(),
        endpoints: vec![LocalityLbEndpoints {
            lb_endpoints: vec![endpoint],
            ..Default::default()
        }],
        ..Default::default()
    }
}
