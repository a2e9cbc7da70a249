//! Rules that an API server refuses, each with what it says.

use anyhow::{Context, Result, ensure};
use pilothouse_core::registry::{Meta, Severity};
use pilothouse_core::rules::{RuleKind, RuleSpec, check};
use serde_json::{Value, json};

use super::{create, defined, object};

/// A kind, what is wrong, and what the API server says to it.
type Bad = (&'static str, Value, &'static str);

/// None of them comes in, and each is an error to the rules' own checks, too.
pub(super) async fn bad_ones(client: &kube::Client) -> Result<()> {
    let mut wrong = Vec::new();
    for (name, spec, expected) in table() {
        let kind = defined().find(|kind| kind.name == name);
        let kind = kind.with_context(|| format!("{name} is no kind"))?;
        let written = object(kind, kind.versions[0], "bad", &spec);
        match create(client, &written, true).await {
            Ok(_) => wrong.push(format!("{name} is taken: {spec}, not {expected:?}")),
            Err(kube::Error::Api(said)) if said.message.contains(expected) => {}
            Err(kube::Error::Api(said)) => wrong.push(format!("{name} {spec}: {}", said.message)),
            Err(other) => return Err(other.into()),
        }
        if !is_bad(kind, &spec) {
            wrong.push(format!("{name} {spec}: only the API server refuses it"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Whether the reader or the check says no.
fn is_bad(kind: &RuleKind, spec: &Value) -> bool {
    let api_version = format!("{}/{}", kind.group, kind.versions[0]);
    let Ok((rule, _)) = RuleSpec::parse(&api_version, kind.name, spec) else {
        return true;
    };
    let problems = check(&Meta::new(kind.name, "default", "bad"), &rule);
    problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
}

fn table() -> Vec<Bad> {
    [
        services(),
        workloads(),
        routes(),
        clients(),
        routers(),
        policies(),
    ]
    .concat()
}

fn services() -> Vec<Bad> {
    let ports = json!([{"number": 80, "name": "http", "protocol": "HTTP"}]);
    let entry = |more: Value| {
        let mut entry = json!({"hosts": ["a.test"], "ports": ports, "resolution": "STATIC"});
        if let (Some(entry), Value::Object(more)) = (entry.as_object_mut(), more) {
            entry.extend(more);
        }
        entry
    };
    let one = |more, said| ("ServiceEntry", entry(more), said);
    vec![
        (
            "ServiceEntry",
            json!({"ports": ports}),
            "spec.hosts: Required value",
        ),
        one(
            json!({"hosts": []}),
            "spec.hosts in body should have at least 1 items",
        ),
        one(json!({"hosts": ["*"]}), "hostname cannot be wildcard"),
        one(json!({"colour": "red"}), "unknown field \"spec.colour\""),
        one(
            json!({"resolution": "SOMEHOW"}),
            "supported values: \"NONE\", \"STATIC\", \"DNS\", \"DNS_ROUND_ROBIN\", \"DYNAMIC_DNS\"",
        ),
        one(
            json!({"endpoints": [{"address": "10.0.0.1"}], "workloadSelector": {"labels": {"a": "b"}}}),
            "only one of workloadSelector or endpoints can be set",
        ),
        one(
            json!({"addresses": ["10.0.0.0/8"], "resolution": "DNS"}),
            "CIDR addresses are allowed only for NONE/STATIC resolution types",
        ),
        one(
            json!({"endpoints": [{"address": "10.0.0.1"}], "resolution": "NONE"}),
            "NONE mode cannot set endpoints",
        ),
        one(
            json!({"endpoints": [{"address": "a.test"}, {"address": "b.test"}], "resolution": "DNS_ROUND_ROBIN"}),
            "DNS_ROUND_ROBIN mode cannot have multiple endpoints",
        ),
        one(
            json!({"resolution": "DYNAMIC_DNS"}),
            "DYNAMIC_DNS mode is for hosts with a wildcard",
        ),
        one(
            json!({"hosts": ["*.a.test"], "addresses": ["10.0.0.1"], "resolution": "DYNAMIC_DNS"}),
            "DYNAMIC_DNS mode cannot set addresses, endpoints or workloadSelector",
        ),
        one(
            json!({"ports": [{"number": 0, "name": "http"}]}),
            "spec.ports[0].number in body should be greater than or equal to 1",
        ),
        one(
            json!({"ports": [{"number": 80}]}),
            "spec.ports[0].name: Required value",
        ),
        one(
            json!({"ports": [{"number": 80, "name": "a"}, {"number": 80, "name": "b"}]}),
            "spec.ports[1]: Duplicate value",
        ),
        one(
            json!({"workloadSelector": {"labels": {"app": "*"}}}),
            "wildcard is not supported in selector",
        ),
        one(
            json!({"endpoints": [{"labels": {"a": "b"}}]}),
            "address is required",
        ),
    ]
}

fn workloads() -> Vec<Bad> {
    let entry = |spec, said| ("WorkloadEntry", spec, said);
    let group = |probe: Value, said| {
        let spec = json!({"template": {"serviceAccount": "a"}, "probe": probe});
        ("WorkloadGroup", spec, said)
    };
    vec![
        entry(json!({"labels": {"a": "b"}}), "address is required"),
        entry(
            json!({"address": "unix:///a", "ports": {"http": 80}}),
            "UDS may not include ports",
        ),
        entry(
            json!({"address": "unix://a"}),
            "UDS must be the absolute path of a socket",
        ),
        entry(
            json!({"address": "10.0.0.1", "ports": {"a_b": 80}}),
            "port name must be valid",
        ),
        entry(
            json!({"address": "10.0.0.1", "ports": {"a": 65536}}),
            "should be less than or equal to 65535",
        ),
        ("WorkloadGroup", json!({}), "spec.template: Required value"),
        group(json!({}), "must validate one and only one schema (oneOf)"),
        group(
            json!({"tcpSocket": {"port": 1}, "grpc": {"port": 1}}),
            "must validate one and only one schema (oneOf)",
        ),
        group(
            json!({"httpGet": {"path": "/"}}),
            "spec.probe.httpGet.port: Required value",
        ),
        group(
            json!({"exec": {"command": []}}),
            "spec.probe.exec.command in body should have at least 1 items",
        ),
    ]
}

fn routes() -> Vec<Bad> {
    let http = |route: Value, said| {
        let spec = json!({"hosts": ["a.test"], "http": [route]});
        ("VirtualService", spec, said)
    };
    let to = json!([{"destination": {"host": "a.test"}}]);
    vec![
        (
            "VirtualService",
            json!({"hosts": ["a.test"]}),
            "one of http, tls or tcp is required",
        ),
        http(
            json!({}),
            "exactly one of route, redirect, directResponse and delegate is required",
        ),
        http(
            json!({"route": to, "redirect": {"uri": "/"}}),
            "exactly one of route, redirect, directResponse and delegate is required",
        ),
        http(
            json!({"redirect": {"uri": "/"}, "fault": {"delay": {"fixedDelay": "1s"}}}),
            "fault and rewrite go with a route",
        ),
        http(
            json!({"redirect": {"redirectCode": 200}}),
            "redirectCode is one of 301, 302, 303, 307 and 308",
        ),
        http(
            json!({"directResponse": {"status": 99}}),
            "should be greater than or equal to 200",
        ),
        http(
            json!({"route": [{}]}),
            "spec.http[0].route[0].destination: Required value",
        ),
        http(
            json!({"route": [{"destination": {}}]}),
            "spec.http[0].route[0].destination.host: Required value",
        ),
        http(
            json!({"route": to, "match": [{"uri": {"exact": "/", "prefix": "/"}}]}),
            "\"spec.http[0].match[0].uri\" must validate one and only one schema (oneOf)",
        ),
        http(
            json!({"route": to, "match": [{"headers": {"a": {"regex": "a", "prefix": "/"}}}]}),
            "\"spec.http[0].match[0].headers.a\" must validate one and only one schema (oneOf)",
        ),
        http(
            json!({"route": to, "timeout": "5"}),
            "spec.http[0].timeout in body should match",
        ),
        http(
            json!({"route": to, "timeout": 5}),
            "spec.http[0].timeout in body must be of type string",
        ),
        http(
            json!({"route": to, "fault": {"abort": {"httpStatus": 500, "grpcStatus": "INTERNAL"}}}),
            "\"spec.http[0].fault.abort\" must validate one and only one schema (oneOf)",
        ),
        http(
            json!({"route": to, "mirror": {"host": "b.test"}, "mirrorPercentage": {"value": 101}}),
            "should be less than or equal to 100",
        ),
        (
            "VirtualService",
            json!({"hosts": ["a.test"], "tls": [{"route": to}]}),
            "spec.tls[0].match: Required value",
        ),
    ]
}

fn clients() -> Vec<Bad> {
    let policy = |policy: Value, said| {
        let spec = json!({"host": "a.test", "trafficPolicy": policy});
        ("DestinationRule", spec, said)
    };
    vec![
        (
            "DestinationRule",
            json!({"trafficPolicy": {}}),
            "spec.host: Required value",
        ),
        (
            "DestinationRule",
            json!({"host": "a.test", "subsets": [{"name": "a b"}]}),
            "spec.subsets[0].name in body should match",
        ),
        policy(
            json!({"loadBalancer": {"simple": "RANDOM", "consistentHash": {"useSourceIp": true}}}),
            "\"spec.trafficPolicy.loadBalancer\" must validate one and only one schema (oneOf)",
        ),
        policy(
            json!({"loadBalancer": {"consistentHash": {"useSourceIp": true, "httpHeaderName": "a"}}}),
            "\"spec.trafficPolicy.loadBalancer.consistentHash\" must validate one and only one schema (oneOf)",
        ),
        policy(
            json!({"portLevelSettings": [{"tls": {}}]}),
            "spec.trafficPolicy.portLevelSettings[0].port: Required value",
        ),
        policy(
            json!({"loadBalancer": {"warmup": {}}}),
            "spec.trafficPolicy.loadBalancer.warmup.duration: Required value",
        ),
        policy(
            json!({"tunnel": {"targetHost": "a.test"}}),
            "spec.trafficPolicy.tunnel.targetPort: Required value",
        ),
        (
            "Sidecar",
            json!({"workloadSelector": {"labels": {"a": "b"}}}),
            "one of egress, ingress, outboundTrafficPolicy or inboundConnectionPool is required",
        ),
        (
            "Sidecar",
            json!({"egress": [{"hosts": []}]}),
            "spec.egress[0].hosts in body should have at least 1 items",
        ),
        (
            "Sidecar",
            json!({"ingress": [{"defaultEndpoint": "127.0.0.1:80"}]}),
            "spec.ingress[0].port: Required value",
        ),
        (
            "Sidecar",
            json!({"outboundTrafficPolicy": {"egressProxy": {"host": "a.test", "port": {"number": 80}}}}),
            "egressProxy requires mode ALLOW_ANY",
        ),
    ]
}

fn routers() -> Vec<Bad> {
    let port = json!({"number": 80, "name": "http", "protocol": "HTTP"});
    let target = json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "a"});
    vec![
        (
            "Gateway",
            json!({"selector": {"a": "b"}}),
            "spec.servers: Required value",
        ),
        (
            "Gateway",
            json!({"servers": [{"port": port}]}),
            "spec.servers[0].hosts: Required value",
        ),
        (
            "Gateway",
            json!({"servers": [{"hosts": ["*"]}]}),
            "spec.servers[0].port: Required value",
        ),
        (
            "Gateway",
            json!({"servers": [{"port": {"number": 80}, "hosts": ["*"]}]}),
            "spec.servers[0].port.protocol: Required value",
        ),
        (
            "EnvoyFilter",
            json!({"workloadSelector": {"labels": {"a": "b"}}, "targetRefs": [target]}),
            "only one of targetRefs or workloadSelector can be set",
        ),
        (
            "EnvoyFilter",
            json!({"configPatches": [{"applyTo": "CLUSTER", "match": {"cluster": {}, "listener": {}}, "patch": {"operation": "REMOVE"}}]}),
            "\"spec.configPatches[0].match\" must validate one and only one schema (oneOf)",
        ),
    ]
}

fn policies() -> Vec<Bad> {
    let target = json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "a"}]);
    let selector = json!({"matchLabels": {"a": "b"}});
    let jwt = |rule: Value, said| ("RequestAuthentication", json!({"jwtRules": [rule]}), said);
    vec![
        (
            "AuthorizationPolicy",
            json!({"selector": selector, "targetRefs": target}),
            "only one of targetRefs or selector can be set",
        ),
        (
            "AuthorizationPolicy",
            json!({"action": "DENY"}),
            "rules are required with action DENY or CUSTOM",
        ),
        (
            "AuthorizationPolicy",
            json!({"action": "CUSTOM", "rules": [{}]}),
            "provider goes with action CUSTOM",
        ),
        (
            "AuthorizationPolicy",
            json!({"provider": {"name": "a"}}),
            "provider goes with action CUSTOM",
        ),
        (
            "AuthorizationPolicy",
            json!({"rules": [{"from": [{"source": {"serviceAccounts": ["a/b"], "namespaces": ["a"]}}]}]}),
            "Cannot set serviceAccounts with namespaces or principals",
        ),
        (
            "AuthorizationPolicy",
            json!({"rules": [{"from": []}]}),
            "spec.rules[0].from in body should have at least 1 items",
        ),
        (
            "PeerAuthentication",
            json!({"portLevelMtls": {"80": {"mode": "STRICT"}}}),
            "portLevelMtls requires selector",
        ),
        (
            "PeerAuthentication",
            json!({"selector": selector, "portLevelMtls": {"http": {"mode": "STRICT"}}}),
            "port must be between 1-65535",
        ),
        (
            "PeerAuthentication",
            json!({"selector": selector, "portLevelMtls": {"65536": {"mode": "STRICT"}}}),
            "port must be between 1-65535",
        ),
        (
            "PeerAuthentication",
            json!({"selector": {"matchLabels": {"a": "*"}}}),
            "wildcard is not supported in selector",
        ),
        jwt(
            json!({"audiences": ["a"]}),
            "one of issuer, jwksUri and jwks is required",
        ),
        jwt(
            json!({"issuer": "a", "jwks": "{\"keys\": []}", "jwksUri": "https://a.test/"}),
            "only one of jwks or jwksUri can be set",
        ),
        jwt(
            json!({"issuer": "a", "jwksUri": "ftp://a.test/"}),
            "URI scheme must be http:// or https://",
        ),
        (
            "Telemetry",
            json!({"selector": selector, "targetRefs": target}),
            "only one of targetRefs or selector can be set",
        ),
        (
            "Telemetry",
            json!({"tracing": [{"randomSamplingPercentage": 101}]}),
            "should be less than or equal to 100",
        ),
        (
            "Telemetry",
            json!({"tracing": [{"customTags": {"a": {}}}]}),
            "\"spec.tracing[0].customTags.a\" must validate one and only one schema (oneOf)",
        ),
        (
            "ProxyConfig",
            json!({"concurrency": -1}),
            "should be greater than or equal to 0",
        ),
    ]
}
