//! Checks of `EnvoyFilter`: what can be said without knowing Envoy.
//!
//! Whether a value is a message of Envoy's is for whoever knows Envoy to say.

#[cfg(test)]
mod tests;

use regex::Regex;

use super::labels::selector;
use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::resolve::current_filter_name;
use crate::rules::spec::envoy_filter::matching::{Context, FilterMatch, ListenerMatch, Match};
use crate::rules::spec::envoy_filter::{ApplyTo, ConfigPatch, FilterClass, Operation, Patch};
use crate::rules::spec::{EnvoyFilter, excerpt};

/// The filter that has filters of its own.
const MANAGER: &str = "envoy.filters.network.http_connection_manager";

/// All that is wrong with it.
pub(super) fn check(at: &At<'_>, _: &Meta, rule: &EnvoyFilter) {
    if let Some(workloads) = &rule.workload_selector {
        let here = at.field("workloadSelector");
        if workloads.labels.is_empty() {
            here.warning("has no labels: all workloads of the namespace are selected");
        } else {
            selector(&here, workloads);
        }
        if !rule.target_refs.is_empty() {
            at.field("targetRefs").error_hint(
                "cannot stand beside a workloadSelector",
                "remove one of them",
            );
        }
    }
    if !rule.target_refs.is_empty() {
        at.field("targetRefs").warning_hint(
            "has no effect: all proxies of the namespace are concerned",
            "use workloadSelector",
        );
    }
    if rule.config_patches.is_empty() {
        at.field("configPatches").warning("says nothing");
    }
    for (index, patch) in rule.config_patches.iter().enumerate() {
        config_patch(&at.field("configPatches").index(index), patch);
    }
}

fn config_patch(at: &At<'_>, patch: &ConfigPatch) {
    let to = patch.apply_to;
    match to {
        ApplyTo::Invalid => at.field("applyTo").error("is missing"),
        ApplyTo::Bootstrap => at.field("applyTo").warning_hint(
            "BOOTSTRAP has no effect: what Envoy starts with is written by the agent beside it",
            "give the agent a bootstrap template of your own",
        ),
        _ => {}
    }
    match &patch.patch {
        None => at.field("patch").error("is missing"),
        Some(patch) => operation(&at.field("patch"), to, patch),
    }
    if let Some(matching) = &patch.matching {
        matches(&at.field("match"), to, matching);
    }
}

fn operation(at: &At<'_>, to: ApplyTo, patch: &Patch) {
    let here = at.field("operation");
    let known = to.operations();
    if patch.operation == Operation::Invalid {
        here.error("is missing");
    } else if to != ApplyTo::Invalid && !known.contains(&patch.operation) {
        let known: Vec<_> = known.iter().map(|known| known.name()).collect();
        here.warning_hint(
            format!("{} of {} has no effect", patch.operation.name(), to.name()),
            format!("one of {}", known.join(", ")),
        );
    }
    let value = at.field("value");
    if patch.operation == Operation::Remove {
        if patch.value.is_some() {
            value.warning("has no effect: REMOVE needs no value");
        }
    } else if patch.value.is_none() && patch.operation != Operation::Invalid {
        value.error(format!("is missing: {} needs one", patch.operation.name()));
    }
    if patch.filter_class != FilterClass::Unspecified
        && (patch.operation != Operation::Add || to != ApplyTo::HttpFilter)
    {
        at.field("filterClass")
            .warning("has no effect: it is for HTTP_FILTER with ADD");
    }
}

fn matches(at: &At<'_>, to: ApplyTo, matching: &Match) {
    let objects = [
        ("listener", matching.listener.is_some(), "listener"),
        (
            "routeConfiguration",
            matching.route_configuration.is_some(),
            "route configuration",
        ),
        ("cluster", matching.cluster.is_some(), "cluster"),
    ];
    let said = objects.iter().filter(|(_, said, _)| *said);
    if said.count() > 1 {
        at.error_hint(
            "names several kinds of objects",
            "keep one of listener, routeConfiguration and cluster",
        );
    }
    let meant = class(to);
    for (field, _, name) in objects.iter().filter(|(_, said, _)| *said) {
        match meant {
            Some(meant) if meant != *field => at.field(field).error_hint(
                format!("is a match of a {name}, which is no match of {}", to.name()),
                format!("use {meant}"),
            ),
            None if to != ApplyTo::Invalid => at
                .field(field)
                .warning(format!("has no effect on {}", to.name())),
            _ => {}
        }
    }
    if let Some(proxy) = &matching.proxy
        && let Err(error) = Regex::new(&proxy.proxy_version)
    {
        at.field("proxy").field("proxyVersion").error(format!(
            "{:?} is no regular expression: {}",
            excerpt(&proxy.proxy_version),
            last_line(&error.to_string())
        ));
    }
    if let Some(listener) = &matching.listener {
        in_listener(&at.field("listener"), to, listener);
    }
    if let Some(routes) = &matching.route_configuration {
        let here = at.field("routeConfiguration");
        let of_gateways = [
            ("portName", !routes.port_name.is_empty()),
            ("gateway", !routes.gateway.is_empty()),
        ];
        for (field, _) in of_gateways.iter().filter(|(_, said)| *said) {
            if matches!(
                matching.context,
                Context::SidecarInbound | Context::SidecarOutbound
            ) {
                here.field(field)
                    .warning("has no effect: only route configurations of gateways have it");
            }
        }
    }
}

/// The field of a match that says which of these things are meant.
fn class(to: ApplyTo) -> Option<&'static str> {
    match to {
        ApplyTo::Listener
        | ApplyTo::FilterChain
        | ApplyTo::NetworkFilter
        | ApplyTo::HttpFilter
        | ApplyTo::ListenerFilter => Some("listener"),
        ApplyTo::RouteConfiguration | ApplyTo::VirtualHost | ApplyTo::HttpRoute => {
            Some("routeConfiguration")
        }
        ApplyTo::Cluster => Some("cluster"),
        ApplyTo::Invalid | ApplyTo::ExtensionConfig | ApplyTo::Bootstrap => None,
    }
}

fn in_listener(at: &At<'_>, to: ApplyTo, listener: &ListenerMatch) {
    if !listener.port_name.is_empty() {
        at.field("portName").warning_hint(
            "has no effect: listeners do not know the names of their ports",
            "use portNumber",
        );
    }
    deprecated(&at.field("listenerFilter"), &listener.listener_filter);
    if let Some(filter) = listener
        .filter_chain
        .as_ref()
        .and_then(|chain| chain.filter.as_ref())
    {
        in_chain(&at.field("filterChain").field("filter"), to, filter);
    }
}

fn in_chain(at: &At<'_>, to: ApplyTo, filter: &FilterMatch) {
    if !matches!(to, ApplyTo::NetworkFilter | ApplyTo::HttpFilter) {
        at.warning(format!("has no effect on {}", to.name()));
    }
    if filter.name.is_empty() {
        at.field("name").error("is missing");
    }
    deprecated(&at.field("name"), &filter.name);
    let Some(inner) = &filter.sub_filter else {
        return;
    };
    let here = at.field("subFilter");
    if to != ApplyTo::HttpFilter {
        here.error("is a match of HTTP_FILTER only");
    }
    if !filter.name.is_empty() && current_filter_name(&filter.name) != MANAGER {
        here.error_hint(
            format!("{:?} has no filters of its own", excerpt(&filter.name)),
            format!("let the filter's name be {MANAGER}"),
        );
    }
    if inner.name.is_empty() {
        here.field("name").error("is missing");
    }
    deprecated(&here.field("name"), &inner.name);
}

fn deprecated(at: &At<'_>, name: &str) {
    let current = current_filter_name(name);
    if current != name {
        at.warning_hint(
            format!("{:?} is the old name of a filter", excerpt(name)),
            format!("use {current}"),
        );
    }
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default().trim()
}
