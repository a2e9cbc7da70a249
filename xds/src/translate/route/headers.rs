//! What rules change of headers.

use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::config::route::v3::Route;
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use pilothouse_core::rules::resolve::{HeaderOperations, Operations};

/// Changes headers of all that a route is for.
pub(super) fn on_route(route: &mut Route, changes: &HeaderOperations) {
    let (add, remove) = of(&changes.request);
    route.request_headers_to_add.extend(add);
    route.request_headers_to_remove.extend(remove);
    let (add, remove) = of(&changes.response);
    route.response_headers_to_add.extend(add);
    route.response_headers_to_remove.extend(remove);
}

/// Changes headers of what goes to one destination of several.
pub(super) fn on_destination(cluster: &mut ClusterWeight, changes: &HeaderOperations) {
    let (add, remove) = of(&changes.request);
    cluster.request_headers_to_add.extend(add);
    cluster.request_headers_to_remove.extend(remove);
    let (add, remove) = of(&changes.response);
    cluster.response_headers_to_add.extend(add);
    cluster.response_headers_to_remove.extend(remove);
}

/// The host that requests get by a change of headers: Envoy has no header of this name.
pub(super) fn host(changes: &HeaderOperations) -> Option<String> {
    let of = |all: &std::collections::BTreeMap<_, _>| {
        let mut all = all.iter();
        let found =
            all.find(|(name, _): &(&std::sync::Arc<str>, &std::sync::Arc<str>)| is_host(name));
        found.map(|(_, value)| value.to_string())
    };
    of(&changes.request.set).or_else(|| of(&changes.request.add))
}

fn of(changes: &Operations) -> (Vec<HeaderValueOption>, Vec<String>) {
    let option = |name: &str, value: &str, action: HeaderAppendAction| HeaderValueOption {
        header: Some(HeaderValue {
            key: name.to_ascii_lowercase(),
            value: value.into(),
            ..Default::default()
        }),
        append_action: action.into(),
        ..Default::default()
    };
    let set = changes.set.iter().filter(|(name, _)| !is_internal(name));
    let set =
        set.map(|(name, value)| option(name, value, HeaderAppendAction::OverwriteIfExistsOrAdd));
    let add = changes.add.iter().filter(|(name, _)| !is_internal(name));
    let add = add.map(|(name, value)| option(name, value, HeaderAppendAction::AppendIfExistsOrAdd));
    let remove = changes.remove.iter().filter(|name| !is_internal(name));
    let remove = remove.map(|name| name.to_ascii_lowercase());
    (set.chain(add).collect(), remove.collect())
}

fn is_host(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority")
}

/// Whether Envoy does not let it be changed.
fn is_internal(name: &str) -> bool {
    name.starts_with(':') || is_host(name)
}
