//! Listeners and filter chains.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::super::{Call, ClientHello, Configuration, Entrance, Payload, evaluate};
use super::{address, cluster, configuration, outline, tcp_proxy};
use crate::resource::ResourceType;

fn inspector(kind: &str) -> Value {
    let message = match kind {
        "tls" => "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
        _ => "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector",
    };
    json!({ "name": kind, "typed_config": { "@type": format!("type.googleapis.com/{message}") } })
}

/// A listener on port 80 with a chain for each pair, and one for the rest if there is a name for it.
fn listener(chains: &[(&str, Value)], rest: Option<&str>) -> Configuration {
    let mut listener = json!({
        "name": "l",
        "address": address("0.0.0.0", 80),
        "listener_filters": [inspector("tls"), inspector("http")],
        "filter_chains": chains.iter().map(|(name, matching)| json!({
            "name": name, "filter_chain_match": matching, "filters": [tcp_proxy("a")],
        })).collect::<Vec<_>>(),
    });
    if let Some(name) = rest {
        listener["default_filter_chain"] = json!({ "name": name, "filters": [tcp_proxy("a")] });
    }
    configuration(&[(ResourceType::Listener, listener), cluster("a")])
}

fn bytes(to: SocketAddr, tls: Option<ClientHello>) -> Call {
    Call {
        tls,
        payload: Payload::Bytes,
        ..Call::get(Entrance::Listener(to), "", "/")
    }
}

fn hello(name: &str, protocols: &[&str]) -> Option<ClientHello> {
    Some(ClientHello {
        server_name: (!name.is_empty()).then(|| name.to_owned()),
        application_protocols: protocols.iter().map(ToString::to_string).collect(),
    })
}

fn chain(configuration: &Configuration, call: &Call) -> String {
    let walk = evaluate(configuration, call);
    walk.chain.map_or_else(
        || outline(&evaluate(configuration, call)),
        |chain| chain.name,
    )
}

#[test]
fn the_most_specific_destination_takes_it() {
    let range = |prefix: &str, length: u32| json!({ "prefix_ranges": [{ "address_prefix": prefix, "prefix_len": length }] });
    let chains = [
        ("wide", range("10.0.0.0", 8)),
        ("narrow", range("10.1.0.0", 16)),
        ("one", range("10.1.1.1", 32)),
    ];
    let some = listener(&chains, Some("rest"));
    let to = |ip: [u8; 4]| bytes((ip, 80).into(), None);
    for (ip, expected) in [
        ([10, 1, 1, 1], "one"),
        ([10, 1, 1, 2], "narrow"),
        ([10, 2, 1, 1], "wide"),
        ([11, 1, 1, 1], "rest"),
    ] {
        assert_eq!(chain(&some, &to(ip)), expected);
    }
    let walk = evaluate(&listener(&chains, None), &to([11, 0, 0, 1]));
    assert_eq!(outline(&walk), "closed NR");
    let why: Vec<_> = walk
        .chain
        .unwrap()
        .considered
        .into_iter()
        .map(|considered| considered.why)
        .collect();
    assert_eq!(
        why,
        [
            "it wants destinations in 10.0.0.0/8",
            "it wants destinations in 10.1.0.0/16",
            "it wants destinations in 10.1.1.1/32"
        ]
    );
}

#[test]
fn names_of_servers_by_label() {
    let name = |name: &str| json!({ "server_names": [name] });
    let some = listener(
        &[
            ("exact", name("a.b.test")),
            ("below", name("*.b.test")),
            ("far", name("*.test")),
        ],
        Some("rest"),
    );
    let to = |name: &str| bytes(([10, 0, 0, 1], 80).into(), hello(name, &[]));
    for (name, expected) in [
        ("a.b.test", "exact"),
        ("A.B.Test", "exact"),
        ("x.b.test", "below"),
        ("b.test", "far"),
        ("y.x.b.test", "below"),
        ("test", "rest"),
        ("", "rest"),
    ] {
        assert_eq!(chain(&some, &to(name)), expected, "{name}");
    }
}

/// What is lost at an early property stays lost, even if nothing matches after it.
#[test]
fn envoy_does_not_come_back() {
    let some = listener(
        &[
            (
                "h2 of a",
                json!({ "server_names": ["a.test"], "application_protocols": ["h2"] }),
            ),
            ("any", json!({ "transport_protocol": "tls" })),
        ],
        Some("rest"),
    );
    let to = |protocols: &[&str]| bytes(([10, 0, 0, 1], 80).into(), hello("a.test", protocols));
    assert_eq!(chain(&some, &to(&["h2"])), "h2 of a");
    assert_eq!(chain(&some, &to(&["http/1.1"])), "rest");
}

#[test]
fn what_is_found_out_decides() {
    let some = listener(
        &[
            (
                "http",
                json!({ "transport_protocol": "raw_buffer", "application_protocols": ["http/1.1", "h2c"] }),
            ),
            ("tls", json!({ "transport_protocol": "tls" })),
        ],
        Some("rest"),
    );
    let to: SocketAddr = ([10, 0, 0, 1], 80).into();
    assert_eq!(chain(&some, &bytes(to, hello("", &[]))), "tls");
    assert_eq!(chain(&some, &bytes(to, None)), "rest");
    let call = Call::get(Entrance::Listener(to), "a", "/");
    assert_eq!(chain(&some, &call), "http");
}

#[test]
fn captured_connections_are_handed_over() {
    let at = |name: &str, ip: &str, port: u16, cluster: &str| {
        (
            ResourceType::Listener,
            json!({
                "name": name,
                "address": address(ip, port),
                "use_original_dst": name == "virtualOutbound",
                "bind_to_port": name == "virtualOutbound",
                "filter_chains": [{ "filters": [tcp_proxy(cluster)] }],
            }),
        )
    };
    let all = configuration(&[
        at("virtualOutbound", "0.0.0.0", 15001, "a"),
        at("0.0.0.0_80", "0.0.0.0", 80, "b"),
        at("10.0.0.9_80", "10.0.0.9", 80, "c"),
        cluster("a"),
        cluster("b"),
    ]);
    let to = |ip: [u8; 4], port: u16| {
        let call = Call {
            payload: Payload::Bytes,
            ..Call::get(Entrance::Outbound((ip, port).into()), "", "/")
        };
        outline(&evaluate(&all, &call))
    };
    assert_eq!(to([10, 0, 0, 1], 80), "b");
    assert_eq!(to([10, 0, 0, 1], 81), "a");
    assert_eq!(to([10, 0, 0, 9], 80), "closed NC");
    let direct = Call::get(Entrance::Listener(([10, 0, 0, 9], 80).into()), "", "/");
    assert_eq!(outline(&evaluate(&all, &direct)), "refused");
}
