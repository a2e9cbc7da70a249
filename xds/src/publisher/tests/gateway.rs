//! Gateways for random meshes, and routers that they select.

use pilothouse_core::model::Proxy;
use pilothouse_core::registry::Meta;
use serde_json::{Value as Json, json};

/// How many there are of each part of a gateway: its first server, its second, whom it selects.
pub(super) const PARTS: (u8, u8, u8) = (9, 9, 3);

/// When and as what the gateway of this number was made.
pub(super) fn meta(namespace: &str, number: u8) -> Meta {
    let name = ["some", "other"][usize::from(number % 2)];
    Meta {
        created: Some(jiff::Timestamp::from_second(i64::from(number) % 2).unwrap()),
        ..Meta::new("Gateway", namespace, name)
    }
}

/// A gateway as written.
pub(super) fn spec((first, second, selects): (u8, u8, u8)) -> Json {
    let selector = match selects {
        0 => json!({}),
        1 => json!({"app": "web"}),
        _ => json!({"app": "none"}),
    };
    json!({"selector": selector, "servers": [server("a", first), server("b", second)]})
}

fn server(name: &str, shape: u8) -> Json {
    let ends = json!({"mode": "SIMPLE", "serverCertificate": "/c", "privateKey": "/k"});
    let (number, protocol, hosts, tls) = match shape {
        0 => (80, "HTTP", json!(["*"]), json!(null)),
        1 => (
            80,
            "HTTP",
            json!(["north/*.mesh", "a.mesh"]),
            json!({"httpsRedirect": true}),
        ),
        2 => (8080, "GRPC", json!(["./*"]), json!(null)),
        3 => (443, "HTTPS", json!(["*.mesh"]), ends),
        4 => (443, "TLS", json!(["*"]), json!({"mode": "PASSTHROUGH"})),
        5 => (
            443,
            "TLS",
            json!(["*.mesh", "north/*"]),
            json!({"mode": "AUTO_PASSTHROUGH"}),
        ),
        6 => (81, "TCP", json!(["*"]), json!(null)),
        7 => (
            443,
            "TLS",
            json!(["a.mesh"]),
            json!({"mode": "ISTIO_MUTUAL"}),
        ),
        _ => (80, "MONGO", json!(["*"]), json!(null)),
    };
    json!({"port": {"number": number, "name": name, "protocol": protocol}, "hosts": hosts, "tls": tls})
}

/// The same proxy, standing alone.
pub(super) fn router(proxy: Proxy) -> Proxy {
    let id = proxy.id.to_string().replace("sidecar", "router");
    Proxy {
        id: id.parse().unwrap(),
        ..proxy
    }
}
