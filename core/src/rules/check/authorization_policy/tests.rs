use serde_json::{Value, json};

use crate::rules::check::problems;

fn check(spec: Value, expected: &[&str]) {
    assert_eq!(problems("AuthorizationPolicy", &spec), expected, "{spec}");
}

#[test]
fn every_field_is_read() {
    for spec in [
        json!({}),
        json!({"rules": [{}]}),
        json!({"action": "DENY", "rules": [{}]}),
        json!({"action": "CUSTOM", "provider": {"name": "opa"}, "rules": [{"to": [{"operation": {"paths": ["/admin/*"]}}]}]}),
    ] {
        check(spec, &[]);
    }
    let source = json!({
        "principals": ["a"], "notPrincipals": ["b"], "requestPrincipals": ["*"], "notRequestPrincipals": ["c"],
        "namespaces": ["d"], "notNamespaces": ["e"], "ipBlocks": ["10.0.0.1", "10.0.0.0/8"], "notIpBlocks": ["::1"],
        "remoteIpBlocks": ["10.0.0.1"], "notRemoteIpBlocks": ["10.0.0.1"],
    });
    let operation = json!({
        "hosts": ["a"], "notHosts": ["b"], "ports": ["80"], "notPorts": ["81"], "methods": ["GET"], "notMethods": ["PUT"],
        "paths": ["/a/{*}/b/{**}", "/*"], "notPaths": ["*/x"],
    });
    let when = [
        json!({"key": "request.headers[x-a]", "values": ["1"], "notValues": ["2"]}),
        json!({"key": "request.auth.claims[a][b]", "values": ["1"]}),
        json!({"key": "source.ip", "values": ["10.0.0.0/8"]}),
        json!({"key": "destination.port", "notValues": ["80"]}),
        json!({"key": "experimental.envoy.filters.a[b]", "values": ["x"]}),
    ];
    let by_account =
        json!({"source": {"serviceAccounts": ["web"], "notServiceAccounts": ["shop/db"]}});
    check(
        json!({
            "selector": {"matchLabels": {"app": "web"}},
            "action": "AUDIT",
            "rules": [{"from": [{"source": source}, by_account], "to": [{"operation": operation}], "when": when}],
        }),
        &[],
    );
}

#[test]
fn the_action_goes_with_rules_and_provider() {
    let empty = "E spec.rules: is empty: the policy speaks of no request";
    check(json!({"action": "DENY"}), &[empty]);
    check(
        json!({"action": "CUSTOM"}),
        &[empty, "E spec.provider: is missing"],
    );
    check(
        json!({"action": "CUSTOM", "rules": [{}], "provider": {}}),
        &["E spec.provider.name: is missing"],
    );
    check(
        json!({"provider": {"name": "opa"}}),
        &["E spec.provider: goes with the action CUSTOM only"],
    );
    check(
        json!({"action": "CUSTOM", "provider": {"name": "opa"}, "rules": [{
            "from": [{"source": {"requestPrincipals": ["*"]}}],
            "when": [{"key": "request.auth.audiences", "values": ["a"]}],
        }]}),
        &[
            "E spec.rules[0].from[0].source.requestPrincipals: does not go with the action CUSTOM",
            "E spec.rules[0].when[0].key: does not go with the action CUSTOM",
        ],
    );
}

#[test]
fn nothing_is_empty_by_accident() {
    check(
        json!({"rules": [{"from": [], "to": []}, {"from": [{}, {"source": {}}], "to": [{}, {"operation": {}}], "when": [{}]}]}),
        &[
            "E spec.rules[0].from: is empty: nobody is spoken of",
            "E spec.rules[0].to: is empty: nothing is spoken of",
            "E spec.rules[1].from[0].source: is missing",
            "E spec.rules[1].from[1].source: is empty",
            "E spec.rules[1].to[0].operation: is missing",
            "E spec.rules[1].to[1].operation: is empty",
            "E spec.rules[1].when[0].key: is missing",
            "E spec.rules[1].when[0]: has no values",
        ],
    );
}

#[test]
fn values_are_what_they_should_be() {
    check(
        json!({"rules": [{
            "from": [{"source": {"principals": [""], "ipBlocks": ["a"], "serviceAccounts": ["x"]}}],
            "to": [{"operation": {"methods": [""], "ports": ["http"], "paths": ["/a/{*}x", "/{**}/{**}"]}}],
            "when": [
                {"key": "request.header[a]", "values": ["1"]},
                {"key": "request.headers[]", "values": [""]},
                {"key": "remote.ip", "notValues": ["x"]},
                {"key": "destination.port", "values": ["0"]},
            ],
        }]}),
        &[
            "E spec.rules[0].from[0].source.principals[0]: is empty",
            "E spec.rules[0].from[0].source.ipBlocks[0]: \"a\" is neither an IP address nor a block such as 10.0.0.0/8",
            "E spec.rules[0].from[0].source.serviceAccounts: go with neither principals nor namespaces",
            "E spec.rules[0].to[0].operation.methods[0]: is empty",
            "E spec.rules[0].to[0].operation.ports[0]: \"http\" is not a port: ports are from 1 to 65535",
            "E spec.rules[0].to[0].operation.paths[0]: \"/a/{*}x\" is not a template of paths",
            "E spec.rules[0].to[0].operation.paths[1]: \"/{**}/{**}\" is not a template of paths",
            "E spec.rules[0].when[0].key: \"request.header[a]\" is nothing that a condition can look at",
            "E spec.rules[0].when[1].key: \"request.headers[]\" is nothing that a condition can look at",
            "E spec.rules[0].when[1].values[0]: is empty",
            "E spec.rules[0].when[2].notValues[0]: \"x\" is neither an IP address nor a block such as 10.0.0.0/8",
            "E spec.rules[0].when[3].values[0]: \"0\" is not a port: ports are from 1 to 65535",
        ],
    );
}
