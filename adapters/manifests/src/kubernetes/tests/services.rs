//! `Service`.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilothouse_core::model::{
    Host, Preference, Protocol, Resolution, Service, ServiceKey, ServicePort, Visibility,
};
use pilothouse_core::registry::{Meta, Value};
use serde_json::{Value as Json, json};

use super::super::{Kind, Names, read_text};
use super::{read, refuses, value, warns};

fn key(name: &str) -> ServiceKey {
    ServiceKey {
        namespace: "shop".into(),
        host: Host::new(&format!("{name}.shop.svc.cluster.local")).unwrap(),
    }
}

fn port(number: u16, name: &str, protocol: Protocol) -> ServicePort {
    ServicePort {
        port: number,
        name: name.into(),
        protocol,
        target_port: None,
        target_name: None,
    }
}

/// A service of this spec, as far as it is not as any.
fn service(spec: Json) -> Service {
    match value(Kind::Service, "web", json!({"spec": spec})) {
        Value::Service(service) => Arc::unwrap_or_clone(service),
        other => panic!("{other:?}"),
    }
}

fn plain(ports: Vec<ServicePort>) -> Service {
    Service {
        name: "web".into(),
        ..Service::new(key("web"), ports)
    }
}

fn at(
    addresses: &[&str],
) -> BTreeMap<pilothouse_core::model::ClusterId, Vec<pilothouse_core::model::Cidr>> {
    let addresses = addresses.iter().map(|text| text.parse().unwrap());
    [("".into(), addresses.collect())].into()
}

#[test]
fn all_of_a_service_is_read() {
    let text = json!({
        "metadata": {
            "labels": {"app": "web"},
            "annotations": {
                "networking.istio.io/exportTo": "., bank",
                "alpha.istio.io/canonical-serviceaccounts": "spiffe://a/b,spiffe://a/c",
            },
        },
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": "10.96.0.7",
            "clusterIPs": ["10.96.0.7", "fd00::7"],
            "ipFamilies": ["IPv4", "IPv6"],
            "selector": {"app": "web"},
            "ports": [
                {"name": "http", "port": 80, "targetPort": "web", "nodePort": 30080},
                {"name": "db", "port": 3306, "targetPort": 13306, "protocol": "TCP"},
                {"name": "plain", "port": 9000, "appProtocol": "kubernetes.io/h2c", "targetPort": 9000},
            ],
            "publishNotReadyAddresses": true,
            "sessionAffinity": "None",
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}},
    });
    let expected = Service {
        labels: [("app", "web")].into_iter().collect(),
        addresses: at(&["10.96.0.7", "fd00::7"]),
        export_to: Some(Visibility::Namespaces(
            ["shop".into(), "bank".into()].into(),
        )),
        subject_alt_names: ["spiffe://a/b".into(), "spiffe://a/c".into()].into(),
        workload_selector: Some([("app", "web")].into_iter().collect()),
        publish_not_ready: true,
        ..plain(vec![
            ServicePort {
                target_name: Some("web".into()),
                ..port(80, "http", Protocol::Http)
            },
            ServicePort {
                target_port: Some(13306),
                ..port(3306, "db", Protocol::Tcp)
            },
            port(9000, "plain", Protocol::Http2),
        ])
    };
    assert_eq!(value(Kind::Service, "web", text), Value::from(expected));
}

#[test]
fn types_say_how_endpoints_are_found() {
    for written in ["ClusterIP", "NodePort", "LoadBalancer", ""] {
        let spec = json!({"type": written, "clusterIP": "10.96.0.1"});
        let expected = Service {
            addresses: at(&["10.96.0.1"]),
            ..plain(vec![])
        };
        assert_eq!(service(spec), expected, "{written}");
    }
    let headless = Service {
        resolution: Resolution::Passthrough,
        ..plain(vec![])
    };
    assert_eq!(service(json!({"clusterIP": "None"})), headless);
    assert_eq!(
        service(json!({"clusterIP": "None", "clusterIPs": ["None"]})),
        headless
    );
    let alias = Service {
        resolution: Resolution::Alias(Host::new("db.example.com").unwrap()),
        ..plain(vec![port(80, "", Protocol::Auto)])
    };
    assert_eq!(
        service(json!({
            "type": "ExternalName", "externalName": "DB.example.com.", "clusterIP": "10.96.0.1",
            "selector": {"app": "web"}, "ports": [{"port": 80}],
        })),
        alias
    );
    assert_eq!(service(json!(null)), plain(vec![]));
}

#[test]
fn the_domain_and_the_cluster_are_the_readers() {
    let names = Names::new("mesh.example").in_cluster("east");
    let meta = Meta::new("Service", "shop", "web");
    let text = r#"{"spec": {"clusterIP": "10.96.0.1"}}"#;
    let said = read_text(Kind::Service, &meta, text, &names).unwrap();
    let expected = Service {
        key: ServiceKey {
            namespace: "shop".into(),
            host: Host::new("web.shop.svc.mesh.example").unwrap(),
        },
        addresses: [("east".into(), vec!["10.96.0.1".parse().unwrap()])].into(),
        ..plain(vec![])
    };
    assert_eq!(said.value, Some(Value::from(expected)));
    assert_eq!(&*names.suffix("shop"), "shop.svc.mesh.example");
}

#[test]
fn datagrams_are_known_and_not_proxied() {
    let dns = json!({"ports": [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
        {"name": "metrics", "port": 9153},
        {"name": "log", "port": 514, "protocol": "UDP"},
    ]});
    let expected = vec![
        port(53, "dns-tcp", Protocol::Tcp),
        port(514, "log", Protocol::Udp),
        port(9153, "metrics", Protocol::Auto),
    ];
    assert_eq!(service(dns), plain(expected));
    let sctp = json!({"spec": {"ports": [{"port": 5000, "protocol": "SCTP"}]}});
    warns(
        Kind::Service,
        sctp,
        &["spec.ports[0].protocol: \"SCTP\" is not proxied: the port is left out"],
    );
}

#[test]
fn who_sees_it_is_an_annotation() {
    let check = |text: &str, expected: Option<Visibility>| {
        let fields = json!({"metadata": {"annotations": {"networking.istio.io/exportTo": text}}});
        let Value::Service(service) = value(Kind::Service, "web", fields) else {
            panic!("{text}");
        };
        assert_eq!(service.export_to, expected, "{text}");
    };
    let some = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).into());
        Some(Visibility::Namespaces(names.collect()))
    };
    check("", None);
    check("*", Some(Visibility::Public));
    check("a, *", Some(Visibility::Public));
    check("~", some(&[]));
    check(".,a ,b", some(&["shop", "a", "b"]));
    let odd = json!({"metadata": {"annotations": {"networking.istio.io/exportTo": "a,b c"}}});
    let warning = "metadata.annotations[networking.istio.io/exportTo]: \"b c\" is no namespace ('*' is all, '.' the object's own, '~' none; otherwise namespaces by name)";
    warns(Kind::Service, odd, &[warning]);
}

#[test]
fn what_clients_prefer_is_a_field_or_an_annotation() {
    let check = |spec: Json, annotation: &str, expected: Preference| {
        let annotations = json!({"networking.istio.io/traffic-distribution": annotation});
        let fields = json!({"metadata": {"annotations": annotations}, "spec": spec});
        let Value::Service(service) = value(Kind::Service, "web", fields) else {
            panic!("{spec}");
        };
        assert_eq!(service.prefers, expected, "{spec} {annotation}");
    };
    let distribution = |text: &str| json!({"trafficDistribution": text});
    check(json!({}), "", Preference::Any);
    check(distribution("PreferClose"), "", Preference::Zone);
    for (annotation, mode, expected) in [
        ("topology-mode", "Auto", Preference::Hints),
        ("topology-aware-hints", "auto", Preference::Hints),
        ("topology-mode", "Disabled", Preference::Any),
    ] {
        let annotations = json!({(format!("service.kubernetes.io/{annotation}")): mode});
        let fields = json!({"metadata": {"annotations": annotations}, "spec": {}});
        let Value::Service(service) = value(Kind::Service, "web", fields) else {
            panic!("{annotation}");
        };
        assert_eq!(service.prefers, expected, "{annotation} {mode}");
    }
    check(distribution("PreferSameZone"), "", Preference::Zone);
    check(
        distribution("PreferSameNode"),
        "PreferClose",
        Preference::Node,
    );
    check(json!({}), "PreferClose", Preference::Zone);
    check(
        json!({"internalTrafficPolicy": "Cluster"}),
        "",
        Preference::Any,
    );
    check(
        json!({"internalTrafficPolicy": "Local", "trafficDistribution": "PreferClose"}),
        "",
        Preference::NodeOnly,
    );
    warns(
        Kind::Service,
        json!({"spec": {"trafficDistribution": "PreferMoon"}}),
        &[
            "spec.trafficDistribution: \"PreferMoon\" is not known and has no effect (known are PreferSameZone, PreferClose and PreferSameNode)",
        ],
    );
}

#[test]
fn every_problem_has_its_field() {
    refuses(
        Kind::Service,
        json!({"spec": {"type": "Magic", "clusterIP": "x", "ports": [
            {"name": "a", "port": 0},
            {"name": "b"},
            {"port": 70000},
            {"name": "c", "port": 80, "targetPort": -1},
            {"name": "c", "port": 81, "targetPort": "8080"},
            {"port": 82},
            {"name": "d", "port": 80},
        ]}}),
        &[
            "spec.ports[0].port: 0 is no port: they go from 1 to 65535",
            "spec.ports[1].port: is missing",
            "spec.ports[2].port: 70000 is no port: they go from 1 to 65535",
            "spec.ports[3].targetPort: -1 is no port: they go from 1 to 65535",
            "spec.ports[4].name: \"c\" is the name of another port, too",
            "spec.ports[4].targetPort: \"8080\" is a text without a letter (leave out the quotes for a number)",
            "spec.ports[5].name: is missing (a service with several ports names each)",
            "spec.ports[6].port: port 80 is there for the second time",
            "spec.type: \"Magic\" is no type of a service (known are ClusterIP, NodePort, LoadBalancer and ExternalName)",
            "spec.clusterIP: \"x\" is no IP address",
        ],
    );
    let external = |name: &str| json!({"spec": {"type": "ExternalName", "externalName": name}});
    refuses(
        Kind::Service,
        external(""),
        &["spec.externalName: \"\" is not a host name: it is empty"],
    );
    refuses(
        Kind::Service,
        external("*.a.com"),
        &["spec.externalName: *.a.com stands for many names; one is expected"],
    );
    let problems = read(Kind::Service, "a b", json!({})).unwrap_err();
    assert_eq!(problems[0].path, "metadata.name");
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    refuses(
        Kind::Service,
        json!({"spec": {"ports": [{"port": 80}, {"port": "80"}]}}),
        &["spec.ports[1].port: invalid type: string \"80\", expected i64"],
    );
    refuses(
        Kind::Service,
        json!({"spec": {"selector": {"app": 7}}}),
        &["spec.selector.app: invalid type: integer `7`, expected a text"],
    );
    refuses(
        Kind::Service,
        json!({"spec": {"clusterIPs": "10.0.0.1"}}),
        &["spec.clusterIPs: invalid type: string \"10.0.0.1\", expected a list"],
    );
}
