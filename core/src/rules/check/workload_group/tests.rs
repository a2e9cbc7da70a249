use serde_json::{Value, json};

use crate::rules::check::problems;

fn check(spec: Value, expected: &[&str]) {
    assert_eq!(problems("WorkloadGroup", &spec), expected, "{spec}");
}

#[test]
fn a_group_with_all_its_fields_is_fine() {
    check(
        json!({
            "metadata": {"labels": {"app": "web"}, "annotations": {"acme.io/team": "the web team"}},
            "template": {"ports": {"http": 8080}, "serviceAccount": "web", "network": "vms", "labels": {"version": "v1"}},
            "probe": {
                "initialDelaySeconds": 5, "timeoutSeconds": 3, "periodSeconds": 4, "successThreshold": 3, "failureThreshold": 3,
                "httpGet": {
                    "path": "/ready", "host": "127.0.0.1", "port": 3100, "scheme": "HTTPS",
                    "httpHeaders": [{"name": "Lit", "value": "on"}],
                },
            },
            "location": "MESH_INTERNAL",
        }),
        &[],
    );
    for way in [
        json!({"tcpSocket": {"port": 3100, "host": "localhost"}}),
        json!({"exec": {"command": ["cat", "/tmp/ok"]}}),
        json!({"grpc": {"port": 3100, "service": "shop"}}),
    ] {
        check(json!({"template": {}, "probe": way}), &[]);
    }
}

#[test]
fn a_group_has_a_template_that_is_no_workload() {
    check(json!({}), &["E spec.template: is missing"]);
    check(
        json!({"template": {"address": "a b", "labels": {"-": "x"}, "ports": {"http": 0}}}),
        &[
            "E spec.template.address: \"a b\" is neither an IP address nor a DNS name",
            "E spec.template.ports.http: 0 is not a port: ports are from 1 to 65535",
            "E spec.template.labels.-: is not a label's key",
        ],
    );
    check(
        json!({"template": {}, "metadata": {"labels": {"app": "a b"}, "annotations": {"a b": "a b"}}}),
        &[
            "E spec.metadata.labels.app: \"a b\" is not a label's value",
            "E spec.metadata.annotations[\"a b\"]: is not an annotation's key",
        ],
    );
}

#[test]
fn a_probe_is_made_in_exactly_one_way() {
    let probe = |probe: Value| json!({"template": {}, "probe": probe});
    check(probe(json!({})), &["E spec.probe: does not say how"]);
    check(
        probe(json!({"tcpSocket": {"port": 1}, "grpc": {"port": 0}})),
        &[
            "E spec.probe: has both tcpSocket and grpc",
            "E spec.probe.grpc.port: 0 is not a port: ports are from 1 to 65535",
        ],
    );
    check(
        probe(json!({"exec": {"command": []}, "periodSeconds": 2_147_483_648_u32})),
        &[
            "E spec.probe.periodSeconds: 2147483648 is more than 2147483647",
            "E spec.probe.exec.command: is empty",
        ],
    );
    check(
        probe(json!({"httpGet": {"scheme": "ftp", "httpHeaders": [{"value": "\n"}]}})),
        &[
            "E spec.probe.httpGet.port: 0 is not a port: ports are from 1 to 65535",
            "E spec.probe.httpGet.scheme: \"ftp\" is not a scheme",
            "E spec.probe.httpGet.httpHeaders[0].name: is missing",
            "E spec.probe.httpGet.httpHeaders[0].value: has control characters in it",
        ],
    );
}
