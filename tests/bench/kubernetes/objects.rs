//! The objects of the mesh, as large as those of clusters are.

use std::net::Ipv4Addr;

use pilothouse_tests::kube::objects::{Pod, Slice};
use serde_json::{Value, json};

use super::Mesh;

/// Where services and pods are.
pub(super) const NAMESPACE: &str = "bench";
/// How many machines the pods are on.
pub(super) const NODES: usize = 50;
/// Endpoints lie in 10.128.0.0/10, where no proxy is.
const ENDPOINTS: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 1);
/// In the range of the API server, past what it gives by itself.
const SERVICES: Ipv4Addr = Ipv4Addr::new(10, 100, 0, 1);
/// How many variables the container of a pod has.
const VARIABLES: usize = 30;

/// The name that clients use for a service.
pub(super) fn host(index: usize) -> String {
    format!("{}.{NAMESPACE}.svc.cluster.local", name(index))
}

fn name(index: usize) -> String {
    format!("svc-{index:05}")
}

fn pod_name(index: usize, number: usize) -> String {
    format!("{}-7d9f8c6b5d-{number:05}", name(index))
}

fn node_name(number: usize) -> String {
    format!("node-{:03}", number % NODES)
}

fn zone(number: usize) -> String {
    format!("north-{}", number % NODES % 3)
}

fn address(base: Ipv4Addr, offset: usize) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(base) + offset as u32)
}

/// A machine in one of three zones.
pub(super) fn node(number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": node_name(number), "labels": {
            "topology.kubernetes.io/region": "north",
            "topology.kubernetes.io/zone": zone(number),
        }},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Bench"}]},
    })
}

/// HTTP on port 80, with an address.
pub(super) fn service(index: usize) -> Value {
    let ip = address(SERVICES, index);
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "namespace": NAMESPACE, "name": name(index), "labels": {"app": name(index)},
            "managedFields": managed("kubectl"),
        },
        "spec": {
            "type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip],
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
            "selector": {"app": name(index)},
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
        },
    })
}

/// All endpoints of a service; `ready` says whether the first is.
pub(super) fn slice(mesh: &Mesh, index: usize, ready: bool) -> Value {
    let service = name(index);
    let ip = |number| address(ENDPOINTS, index * mesh.endpoints + number).into();
    let slice = Slice {
        namespace: NAMESPACE,
        service: &service,
        suffix: "x7k2p",
        port: ("http", 8080),
        endpoints: (0..mesh.endpoints)
            .map(|number| (ip(number), ready || number > 0))
            .collect(),
    };
    let mut object = slice.object();
    let endpoints = object["endpoints"].as_array_mut();
    for (number, endpoint) in endpoints.into_iter().flatten().enumerate() {
        let place = index + number;
        endpoint["nodeName"] = json!(node_name(place));
        endpoint["zone"] = json!(zone(place));
        if mesh.pods {
            let name = pod_name(index, number);
            endpoint["targetRef"] = json!({"kind": "Pod", "namespace": NAMESPACE, "name": name});
        }
    }
    object
}

/// A pod of a service.
pub(super) fn pod(mesh: &Mesh, index: usize, number: usize) -> Value {
    let (app, name, node) = (
        name(index),
        pod_name(index, number),
        node_name(index + number),
    );
    let ip = address(ENDPOINTS, index * mesh.endpoints + number);
    let mut pod = Pod::new(NAMESPACE, &name, &app, ip);
    pod.labels.push(("version", "v1"));
    pod.labels.push(("pod-template-hash", "7d9f8c6b5d"));
    pod.node = &node;
    pod.service_account = &app;
    pod.ports.push(("http", 8080));
    let mut object = pod.running();
    object["metadata"]["managedFields"] = managed("kubelet");
    let variables = (0..VARIABLES)
        .map(|number| json!({"name": format!("SETTING_{number}"), "value": format!("value {number} of {app}")}));
    object["spec"]["containers"][0]["env"] = variables.collect();
    object
}

/// Who wrote which field: a good part of every object, and nothing to a mesh.
fn managed(manager: &str) -> Value {
    let fields = [
        "type",
        "status",
        "reason",
        "message",
        "observedGeneration",
        "lastProbeTime",
    ]
    .map(|field| (format!("f:{field}"), json!({})));
    let fields = Value::Object(fields.into_iter().collect());
    let conditions = ["Initialized", "Ready", "ContainersReady", "PodScheduled"]
        .map(|kind| (format!("k:{{\"type\":\"{kind}\"}}"), fields.clone()));
    let conditions = Value::Object(conditions.into_iter().collect());
    json!([{
        "manager": manager, "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:status": {"f:conditions": conditions}},
    }])
}
