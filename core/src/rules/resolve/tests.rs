//! What checked rules become.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{endpoint_of, mesh_config, services, workload};
use crate::mesh::{
    AccessLog, AccessLogEncoding, ExportTo, InboundPolicy, MeshConfig, OutboundPolicy,
    ProxyDefaults,
};
use crate::mesh::{IngressController, IngressMode};
use crate::model::{
    Address, ByName, ClusterId, Endpoint, EndpointPort, Health, Host, Labels, Locality, Location,
    Protocol, Resolution, Service, ServiceKey, ServicePort, ServiceSource, TlsMode, Visibility,
    Workload, WorkloadKey,
};
use crate::registry::{Meta, Severity};
use crate::rules::{RuleSpec, check};

const TRUST_DOMAIN: &str = "mesh.local";

fn parsed(kind: &str, spec: &Value) -> (Meta, RuleSpec) {
    let meta = Meta {
        labels: [("team", "red")].into_iter().collect(),
        ..Meta::new(kind, "shop", "it")
    };
    let (rule, _) = RuleSpec::parse("networking.istio.io/v1", kind, spec).unwrap();
    let errors: Vec<_> = check(&meta, &rule)
        .into_iter()
        .filter(|found| found.severity == Severity::Error)
        .collect();
    assert_eq!(errors, [], "{spec}");
    (meta, rule)
}

fn services_of(spec: Value) -> Vec<(Service, Vec<Endpoint>)> {
    match parsed("ServiceEntry", &spec) {
        (meta, RuleSpec::ServiceEntry(entry)) => {
            let services = services(&meta, &entry, &"east".into(), TRUST_DOMAIN).into_iter();
            services
                .map(|(service, endpoints)| (service, endpoints.to_vec()))
                .collect()
        }
        other => panic!("{other:?}"),
    }
}

fn workload_of(spec: Value) -> Workload {
    match parsed("WorkloadEntry", &spec) {
        (meta, RuleSpec::WorkloadEntry(entry)) => {
            workload(&meta, &entry, &"east".into(), TRUST_DOMAIN)
        }
        other => panic!("{other:?}"),
    }
}

fn host(text: &str) -> Host {
    Host::new(text).unwrap()
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn port(number: u16, name: &str, protocol: Protocol, target_port: Option<u16>) -> ServicePort {
    ServicePort {
        port: number,
        name: name.into(),
        protocol,
        target_port,
        target_name: None,
    }
}

fn numbers(ports: &[(&str, u16)]) -> Option<Arc<[EndpointPort]>> {
    Some(
        ports
            .iter()
            .map(|(name, port)| EndpointPort {
                name: (*name).into(),
                port: *port,
            })
            .collect(),
    )
}

#[test]
fn a_static_entry_becomes_a_service_for_each_host_with_its_endpoints() {
    let resolved = services_of(json!({
        "hosts": ["b.com", "a.com"],
        "addresses": ["10.1.0.0/16", "10.2.2.2", "10.2.2.2"],
        "ports": [
            {"number": 443, "name": "https", "protocol": "HTTPS"},
            {"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8080},
        ],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "endpoints": [
            {"address": "10.0.0.1"},
            {"address": "10.0.0.2", "ports": {"https": 8443}, "weight": 3, "locality": "eu/a", "network": "west",
             "labels": {"version": "v2"}, "serviceAccount": "web"},
        ],
        "exportTo": [".", "other"],
        "subjectAltNames": ["spiffe://x"],
    }));
    let service = |name: &str| Service {
        key: ServiceKey {
            namespace: "shop".into(),
            host: host(name),
        },
        name: "it".into(),
        source: ServiceSource::Rule,
        created: None,
        labels: labels(&[("team", "red")]),
        ports: vec![
            port(80, "http", Protocol::Http, Some(8080)),
            port(443, "https", Protocol::Https, None),
        ],
        addresses: BTreeMap::from([(
            ClusterId::default(),
            vec!["10.1.0.0/16".parse().unwrap(), "10.2.2.2".parse().unwrap()],
        )]),
        automatic: None,
        resolution: Resolution::ClientSide,
        location: Location::Internal,
        export_to: Some(Visibility::Namespaces(BTreeSet::from([
            "other".into(),
            "shop".into(),
        ]))),
        subject_alt_names: BTreeSet::from(["spiffe://x".into()]),
        workload_selector: None,
        publish_not_ready: false,
        prefers: Default::default(),
    };
    let endpoints = vec![
        Endpoint {
            cluster: "east".into(),
            ..Endpoint::at(address("10.0.0.1"))
        },
        Endpoint {
            ports: numbers(&[("http", 8080), ("https", 8443)]),
            weight: 3,
            locality: Locality::parse("eu/a"),
            network: "west".into(),
            cluster: "east".into(),
            labels: labels(&[("version", "v2")]),
            identity: Some("spiffe://mesh.local/ns/shop/sa/web".into()),
            tls_mode: TlsMode::Istio,
            ..Endpoint::at(address("10.0.0.2"))
        },
    ];
    assert_eq!(
        resolved,
        [
            (service("a.com"), endpoints.clone()),
            (service("b.com"), endpoints)
        ]
    );
}

#[test]
fn resolution_decides_on_the_endpoints() {
    let check = |resolution: &str, endpoints: Value, expected: Resolution, addresses: &[&str]| {
        let resolved = services_of(json!({
            "hosts": ["a.com"], "ports": [{"number": 80, "name": "http", "targetPort": 81}],
            "resolution": resolution, "endpoints": endpoints,
        }));
        let (service, endpoints) = resolved.into_iter().next().unwrap();
        assert_eq!(
            (service.resolution, service.location),
            (expected, Location::External)
        );
        let found: Vec<_> = endpoints
            .iter()
            .filter_map(Endpoint::address)
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, addresses);
        assert!(endpoints.iter().all(|endpoint| {
            service
                .ports
                .iter()
                .all(|port| endpoint.port(port) == Some(81))
        }));
    };
    let none = Value::Null;
    check("NONE", none.clone(), Resolution::Passthrough, &[]);
    check("STATIC", none.clone(), Resolution::ClientSide, &[]);
    check(
        "STATIC",
        json!([{"address": "unix:///a"}, {"network": "n"}]),
        Resolution::ClientSide,
        &["unix:///a"],
    );
    check("DNS", none.clone(), Resolution::Dns, &["a.com"]);
    check(
        "DNS",
        json!([{"address": "b.com"}, {"address": "10.0.0.1"}]),
        Resolution::Dns,
        &["10.0.0.1", "b.com"],
    );
    check(
        "DNS_ROUND_ROBIN",
        none,
        Resolution::DnsRoundRobin,
        &["a.com"],
    );
    check(
        "DNS_ROUND_ROBIN",
        json!([{"address": "b.com"}]),
        Resolution::DnsRoundRobin,
        &["b.com"],
    );
}

#[test]
fn a_selector_leaves_the_endpoints_to_workloads() {
    let resolved = services_of(json!({
        "hosts": ["a.com"], "resolution": "DNS", "ports": [{"number": 80, "name": "http"}],
        "workloadSelector": {"labels": {"app": "web"}},
    }));
    let (service, endpoints) = resolved.first().unwrap();
    assert_eq!(service.workload_selector, Some(labels(&[("app", "web")])));
    assert_eq!(endpoints, &[]);
    let empty = services_of(
        json!({"hosts": ["a.com"], "resolution": "STATIC", "workloadSelector": {"labels": {}}}),
    );
    assert_eq!(
        empty.first().unwrap().0.workload_selector,
        None,
        "an empty selector selects nothing"
    );
}

#[test]
fn export_to() {
    let check = |written: Value, expected: Option<Visibility>| {
        let resolved = services_of(json!({"hosts": ["a.com"], "exportTo": written}));
        assert_eq!(resolved.first().unwrap().0.export_to, expected, "{written}");
    };
    let some = |names: &[&str]| {
        Some(Visibility::Namespaces(
            names.iter().map(|name| (*name).into()).collect(),
        ))
    };
    check(json!([]), None);
    check(json!(["*"]), Some(Visibility::Public));
    check(json!(["."]), some(&["shop"]));
    check(json!(["~"]), some(&[]));
    check(json!(["a", "."]), some(&["a", "shop"]));
}

#[test]
fn protocols_come_from_the_field_then_the_name() {
    let check = |port: Value, expected: Protocol| {
        let resolved = services_of(json!({"hosts": ["a.com"], "ports": [port]}));
        assert_eq!(
            resolved
                .first()
                .unwrap()
                .0
                .ports
                .first()
                .map(|port| port.protocol),
            Some(expected),
            "{port}"
        );
    };
    check(
        json!({"number": 80, "name": "tcp", "protocol": "grpc"}),
        Protocol::Grpc,
    );
    check(json!({"number": 80, "name": "grpc-x"}), Protocol::Grpc);
    check(json!({"number": 3306, "name": "db"}), Protocol::Tcp);
    check(json!({"number": 80, "name": "web"}), Protocol::Auto);
}

#[test]
fn a_workload_entry_becomes_a_workload() {
    let expected = Workload {
        key: WorkloadKey::new("shop".into(), "it"),
        cluster: "east".into(),
        network: "west".into(),
        addresses: vec![address("10.0.0.1")],
        labels: labels(&[("app", "web"), ("team", "red")]),
        locality: Locality::parse("eu/a/1"),
        identity: Some("spiffe://mesh.local/ns/shop/sa/web".into()),
        service_account: None,
        ports: ByName::from_iter([("http", 8080_u16)]),
        weight: 2,
        health: Health::Healthy,
        tls_mode: TlsMode::Istio,
        node: None,
    };
    let resolved = workload_of(json!({
        "address": "10.0.0.1", "ports": {"http": 8080}, "labels": {"app": "web", "team": "blue"}, "network": "west",
        "locality": "eu/a/1", "weight": 2, "serviceAccount": "web",
    }));
    assert_eq!(
        resolved, expected,
        "the object's labels go before those of its spec"
    );
}

#[test]
fn labels_stand_in_for_fields() {
    let check = |labels: Value, account: &str, tls_mode: TlsMode, locality: &str, network: &str| {
        let found = workload_of(
            json!({"address": "10.0.0.1", "serviceAccount": account, "labels": labels}),
        );
        let expected = (tls_mode, Locality::parse(locality), network.into());
        assert_eq!((found.tls_mode, found.locality, found.network), expected);
    };
    check(json!({}), "", TlsMode::Disabled, "", "");
    check(json!({}), "web", TlsMode::Istio, "", "");
    check(
        json!({"security.istio.io/tlsMode": "istio"}),
        "",
        TlsMode::Istio,
        "",
        "",
    );
    check(
        json!({"security.istio.io/tlsMode": "disabled"}),
        "web",
        TlsMode::Disabled,
        "",
        "",
    );
    check(
        json!({"istio-locality": "eu.a.1"}),
        "",
        TlsMode::Disabled,
        "eu/a/1",
        "",
    );
    check(
        json!({"topology.istio.io/network": "west"}),
        "",
        TlsMode::Disabled,
        "",
        "west",
    );
}

#[test]
fn a_workload_becomes_an_endpoint_with_its_own_ports_before_target_ports() {
    let (service, _) = services_of(json!({
        "hosts": ["a.com"], "resolution": "STATIC", "workloadSelector": {"labels": {"app": "web"}},
        "ports": [
            {"number": 80, "name": "http", "targetPort": 8080},
            {"number": 90, "name": "grpc", "targetPort": 9090},
            {"number": 95, "name": "tcp"},
        ],
    }))
    .remove(0);
    let own = workload_of(json!({
        "address": "10.0.0.1", "ports": {"grpc": 7000, "unrelated": 1}, "weight": 5, "serviceAccount": "web",
    }));
    let expected = Endpoint {
        ports: numbers(&[("grpc", 7000), ("http", 8080), ("tcp", 95)]),
        weight: 5,
        cluster: "east".into(),
        labels: labels(&[("team", "red")]),
        identity: Some("spiffe://mesh.local/ns/shop/sa/web".into()),
        workload: Some(own.key.clone()),
        tls_mode: TlsMode::Istio,
        ..Endpoint::at(address("10.0.0.1"))
    };
    assert_eq!(
        endpoint_of(&service, &own, ServiceSource::Rule),
        Some(expected)
    );
    let plain = workload_of(json!({"address": "10.0.0.1", "ports": {"grpc": 9090}}));
    assert_eq!(
        endpoint_of(&service, &plain, ServiceSource::Rule)
            .unwrap()
            .ports,
        None,
        "all are target ports"
    );
    let socket = workload_of(json!({"address": "unix:///a"}));
    assert_eq!(
        endpoint_of(&service, &socket, ServiceSource::Rule)
            .unwrap()
            .ports,
        None
    );
}

#[test]
fn a_workload_is_no_endpoint_of_a_service_that_cannot_use_its_address() {
    let check = |resolution: &str, address: &str, expected: bool| {
        let (service, _) = services_of(json!({
            "hosts": ["a.com"], "resolution": resolution, "workloadSelector": {"labels": {"app": "web"}},
        }))
        .remove(0);
        let workload = workload_of(json!({"address": address, "network": "n"}));
        assert_eq!(
            endpoint_of(&service, &workload, ServiceSource::Rule).is_some(),
            expected,
            "{resolution} {address}"
        );
    };
    for (address, of_static, of_dns) in [
        ("10.0.0.1", true, true),
        ("b.com", false, true),
        ("unix:///a", true, false),
        ("", false, false),
    ] {
        check("STATIC", address, of_static);
        check("DNS", address, of_dns);
        check("DNS_ROUND_ROBIN", address, of_dns);
    }
}

#[test]
fn mesh_config_is_completed_with_defaults() {
    assert_eq!(
        mesh_config(&Value::Null),
        Ok((MeshConfig::default(), vec![]))
    );
    assert_eq!(
        mesh_config(&json!({"outboundTrafficPolicy": {}})),
        Ok((MeshConfig::default(), vec![]))
    );
    let written = json!({
        "rootNamespace": "infra",
        "trustDomain": "acme",
        "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
        "inboundTrafficPolicy": {"mode": "LOCALHOST"},
        "defaultServiceExportTo": [".", "a"],
        "defaultVirtualServiceExportTo": ["~"],
        "defaultDestinationRuleExportTo": ["*"],
        "connectTimeout": "3s",
        "dnsRefreshRate": "7s",
        "protocolDetectionTimeout": "0.1s",
        "accessLogFile": "/dev/stdout",
        "accessLogEncoding": "JSON",
        "accessLogFormat": "{}",
        "proxyHttpPort": 15007,
        "defaultConfig": {
            "discoveryAddress": "pilot:15010", "proxyAdminPort": 1, "statusPort": 2, "concurrency": 3,
            "drainDuration": "4s", "terminationDrainDuration": "5s",
        },
    });
    let some = |own, names: &[&str]| ExportTo::Some {
        own,
        namespaces: names.iter().map(|name| (*name).into()).collect(),
    };
    let expected = MeshConfig {
        cluster_local: Default::default(),
        virtual_service_merge: Default::default(),
        root_namespace: "infra".into(),
        trust_domain: "acme".into(),
        outbound: OutboundPolicy::RegistryOnly,
        inbound: InboundPolicy::Localhost,
        default_service_export_to: some(true, &["a"]),
        default_virtual_service_export_to: some(false, &[]),
        default_destination_rule_export_to: ExportTo::All,
        connect_timeout: Duration::from_secs(3),
        dns_refresh_rate: Duration::from_secs(7),
        protocol_detection_timeout: Duration::from_millis(100),
        access_log: Some(AccessLog {
            file: "/dev/stdout".into(),
            encoding: AccessLogEncoding::Json,
            format: Some("{}".into()),
        }),
        proxy_http_port: Some(15007),
        default_config: ProxyDefaults {
            discovery_address: "pilot:15010".into(),
            proxy_admin_port: 1,
            status_port: 2,
            concurrency: Some(3),
            drain_duration: Duration::from_secs(4),
            termination_drain_duration: Duration::from_secs(5),
            ..ProxyDefaults::default()
        },
        ..MeshConfig::default()
    };
    assert_eq!(mesh_config(&written), Ok((expected, vec![])));
}

#[test]
fn mesh_config_says_who_serves_ingresses() {
    let check = |written: Value, mode: IngressMode, class: &str, routers: &str| {
        let (config, problems) = mesh_config(&written).unwrap();
        assert_eq!(problems, [], "{written}");
        let expected = IngressController {
            mode,
            class: class.into(),
            selector: [("istio", routers)].into_iter().collect(),
        };
        assert_eq!(config.ingress, expected, "{written}");
    };
    let (strict, own) = (IngressMode::Strict, "ingressgateway");
    check(json!({}), strict, "istio", own);
    check(
        json!({"ingressControllerMode": "UNSPECIFIED", "ingressClass": "mesh"}),
        strict,
        "mesh",
        own,
    );
    check(
        json!({"ingressControllerMode": "DEFAULT", "ingressService": "istio-ingressgateway"}),
        IngressMode::Default,
        "istio",
        own,
    );
    check(
        json!({"ingressControllerMode": 1, "ingressService": "edge"}),
        IngressMode::Off,
        "istio",
        "edge",
    );
    check(
        json!({"ingressControllerMode": false}),
        IngressMode::Off,
        "istio",
        own,
    );
    check(
        json!({"ingressSelector": "front", "ingressService": "edge"}),
        strict,
        "istio",
        "front",
    );
    let wrong = mesh_config(&json!({"ingressSelector": "a b"}));
    let problems = wrong.unwrap_err();
    assert_eq!(problems[0].path, "ingressSelector");
}

#[test]
fn discovery_selectors_select_namespaces() {
    let (config, _) = mesh_config(&json!({"rootNamespace": "root", "discoverySelectors": [
        {"matchLabels": {"team": "a"}, "matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["test", "dev"]}]},
        {"matchExpressions": [
            {"key": "env", "operator": "In", "values": ["prod", "stage"]},
            {"key": "off", "operator": "DoesNotExist"},
            {"key": "on", "operator": "Exists"},
        ]},
    ]}))
    .unwrap();
    let check = |namespace: &str, labels: &[(&str, &str)], expected: bool| {
        let labels = labels.iter().copied().collect();
        assert_eq!(
            config.discovers(&namespace.into(), &labels),
            expected,
            "{namespace} {labels:?}"
        );
    };
    check("root", &[], true);
    check("x", &[], false);
    check("x", &[("team", "a")], true);
    check("x", &[("team", "b")], false);
    check("x", &[("team", "a"), ("env", "live")], true);
    check("x", &[("team", "a"), ("env", "dev")], false);
    check("x", &[("env", "stage"), ("on", "")], true);
    check("x", &[("env", "stage")], false);
    check("x", &[("env", "stage"), ("on", ""), ("off", "")], false);
    check("x", &[("env", "live"), ("on", "")], false);
    assert!(MeshConfig::default().discovers(&"x".into(), &Default::default()));
}
