//! What mesh config may say.

use serde_json::{Value, json};

use crate::registry::{Problem, Severity};
use crate::rules::resolve::mesh_config;

fn check(config: &Value, expected: &[&str]) {
    let show = |problem: Problem| {
        let letter = if problem.severity == Severity::Error {
            'E'
        } else {
            'W'
        };
        format!("{letter} {problem}")
    };
    let problems = mesh_config(config).map_or_else(|problems| problems, |(_, warnings)| warnings);
    assert_eq!(
        problems.into_iter().map(show).collect::<Vec<_>>(),
        expected,
        "{config}"
    );
}

#[test]
fn accepted() {
    for config in [
        Value::Null,
        json!({}),
        json!({"rootNamespace": "infra", "trustDomain": "acme.example_1", "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}),
        json!({"connectTimeout": "0.5s", "dns_refresh_rate": "5s", "protocolDetectionTimeout": "0s"}),
        json!({"accessLogFile": "/dev/stdout", "accessLogEncoding": "JSON", "accessLogFormat": "{\"a\": \"%PROTOCOL%\"}"}),
        json!({"defaultServiceExportTo": ["~"], "defaultVirtualServiceExportTo": [".", "a"], "proxyHttpPort": 0}),
        json!({"defaultConfig": {"discoveryAddress": "[::1]:15012", "concurrency": 0, "drainDuration": "45s"}}),
        json!({"defaultConfig": {"discoveryAddress": "10.0.0.1:15012", "statusPort": "15020"}}),
    ] {
        check(&config, &[]);
    }
}

#[test]
fn what_has_no_effect_or_is_unknown_is_a_warning_each() {
    check(
        &json!({
            "enableAutoMtls": true, "rootNamespce": "x",
            "defaultConfig": {"serviceCluster": "x", "proxyAdminPrt": 1},
            "outboundTrafficPolicy": {"egressProxy": {}},
        }),
        &[
            "W outboundTrafficPolicy.egressProxy: is known to Istio and has no effect here",
            "W defaultConfig.serviceCluster: is known to Istio and has no effect here",
            "W defaultConfig.proxyAdminPrt: unknown field \"proxyAdminPrt\" (did you mean proxyAdminPort?)",
            "W enableAutoMtls: is known to Istio and has no effect here",
            "W rootNamespce: unknown field \"rootNamespce\" (did you mean rootNamespace?)",
        ],
    );
}

#[test]
fn every_problem_at_once() {
    check(
        &json!({
            "rootNamespace": "a.b", "trustDomain": "a/b", "outboundTrafficPolicy": {"mode": "ALLOW_ANY_DYNAMIC_DNS"},
            "defaultServiceExportTo": ["*", "x"], "connectTimeout": "0s", "dnsRefreshRate": "0.0015s",
            "protocolDetectionTimeout": "0.0001s", "proxyHttpPort": 65536, "accessLogFile": "a\nb",
            "defaultConfig": {
                "discoveryAddress": "istiod", "proxyAdminPort": 0, "statusPort": 70000, "drainDuration": "1.5s",
                "terminationDrainDuration": "99999999s",
            },
        }),
        &[
            "E rootNamespace: \"a.b\" is not a namespace",
            "E trustDomain: \"a/b\" is not a trust domain (letters, digits, '-', '_' and '.', such as cluster.local)",
            "E outboundTrafficPolicy.mode: ALLOW_ANY_DYNAMIC_DNS is not supported by this version (use ALLOW_ANY, which \
             forwards to the address that the client resolved, or REGISTRY_ONLY)",
            "E defaultServiceExportTo: names namespaces beside \"*\", which stands for everybody",
            "E connectTimeout: 0ns is shorter than 1ms",
            "E dnsRefreshRate: 1.5ms is finer than 1ms",
            "E protocolDetectionTimeout: 100µs is shorter than 1ms",
            "E proxyHttpPort: 65536 is not a port: ports are from 1 to 65535",
            "E accessLogFile: has control characters in it",
            "E defaultConfig.discoveryAddress: \"istiod\" is not an address with a port (such as \
             istiod.istio-system.svc:15012)",
            "E defaultConfig.proxyAdminPort: 0 is not a port: ports are from 1 to 65535",
            "E defaultConfig.statusPort: 70000 is not a port: ports are from 1 to 65535",
            "E defaultConfig.drainDuration: 1.5s is finer than 1s",
            "E defaultConfig.terminationDrainDuration: 99999999s is longer than a year",
        ],
    );
}

#[test]
fn a_json_access_log_has_a_json_format() {
    let with = |format: &str| json!({"accessLogEncoding": "JSON", "accessLogFormat": format});
    check(
        &with("[1]"),
        &[
            "E accessLogFormat: is not a JSON object (accessLogEncoding JSON wants one of keys and formats)",
        ],
    );
    check(
        &with("%PROTOCOL%"),
        &[
            "E accessLogFormat: is not JSON, which accessLogEncoding says it is: expected value at line 1 column 1",
        ],
    );
    check(&json!({"accessLogFormat": "%PROTOCOL%\n"}), &[]);
}

#[test]
fn what_is_no_object_is_refused() {
    check(
        &json!("text"),
        &["E expected an object, found the text \"text\""],
    );
    check(
        &json!({"defaultConfig": []}),
        &["E defaultConfig: expected an object, found a list"],
    );
}

#[test]
fn providers_are_of_one_kind_and_have_what_it_needs() {
    let service = json!({"service": "shop/a.com", "port": 80});
    check(
        &json!({
            "extensionProviders": [
                {"name": "a", "envoyHttpAls": service}, {"name": "b", "prometheus": {}}, {"name": "c", "skywalking": service},
            ],
            "defaultProviders": {"accessLogging": ["a", "envoy"], "tracing": []},
        }),
        &["W extensionProviders[2].skywalking: is known to Istio and has no effect here"],
    );
    check(
        &json!({
            "extensionProviders": [
                {"prometheus": {}}, {"name": "a"}, {"name": "a", "prometheus": {}, "zipkin": {"service": "*.a", "port": 0}},
                {"name": "b", "envoyFileAccessLog": {"logFormat": {"text": "%NOTHING%", "labels": {"k": "%"}}}},
                {"name": "c", "opentelemetry": {"service": "a b/c", "port": 1, "http": {}, "grpc": {}}},
                {"name": "d", "envoyTcpAls": {"service": "a.com", "port": 1, "additionalRequestHeadersToLog": ["a b"]}},
            ],
            "defaultProviders": {"metrics": ["x"], "tracing": ["a", "b"]},
            "defaultConfig": {"tracing": {"zipkin": {"address": "z"}, "sampling": -1, "customTags": {"t": {}}}},
        }),
        &[
            "E extensionProviders[0].name: is missing (rules choose providers by their names)",
            "E extensionProviders[1]: says nothing beyond its name (it has one of envoyFileAccessLog, envoyHttpAls, envoyTcpAls, \
             envoyOtelAls, zipkin, opentelemetry, prometheus)",
            "E extensionProviders[2].name: another provider has the name \"a\"",
            "E extensionProviders[2]: is of several kinds: one provider is one",
            "E extensionProviders[2].zipkin.service: is a wildcard: one service takes reports",
            "E extensionProviders[2].zipkin.port: 0 is not a port: ports are from 1 to 65535",
            "E extensionProviders[3].envoyFileAccessLog.logFormat.text: %NOTHING% is not known to Envoy",
            "E extensionProviders[3].envoyFileAccessLog.logFormat.labels.k: \"%\" is no command operator (operators are %NAME%, \
             %NAME(PARAMETER)% and %NAME(PARAMETER):LENGTH%; a percent sign is %%)",
            "E extensionProviders[4].opentelemetry.service: \"a b\" is not a namespace",
            "E extensionProviders[4].opentelemetry: has both http and grpc: a collector is reached one way",
            "E extensionProviders[4].opentelemetry.http.path: is missing (such as /v1/traces)",
            "E extensionProviders[5].envoyTcpAls.additionalRequestHeadersToLog[0]: \"a b\" is no name of a header",
            "W extensionProviders[5].envoyTcpAls.additionalRequestHeadersToLog: has no effect: connections have no headers",
            "E defaultProviders.metrics[0]: \"x\" is not a provider (one of extensionProviders, by its name)",
            "W defaultProviders.tracing: has several providers, of which the first counts",
            "E defaultConfig.tracing.zipkin.address: \"z\" is not an address with a port (the host of a service and a port, such \
             as zipkin.istio-system.svc.cluster.local:9411)",
            "E defaultConfig.tracing.sampling: -1 is not a percentage: they are from 0 to 100",
            "E defaultConfig.tracing.customTags.t: has no value (it has one of literal, environment, header, formatter)",
        ],
    );
}

#[test]
fn selectors_are_checked() {
    check(
        &json!({"discoverySelectors": [
            {"matchLabels": {"a/b": "c"}, "matchExpressions": [{"key": "d", "operator": "In", "values": ["e"]}]},
            {"matchExpressions": [{"key": "d", "operator": "Exists"}]},
            {},
        ]}),
        &[],
    );
    check(
        &json!({"discoverySelectors": [{
            "matchLabels": {"a b": "-"},
            "matchExpressions": [
                {"operator": "Equals"},
                {"key": "a", "operator": "In"},
                {"key": "a", "operator": "NotIn", "values": []},
                {"key": "a", "operator": "Exists", "values": ["b"]},
                {"key": "a", "operator": "DoesNotExist", "values": ["b"]},
            ],
        }]}),
        &[
            "E discoverySelectors[0].matchLabels[\"a b\"]: is not a label's key (letters, digits, '-', '_' and '.' within, at most 63 characters, optionally after a DNS name and '/')",
            "E discoverySelectors[0].matchLabels[\"a b\"]: \"-\" is not a label's value (letters, digits, '-', '_' and '.' within, at most 63 characters)",
            "E discoverySelectors[0].matchExpressions[0].key: \"\" is not a label's key (such as istio-discovery or example.com/team)",
            "E discoverySelectors[0].matchExpressions[0].operator: \"Equals\" is not an operator (it is In, NotIn, Exists or DoesNotExist)",
            "E discoverySelectors[0].matchExpressions[1].values: In compares with values: there are none",
            "E discoverySelectors[0].matchExpressions[2].values: NotIn compares with values: there are none",
            "E discoverySelectors[0].matchExpressions[3].values: Exists looks at no values",
            "E discoverySelectors[0].matchExpressions[4].values: DoesNotExist looks at no values",
        ],
    );
}
