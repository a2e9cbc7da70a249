//! Rules of routes for random meshes.

use pilothouse_core::registry::Meta;
use serde_json::{Value as Json, json};

/// The hosts that rules route: beside those of services, one that no service ever has.
const HOSTS: [&str; 7] = [
    "a.mesh",
    "b.mesh",
    "*.mesh",
    "*",
    "c.south.svc.cluster.local",
    "*.wild.mesh",
    "free.mesh",
];

/// How many there are of each part of a rule: hosts, what is said, where it leads, who is concerned.
pub(super) const PARTS: (usize, u8, u8, u8) = (HOSTS.len(), 12, 6, 6);

/// When and as what the rule of this number was made.
pub(super) fn meta(namespace: &str, number: u8) -> Meta {
    Meta {
        created: Some(jiff::Timestamp::from_second((3 - i64::from(number)) % 3).unwrap()),
        ..Meta::new("VirtualService", namespace, &format!("v{number}"))
    }
}

/// A rule as written.
pub(super) fn spec((host, said, leads, scope): (usize, u8, u8, u8)) -> Json {
    let (first, second) = match leads {
        0 => (to("a.mesh", None), to("b.mesh", None)),
        1 => (to("b.mesh", Some("v1")), to("a.mesh", Some("v2"))),
        2 => (to("d.north.svc.cluster.local", None), to("none.mesh", None)),
        3 => (
            to("c.south.svc.cluster.local", None),
            to("e.mesh", Some("v9")),
        ),
        4 => (to("x.wild.mesh", None), to("free.mesh", None)),
        _ => {
            let mut port = to("a.mesh", None);
            port["port"] = json!({ "number": 82 });
            (port, to("b.mesh", None))
        }
    };
    let route = json!([{ "destination": first }]);
    let weighted = json!([
        { "destination": first, "weight": 70 },
        { "destination": second, "weight": 30 },
    ]);
    let mut spec = match said {
        0 => json!({ "http": [{ "route": route }] }),
        1 => json!({ "http": [
            { "match": [{ "uri": { "prefix": "/a" }, "sourceLabels": { "app": "web" } }], "route": route },
            { "route": weighted },
        ] }),
        2 => json!({ "http": [
            { "match": [{ "sourceNamespace": "north" }], "route": route },
            { "mirror": second, "route": [{ "destination": second }] },
        ] }),
        3 => json!({ "http": [
            { "match": [{ "sourceNamespace": "west", "uri": { "exact": "/" } }, { "port": 82 }], "route": weighted },
        ] }),
        4 => json!({ "http": [
            { "match": [{ "gateways": ["mesh"] }], "redirect": { "uri": "/" } },
        ] }),
        5 => json!({ "http": [
            { "match": [{ "uri": { "prefix": "/d" } }], "delegate": { "name": "v2" } },
            { "route": route },
        ] }),
        6 => json!({ "tcp": [{ "route": weighted }] }),
        7 => json!({ "tcp": [
            { "match": [{ "destinationSubnets": ["240.240.0.0/16"], "port": 81 }], "route": route },
            { "match": [{ "sourceLabels": { "app": "web" } }], "route": weighted },
        ] }),
        8 => json!({ "tls": [
            { "match": [{ "sniHosts": [HOSTS.get(host)], "port": 443 }], "route": weighted },
        ] }),
        9 => json!({ "tls": [
            { "match": [{ "sniHosts": [HOSTS.get(host)], "sourceNamespace": "north" }], "route": route },
        ], "http": [{ "directResponse": { "status": 418 } }] }),
        10 => json!({ "http": [{
            "fault": { "abort": { "httpStatus": 500, "percentage": { "value": 1 } } },
            "retries": { "attempts": 1, "retryOn": "5xx", "retryRemoteLocalities": true },
            "route": route,
        }] }),
        _ => json!({ "http": [{ "match": [{ "uri": { "prefix": "/d/e" } }], "route": weighted }] }),
    };
    spec["hosts"] = json!([HOSTS.get(host)]);
    match scope {
        0 | 1 => {}
        2 => spec["exportTo"] = json!(["."]),
        3 => spec["gateways"] = json!(["north/some", "mesh"]),
        4 => spec["gateways"] = json!(["north/some"]),
        // Others delegate to it.
        _ => {
            spec["hosts"] = json!([]);
        }
    }
    spec
}

fn to(host: &str, subset: Option<&str>) -> Json {
    match subset {
        Some(subset) => json!({ "host": host, "subset": subset }),
        None => json!({ "host": host }),
    }
}
