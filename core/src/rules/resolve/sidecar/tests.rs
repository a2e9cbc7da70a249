use serde_json::{Value, json};

use super::*;
use crate::mesh::OutboundPolicy;
use crate::model::{Host, NamespaceName, Protocol};
use crate::rules::RuleSpec;

fn resolved(spec: &Value) -> Sidecar {
    let (spec, problems) = RuleSpec::parse("networking.istio.io/v1", "Sidecar", spec).unwrap();
    assert_eq!(problems, []);
    let RuleSpec::Sidecar(spec) = spec else {
        panic!("not a Sidecar")
    };
    sidecar(&Meta::new("Sidecar", "shop", "it"), &spec)
}

#[test]
fn what_limits_nothing_is_nothing() {
    let nothing = [
        json!({}),
        json!({"egress": [{"hosts": ["*/*"]}]}),
        json!({"egress": [{"hosts": ["./a.com", "*/*"]}], "inboundConnectionPool": {"tcp": {}}}),
    ];
    for spec in nothing {
        assert_eq!(resolved(&spec).egress, None, "{spec}");
    }
    let policy = resolved(&json!({"outboundTrafficPolicy": {}}))
        .egress
        .unwrap();
    assert!(policy.rest.is_all());
    let blocked = Elsewhere::Policy(OutboundPolicy::RegistryOnly);
    assert_eq!(policy.elsewhere, Some(blocked));
}

#[test]
fn hosts_are_imported_by_namespace_and_name() {
    let check = |hosts: &[&str], from: &str, owner: &str, host: &str, expected: bool| {
        let egress = resolved(&json!({"egress": [{"hosts": hosts}]})).egress;
        let found = egress.is_none_or(|egress| {
            let (from, owner): (NamespaceName, NamespaceName) = (from.into(), owner.into());
            egress.rest.has(&from, &owner, &Host::new(host).unwrap())
        });
        assert_eq!(found, expected, "{hosts:?} {from} {owner} {host}");
    };
    check(&["./*"], "shop", "shop", "a.com", true);
    check(&["./*"], "shop", "bank", "a.com", false);
    check(&["./*"], "bank", "bank", "a.com", true);
    check(&["bank/a.com"], "shop", "bank", "a.com", true);
    check(&["bank/a.com"], "shop", "bank", "b.com", false);
    check(&["bank/a.com"], "shop", "shop", "a.com", false);
    check(&["*/*.a.com"], "shop", "bank", "b.a.com", true);
    check(&["*/*.a.com"], "shop", "bank", "*.b.a.com", true);
    check(&["*/*.a.com"], "shop", "bank", "a.com", false);
    check(&["*/b.a.com"], "shop", "bank", "*.a.com", false);
    check(&["~/*"], "shop", "shop", "a.com", false);
    check(&["~/*", "./a.com"], "shop", "shop", "a.com", true);
    check(&["*/*"], "shop", "bank", "a.com", true);
}

#[test]
fn a_port_of_its_own_goes_before_the_rest() {
    let egress = resolved(&json!({"egress": [
        {"port": {"number": 9080, "protocol": "GRPC"}, "bind": "127.0.0.2", "captureMode": "NONE", "hosts": ["bank/*"]},
        {"port": {"number": 80, "name": "http-x"}, "hosts": ["./*"]},
        {"hosts": ["~/*"], "captureMode": "NONE"},
    ]}))
    .egress
    .unwrap();
    let listener = egress.listener(9080).unwrap();
    assert_eq!(listener.protocol, Protocol::Grpc);
    assert_eq!(listener.bind.address, Some([127, 0, 0, 2].into()));
    assert!(listener.bind.bound && egress.rest_bound);
    let plain = egress.listener(80).unwrap();
    assert_eq!(plain.protocol, Protocol::Http);
    assert_eq!((plain.bind.address, plain.bind.bound), (None, false));
    assert!(egress.imports(80).names(&Host::any()));
    assert!(!egress.imports(81).names(&Host::any()));
}

#[test]
fn workloads_listen_where_the_rule_says() {
    let endpoint = |text: &str| {
        let spec = json!({"ingress": [{"port": {"number": 80, "protocol": "TCP"}, "defaultEndpoint": text}]});
        let ingress = resolved(&spec).ingress.unwrap();
        ingress.listeners[0].endpoint.clone()
    };
    let local = |ip: &str, port| Some(DefaultEndpoint::Loopback(ip.parse().unwrap(), port));
    assert_eq!(endpoint(""), None);
    assert_eq!(endpoint("127.0.0.1:8080"), local("127.0.0.1", 8080));
    assert_eq!(endpoint("[::1]:8080"), local("::1", 8080));
    for any in ["0.0.0.0:8080", "[::]:8080", ":8080"] {
        assert_eq!(endpoint(any), Some(DefaultEndpoint::Instance(8080)));
    }
    let file = DefaultEndpoint::Unix("/var/run/a".into());
    assert_eq!(endpoint("unix:///var/run/a"), Some(file));
}

#[test]
fn a_ports_own_limits_go_before_the_general_ones() {
    let port = |number: u32| json!({"number": number, "protocol": "TCP"});
    let ingress = resolved(&json!({
        "ingress": [
            {"port": port(1), "connectionPool": {"tcp": {"maxConnections": 5}}},
            {"port": port(2)},
        ],
        "inboundConnectionPool": {"tcp": {"maxConnections": 9}},
    }))
    .ingress
    .unwrap();
    let limits = ingress
        .listeners
        .iter()
        .map(|one| one.pool.as_ref().unwrap().max_connections);
    assert_eq!(limits.collect::<Vec<_>>(), [Some(5), Some(9)]);
}

#[test]
fn unknown_traffic_goes_to_a_proxy() {
    let egress = resolved(&json!({"outboundTrafficPolicy": {
        "mode": "ALLOW_ANY", "egressProxy": {"host": "proxy.com", "subset": "v1", "port": {"number": 3128}},
    }}))
    .egress
    .unwrap();
    let Some(Elsewhere::Proxy(to)) = &egress.elsewhere else {
        panic!("{egress:?}")
    };
    assert_eq!(
        (to.host.as_str(), &*to.subset, to.port),
        ("proxy.com", "v1", Some(3128))
    );
}
