//! What a proxy is to have over ADS, as one bootstrap that Envoy can check by itself.

use serde_json::{Value, json};

/// The bootstrap. Load assignments and route tables, which a file cannot have by themselves, become parts of clusters and listeners
/// that have no other purpose.
pub(super) fn bootstrap(dump: &Value) -> Value {
    let mut clusters: Vec<_> = all(dump, "dynamic_active_clusters")
        .map(|entry| plain(&entry["cluster"]))
        .collect();
    clusters.extend(
        all(dump, "dynamic_endpoint_configs").map(|entry| fixed(plain(&entry["endpoint_config"]))),
    );
    clusters.push(discovery("discovery"));
    clusters.push(discovery("sds-grpc"));
    let mut listeners: Vec<_> = all(dump, "dynamic_listeners")
        .map(|entry| plain(&entry["active_state"]["listener"]))
        .collect();
    listeners.extend(
        all(dump, "dynamic_route_configs").map(|entry| serving(plain(&entry["route_config"]))),
    );
    assert!(
        clusters.len() > 3 && listeners.len() > 1,
        "the dump is empty: {dump:#}"
    );
    json!({
        "node": { "id": "validated", "cluster": "validated" },
        "admin": { "address": loopback() },
        "dynamic_resources": { "ads_config": {
            "api_type": "DELTA_GRPC",
            "transport_api_version": "V3",
            "grpc_services": [{ "envoy_grpc": { "cluster_name": "discovery" } }],
        } },
        "static_resources": { "clusters": clusters, "listeners": listeners },
    })
}

fn all<'a>(dump: &'a Value, kind: &'static str) -> impl Iterator<Item = &'a Value> {
    let parts = dump["configs"].as_array().into_iter().flatten();
    parts.flat_map(move |part| part[kind].as_array().into_iter().flatten())
}

/// Without the type, which a file does not repeat.
fn plain(resource: &Value) -> Value {
    assert!(resource["error"].is_null(), "{resource}");
    let mut plain = resource.clone();
    plain.as_object_mut().map(|fields| fields.remove("@type"));
    plain
}

/// A cluster that has the assignment's endpoints.
fn fixed(assignment: Value) -> Value {
    json!({
        "name": format!("assignment of {}", assignment["cluster_name"].as_str().unwrap_or_default()),
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": assignment,
    })
}

/// A listener that has the routes.
fn serving(routes: Value) -> Value {
    let name = format!("routes of {}", routes["name"].as_str().unwrap_or_default());
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": routes,
        "http_filters": [router],
    });
    json!({
        "name": name,
        "address": loopback(),
        "filter_chains": [{ "filters": [{ "name": "http", "typed_config": manager }] }],
    })
}

/// Nobody is asked when a file is checked, but somebody must be named.
fn discovery(name: &str) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": { "cluster_name": name },
        "typed_extension_protocol_options": { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": { "http2_protocol_options": {} },
        } },
    })
}

fn loopback() -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": 0 } })
}
