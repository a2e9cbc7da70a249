//! Checks of a `Sidecar`.

mod egress;
mod ingress;
#[cfg(test)]
mod tests;

use super::destination_rule::connection;
use super::labels::selector;
use super::name::{is_fqdn, is_label, port_number, protocol};
use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::gateway::ServerPort;
use crate::rules::spec::sidecar::{EgressProxy, OutboundMode, OutboundPolicy};
use crate::rules::spec::{Sidecar, excerpt};

/// All that is wrong with it.
pub(super) fn check(at: &At<'_>, meta: &Meta, rule: &Sidecar) {
    let is_empty = rule.ingress.is_empty()
        && rule.egress.is_empty()
        && rule.inbound_connection_pool.is_none()
        && rule.outbound_traffic_policy.is_none();
    if is_empty {
        at.error_hint(
            "says nothing",
            "give egress, ingress, outboundTrafficPolicy or inboundConnectionPool",
        );
    }
    if let Some(workloads) = &rule.workload_selector {
        selector(&at.field("workloadSelector"), workloads);
    }
    ingress::check(&at.field("ingress"), &rule.ingress);
    egress::check(&at.field("egress"), meta, &rule.egress);
    if let Some(pool) = &rule.inbound_connection_pool {
        connection::pool(&at.field("inboundConnectionPool"), pool);
    }
    if let Some(policy) = &rule.outbound_traffic_policy {
        outbound(&at.field("outboundTrafficPolicy"), policy);
    }
}

fn outbound(at: &At<'_>, policy: &OutboundPolicy) {
    if policy.mode == OutboundMode::AllowAnyDynamicDns {
        at.field("mode").warning_hint(
            "means ALLOW_ANY here: names in requests are not resolved",
            "use ALLOW_ANY",
        );
    }
    let Some(proxy) = &policy.egress_proxy else {
        return;
    };
    let here = at.field("egressProxy");
    if policy.mode == OutboundMode::RegistryOnly {
        here.error_hint(
            "is given where unknown traffic is blocked",
            "set mode: ALLOW_ANY",
        );
    }
    egress_proxy(&here, proxy);
}

fn egress_proxy(at: &At<'_>, proxy: &EgressProxy) {
    if !is_fqdn(&proxy.host) {
        at.field("host").error(format!(
            "{:?} is not the name of a service",
            excerpt(&proxy.host)
        ));
    }
    if !proxy.subset.is_empty() && !is_label(&proxy.subset) {
        at.field("subset").error_hint(
            format!("{:?} is not a subset's name", excerpt(&proxy.subset)),
            "letters, digits and '-' within, at most 63 characters",
        );
    }
    match proxy.port {
        None => at.field("port").error("is missing"),
        Some(port) => port_number(&at.field("port").field("number"), port.number),
    }
}

/// A port that is listened on.
fn listened(at: &At<'_>, port: &ServerPort) {
    port_number(&at.field("number"), port.number);
    protocol(&at.field("protocol"), &port.protocol);
    if !port.name.is_empty() && !is_label(&port.name) {
        at.field("name").error_hint(
            format!("{:?} is not a port name", excerpt(&port.name)),
            "letters, digits and '-' within, at most 63 characters",
        );
    }
    if port.target_port.is_some() {
        at.field("targetPort").warning_hint(
            "has no effect",
            "defaultEndpoint of an ingress listener says where the workload listens",
        );
    }
}
