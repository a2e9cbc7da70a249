//! `EndpointSlice` and `Endpoints`.

use std::sync::Arc;

use pilothouse_core::model::{
    Address, Endpoint, EndpointPort, Health, Host, Locality, ServiceKey, WorkloadKey,
};
use pilothouse_core::registry::{EndpointPart, Value};
use serde_json::{Value as Json, json};

use super::super::Kind;
use super::{read, refuses, value, warns};

const LABEL: &str = "kubernetes.io/service-name";

fn part(name: &str, endpoints: Vec<Endpoint>) -> Value {
    Value::Endpoints(EndpointPart {
        service: ServiceKey {
            namespace: "shop".into(),
            host: Host::new("web.shop.svc.cluster.local").unwrap(),
        },
        part: name.into(),
        endpoints,
    })
}

fn endpoint(ip: &str) -> Endpoint {
    Endpoint::at(Address::Ip(ip.parse().unwrap()))
}

fn ports(all: &[(&str, u16)]) -> Option<Arc<[EndpointPort]>> {
    let port = |(name, port): &(&str, u16)| EndpointPort {
        name: (*name).into(),
        port: *port,
    };
    Some(all.iter().map(port).collect())
}

fn pod(namespace: &str, name: &str) -> Option<WorkloadKey> {
    Some(WorkloadKey::new(namespace.into(), name))
}

fn slice(endpoints: Json) -> Json {
    json!({
        "metadata": {"labels": {LABEL: "web"}},
        "addressType": "IPv4",
        "endpoints": endpoints,
    })
}

fn endpoints_of(endpoints: Json) -> Vec<Endpoint> {
    match value(Kind::EndpointSlice, "web-1", slice(endpoints)) {
        Value::Endpoints(part) => part.endpoints,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_of_a_slice_is_read() {
    let text = json!({
        "metadata": {"labels": {LABEL: "web", "endpointslice.kubernetes.io/managed-by": "x"}},
        "addressType": "IPv4",
        "ports": [
            {"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "http"},
            {"name": "any", "port": null},
            {"name": "admin", "port": 9000},
        ],
        "endpoints": [{
            "addresses": ["10.0.0.1"],
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "hostname": "web-0",
            "nodeName": "node-1",
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": "web-0", "uid": "1"},
            "zone": "eu-1a",
            "hints": {"forZones": [{"name": "eu-1b"}], "forNodes": [{"name": "node-2"}]},
        }],
    });
    let expected = Endpoint {
        ports: ports(&[("admin", 9000), ("http", 8080)]),
        locality: Locality::new("", "eu-1a", ""),
        hostname: Some("web-0".into()),
        node: Some("node-1".into()),
        for_zones: Some(["eu-1b".into()].into()),
        workload: pod("shop", "web-0"),
        ..endpoint("10.0.0.1")
    };
    assert_eq!(
        value(Kind::EndpointSlice, "web-abc", text),
        part("web-abc", vec![expected])
    );
}

#[test]
fn conditions_say_who_takes_requests() {
    let check = |conditions: Json, expected: Health| {
        let all = endpoints_of(json!([{"addresses": ["10.0.0.1"], "conditions": conditions}]));
        let health: Vec<_> = all.iter().map(|one| one.health).collect();
        assert_eq!(health, [expected], "{conditions}");
    };
    check(json!(null), Health::Healthy);
    check(json!({}), Health::Healthy);
    check(json!({"ready": null, "serving": null}), Health::Healthy);
    check(json!({"ready": true}), Health::Healthy);
    // Of a service that publishes addresses that are not ready.
    check(
        json!({"ready": true, "serving": false, "terminating": true}),
        Health::Healthy,
    );
    check(json!({"ready": false}), Health::Unhealthy);
    check(json!({"ready": false, "serving": true}), Health::Unhealthy);
    check(
        json!({"ready": false, "serving": true, "terminating": true}),
        Health::Terminating,
    );
    check(
        json!({"ready": false, "serving": false, "terminating": true}),
        Health::Unhealthy,
    );
}

#[test]
fn only_pods_are_workloads() {
    let check = |reference: Json, expected: Option<WorkloadKey>| {
        let all = endpoints_of(json!([{"addresses": ["10.0.0.1"], "targetRef": reference}]));
        assert_eq!(all[0].workload, expected, "{reference}");
    };
    check(json!(null), None);
    check(json!({"kind": "Pod", "name": "a"}), pod("shop", "a"));
    check(
        json!({"kind": "Pod", "name": "a", "namespace": "b"}),
        pod("b", "a"),
    );
    check(json!({"kind": "Pod"}), None);
    check(json!({"kind": "Node", "name": "a"}), None);
}

#[test]
fn a_slice_without_a_list_of_ports_is_for_all() {
    let with = |ports: Json| {
        let mut slice = slice(json!([{"addresses": ["10.0.0.1"]}]));
        slice["ports"] = ports;
        slice
    };
    let expected = |ports| {
        part(
            "web",
            vec![Endpoint {
                ports,
                ..endpoint("10.0.0.1")
            }],
        )
    };
    let check = |written: Json, ports| {
        assert_eq!(
            value(Kind::EndpointSlice, "web", with(written)),
            expected(ports)
        );
    };
    check(json!(null), None);
    check(json!([]), ports(&[]));
    check(json!([{"port": 80}]), ports(&[("", 80)]));
    refuses(
        Kind::EndpointSlice,
        with(json!([{"name": "http", "port": 0}])),
        &["ports[0].port: 0 is no port: they go from 1 to 65535"],
    );
}

#[test]
fn addresses_are_of_the_slices_family() {
    let six = json!({"metadata": {"labels": {LABEL: "web"}}, "addressType": "IPv6", "endpoints": [{"addresses": ["fd00::1"]}]});
    assert_eq!(
        value(Kind::EndpointSlice, "web", six),
        part("web", vec![endpoint("fd00::1")])
    );
    let several =
        endpoints_of(json!([{"addresses": ["10.0.0.1", "10.0.0.2"]}, null, {"addresses": null}]));
    assert_eq!(several, [endpoint("10.0.0.1"), endpoint("10.0.0.2")]);
    warns(
        Kind::EndpointSlice,
        slice(json!([{"addresses": ["10.0.0.1"]}, {"addresses": ["fd00::1", "x"]}])),
        &[
            "endpoints[1].addresses[0]: \"fd00::1\" is no IPv4 address: it is left out",
            "endpoints[1].addresses[1]: \"x\" is no IPv4 address: it is left out",
        ],
    );
}

#[test]
fn names_are_refused() {
    let fqdn = json!({"metadata": {"labels": {LABEL: "web"}}, "addressType": "FQDN", "endpoints": [{"addresses": ["a.example.com"]}]});
    refuses(
        Kind::EndpointSlice,
        fqdn,
        &[
            "addressType: FQDN is not supported: a service's endpoints are found by IP address (a ServiceEntry with resolution DNS has endpoints by name)",
        ],
    );
    refuses(
        Kind::EndpointSlice,
        json!({}),
        &["addressType: is missing (IPv4 or IPv6)"],
    );
    refuses(
        Kind::EndpointSlice,
        json!({"addressType": "IPX"}),
        &["addressType: \"IPX\" is not known (IPv4 or IPv6)"],
    );
}

#[test]
fn a_slice_of_no_service_means_nothing() {
    let said = read(Kind::EndpointSlice, "web", json!({"addressType": "IPv4"})).unwrap();
    assert_eq!(said.value, None);
    let warning =
        "metadata.labels[kubernetes.io/service-name]: is missing: the endpoints are no service's";
    warns(
        Kind::EndpointSlice,
        json!({"addressType": "IPv4"}),
        &[warning],
    );
}

#[test]
fn endpoints_are_those_of_the_service_of_their_name() {
    let text = json!({"subsets": [
        {
            "addresses": [
                {"ip": "10.0.0.1", "nodeName": "n1", "hostname": "web-0", "targetRef": {"kind": "Pod", "name": "web-0", "namespace": "shop"}},
                {"ip": "x"},
            ],
            "notReadyAddresses": [{"ip": "10.0.0.2"}],
            "ports": [{"name": "http", "port": 8080}],
        },
        {"addresses": [{"ip": "fd00::1"}]},
        null,
    ]});
    let said = read(Kind::Endpoints, "web", text).unwrap();
    let http = ports(&[("http", 8080)]);
    let expected = vec![
        Endpoint {
            ports: http.clone(),
            workload: pod("shop", "web-0"),
            hostname: Some("web-0".into()),
            node: Some("n1".into()),
            ..endpoint("10.0.0.1")
        },
        Endpoint {
            ports: http,
            health: Health::Unhealthy,
            ..endpoint("10.0.0.2")
        },
        endpoint("fd00::1"),
    ];
    assert_eq!(said.value, Some(part("web", expected)));
    assert_eq!(
        super::texts(&said.warnings),
        ["subsets[0].addresses[1].ip: \"x\" is no IP address: it is left out"]
    );
    assert_eq!(
        value(Kind::Endpoints, "web", json!({})),
        part("web", vec![])
    );
}
