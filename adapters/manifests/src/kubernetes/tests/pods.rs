//! `Pod`, `Node` and `Namespace`.

use std::sync::Arc;

use pilothouse_core::model::{
    Address, Health, Labels, Locality, Namespace, Node, TlsMode, Workload, WorkloadKey,
};
use pilothouse_core::registry::Value;
use serde_json::{Value as Json, json};

use super::super::Kind;
use super::{read, value};

fn plain() -> Workload {
    Workload {
        key: WorkloadKey::new("shop".into(), "web-1"),
        cluster: Default::default(),
        network: Default::default(),
        addresses: vec![],
        labels: Labels::default(),
        locality: Locality::default(),
        identity: None,
        service_account: Some("default".into()),
        ports: Default::default(),
        weight: 1,
        health: Health::Healthy,
        tls_mode: TlsMode::Disabled,
        node: None,
    }
}

fn pod(fields: Json) -> Workload {
    match value(Kind::Pod, "web-1", fields) {
        Value::Workload(workload) => Arc::unwrap_or_clone(workload),
        other => panic!("{other:?}"),
    }
}

fn addresses(all: &[&str]) -> Vec<Address> {
    all.iter()
        .map(|ip| Address::Ip(ip.parse().unwrap()))
        .collect()
}

#[test]
fn all_of_a_pod_is_read() {
    let labels = json!({
        "app": "web", "istio-locality": "eu.eu-1.rack-2",
        "topology.istio.io/network": "n1", "security.istio.io/tlsMode": "istio",
    });
    let text = json!({
        "metadata": {"labels": labels, "deletionTimestamp": null},
        "spec": {
            "serviceAccountName": "reviews", "nodeName": "node-1", "hostNetwork": true,
            "containers": [
                {"name": "web", "ports": [
                    {"name": "http", "containerPort": 8080},
                    {"containerPort": 9999},
                    {"name": "dns", "containerPort": 53, "protocol": "UDP"},
                    {"name": "wrong", "containerPort": 70000},
                ]},
                {"name": "second", "ports": [{"name": "http", "containerPort": 1}, {"name": "admin", "containerPort": 9000}]},
            ],
            "initContainers": [
                {"name": "once", "ports": [{"name": "once", "containerPort": 1}]},
                {"name": "beside", "restartPolicy": "Always", "ports": [{"name": "proxy", "containerPort": 15090}]},
            ],
        },
        "status": {
            "phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "hostIP": "192.168.0.1",
            "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}],
        },
    });
    let expected = Workload {
        network: "n1".into(),
        addresses: addresses(&["10.0.0.1", "fd00::1"]),
        labels: serde_json::from_value(labels).unwrap(),
        locality: Locality::parse("eu/eu-1/rack-2"),
        service_account: Some("reviews".into()),
        ports: [("http", 8080_u16), ("admin", 9000), ("proxy", 15090)]
            .into_iter()
            .collect(),
        tls_mode: TlsMode::Istio,
        node: Some("node-1".into()),
        ..plain()
    };
    assert_eq!(pod(text), expected);
}

#[test]
fn little_needs_to_be_said() {
    let null = json!({"metadata": null, "spec": null, "status": null});
    for fields in [json!({}), null] {
        assert_eq!(pod(fields), plain());
    }
    let written = json!({"status": {"podIP": "10.0.0.1"}});
    let expected = Workload {
        addresses: addresses(&["10.0.0.1"]),
        ..plain()
    };
    assert_eq!(pod(written), expected);
    let odd = json!({"status": {"podIP": "x", "podIPs": [null, {"ip": null}, {"ip": "10.0.0.2"}]}});
    assert_eq!(pod(odd).addresses, addresses(&["10.0.0.2"]));
}

#[test]
fn readiness_is_a_condition_and_deletion_the_end_of_it() {
    let check = |deleted: bool, conditions: Json, expected: Health| {
        let at = deleted.then_some("2026-01-01T00:00:00Z");
        let fields =
            json!({"metadata": {"deletionTimestamp": at}, "status": {"conditions": conditions}});
        assert_eq!(pod(fields).health, expected, "{deleted} {conditions}");
    };
    let ready = |status: &str| json!([{"type": "Ready", "status": status}]);
    check(false, json!(null), Health::Healthy);
    check(false, json!([]), Health::Healthy);
    check(false, ready("True"), Health::Healthy);
    check(false, ready("False"), Health::Unhealthy);
    check(false, ready("Unknown"), Health::Unhealthy);
    check(
        false,
        json!([{"type": "PodScheduled", "status": "True"}]),
        Health::Unhealthy,
    );
    check(true, ready("True"), Health::Terminating);
    check(true, json!(null), Health::Terminating);
}

#[test]
fn one_that_has_ended_is_none() {
    for (phase, there) in [
        ("Pending", true),
        ("Running", true),
        ("Unknown", true),
        ("Succeeded", false),
        ("Failed", false),
    ] {
        let said = read(
            Kind::Pod,
            "web-1",
            json!({"status": {"phase": phase, "podIP": "10.0.0.1"}}),
        );
        assert_eq!(said.unwrap().value.is_some(), there, "{phase}");
    }
}

#[test]
fn a_node_is_where_its_labels_say() {
    let check = |labels: Json, expected: &str| {
        let node = Value::Node(Node {
            name: "node-1".into(),
            locality: Locality::parse(expected),
        });
        assert_eq!(
            value(
                Kind::Node,
                "node-1",
                json!({"metadata": {"labels": labels}})
            ),
            node
        );
    };
    check(json!({}), "");
    check(
        json!({"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "eu-1", "topology.istio.io/subzone": "rack"}),
        "eu/eu-1/rack",
    );
    check(
        json!({"failure-domain.beta.kubernetes.io/region": "old", "failure-domain.beta.kubernetes.io/zone": "old-1"}),
        "old/old-1",
    );
    check(
        json!({"failure-domain.beta.kubernetes.io/region": "old", "topology.kubernetes.io/region": "eu"}),
        "eu",
    );
}

#[test]
fn a_namespace_has_labels_and_perhaps_a_network() {
    let check = |labels: Json, network: Option<&str>| {
        let expected = Value::Namespace(Namespace {
            name: "shop".into(),
            labels: serde_json::from_value(labels.clone()).unwrap(),
            network: network.map(Into::into),
        });
        assert_eq!(
            value(
                Kind::Namespace,
                "shop",
                json!({"metadata": {"labels": labels}})
            ),
            expected
        );
    };
    check(json!({"team": "a"}), None);
    check(json!({"topology.istio.io/network": "n1"}), Some("n1"));
}
