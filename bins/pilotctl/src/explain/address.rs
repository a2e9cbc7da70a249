//! The address to which a client connects, as the names of the mesh give it.
//!
//! A proxy's own configuration has it: the virtual host of a service stands for its addresses, too, and connections to a service
//! of another protocol have a listener or a chain at them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use envoy_types::pb::envoy::config::core::v3::address::Address;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, Listener};
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::ClusterSpecifier;
use pilothouse_xds::names::{VIRTUAL_OUTBOUND, completions, parse_outbound_cluster};
use prost::{Message, Name};
use serde::Serialize;

use super::ExplainArgs;
use super::request::Parsed;
use super::source::Found;

/// An address for documentation (RFC 5737): it belongs to nobody in the mesh.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Where a client connects to.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Destination {
    pub(super) address: SocketAddr,
    /// How it is known.
    pub(super) because: String,
}

/// Where the client of a request connects to.
pub(super) fn destination(found: &Found, args: &ExplainArgs, request: &Parsed) -> Destination {
    let port = args.port.unwrap_or(request.port);
    let at = |ip: IpAddr, because: String| Destination {
        address: SocketAddr::new(ip, port),
        because,
    };
    if let Some(ip) = args.address {
        return at(ip, "--address says so".into());
    }
    if args.inbound {
        let ip = found.own_address.unwrap_or(ELSEWHERE);
        return at(ip, "it is the proxy's own address".into());
    }
    if let Ok(ip) = request.host.parse() {
        return at(ip, "the URL says so".into());
    }
    if let Some(ip) = of_host(found, &request.host, port) {
        let host = &request.host;
        return at(ip, format!("{host} has that address in the mesh"));
    }
    if !found.configuration.listeners.contains_key(VIRTUAL_OUTBOUND) {
        return at(
            found.own_address.unwrap_or(ELSEWHERE),
            "nothing is captured: clients connect to the proxy".into(),
        );
    }
    at(
        ELSEWHERE,
        format!(
            "{} has no address in the mesh; this stands for one outside (another: --address)",
            request.host
        ),
    )
}

fn of_host(found: &Found, host: &str, port: u16) -> Option<IpAddr> {
    let all = &found.configuration;
    let port_suffix = format!(":{port}");
    // The port's own service first: others of the name may have another address.
    let virtual_hosts = all.routes.values().flat_map(|routes| &routes.virtual_hosts);
    let mut named: Vec<_> = virtual_hosts
        .filter(|virtual_host| virtual_host.domains.iter().any(|domain| domain == host))
        .collect();
    named.sort_by_key(|virtual_host| !virtual_host.name.ends_with(&port_suffix));
    let of_http = named
        .iter()
        .flat_map(|virtual_host| &virtual_host.domains)
        .find_map(|domain| domain.trim_matches(['[', ']']).parse().ok());
    of_http.or_else(|| {
        let full: Vec<String> = found
            .domain
            .as_deref()
            .into_iter()
            .flat_map(|domain| completions(host, domain))
            .map(|host| host.to_string())
            .chain([host.to_owned()])
            .collect();
        all.listeners
            .values()
            .find_map(|listener| of_connections(listener, &full))
    })
}

/// The address at which a listener takes connections for one of these hosts.
fn of_connections(listener: &Listener, hosts: &[String]) -> Option<IpAddr> {
    let chains = listener.filter_chains.iter();
    let mut chains = chains.chain(&listener.default_filter_chain);
    let chain = chains.find(|chain| leads_to(chain, hosts))?;
    let ranges = chain.filter_chain_match.as_ref();
    let range = ranges.and_then(|matching| matching.prefix_ranges.first());
    let of_range = range.and_then(|range| range.address_prefix.parse().ok());
    of_range
        .or_else(|| match listener.address.as_ref()?.address.as_ref()? {
            Address::SocketAddress(socket) => socket.address.parse().ok(),
            _ => None,
        })
        .filter(|ip: &IpAddr| !ip.is_unspecified())
}

fn leads_to(chain: &FilterChain, hosts: &[String]) -> bool {
    chain.filters.iter().any(|filter| {
        let Some(ConfigType::TypedConfig(any)) = &filter.config_type else {
            return false;
        };
        if any.type_url != TcpProxy::type_url() {
            return false;
        }
        let cluster = match TcpProxy::decode(&*any.value).map(|proxy| proxy.cluster_specifier) {
            Ok(Some(ClusterSpecifier::Cluster(name))) => name,
            Ok(Some(ClusterSpecifier::WeightedClusters(all))) => all
                .clusters
                .first()
                .map(|one| one.name.clone())
                .unwrap_or_default(),
            _ => return false,
        };
        parse_outbound_cluster(&cluster)
            .is_some_and(|(_, _, host)| hosts.iter().any(|wanted| wanted == host.as_str()))
    })
}
