use serde_json::{Value, json};

use crate::rules::check::problems;

const MANAGER: &str = "envoy.filters.network.http_connection_manager";

fn check(spec: &Value, expected: &[&str]) {
    assert_eq!(problems("EnvoyFilter", spec), expected, "{spec}");
}

/// A filter with one patch.
fn one(patch: Value, expected: &[&str]) {
    check(&json!({ "configPatches": [patch] }), expected);
}

/// A match on something.
fn matching(to: &str, matching: Value, expected: &[&str]) {
    one(
        json!({ "applyTo": to, "match": matching, "patch": { "operation": "MERGE", "value": {} } }),
        expected,
    );
}

#[test]
fn what_it_is_for() {
    let patch = json!({ "applyTo": "CLUSTER", "patch": { "operation": "REMOVE" } });
    let with = |mut spec: Value| {
        spec["configPatches"] = json!([patch]);
        spec
    };
    check(&with(json!({})), &[]);
    check(&with(json!({ "priority": -5 })), &[]);
    check(&with(json!({ "priority": "7" })), &[]);
    check(
        &with(json!({ "priority": 1.5 })),
        &[
            "E spec.priority: expected a whole number from -2147483648 to 2147483647, found the number 1.5",
        ],
    );
    check(
        &with(json!({ "workloadSelector": { "labels": { "app": "a" } } })),
        &[],
    );
    check(
        &with(json!({ "workload_selector": {} })),
        &["W spec.workloadSelector: has no labels: all workloads of the namespace are selected"],
    );
    check(
        &with(json!({ "workloadSelector": { "labels": { "app": "a*" } } })),
        &["E spec.workloadSelector.labels.app: selectors have no wildcards"],
    );
    let target = json!([{ "kind": "Gateway", "group": "gateway.networking.k8s.io", "name": "g" }]);
    check(
        &with(json!({ "targetRefs": target })),
        &["W spec.targetRefs: has no effect: all proxies of the namespace are concerned"],
    );
    check(
        &with(json!({ "targetRefs": target, "workloadSelector": { "labels": { "a": "b" } } })),
        &[
            "E spec.targetRefs: cannot stand beside a workloadSelector",
            "W spec.targetRefs: has no effect: all proxies of the namespace are concerned",
        ],
    );
    check(&json!({}), &["W spec.configPatches: says nothing"]);
}

#[test]
fn what_is_done() {
    one(
        json!({}),
        &[
            "E spec.configPatches[0].applyTo: is missing",
            "E spec.configPatches[0].patch: is missing",
        ],
    );
    one(
        json!({ "applyTo": "HTTP", "patch": {} }),
        &[
            "E spec.configPatches[0].applyTo: the text \"HTTP\" is not known here",
            "E spec.configPatches[0].applyTo: is missing",
            "E spec.configPatches[0].patch.operation: is missing",
        ][..1],
    );
    one(
        json!({ "applyTo": "CLUSTER", "patch": {} }),
        &["E spec.configPatches[0].patch.operation: is missing"],
    );
    one(
        json!({ "applyTo": 8, "patch": { "operation": 1 } }),
        &["E spec.configPatches[0].patch.value: is missing: MERGE needs one"],
    );
    one(
        json!({ "applyTo": "CLUSTER", "patch": { "operation": "ADD", "value": [] } }),
        &["E spec.configPatches[0].patch.value: expected an object, found a list"],
    );
    one(
        json!({ "applyTo": "CLUSTER", "patch": { "operation": "REMOVE", "value": {} } }),
        &["W spec.configPatches[0].patch.value: has no effect: REMOVE needs no value"],
    );
    one(
        json!({ "applyTo": "CLUSTER", "patch": { "operation": "REPLACE", "value": {} } }),
        &["W spec.configPatches[0].patch.operation: REPLACE of CLUSTER has no effect"],
    );
    one(
        json!({ "applyTo": "BOOTSTRAP", "patch": { "operation": "MERGE", "value": {} } }),
        &[
            "W spec.configPatches[0].applyTo: BOOTSTRAP has no effect: what Envoy starts with is written by the agent beside it",
        ],
    );
    one(
        json!({ "applyTo": "HTTP_FILTER", "patch": { "operation": "ADD", "value": {}, "filterClass": "AUTHZ" } }),
        &[],
    );
    one(
        json!({ "applyTo": "CLUSTER", "patch": { "operation": "ADD", "value": {}, "filterClass": "STATS" } }),
        &[
            "W spec.configPatches[0].patch.filterClass: has no effect: it is for HTTP_FILTER with ADD",
        ],
    );
}

#[test]
fn what_is_matched_is_of_the_kind_that_is_changed() {
    let full = json!({
        "context": "SIDECAR_INBOUND",
        "proxy": { "proxyVersion": r"^1\.2.*", "metadata": { "ISTIO_VERSION": "1.29.0" } },
        "listener": {
            "portNumber": 80, "name": "virtualInbound", "listenerFilter": "envoy.filters.listener.tls_inspector",
            "filterChain": {
                "name": "c", "sni": "a.com", "transportProtocol": "tls", "applicationProtocols": "h2,http/1.1", "destinationPort": 80,
                "filter": { "name": MANAGER, "subFilter": { "name": "envoy.filters.http.router" } },
            },
        },
    });
    matching("HTTP_FILTER", full, &[]);
    let routes = json!({
        "context": "GATEWAY",
        "routeConfiguration": {
            "portNumber": 80, "portName": "http", "gateway": "ns/g", "name": "http.80",
            "vhost": { "name": "a", "domainName": "a.com", "route": { "name": "r", "action": "REDIRECT" } },
        },
    });
    matching("HTTP_ROUTE", routes, &[]);
    let cluster =
        json!({ "cluster": { "portNumber": 80, "service": "a.com", "subset": "v1", "name": "c" } });
    matching("CLUSTER", cluster, &[]);
    matching(
        "CLUSTER",
        json!({ "listener": {} }),
        &[
            "E spec.configPatches[0].match.listener: is a match of a listener, which is no match of CLUSTER",
        ],
    );
    matching(
        "LISTENER_FILTER",
        json!({ "cluster": {} }),
        &[
            "E spec.configPatches[0].match.cluster: is a match of a cluster, which is no match of LISTENER_FILTER",
        ],
    );
    matching(
        "VIRTUAL_HOST",
        json!({ "routeConfiguration": {}, "cluster": {} }),
        &[
            "E spec.configPatches[0].match: names several kinds of objects",
            "E spec.configPatches[0].match.cluster: is a match of a cluster, which is no match of VIRTUAL_HOST",
        ],
    );
    matching(
        "EXTENSION_CONFIG",
        json!({ "cluster": {} }),
        &[
            "W spec.configPatches[0].patch.operation: MERGE of EXTENSION_CONFIG has no effect",
            "W spec.configPatches[0].match.cluster: has no effect on EXTENSION_CONFIG",
        ],
    );
    matching(
        "HTTP_ROUTE",
        json!({ "context": "SIDECAR_OUTBOUND", "routeConfiguration": { "gateway": "a/b" } }),
        &[
            "W spec.configPatches[0].match.routeConfiguration.gateway: has no effect: only route configurations of gateways have it",
        ],
    );
}

#[test]
fn what_is_matched_in_a_listener() {
    let filter = |to: &str, filter: Value, expected: &[&str]| {
        let expected: Vec<String> = expected
            .iter()
            .map(|text| {
                let (severity, rest) = text.split_at(2);
                format!("{severity}spec.configPatches[0].match.listener.filterChain.filter{rest}")
                    .replace("filter : ", "filter: ")
            })
            .collect();
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        matching(
            to,
            json!({ "listener": { "filterChain": { "filter": filter } } }),
            &expected,
        );
    };
    filter("NETWORK_FILTER", json!({ "name": "a" }), &[]);
    filter("NETWORK_FILTER", json!({}), &["E .name: is missing"]);
    filter(
        "LISTENER",
        json!({ "name": "a" }),
        &["W : has no effect on LISTENER"],
    );
    filter(
        "NETWORK_FILTER",
        json!({ "name": "envoy.tcp_proxy" }),
        &["W .name: \"envoy.tcp_proxy\" is the old name of a filter"],
    );
    filter(
        "NETWORK_FILTER",
        json!({ "name": MANAGER, "subFilter": { "name": "a" } }),
        &["E .subFilter: is a match of HTTP_FILTER only"],
    );
    filter(
        "HTTP_FILTER",
        json!({ "name": "a", "subFilter": {} }),
        &[
            "E .subFilter: \"a\" has no filters of its own",
            "E .subFilter.name: is missing",
        ],
    );
    filter(
        "HTTP_FILTER",
        json!({ "name": "envoy.http_connection_manager", "subFilter": { "name": "envoy.router" } }),
        &[
            "W .name: \"envoy.http_connection_manager\" is the old name of a filter",
            "W .subFilter.name: \"envoy.router\" is the old name of a filter",
        ],
    );
    matching(
        "LISTENER",
        json!({ "listener": { "portName": "http" } }),
        &[
            "W spec.configPatches[0].match.listener.portName: has no effect: listeners do not know the names of their ports",
        ],
    );
    matching(
        "LISTENER",
        json!({ "proxy": { "proxyVersion": "1.(" } }),
        &[
            "E spec.configPatches[0].match.proxy.proxyVersion: \"1.(\" is no regular expression: error: unclosed group",
        ],
    );
}
