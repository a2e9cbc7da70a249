//! What a `Telemetry` may say.

use serde_json::{Value, json};

use super::super::problems;

fn check(spec: &Value, expected: &[&str]) {
    assert_eq!(problems("Telemetry", spec), expected, "{spec}");
}

#[test]
fn accepted() {
    for spec in [
        json!({}),
        json!({"accessLogging": [{"disabled": true}]}),
        json!({"accessLogging": [{
            "match": {"mode": "CLIENT"}, "providers": [{"name": "envoy"}], "filter": {"expression": "response.code >= 500"},
        }]}),
        json!({"selector": {"matchLabels": {"app": "web"}}, "tracing": [{
            "match": {"mode": 2}, "providers": [{"name": "zipkin"}], "random_sampling_percentage": 12.5, "disableSpanReporting": false,
            "customTags": {
                "a": {"literal": {"value": "x"}}, "b": {"environment": {"name": "HOME", "defaultValue": "y"}},
                "c": {"header": {"name": "x-user"}},
            },
            "useRequestIdForTraceSampling": false, "enableIstioTags": true,
        }]}),
    ] {
        check(&spec, &[]);
    }
}

#[test]
fn every_problem_at_once() {
    check(
        &json!({
            "selector": {"matchLabels": {"app": "*"}},
            "tracing": [{
                "providers": [{}, {"name": "b"}], "randomSamplingPercentage": 101,
                "customTags": {"a": {}, "b": {"literal": {"value": "x"}, "header": {"name": "a b"}}},
            }],
            "accessLogging": [{"filter": {"expression": "response.code >"}}, {"filter": {}}],
        }),
        &[
            "E spec.selector.matchLabels.app: selectors have no wildcards",
            "E spec.tracing[0].providers[0].name: is missing",
            "W spec.tracing[0].providers: names several providers, of which the first counts",
            "E spec.tracing[0].randomSamplingPercentage: 101 is not a percentage: they are from 0 to 100",
            "E spec.tracing[0].customTags.a: has no value",
            "E spec.tracing[0].customTags.b: has several values: one of literal, environment, header, formatter is to be written",
            "E spec.tracing[0].customTags.b.header.name: \"a b\" is no name of a header",
            "E spec.accessLogging[0].filter.expression: \"response.code >\" is not CEL: something is missing at its end",
            "E spec.accessLogging[1].filter.expression: is missing",
        ],
    );
}

#[test]
fn what_has_no_effect_is_a_warning_each() {
    check(
        &json!({"tracing": [{"customTags": {"d": {"formatter": {"value": "%PROTOCOL%"}}}}]}),
        &[
            "W spec.tracing[0].customTags.d.formatter.value: has an effect on Envoy 1.40 and newer only: older ones have no tags of formats",
        ],
    );
    let partly = "W spec.metrics[0]: has an effect on proxies only that announce envoy.access_loggers.stats, as Envoy 1.40 does: \
        Istio's own filter of metrics is not part of Envoy";
    check(
        &json!({
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw"}],
            "metrics": [{
                "providers": [{"name": "prometheus"}], "reportingInterval": "5s",
                "overrides": [
                    {"match": {"customMetric": "mine"}}, {"match": {"metric": "GRPC_REQUEST_MESSAGES"}, "disabled": true},
                ],
            }],
        }),
        &[
            "W spec.targetRefs: is known to Istio and has no effect here: nothing is reported for this object",
            partly,
            "W spec.metrics[0].reportingInterval: is known to Istio and has no effect here: connections are counted when they end",
            "W spec.metrics[0].overrides[0].match.customMetric: is known to Istio and has no effect here: only Istio's standard \
             metrics are counted",
            "W spec.metrics[0].overrides[1].match.metric: is not counted here, so nothing of it can be overridden",
        ],
    );
    check(
        &json!({"metrics": [{"overrides": [{"tagOverrides": {
            "a b": {"value": "request.host"}, "c": {}, "d": {"operation": "REMOVE", "value": "x"}, "e": {"operation": "REMOVE"},
            "f": {"value": "request.size % 2"},
        }}]}]}),
        &[
            partly,
            "E spec.metrics[0].overrides[0].tagOverrides[\"a b\"]: is not a tag's name",
            "E spec.metrics[0].overrides[0].tagOverrides.c.value: is missing",
            "E spec.metrics[0].overrides[0].tagOverrides.d.value: is given for a tag that is removed",
            "E spec.metrics[0].overrides[0].tagOverrides.f.value: has a percent sign, a double quote or a line's end in it, which \
             formats of Envoy cannot carry",
        ],
    );
}
