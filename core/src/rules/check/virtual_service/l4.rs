//! Routes of connections.

use super::super::name::{host, port_number};
use super::{destination, gateways_of_match, matching, weights};
use crate::model::{Cidr, Host, Labels};
use crate::rules::at::At;
use crate::rules::spec::virtual_service::{L4Destination, TcpRoute, TlsRoute};
use crate::rules::spec::{VirtualService, excerpt};

pub(super) fn tls(at: &At<'_>, rule: &VirtualService, route: &TlsRoute) {
    let list = at.field("match");
    if route.matches.is_empty() {
        list.error_hint("is empty", "say for which sniHosts it is");
    }
    for (index, one) in route.matches.iter().enumerate() {
        let here = list.index(index);
        let names = here.field("sniHosts");
        if one.sni_hosts.is_empty() {
            names.error_hint("is empty", "the server names that clients ask for");
        }
        for (index, name) in one.sni_hosts.iter().enumerate() {
            server_name(&names.index(index), rule, name);
        }
        conditions(&here, &one.destination_subnets, one.port);
        matching::sources(&here, rule, &one.source_namespace, &one.source_labels);
        gateways_of_match(&here, rule, &one.gateways);
    }
    destinations(&at.field("route"), &route.route);
}

pub(super) fn tcp(at: &At<'_>, rule: &VirtualService, route: &TcpRoute) {
    let list = at.field("match");
    for (index, one) in route.matches.iter().enumerate() {
        let here = list.index(index);
        conditions(&here, &one.destination_subnets, one.port);
        let of: &Labels = &one.source_labels;
        matching::sources(&here, rule, &one.source_namespace, of);
        gateways_of_match(&here, rule, &one.gateways);
    }
    destinations(&at.field("route"), &route.route);
}

/// A server name has to be one of the rule's hosts, or covered by one.
fn server_name(at: &At<'_>, rule: &VirtualService, name: &str) {
    let found = if name == "*" {
        Host::new(name).ok()
    } else {
        host(at, name)
    };
    let Some(found) = found else { return };
    let hosts = rule.hosts.iter().filter_map(|host| Host::new(host).ok());
    if !hosts.into_iter().any(|host| host.covers(&found)) {
        at.error_hint(
            format!("{:?} is none of the rule's hosts", excerpt(name)),
            "add it to spec.hosts",
        );
    }
}

fn conditions(at: &At<'_>, subnets: &[String], port: Option<u32>) {
    let list = at.field("destinationSubnets");
    for (index, text) in subnets.iter().enumerate() {
        if text.parse::<Cidr>().is_err() {
            list.index(index).error(format!(
                "{:?} is neither an IP address nor a block such as 10.0.0.0/8",
                excerpt(text)
            ));
        }
    }
    if let Some(port) = port {
        port_number(&at.field("port"), port);
    }
}

fn destinations(at: &At<'_>, targets: &[L4Destination]) {
    if targets.is_empty() {
        at.error_hint("is empty", "say where connections go");
    }
    for (index, target) in targets.iter().enumerate() {
        destination(&at.index(index), target.destination.as_ref());
    }
    weights(at, targets.iter().map(|target| target.weight));
}
