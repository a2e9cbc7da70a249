//! Checks of `ServiceEntry`.

use std::collections::BTreeSet;

use super::export_to::export_to;
use super::labels::selector;
use super::name::{host, is_fqdn, plain_text, port_name, port_number, protocol};
use super::workload_entry::{Allowed, entry as workload, is_own_machine, own_machine};
use crate::model::{Cidr, Protocol};
use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::{Resolution, ServiceEntry, ServicePort, WorkloadEntry, excerpt};

/// All that is wrong with it.
pub(super) fn check(at: &At<'_>, meta: &Meta, entry: &ServiceEntry) {
    hosts(&at.field("hosts"), entry);
    addresses(&at.field("addresses"), entry);
    ports(&at.field("ports"), entry);
    endpoints(at, entry);
    if let Some(labels) = &entry.workload_selector {
        selector(&at.field("workloadSelector"), labels);
    }
    resolution(at, entry);
    export_to(
        &at.field("exportTo"),
        meta.key.namespace.as_str(),
        &entry.export_to,
    );
    for (index, name) in entry.subject_alt_names.iter().enumerate() {
        let names = at.field("subjectAltNames");
        if name.is_empty() {
            names.index(index).error("is empty");
        }
        plain_text(&names.index(index), name);
    }
}

/// As many hosts, addresses and ports as the schema of Istio's CRD takes.
const MAX_ITEMS: usize = 256;

fn not_too_many(at: &At<'_>, count: usize) {
    if count > MAX_ITEMS {
        at.error_hint(
            format!("has {count} items, the limit is {MAX_ITEMS}"),
            "make several objects of it",
        );
    }
}

fn hosts(at: &At<'_>, entry: &ServiceEntry) {
    if entry.hosts.is_empty() {
        at.error_hint("is empty", "a service has at least one host");
    }
    not_too_many(at, entry.hosts.len());
    let mut seen = BTreeSet::new();
    for (index, text) in entry.hosts.iter().enumerate() {
        let here = at.index(index);
        if text == "*" {
            here.error_hint(
                "\"*\" would claim every name",
                "name a domain: *.example.com",
            );
        } else if let Some(host) = host(&here, text)
            && !seen.insert(host)
        {
            here.warning("is named twice");
        }
    }
    let told_apart = |port: &ServicePort| port.spoken().is_http() || port.spoken().is_tls();
    if entry.hosts.len() > 1
        && entry.resolution != Resolution::None
        && !entry.ports.iter().all(told_apart)
    {
        at.warning_hint(
            "cannot be told apart on ports that are neither HTTP nor TLS",
            "make a ServiceEntry for each host",
        );
    }
}

fn addresses(at: &At<'_>, entry: &ServiceEntry) {
    not_too_many(at, entry.addresses.len());
    for (index, text) in entry.addresses.iter().enumerate() {
        let here = at.index(index);
        let Ok(block) = text.parse::<Cidr>() else {
            here.error(format!(
                "{:?} is neither an IP address nor a block such as 10.0.0.0/8",
                excerpt(text)
            ));
            continue;
        };
        if text.contains('/') && !matches!(entry.resolution, Resolution::None | Resolution::Static)
        {
            here.error_hint(
                "is a block of addresses",
                "blocks go with resolution NONE or STATIC",
            );
        }
        let wide = if block.ip().is_ipv4() { 8 } else { 16 };
        if block.prefix_len() < wide || block.ip().is_unspecified() {
            here.warning_hint(
                format!(
                    "{text} captures much of what clients in all namespaces that see this send"
                ),
                "name the addresses that belong to the service",
            );
        }
    }
}

fn ports(at: &At<'_>, entry: &ServiceEntry) {
    if entry.ports.is_empty() {
        at.warning("is empty: nothing can be sent to the service");
    }
    not_too_many(at, entry.ports.len());
    let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for (index, port) in entry.ports.iter().enumerate() {
        let here = at.index(index);
        let (name, number) = (here.field("name"), here.field("number"));
        port_name(&name, &port.name);
        port_number(&number, port.number);
        protocol(&here.field("protocol"), &port.protocol);
        if !port.name.is_empty() && !names.insert(port.name.as_str()) {
            name.error(format!(
                "another port has the name {:?}",
                excerpt(&port.name)
            ));
        }
        if !numbers.insert(port.number) {
            number.error(format!("another port has the number {}", port.number));
        }
        if port.target_port != 0 {
            let target = here.field("targetPort");
            port_number(&target, port.target_port);
            if entry.resolution == Resolution::None {
                target.warning("has no effect with resolution NONE");
            }
        }
        if entry.addresses.is_empty() && matches!(port.spoken(), Protocol::Auto | Protocol::Tcp) {
            here.warning_hint(
                "the service has no address of its own, so that this port claims its number for all destinations",
                "give addresses, or name a protocol that carries host names",
            );
        }
    }
}

fn endpoints(at: &At<'_>, entry: &ServiceEntry) {
    let list = at.field("endpoints");
    if entry.workload_selector.is_some() && !entry.endpoints.is_empty() {
        list.error_hint("are given beside a workloadSelector", "use one of them");
    }
    let allowed = match entry.resolution {
        Resolution::None | Resolution::DynamicDns => return,
        Resolution::Static => Allowed::Static,
        Resolution::Dns | Resolution::DnsRoundRobin => Allowed::Dns,
    };
    let names: BTreeSet<_> = entry.ports.iter().map(|port| port.name.as_str()).collect();
    for (index, endpoint) in entry.endpoints.iter().enumerate() {
        let here = list.index(index);
        workload(&here, endpoint, allowed, Some(&names));
        if endpoint.address.is_empty() && !endpoint.network.is_empty() {
            here.field("address")
                .warning("is empty: the endpoint is not used");
        }
    }
    own_machines(&list, entry);
    let weight: u64 = entry
        .endpoints
        .iter()
        .map(|endpoint| u64::from(endpoint.weight.max(1)))
        .sum();
    if weight > u64::from(u32::MAX) {
        list.error(format!("their weights add up to more than {}", u32::MAX));
    }
}

/// Ports on which a proxy and its agent themselves listen: admin, capture, status, health and metrics.
const PROXY_PORTS: [u32; 8] = [15000, 15001, 15004, 15006, 15020, 15021, 15053, 15090];

/// Warns once of endpoints on the own machine of whoever dials, and of each that is a port of the proxy itself.
fn own_machines(list: &At<'_>, entry: &ServiceEntry) {
    let own = |(_, endpoint): &(usize, &WorkloadEntry)| is_own_machine(&endpoint.address);
    for (nth, (index, endpoint)) in entry.endpoints.iter().enumerate().filter(own).enumerate() {
        let here = list.index(index);
        if nth == 0 {
            own_machine(&here.field("address"), &endpoint.address);
        }
        let number = |port: &ServicePort| {
            let own = endpoint
                .ports
                .get(&port.name)
                .copied()
                .unwrap_or(port.target_port);
            if own == 0 { port.number } else { own }
        };
        if let Some(number) = entry
            .ports
            .iter()
            .map(number)
            .find(|number| PROXY_PORTS.contains(number))
        {
            here.warning_hint(
                format!("port {number} of the own machine is one of the proxy that dials it"),
                "a service must not lead to a proxy's admin or status pages",
            );
        }
    }
}

fn resolution(at: &At<'_>, entry: &ServiceEntry) {
    let list = at.field("endpoints");
    match entry.resolution {
        Resolution::None => {
            if !entry.endpoints.is_empty() {
                list.error_hint(
                    "are given with resolution NONE",
                    "use resolution STATIC or DNS, or leave them out",
                );
            }
            if entry.workload_selector.is_some() {
                at.field("workloadSelector")
                    .warning("has no effect on clients with resolution NONE");
            }
        }
        Resolution::Static => {
            let socket = entry
                .endpoints
                .iter()
                .any(|endpoint| endpoint.address.starts_with("unix://"));
            if socket && entry.ports.len() != 1 {
                at.field("ports")
                    .error("a service whose endpoint is a socket has exactly one port");
            }
            if entry.endpoints.is_empty() && entry.workload_selector.is_none() {
                list.warning("is empty: requests to the service are refused");
            }
        }
        Resolution::Dns | Resolution::DnsRoundRobin => {
            if entry.endpoints.is_empty() {
                for (index, host) in entry
                    .hosts
                    .iter()
                    .enumerate()
                    .filter(|(_, host)| !is_fqdn(host))
                {
                    at.field("hosts").index(index).error_hint(
                        format!("{:?} cannot be resolved", excerpt(host)),
                        "give endpoints, or use resolution NONE",
                    );
                }
            }
            if entry.resolution == Resolution::DnsRoundRobin && entry.endpoints.len() > 1 {
                list.error_hint(
                    "are more than one with resolution DNS_ROUND_ROBIN",
                    "use resolution DNS",
                );
            }
            let tcp = entry.ports.iter().any(|port| port.spoken().is_tcp());
            if tcp && !entry.addresses.is_empty() && entry.hosts.len() > 1 {
                at.field("addresses").warning_hint(
                    "several hosts share them on a TCP port: only one of them is reached",
                    "make a ServiceEntry for each host",
                );
            }
        }
        Resolution::DynamicDns => dynamic(at, entry),
    }
}

/// Each request or connection says the name that is resolved for it.
fn dynamic(at: &At<'_>, entry: &ServiceEntry) {
    for (index, host) in entry.hosts.iter().enumerate() {
        if host != "*" && !host.starts_with("*.") {
            at.field("hosts").index(index).error_hint(
                format!("{:?} is a single name", excerpt(host)),
                "DYNAMIC_DNS is for wildcards; use resolution DNS",
            );
        }
    }
    for (index, port) in entry.ports.iter().enumerate() {
        let list = at.field("ports");
        let here = list.index(index);
        let spoken = port.spoken();
        if !spoken.is_http() && !spoken.is_tls() {
            here.field("protocol").error_hint(
                "carries no name that could be resolved",
                "with DYNAMIC_DNS, one of HTTP, HTTP2, GRPC and TLS",
            );
        }
        if port.target_port != 0 && port.target_port != port.number {
            here.field("targetPort")
                .warning("has no effect with resolution DYNAMIC_DNS");
        }
    }
    for (name, given) in [
        ("addresses", !entry.addresses.is_empty()),
        ("endpoints", !entry.endpoints.is_empty()),
        ("workloadSelector", entry.workload_selector.is_some()),
    ] {
        if given {
            at.field(name).error_hint(
                "is given with resolution DYNAMIC_DNS",
                "requests go to the names that clients ask for; leave it out",
            );
        }
    }
}

#[cfg(test)]
mod tests;
