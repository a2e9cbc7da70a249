//! Checks of `VirtualService`.

mod action;
mod http;
mod l4;
mod matching;
mod policy;
mod reach;
mod regex;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::export_to::export_to;
use super::name::{host, is_label, port_number};
use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::virtual_service::Destination;
use crate::rules::spec::{VirtualService, excerpt};

/// The name of all sidecars among gateways.
const MESH: &str = "mesh";

/// All that is wrong with it.
pub(super) fn check(at: &At<'_>, meta: &Meta, rule: &VirtualService) {
    let namespace = meta.key.namespace.as_str();
    if rule.hosts.is_empty() {
        delegate(at, rule);
    }
    hosts(&at.field("hosts"), rule);
    gateways(&at.field("gateways"), &rule.gateways);
    exported(&at.field("exportTo"), namespace, &rule.export_to);
    if rule.http.is_empty() && rule.tls.is_empty() && rule.tcp.is_empty() {
        at.error_hint("has no routes", "give http, tls or tcp");
    }
    let list = at.field("http");
    for (index, route) in rule.http.iter().enumerate() {
        http::check(&list.index(index), rule, route);
    }
    reach::http(&list, &rule.http);
    let list = at.field("tls");
    for (index, route) in rule.tls.iter().enumerate() {
        l4::tls(&list.index(index), rule, route);
    }
    reach::tls(&list, &rule.tls);
    let list = at.field("tcp");
    for (index, route) in rule.tcp.iter().enumerate() {
        l4::tcp(&list.index(index), rule, route);
    }
    reach::tcp(&list, &rule.tcp);
}

/// A rule without hosts is one that others delegate to.
fn delegate(at: &At<'_>, rule: &VirtualService) {
    const HINT: &str = "give hosts, or let it be a rule that others delegate to";
    if rule.http.is_empty() {
        at.field("hosts").error_hint("is empty", HINT);
    }
    if !rule.gateways.is_empty() {
        at.field("gateways").error_hint(
            "is given without hosts: who delegates says where a rule is in force",
            HINT,
        );
    }
    for (name, is_given) in [("tls", !rule.tls.is_empty()), ("tcp", !rule.tcp.is_empty())] {
        if is_given {
            at.field(name)
                .error_hint("is given without hosts: only HTTP is delegated", HINT);
        }
    }
}

fn hosts(at: &At<'_>, rule: &VirtualService) {
    let for_mesh = is_for_mesh(&rule.gateways);
    let mut seen = BTreeSet::new();
    for (index, text) in rule.hosts.iter().enumerate() {
        let here = at.index(index);
        if !seen.insert(text.to_ascii_lowercase()) {
            here.error("is named twice");
        } else if text == "*" && for_mesh {
            here.error_hint(
                "\"*\" would claim every host of every sidecar's clients",
                "name a domain: *.example.com; \"*\" is for gateways only",
            );
        } else if let Ok(ip) = text.parse::<IpAddr>() {
            if ip.is_ipv6() {
                here.error_hint(
                    format!("{text:?} is an address of IPv6"),
                    "hosts are names or IPv4 addresses",
                );
            }
        } else if text != "*" {
            host(&here, text);
        }
    }
}

fn is_for_mesh(gateways: &[String]) -> bool {
    gateways.is_empty() || gateways.iter().any(|name| name == MESH)
}

/// Names of gateways: of the rule as a whole, or of one match.
fn gateways(at: &At<'_>, names: &[String]) {
    let mut seen = BTreeSet::new();
    for (index, text) in names.iter().enumerate() {
        let here = at.index(index);
        if text == MESH || is_gateway(text) {
            if !seen.insert(text) {
                here.warning("is named twice");
            }
        } else {
            here.error_hint(
                format!("{:?} is not the name of a gateway", excerpt(text)),
                "mesh, or NAME of the same namespace, or NAMESPACE/NAME",
            );
        }
    }
}

fn is_gateway(text: &str) -> bool {
    let is_name = |text: &str| text.len() <= 253 && text.split('.').all(is_label);
    match text.split_once('/') {
        Some((namespace, name)) => (namespace == "." || is_label(namespace)) && is_name(name),
        None => is_name(text),
    }
}

/// The gateways of a match, which have to be among the rule's.
fn gateways_of_match(at: &At<'_>, rule: &VirtualService, names: &[String]) {
    let at = at.field("gateways");
    gateways(&at, names);
    let known = |name: &String| {
        rule.gateways.contains(name)
            || rule.gateways.is_empty() && (name == MESH || rule.hosts.is_empty())
    };
    for (index, name) in names.iter().enumerate().filter(|(_, name)| !known(name)) {
        if is_gateway(name) {
            at.index(index).warning_hint(
                "has no effect: it is none of the rule's gateways",
                "add it to spec.gateways",
            );
        }
    }
}

fn exported(at: &At<'_>, namespace: &str, names: &[String]) {
    export_to(at, namespace, names);
    for (index, _) in names.iter().enumerate().filter(|(_, name)| *name == "~") {
        at.index(index).error_hint(
            "\"~\" would make a rule for nobody",
            "remove the rule, or use '.'",
        );
    }
}

/// Where traffic goes.
fn destination(at: &At<'_>, destination: Option<&Destination>) {
    let at = at.field("destination");
    match destination {
        Some(destination) => destination_here(&at, destination),
        None => at.error("is missing"),
    }
}

fn destination_here(at: &At<'_>, destination: &Destination) {
    let name = at.field("host");
    if destination.host.is_empty() {
        name.error_hint("is missing", "the name of a service");
    } else if destination.host == "*" {
        name.error_hint("\"*\" is not a destination", "name a service");
    } else {
        host(&name, &destination.host);
    }
    if !destination.subset.is_empty() && !is_label(&destination.subset) {
        at.field("subset").error_hint(
            format!("{:?} is not a subset's name", excerpt(&destination.subset)),
            "letters, digits and '-' within, at most 63 characters",
        );
    }
    if let Some(port) = destination.port {
        port_number(&at.field("port").field("number"), port.number);
    }
}

/// The shares of the destinations of a route.
fn weights(at: &At<'_>, weights: impl ExactSizeIterator<Item = u32>) {
    let several = weights.len() > 1;
    let sum: u64 = weights.map(u64::from).sum();
    if several && sum == 0 {
        at.error_hint(
            "has only weights of 0: nobody gets anything",
            "give one of them a weight",
        );
    } else if sum > u64::from(u32::MAX) {
        at.error(format!(
            "has weights that add up to {sum}: Envoy takes at most {}",
            u32::MAX
        ));
    }
}
