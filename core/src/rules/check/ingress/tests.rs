//! What `Ingress` and `IngressClass` may say.

use serde_json::{Value, json};

use super::super::problems;

const TLS: &str = "the hosts are served on port 80 alone, without TLS";

fn ingress(spec: &Value, expected: &[&str]) {
    assert_eq!(problems("Ingress", spec), expected, "{spec}");
}

fn backend() -> Value {
    json!({"service": {"name": "web", "port": {"number": 80}}})
}

fn at(path: &str, path_type: &str) -> Value {
    json!({"path": path, "pathType": path_type, "backend": backend()})
}

fn paths(paths: &[Value]) -> Value {
    json!({"rules": [{"http": {"paths": paths}}]})
}

#[test]
fn accepted() {
    for spec in [
        json!({"defaultBackend": backend()}),
        json!({"defaultBackend": backend(), "rules": [{"host": "*.shop.test"}]}),
        json!({"ingressClassName": "x", "rules": [{"host": "a.test", "http": {"paths": [
            at("/b", "Prefix"), at("/a", "Exact"), at("", "ImplementationSpecific"), at("/a/*", "ImplementationSpecific"),
        ]}}]}),
        json!({"defaultBackend": {"service": {"name": "web", "port": {"name": "http-web"}}}}),
        // What routers reach that is no service of Kubernetes has a name with dots.
        json!({"defaultBackend": {"service": {"name": "web.test", "port": {"number": 80}}}}),
    ] {
        ingress(&spec, &[]);
    }
}

#[test]
fn what_is_not_served_is_a_warning() {
    ingress(
        &json!({
            "defaultBackend": {"resource": {"apiGroup": "k8s.example.com", "kind": "Bucket", "name": "b"}},
            "tls": [{"hosts": ["a.test"], "secretName": "a"}, {"hosts": ["b.test"]}],
            "later": 1,
        }),
        &[
            "W spec.later: unknown field \"later\"",
            "W spec.defaultBackend.resource: is not served: requests for it are answered with 404",
            &format!("W spec.tls[0].secretName: is not served: {TLS}"),
            &format!("W spec.tls[1].hosts: are not served with TLS: {TLS}"),
        ],
    );
    ingress(
        &json!({"rules": [
            {"host": "a.test", "http": {"paths": [at("/a", "Prefix"), at("/a", "Exact")]}},
            {"host": "A.test", "http": {"paths": [at("/a/", "Prefix"), at("/a/*", "ImplementationSpecific"), at("/b", "Exact")]}},
            {"http": {"paths": [at("/a", "Prefix")]}},
        ]}),
        &[
            "W spec.rules[1].http.paths[0]: is never reached: spec.rules[0].http.paths[0] takes its requests",
            "W spec.rules[1].http.paths[1]: is never reached: spec.rules[0].http.paths[0] takes its requests",
        ],
    );
}

#[test]
fn every_problem_at_once() {
    ingress(
        &json!({}),
        &["E spec: has neither rules nor defaultBackend"],
    );
    ingress(
        &json!({"rules": [{"host": "a.*", "http": {"paths": []}}, {"host": "10.0.0.1"}]}),
        &[
            "E spec.rules[0].host: \"a.*\" has a wildcard within or behind a name",
            "E spec.rules[0].http.paths: is empty",
            "E spec.rules[1].host: \"10.0.0.1\" is an IP address, not a host name",
        ],
    );
    ingress(
        &paths(&[
            at("a", "Exact"),
            at("", "Prefix"),
            at("/a//b", "Prefix"),
            at("/a/..", "Exact"),
            at("/a?b", "ImplementationSpecific"),
            at("*", "ImplementationSpecific"),
            at("/b", "Regex"),
            json!({"path": "/c"}),
        ]),
        &[
            "E spec.rules[0].http.paths[0].path: \"a\" is not a path",
            "E spec.rules[0].http.paths[1].path: \"\" is not a path",
            "E spec.rules[0].http.paths[2].path: \"/a//b\" has \"//\" in it",
            "E spec.rules[0].http.paths[3].path: \"/a/..\" has \"/..\" in it",
            "E spec.rules[0].http.paths[4].path: \"/a?b\" has '?' in it",
            "E spec.rules[0].http.paths[5].path: \"*\" is not a path",
            "E spec.rules[0].http.paths[6].pathType: \"Regex\" is not a type of paths",
            "E spec.rules[0].http.paths[7].pathType: is missing",
            "E spec.rules[0].http.paths[7].backend: is missing",
        ],
    );
    let to = |backend: Value, expected: &str| {
        ingress(&json!({"defaultBackend": backend}), &[expected]);
    };
    to(json!({}), "E spec.defaultBackend: is empty");
    to(
        json!({"service": {}, "resource": {}}),
        "E spec.defaultBackend: has service and resource",
    );
    to(
        json!({"service": {"port": {"number": 80}}}),
        "E spec.defaultBackend.service.name: is missing",
    );
    to(
        json!({"service": {"name": "a"}}),
        "E spec.defaultBackend.service.port: is missing",
    );
    to(
        json!({"service": {"name": "a", "port": {}}}),
        "E spec.defaultBackend.service.port: is empty",
    );
    to(
        json!({"service": {"name": "a", "port": {"name": "b", "number": 1}}}),
        "E spec.defaultBackend.service.port: has number and name",
    );
    to(
        json!({"service": {"name": "a", "port": {"number": 65536}}}),
        "E spec.defaultBackend.service.port.number: 65536 is not a port: ports are from 1 to 65535",
    );
    to(
        json!({"service": {"name": "*", "port": {"number": 1}}}),
        "E spec.defaultBackend.service.name: has a wildcard in it",
    );
}

#[test]
fn classes_of_ours_have_no_parameters() {
    let class = |controller: &str| json!({"controller": controller, "parameters": {"kind": "X", "name": "x"}});
    assert_eq!(
        problems("IngressClass", &class("istio.io/ingress-controller")),
        ["W spec.parameters: has no effect"]
    );
    assert_eq!(
        problems("IngressClass", &class("k8s.io/ingress-nginx")),
        [""; 0]
    );
}
