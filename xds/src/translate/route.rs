//! Route configurations.

mod answers;
mod domains;
mod forward;
mod hash;
mod headers;
pub(super) mod matching;
pub(super) mod per_filter;
pub(super) mod retries;
pub(super) mod rules;
#[cfg(test)]
mod tests;

use std::time::Duration;

use envoy_types::pb::envoy::config::route::v3::{
    Decorator, DirectResponseAction, RetryPolicy, Route, RouteAction, RouteConfiguration,
    RouteMatch, VirtualHost, route, route_action, route_match,
};

use super::common::{boolean, duration, uint};
use super::{Message, Notes, Output};
use crate::extensions::Missing;
use crate::inputs::Outbound;
use crate::inputs::routes::{Member, RouteInput, Unserved};
use crate::names::{self, RouteName};
use crate::resource::{Cause, Name};

/// The longest body of a response that a rule gives.
pub(super) const MAX_DIRECT_RESPONSE: u32 = 1024 * 1024;
/// How often a failed inbound request is tried again.
const INBOUND_RETRIES: u32 = 2;
/// The failures after which the workload has not seen the request.
const INBOUND_RETRY_ON: &str = "reset-before-request";

pub(super) fn translate(input: &RouteInput) -> Output {
    let mut notes = Notes::default();
    let name = input.name.name();
    let mut hosts: Vec<VirtualHost> = Vec::with_capacity(input.members.len() + 1);
    if let RouteName::Sniffed(..) = input.name {
        hosts.extend(
            input
                .members
                .iter()
                .map(|member| virtual_host(member, vec!["*".into()], input.without, &mut notes)),
        );
    } else {
        let mut domains = domains::of_members(input);
        let any = domains.claim_rest();
        let unserved = domains.take_unserved();
        for (host, domains) in input.unserved.iter().zip(unserved) {
            if !domains.is_empty() {
                hosts.push(unserved_host(host, domains, input.without, &mut notes));
            }
        }
        for (member, domains) in input.members.iter().zip(domains.into_lists()) {
            if !domains.is_empty() {
                hosts.push(virtual_host(member, domains, input.without, &mut notes));
            }
        }
        hosts.sort_by(|a, b| a.name.cmp(&b.name));
        hosts.extend(any.then(|| catch_all(&input.outbound, &mut notes)));
    }
    let message = RouteConfiguration {
        name: name.to_string(),
        virtual_hosts: hosts,
        validate_clusters: boolean(false),
        max_direct_response_body_size_bytes: uint(MAX_DIRECT_RESPONSE),
        // A proxy's clients ask for all ports at one address: there the port decides.
        ignore_port_in_host_matching: input.name != RouteName::HttpProxy,
        ..Default::default()
    };
    notes.output(name, Message::Route(Box::new(message)))
}

/// The route configuration of an inbound chain.
pub(super) fn inbound(
    cluster: &Name,
    virtual_host: String,
    operation: &str,
    notes: &mut Notes,
) -> RouteConfiguration {
    let retries = RetryPolicy {
        retry_on: INBOUND_RETRY_ON.into(),
        num_retries: uint(INBOUND_RETRIES),
        ..Default::default()
    };
    let action = RouteAction {
        retry_policy: Some(retries),
        ..to_cluster(cluster.as_str(), notes)
    };
    let host = VirtualHost {
        name: virtual_host,
        domains: vec!["*".into()],
        routes: vec![Route {
            decorator: decorator(operation),
            ..route(names::DEFAULT_ROUTE, route::Action::Route(action))
        }],
        ..Default::default()
    };
    RouteConfiguration {
        name: cluster.to_string(),
        virtual_hosts: vec![host],
        validate_clusters: boolean(false),
        ..Default::default()
    }
}

fn virtual_host(
    member: &Member,
    domains: Vec<String>,
    without: Missing,
    notes: &mut Notes,
) -> VirtualHost {
    let key = &member.service.key;
    notes.causes.insert(Cause::Service(key.clone()));
    let name = names::virtual_host(&key.host, member.port.port);
    if !member.routed.is_empty() {
        let context = rules::Context {
            port: member.port.port,
            tls: false,
            without,
        };
        return VirtualHost {
            routes: rules::routes(&member.routed, context, notes),
            name,
            domains,
            include_request_attempt_count: true,
            ..Default::default()
        };
    }
    let rules = member.hash_rules.iter().cloned();
    notes.causes.extend(rules.map(Cause::Rule));
    let cluster = names::outbound_cluster(member.port.port, "", &key.host);
    let action = RouteAction {
        retry_policy: Some(retries::default(without)),
        hash_policy: member.hash_by.iter().map(hash::policy).collect(),
        ..to_cluster(cluster.as_str(), notes)
    };
    VirtualHost {
        routes: vec![Route {
            decorator: decorator(&name),
            ..route(names::DEFAULT_ROUTE, route::Action::Route(action))
        }],
        name,
        domains,
        include_request_attempt_count: true,
        ..Default::default()
    }
}

/// A host that rules speak of and no service has.
fn unserved_host(
    unserved: &Unserved,
    domains: Vec<String>,
    without: Missing,
    notes: &mut Notes,
) -> VirtualHost {
    let port = Unserved::PORT;
    let context = rules::Context {
        port,
        tls: false,
        without,
    };
    VirtualHost {
        name: names::virtual_host(&unserved.host, port),
        domains,
        routes: rules::routes(&unserved.routed, context, notes),
        include_request_attempt_count: true,
        ..Default::default()
    }
}

fn catch_all(outbound: &Outbound, notes: &mut Notes) -> VirtualHost {
    notes.causes.extend(outbound.rule.clone().map(Cause::Rule));
    let (name, action) = if outbound.is_blocked() {
        let blocked = DirectResponseAction {
            status: 502,
            ..Default::default()
        };
        (names::BLOCK_ALL, route::Action::DirectResponse(blocked))
    } else {
        let passed = to_cluster(outbound.cluster(), notes);
        (names::ALLOW_ANY, route::Action::Route(passed))
    };
    VirtualHost {
        name: name.into(),
        domains: vec!["*".into()],
        routes: vec![route(name, action)],
        include_request_attempt_count: true,
        ..Default::default()
    }
}

fn route(name: &str, action: route::Action) -> Route {
    Route {
        name: name.into(),
        r#match: Some(RouteMatch {
            path_specifier: Some(route_match::PathSpecifier::Prefix("/".into())),
            ..Default::default()
        }),
        action: Some(action),
        ..Default::default()
    }
}

/// Without a time-out, unless a gRPC client asks for one.
fn to_cluster(cluster: &str, notes: &mut Notes) -> RouteAction {
    notes.clusters.insert(Name::from(cluster));
    RouteAction {
        cluster_specifier: Some(route_action::ClusterSpecifier::Cluster(cluster.into())),
        timeout: duration(Duration::ZERO),
        max_stream_duration: Some(route_action::MaxStreamDuration {
            grpc_timeout_header_max: duration(Duration::ZERO),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn decorator(operation: &str) -> Option<Decorator> {
    Some(Decorator {
        operation: format!("{operation}/*"),
        ..Default::default()
    })
}
