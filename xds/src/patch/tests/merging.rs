//! What a merge means, field by field.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use prost::{Message, Name};

use super::*;
use crate::json::{from_json, message_from_json, to_json};
use crate::patch::merge::{Lists, merge};

fn check(lists: Lists, before: Json, patch: &Json, after: &Json) {
    let name = Cluster::full_name();
    let mut cluster = Cluster::decode(&*from_json(&name, &before).unwrap()).unwrap();
    let patch = message_from_json(&name, patch).unwrap();
    merge(&mut cluster, &patch, lists).unwrap();
    assert_eq!(
        to_json(&name, &cluster.encode_to_vec()).unwrap(),
        *after,
        "{before}"
    );
}

fn append(before: Json, patch: &Json, after: &Json) {
    check(Lists::Append, before, patch, after);
}

#[test]
fn single_values_take_the_place_of_what_is_there() {
    append(
        json!({ "name": "a", "alt_stat_name": "b" }),
        &json!({ "name": "c" }),
        &json!({ "name": "c", "alt_stat_name": "b" }),
    );
    // A value of its own that is zero is said, a plain zero is not.
    append(
        json!({ "respect_dns_ttl": true }),
        &json!({ "respect_dns_ttl": false }),
        &json!({ "respect_dns_ttl": true }),
    );
    append(
        json!({ "per_connection_buffer_limit_bytes": 5 }),
        &json!({ "per_connection_buffer_limit_bytes": 0 }),
        &json!({ "per_connection_buffer_limit_bytes": 0 }),
    );
    append(
        json!({ "connect_timeout": "1.5s" }),
        &json!({ "connect_timeout": "2s" }),
        &json!({ "connect_timeout": "2s" }),
    );
}

#[test]
fn messages_are_merged_and_lists_appended() {
    let dns = |servers: Json| json!({ "upstream_bind_config": servers });
    append(
        dns(json!({ "freebind": true, "source_address": { "address": "a" } })),
        &dns(json!({ "source_address": { "port_value": 5 } })),
        &dns(json!({ "freebind": true, "source_address": { "address": "a", "port_value": 5 } })),
    );
    let filters = |names: &[&str]| json!({ "filters": names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() });
    append(filters(&["a"]), &filters(&["b"]), &filters(&["a", "b"]));
    check(
        Lists::Replace,
        filters(&["a"]),
        &filters(&["b"]),
        &filters(&["b"]),
    );
    check(Lists::Replace, filters(&["a"]), &json!({ "name": "x" }), &{
        let mut expected = filters(&["a"]);
        expected["name"] = json!("x");
        expected
    });
}

#[test]
fn one_of_several_takes_the_place_of_another() {
    append(
        json!({ "ring_hash_lb_config": { "minimum_ring_size": 5 } }),
        &json!({ "maglev_lb_config": { "table_size": 7 } }),
        &json!({ "maglev_lb_config": { "table_size": 7 } }),
    );
}

#[test]
fn maps_are_merged_by_key_and_what_is_within_any_by_type() {
    const HTTP: &str = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let options =
        |key: &str, any: Json| json!({ "typed_extension_protocol_options": { key: any } });
    let idle = json!({ "@type": HTTP, "common_http_protocol_options": { "idle_timeout": "5s" } });
    let header =
        json!({ "@type": HTTP, "common_http_protocol_options": { "max_headers_count": 9 } });
    let both = json!({ "@type": HTTP, "common_http_protocol_options": { "idle_timeout": "5s", "max_headers_count": 9 } });
    append(
        options("x", idle.clone()),
        &options("x", header),
        &options("x", both),
    );
    let other = json!({ "@type": "type.googleapis.com/google.protobuf.BoolValue", "value": true });
    append(
        options("x", idle),
        &options("x", other.clone()),
        &options("x", other),
    );
    let metadata =
        |key: &str, value: Json| json!({ "metadata": { "filter_metadata": { key: value } } });
    append(
        metadata("a", json!({ "b": 1.0 })),
        &metadata("c", json!({ "d": 2.0 })),
        &json!({ "metadata": { "filter_metadata": { "a": { "b": 1.0 }, "c": { "d": 2.0 } } } }),
    );
}

#[test]
fn transport_sockets_are_merged_by_name() {
    const TLS: &str =
        "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
    let socket = |name: &str, tls: Json| {
        let mut config = tls;
        config["@type"] = json!(TLS);
        json!({ "name": name, "typed_config": config })
    };
    let run = |before: Json, patch: Json| {
        let name = Cluster::full_name();
        let mut cluster = Cluster::decode(&*from_json(&name, &before).unwrap()).unwrap();
        let spec =
            json!({ "applyTo": "CLUSTER", "patch": { "operation": "MERGE", "value": patch } });
        let mesh = patched(&json!([spec]));
        let selection = Selection::of(&mesh, &sidecar());
        let patches = decoded(&selection.envoy().unwrap().clusters.patches);
        crate::patch::cluster::merge_cluster(&mut cluster, &patches[0]).unwrap();
        to_json(&name, &cluster.encode_to_vec()).unwrap()
    };
    let tls = |sni: &str| socket("tls", json!({ "sni": sni }));
    let max = || socket("tls", json!({ "max_session_keys": 0 }));
    assert_eq!(
        run(
            json!({ "transport_socket": tls("a") }),
            json!({ "transport_socket": max() })
        ),
        json!({ "transport_socket": socket("tls", json!({ "sni": "a", "max_session_keys": 0 })) })
    );
    let other = || socket("other", json!({ "sni": "b" }));
    assert_eq!(
        run(
            json!({ "transport_socket": tls("a") }),
            json!({ "transport_socket": other() })
        ),
        json!({ "transport_socket": other() })
    );
    let among = |sockets: Vec<Json>| {
        let matches = sockets
            .into_iter()
            .map(|socket| json!({ "name": "m", "transport_socket": socket }));
        json!({ "transport_socket_matches": matches.collect::<Vec<_>>() })
    };
    assert_eq!(
        run(
            among(vec![other(), tls("a")]),
            json!({ "transport_socket": max() })
        ),
        among(vec![
            other(),
            socket("tls", json!({ "sni": "a", "max_session_keys": 0 }))
        ])
    );
    let mut expected = among(vec![other()]);
    expected["alt_stat_name"] = json!("x");
    assert_eq!(
        run(
            among(vec![other()]),
            json!({ "transport_socket": max(), "alt_stat_name": "x" })
        ),
        expected
    );
}
