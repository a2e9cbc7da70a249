//! `EnvoyFilter`s for random meshes.

use pilothouse_core::registry::Meta;
use serde_json::{Value as Json, json};

/// How many there are of each part: its patches as a set of bits, and whom it is for.
pub(super) const PARTS: (u8, u8) = (128, 3);

/// When and as what the filter of this number was made; the last namespace is the root.
pub(super) fn meta(namespace: &str, number: u8) -> Meta {
    Meta {
        created: Some(jiff::Timestamp::from_second((1 - number % 2).into()).unwrap()),
        ..Meta::new("EnvoyFilter", namespace, &format!("f{number}"))
    }
}

/// A filter as written.
pub(super) fn spec((patches, scope): (u8, u8)) -> Json {
    let chosen = all()
        .into_iter()
        .enumerate()
        .filter(|(bit, _)| patches & (1 << bit) != 0);
    let mut spec = json!({
        "configPatches": chosen.map(|(_, patch)| patch).collect::<Vec<_>>(),
        "priority": i32::from(patches % 3) - 1,
    });
    if scope == 1 {
        spec["workloadSelector"] = json!({"labels": {"app": "web"}});
    }
    spec
}

fn all() -> [Json; 7] {
    let patch = |to: &str, matching: Json, operation: &str, value: Json| {
        let mut patch = json!({"operation": operation});
        if !value.is_null() {
            patch["value"] = value;
        }
        json!({"applyTo": to, "match": matching, "patch": patch})
    };
    let cors = json!({
        "name": "x",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"},
    });
    [
        patch(
            "CLUSTER",
            json!({"cluster": {"service": "a.mesh"}}),
            "MERGE",
            json!({"connect_timeout": "9s"}),
        ),
        patch(
            "CLUSTER",
            json!({"context": "SIDECAR_OUTBOUND", "cluster": {"portNumber": 81}}),
            "REMOVE",
            json!(null),
        ),
        patch("HTTP_FILTER", json!({}), "INSERT_FIRST", cors),
        patch(
            "LISTENER",
            json!({"listener": {"portNumber": 443}}),
            "REMOVE",
            json!(null),
        ),
        // Of a name that is there now and then.
        patch(
            "LISTENER",
            json!({}),
            "ADD",
            json!({"name": "0.0.0.0_80", "stat_prefix": "mine"}),
        ),
        patch(
            "VIRTUAL_HOST",
            json!({"context": "SIDECAR_OUTBOUND", "routeConfiguration": {"vhost": {"domainName": "b.mesh"}}}),
            "REMOVE",
            json!(null),
        ),
        patch(
            "HTTP_ROUTE",
            json!({"context": "GATEWAY"}),
            "MERGE",
            json!({"route": {"timeout": "3s"}}),
        ),
    ]
}
