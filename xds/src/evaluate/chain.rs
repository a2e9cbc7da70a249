//! Which filter chain takes a connection.
//!
//! Envoy narrows the chains down by one property after another, each time to those with the most specific value that matches,
//! and does not come back: a chain that is lost at an early property stays lost, and where none remains the default chain takes
//! the connection (Envoy's documentation of `FilterChainMatch`).

use std::net::{IpAddr, SocketAddr};

use envoy_types::pb::envoy::config::core::v3::CidrRange;
use envoy_types::pb::envoy::config::listener::v3::filter_chain_match::ConnectionSourceType;
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, FilterChainMatch, Listener};
use ipnet::IpNet;

use super::walk::{Considered, Detected};

/// What is known of the connection.
pub(super) struct Facts<'a> {
    pub(super) destination: SocketAddr,
    pub(super) source: SocketAddr,
    pub(super) detected: &'a Detected,
}

/// The chain, and the others.
pub(super) struct Choice<'a> {
    pub(super) chain: Option<&'a FilterChain>,
    pub(super) name: String,
    pub(super) default: bool,
    pub(super) considered: Vec<Considered>,
}

/// A property by which chains are told apart: how specifically a chain asks for what there is, and not at all if it asks for
/// something else; and what it asks for, in words.
struct Property {
    rank: fn(&FilterChainMatch, &Facts<'_>) -> Option<usize>,
    wants: fn(&FilterChainMatch) -> String,
}

/// In Envoy's order.
const PROPERTIES: [Property; 9] = [
    Property {
        rank: destination_port,
        wants: |m| format!("port {}", m.destination_port.map_or(0, |port| port.value)),
    },
    Property {
        rank: |m, facts| prefix(&m.prefix_ranges, facts.destination.ip()),
        wants: |m| format!("destinations in {}", ranges(&m.prefix_ranges)),
    },
    Property {
        rank: server_name,
        wants: |m| format!("server name {}", m.server_names.join(", ")),
    },
    Property {
        rank: transport,
        wants: |m| format!("transport {}", m.transport_protocol),
    },
    Property {
        rank: application,
        wants: |m| format!("protocol {}", m.application_protocols.join(", ")),
    },
    Property {
        rank: |m, facts| prefix(&m.direct_source_prefix_ranges, facts.source.ip()),
        wants: |m| format!("peers in {}", ranges(&m.direct_source_prefix_ranges)),
    },
    Property {
        rank: source_type,
        wants: |m| format!("sources that are {}", m.source_type().as_str_name()),
    },
    Property {
        rank: |m, facts| prefix(&m.source_prefix_ranges, facts.source.ip()),
        wants: |m| format!("sources in {}", ranges(&m.source_prefix_ranges)),
    },
    Property {
        rank: source_port,
        wants: |m| format!("source ports {:?}", m.source_ports),
    },
];

/// The chain that takes the connection.
pub(super) fn choose<'a>(listener: &'a Listener, facts: &Facts<'_>) -> Choice<'a> {
    let nothing = FilterChainMatch::default();
    let asks = |chain: &'a FilterChain| chain.filter_chain_match.as_ref();
    let mut left: Vec<(usize, &FilterChain)> = listener.filter_chains.iter().enumerate().collect();
    let mut considered = Vec::new();
    for property in &PROPERTIES {
        let ranked: Vec<_> = left
            .iter()
            .map(|&(place, chain)| {
                let matching = asks(chain).unwrap_or(&nothing);
                (place, chain, (property.rank)(matching, facts))
            })
            .collect();
        let best = ranked.iter().filter_map(|(_, _, rank)| *rank).max();
        left.clear();
        for (place, chain, rank) in ranked {
            if rank.is_some() && rank == best {
                left.push((place, chain));
                continue;
            }
            let wants = (property.wants)(asks(chain).unwrap_or(&nothing));
            considered.push(Considered {
                name: name(place, chain),
                why: match rank {
                    None => format!("it wants {wants}"),
                    Some(0) => "another asks for more that is so".to_owned(),
                    Some(_) => format!("another is more specific than {wants}"),
                },
            });
        }
    }
    // Envoy refuses chains that ask for the same, so that one is left at most.
    let found = left.first().copied();
    let default = listener.default_filter_chain.as_ref();
    Choice {
        chain: found.map(|(_, chain)| chain).or(default),
        name: match (found, default) {
            (Some((place, chain)), _) => name(place, chain),
            (None, Some(chain)) if !chain.name.is_empty() => chain.name.clone(),
            _ => "default".to_owned(),
        },
        default: found.is_none(),
        considered,
    }
}

fn name(place: usize, chain: &FilterChain) -> String {
    if chain.name.is_empty() {
        format!("#{place}")
    } else {
        chain.name.clone()
    }
}

fn destination_port(m: &FilterChainMatch, facts: &Facts<'_>) -> Option<usize> {
    match m.destination_port {
        None => Some(0),
        Some(port) => (port.value == u32::from(facts.destination.port())).then_some(1),
    }
}

fn prefix(all: &[CidrRange], ip: IpAddr) -> Option<usize> {
    if all.is_empty() {
        return Some(0);
    }
    all.iter()
        .filter_map(|range| {
            let length = range.prefix_len.map_or(0, |length| length.value);
            let address: IpAddr = range.address_prefix.parse().ok()?;
            let net = IpNet::new(address, u8::try_from(length).ok()?).ok()?;
            net.contains(&ip).then_some(usize::from(net.prefix_len()))
        })
        .max()
}

fn ranges(all: &[CidrRange]) -> String {
    let texts: Vec<String> = all
        .iter()
        .map(|range| {
            let length = range.prefix_len.map_or(0, |length| length.value);
            format!("{}/{length}", range.address_prefix)
        })
        .collect();
    texts.join(", ")
}

/// The exact name, then the longest suffix.
fn server_name(m: &FilterChainMatch, facts: &Facts<'_>) -> Option<usize> {
    if m.server_names.is_empty() {
        return Some(0);
    }
    let name = facts.detected.server_name.as_deref().unwrap_or_default();
    m.server_names
        .iter()
        .filter_map(|wanted| match wanted.strip_prefix('*') {
            Some("") => Some(0),
            Some(suffix) => (name.len() > suffix.len()
                && name.ends_with(&suffix.to_ascii_lowercase()))
            .then_some(suffix.len()),
            None => (wanted.eq_ignore_ascii_case(name)).then_some(usize::MAX),
        })
        .max()
}

fn transport(m: &FilterChainMatch, facts: &Facts<'_>) -> Option<usize> {
    if m.transport_protocol.is_empty() {
        return Some(0);
    }
    (m.transport_protocol == facts.detected.transport_protocol).then_some(1)
}

/// The protocol that the client likes best.
fn application(m: &FilterChainMatch, facts: &Facts<'_>) -> Option<usize> {
    if m.application_protocols.is_empty() {
        return Some(0);
    }
    let offered = &facts.detected.application_protocols;
    offered
        .iter()
        .position(|offered| m.application_protocols.contains(offered))
        .map(|place| offered.len() - place)
}

fn source_type(m: &FilterChainMatch, facts: &Facts<'_>) -> Option<usize> {
    let source = facts.source.ip();
    let local = source.is_loopback() || source == facts.destination.ip();
    match m.source_type() {
        ConnectionSourceType::Any => Some(0),
        ConnectionSourceType::SameIpOrLoopback => local.then_some(1),
        ConnectionSourceType::External => (!local).then_some(1),
    }
}

fn source_port(m: &FilterChainMatch, facts: &Facts<'_>) -> Option<usize> {
    if m.source_ports.is_empty() {
        return Some(0);
    }
    let port = u32::from(facts.source.port());
    m.source_ports.contains(&port).then_some(1)
}
