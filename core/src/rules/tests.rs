//! Whatever an object says: it is read or refused with reasons, and nothing panics.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::kinds::api_version;
use super::resolve::{
    destination_rule, endpoint_of, mesh_config, services, virtual_service, workload,
};
use super::{RuleSpec, Unreadable, check, kind, kinds};
use crate::model::{ClusterId, ServiceSource, Workload};
use crate::registry::{Meta, Problem, is_fatal};

const V1: &str = "networking.istio.io/v1";

#[test]
fn kinds_are_found_by_group_and_name_in_any_known_version() {
    for known in kinds() {
        for version in known.versions {
            let api_version = format!("{}/{version}", known.group);
            let (rule, problems) = RuleSpec::parse(&api_version, known.name, &Value::Null).unwrap();
            assert_eq!((rule.kind(), problems), (known.name, vec![]));
        }
        assert_eq!(
            kind(known.group, known.name).map(|kind| kind.name),
            None,
            "a group alone is no version"
        );
    }
    for (api_version, kind) in [
        ("v1", "ServiceEntry"),
        ("networking.istio.io/v1", "Pod"),
        ("acme.io/v1", "ServiceEntry"),
        ("networking.istio.io/v1", "serviceentry"),
    ] {
        assert_eq!(
            RuleSpec::parse(api_version, kind, &Value::Null),
            Err(Unreadable::UnknownKind)
        );
    }
    let unknown = Problem::error("apiVersion", "networking.istio.io has no version \"v9\"")
        .hint("one of v1, v1beta1, v1alpha3");
    assert_eq!(
        RuleSpec::parse("networking.istio.io/v9", "ServiceEntry", &json!({})),
        Err(Unreadable::Spec(vec![unknown]))
    );
}

fn samples() -> Vec<(&'static str, Value)> {
    let endpoint = json!({
        "address": "10.0.0.1", "ports": {"http": 8080}, "labels": {"app": "web"}, "network": "n", "locality": "a/b/c",
        "weight": 3, "serviceAccount": "web",
    });
    let group = json!({
        "metadata": {"labels": {"app": "web"}, "annotations": {"team": "web"}}, "template": endpoint, "location": "MESH_INTERNAL",
        "probe": {
            "initialDelaySeconds": 1, "timeoutSeconds": 2, "periodSeconds": 3, "successThreshold": 4, "failureThreshold": 5,
            "httpGet": {"path": "/", "port": 80, "host": "h", "scheme": "HTTP", "httpHeaders": [{"name": "a", "value": "b"}]},
        },
    });
    let peers = json!({
        "selector": {"matchLabels": {"app": "web"}}, "mtls": {"mode": "STRICT"}, "portLevelMtls": {"80": {"mode": "DISABLE"}},
    });
    let requests = json!({
        "targetRefs": [{"kind": "Service", "name": "web"}],
        "jwtRules": [{
            "issuer": "a", "audiences": ["b"], "jwksUri": "https://c/d", "fromHeaders": [{"name": "x", "prefix": "y "}],
            "fromParams": ["p"], "fromCookies": ["q"], "outputPayloadToHeader": "h", "forwardOriginalToken": true,
            "outputClaimToHeaders": [{"header": "x-a", "claim": "a"}], "timeout": "1s", "spaceDelimitedClaims": ["scope"],
        }],
    });
    let policy = json!({
        "action": "CUSTOM", "provider": {"name": "opa"}, "selector": {"matchLabels": {"app": "web"}},
        "rules": [{
            "from": [{"source": {"principals": ["a"], "notIpBlocks": ["10.0.0.0/8"]}}],
            "to": [{"operation": {"paths": ["/a/{*}"], "notPorts": ["80"]}}],
            "when": [{"key": "request.headers[x]", "notValues": ["1"]}],
        }],
    });
    let service = json!({
        "hosts": ["a.com", "*.b.com"],
        "addresses": ["10.1.0.0/16"],
        "ports": [{"number": 80, "protocol": "HTTP", "name": "http", "targetPort": 8000}],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "endpoints": [endpoint],
        "exportTo": ["."],
        "subjectAltNames": ["x"],
    });
    let router = json!({
        "selector": {"istio": "ingressgateway"},
        "servers": [{
            "port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "bind": "10.0.0.1", "hosts": ["shop/*.a.com", "./b.com"],
            "name": "web", "tls": {
                "mode": "MUTUAL", "serverCertificate": "/c", "privateKey": "/k", "caCertificates": "/ca",
                "subjectAltNames": ["x"], "verifyCertificateHash": ["e".repeat(64)], "minProtocolVersion": "TLSV1_2",
                "maxProtocolVersion": "TLSV1_3", "cipherSuites": ["AES128-SHA"],
            },
        }],
    });
    let selecting = json!({
        "hosts": ["a.com"], "ports": [{"number": 80, "name": "http"}], "resolution": "DNS",
        "workloadSelector": {"labels": {"app": "web"}},
    });
    let config = json!({
        "rootNamespace": "a", "trustDomain": "b", "outboundTrafficPolicy": {"mode": "ALLOW_ANY"},
        "defaultServiceExportTo": ["*"], "connectTimeout": "1s", "accessLogFile": "/dev/stdout", "accessLogFormat": "{}",
        "accessLogEncoding": "JSON", "proxyHttpPort": 1, "defaultConfig": {
            "discoveryAddress": "a:1", "proxyAdminPort": 1, "concurrency": 1, "drainDuration": "1s",
        },
    });
    let named = json!([{"name": "a"}]);
    let providers = json!({
        "extensionProviders": [
            {"name": "a", "envoyFileAccessLog": {"path": "/a", "logFormat": {"labels": {"a": "%PROTOCOL%"}}, "omitEmptyValues": true}},
            {"name": "b", "envoyHttpAls": {"service": "n/a.com", "port": 1, "additionalRequestHeadersToLog": ["x"]}},
            {"name": "c", "envoyOtelAls": {"service": "a.com", "port": 1, "logFormat": {"text": "%PROTOCOL%"}}},
            {"name": "d", "zipkin": {"service": "a.com", "port": 1, "path": "/x", "traceContextOption": "USE_B3_WITH_W3C_PROPAGATION"}},
            {"name": "e", "opentelemetry": {
                "service": "a.com", "port": 1, "http": {"path": "/x", "timeout": "1s", "headers": [{"name": "a", "value": "b"}]},
                "resourceDetectors": {"environment": {}},
            }},
        ],
        "defaultProviders": {"accessLogging": ["a"], "tracing": ["d"], "metrics": ["prometheus"]}, "enableTracing": true,
        "defaultConfig": {"tracing": {"zipkin": {"address": "a:1"}, "sampling": 1.5, "customTags": {"a": {"header": {"name": "b"}}}}},
    });
    let telemetry = json!({
        "selector": {"matchLabels": {"app": "web"}},
        "tracing": [{
            "match": {"mode": "CLIENT"}, "providers": named, "randomSamplingPercentage": 12.5, "disableSpanReporting": false,
            "customTags": {
                "a": {"literal": {"value": "x"}}, "b": {"environment": {"name": "HOME", "defaultValue": "y"}},
                "c": {"header": {"name": "x-user"}},
            },
            "useRequestIdForTraceSampling": false, "enableIstioTags": true,
        }],
        "accessLogging": [{
            "match": {"mode": "SERVER"}, "providers": named, "disabled": false, "filter": {"expression": "has(request.path)"},
        }],
    });
    let destination = json!({
        "host": "a.com",
        "trafficPolicy": {
            "loadBalancer": {
                "consistentHash": {"httpCookie": {"name": "user", "path": "/", "ttl": "0.25s"}, "ringHash": {"minimumRingSize": 9}},
                "localityLbSetting": {"distribute": [{"from": "a/b/*", "to": {"a/b/c": 70, "d": 30}}], "enabled": true},
            },
            "connectionPool": {
                "tcp": {
                    "maxConnections": 1, "connectTimeout": "1.5s", "maxConnectionDuration": "9s", "idleTimeout": "3s",
                    "tcpKeepalive": {"probes": 3, "time": "7200s", "interval": "75s"},
                },
                "http": {
                    "http1MaxPendingRequests": 1, "http2MaxRequests": 2, "maxRequestsPerConnection": 3, "maxRetries": 4,
                    "idleTimeout": "5s", "h2UpgradePolicy": "UPGRADE", "useClientProtocol": false, "maxConcurrentStreams": 6,
                },
            },
            "outlierDetection": {
                "splitExternalLocalOriginErrors": true, "consecutiveLocalOriginFailures": 1, "consecutiveGatewayErrors": 2,
                "consecutive5xxErrors": 3, "interval": "1s", "baseEjectionTime": "2s", "maxEjectionPercent": 100,
                "minHealthPercent": 50,
            },
            "tls": {
                "mode": "MUTUAL", "clientCertificate": "/a", "privateKey": "/b", "caCertificates": "/c", "sni": "d.com",
                "subjectAltNames": ["e.com"],
            },
            "portLevelSettings": [{
                "port": {"number": 80},
                "loadBalancer": {"simple": "LEAST_REQUEST", "warmup": {"duration": "9s", "minimumPercent": 5, "aggression": 1.5}},
            }],
            "proxyProtocol": {"version": "V2"},
            "tunnel": {"protocol": "POST", "targetHost": "f.com", "targetPort": 443},
            "retryBudget": {"percent": 12.5, "minRetryConcurrency": 7},
        },
        "subsets": [{"name": "v1", "labels": {"version": "v1"}, "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}],
        "exportTo": ["."],
        "workloadSelector": {"matchLabels": {"app": "web"}},
    });
    let operations = json!({"set": {"a": "%REQ(b)%"}, "add": {"c": "d"}, "remove": ["e"]});
    let to = |host: &str| json!({"host": host, "subset": "v1", "port": {"number": 80}});
    let virtual_service = json!({
        "hosts": ["*.com", "web"],
        "gateways": ["mesh", "infra/edge"],
        "exportTo": ["."],
        "http": [
            {
                "name": "all",
                "match": [{
                    "name": "m", "uri": {"prefix": "/a"}, "ignoreUriCase": true, "scheme": {"exact": "https"},
                    "method": {"regex": "GET|HEAD"}, "authority": {"prefix": "a"}, "headers": {"x": {}, "y": {"regex": "*"}},
                    "withoutHeaders": {"z": {"exact": "1"}}, "queryParams": {"q": {"prefix": "p"}}, "port": 80,
                    "sourceLabels": {"app": "web"}, "sourceNamespace": "shop", "gateways": ["mesh"], "statPrefix": "s",
                }],
                "route": [
                    {"destination": to("b.com"), "weight": 80, "headers": {"request": operations, "response": operations}},
                    {"destination": to("c"), "weight": 20},
                ],
                "rewrite": {"authority": "d.com", "uriRegexRewrite": {"match": "^/a(/.*)$", "rewrite": "\\1"}},
                "timeout": "5s",
                "retries": {
                    "attempts": 3, "perTryTimeout": "2s", "retryOn": "5xx,503", "retryRemoteLocalities": true,
                    "retryIgnorePreviousHosts": false, "backoff": "0.025s",
                },
                "fault": {
                    "delay": {"fixedDelay": "1s", "percentage": {"value": 0.5}},
                    "abort": {"grpcStatus": "UNAVAILABLE", "percentage": {"value": 1}},
                },
                "mirrors": [{"destination": to("e"), "percentage": {"value": 5}}],
                "corsPolicy": {
                    "allowOrigins": [{"exact": "*"}], "allowMethods": ["GET"], "allowHeaders": ["a"], "exposeHeaders": ["b"],
                    "maxAge": "60s", "allowCredentials": true, "unmatchedPreflights": "IGNORE",
                },
                "headers": {"request": {"set": {"host": "f.com"}}},
            },
            {"match": [{"uri": {"exact": "/b"}}], "redirect": {
                "uri": "%PREFIX()%/c", "authority": "g.com", "derivePort": "FROM_REQUEST_PORT", "scheme": "https", "redirectCode": 308,
            }},
            {"match": [{"uri": {"regex": "/c+"}}], "directResponse": {"status": 200, "body": {"bytes": "AAE="}}},
            {"match": [{"uri": {"prefix": "/d"}}], "delegate": {"name": "d", "namespace": "bank"}},
            {"route": [{"destination": to("b.com")}], "mirror": to("e"), "mirrorPercentage": {"value": 1}, "rewrite": {"uri": "/"}},
        ],
        "tls": [{
            "match": [{"sniHosts": ["a.com"], "destinationSubnets": ["10.0.0.0/8"], "port": 443, "sourceNamespace": "shop"}],
            "route": [{"destination": to("b.com"), "weight": 1}],
        }],
        "tcp": [{
            "match": [{"destinationSubnets": ["::1"], "port": 1, "sourceLabels": {"a": "b"}, "gateways": ["mesh"]}],
            "route": [{"destination": to("b.com")}],
        }],
    });
    let backend = |port: &str| json!({"service": {"name": "web", "port": {"name": port}}});
    let leaf = json!({"http": [{"match": [{"gateways": ["mesh"]}], "route": [{"destination": to("b.com")}]}]});
    vec![
        ("DestinationRule", destination),
        ("VirtualService", virtual_service),
        ("VirtualService", leaf),
        ("Gateway", router),
        ("ServiceEntry", service),
        ("ServiceEntry", selecting),
        ("WorkloadEntry", endpoint),
        ("WorkloadGroup", group),
        ("MeshConfig", config),
        ("MeshConfig", providers),
        ("Telemetry", telemetry),
        ("PeerAuthentication", peers),
        ("RequestAuthentication", requests),
        ("AuthorizationPolicy", policy),
        (
            "Ingress",
            json!({
                "ingressClassName": "mesh", "defaultBackend": backend("http"),
                "rules": [{"host": "*.a.com", "http": {"paths": [
                    {"path": "/a", "pathType": "Exact", "backend": backend("web")},
                    {"path": "/b/", "pathType": "Prefix", "backend": {"service": {"name": "c", "port": {"number": 80}}}},
                    {"path": "/d.*", "pathType": "ImplementationSpecific", "backend": backend("web")},
                ]}}],
            }),
        ),
        (
            "IngressClass",
            json!({"controller": "istio.io/ingress-controller"}),
        ),
        (
            "WasmPlugin",
            json!({"url": "oci://a/b", "pluginConfig": {"a": [1]}}),
        ),
    ]
}

/// Values that somebody could put anywhere.
fn odd() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!(u64::MAX)),
        Just(json!(65536)),
        prop::sample::select(vec![
            "",
            "*",
            "*.",
            ".",
            "~",
            "/",
            "0",
            "-1",
            "65536",
            "NaN",
            "1e999",
            "0s",
            "-5s",
            "999999999999999999s",
            "DYNAMIC_DNS",
            "NONE",
            "DNS",
            "DNS_ROUND_ROBIN",
            "unix://",
            "unix:///a",
            "::1",
            "10.0.0.0/0",
            "10.0.0.1:80",
            "a.com",
            "\u{0}",
            "ü.com",
            "127.0.0.1",
            "{",
            "[",
        ])
        .prop_map(Value::from),
        ".*".prop_map(Value::from),
        Just(Value::from("x".repeat(100_000))),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(
                prop_oneof!["[a-z]{0,3}", ".*", Just("hosts".to_owned())],
                inner,
                0..6
            )
            .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// What is done to the value at some place of a sample.
#[derive(Debug, Clone)]
enum Change {
    Remove,
    Replace(Value),
    Insert(String, Value),
    Repeat(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::Remove),
        odd().prop_map(Change::Replace),
        ("[a-zA-Z_]{0,12}", odd()).prop_map(|(key, value)| Change::Insert(key, value)),
        (2usize..300).prop_map(Change::Repeat),
    ]
}

/// Applies a change at the place that `path` leads to; each number picks one of what is there.
fn apply(value: &mut Value, path: &[usize], change: &Change) {
    let Some((pick, rest)) = path.split_first() else {
        return;
    };
    match value {
        Value::Object(map) if !map.is_empty() => {
            let key = map
                .keys()
                .nth(pick % map.len())
                .cloned()
                .unwrap_or_default();
            match change {
                _ if !rest.is_empty()
                    && map
                        .get(&key)
                        .is_some_and(|value| value.is_object() || value.is_array()) =>
                {
                    apply(&mut map[&key], rest, change);
                }
                Change::Remove => drop(map.remove(&key)),
                Change::Replace(new) => drop(map.insert(key, new.clone())),
                Change::Insert(key, new) => drop(map.insert(key.clone(), new.clone())),
                Change::Repeat(times) => {
                    let old = map.remove(&key).unwrap_or_default();
                    map.insert(key, vec![old; *times].into());
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let index = pick % items.len();
            match change {
                _ if !rest.is_empty() => apply(&mut items[index], rest, change),
                Change::Remove => drop(items.remove(index)),
                Change::Replace(new) | Change::Insert(_, new) => items[index] = new.clone(),
                Change::Repeat(times) => *items = vec![items[index].clone(); *times],
            }
        }
        _ => {}
    }
}

fn changed() -> impl Strategy<Value = (&'static str, Value)> {
    let changes = prop::collection::vec((prop::collection::vec(0usize..8, 1..5), change()), 0..4);
    (prop::sample::select(samples()), changes).prop_map(|((kind, mut value), changes)| {
        for (path, change) in &changes {
            apply(&mut value, path, change);
        }
        (kind, value)
    })
}

fn selected() -> Workload {
    let (rule, _) = RuleSpec::parse(
        V1,
        "WorkloadEntry",
        &json!({"address": "10.0.0.1", "ports": {"http": 1}}),
    )
    .unwrap();
    match rule {
        RuleSpec::WorkloadEntry(entry) => workload(
            &Meta::new("WorkloadEntry", "shop", "w"),
            &entry,
            &"c".into(),
            "td",
        ),
        other => panic!("{other:?}"),
    }
}

/// All that must hold for an object of this kind, whatever it says.
fn holds(kind: &str, value: &Value) {
    if kind == "MeshConfig" {
        let result = mesh_config(value);
        assert_eq!(
            result,
            mesh_config(value),
            "it is a function of its argument"
        );
        match result {
            Ok((_, warnings)) => assert!(!is_fatal(&warnings)),
            Err(problems) => assert!(is_fatal(&problems)),
        }
        return;
    }
    let (rule, warnings) = match RuleSpec::parse(&api_version(kind), kind, value) {
        Err(Unreadable::Spec(problems)) => {
            assert!(is_fatal(&problems));
            assert!(
                problems.len() <= 101
                    && problems
                        .iter()
                        .all(|problem| problem.to_string().len() < 2000)
            );
            return;
        }
        other => other.unwrap(),
    };
    assert!(!is_fatal(&warnings));
    let shown = serde_json::to_value(&rule).unwrap();
    assert_eq!(
        RuleSpec::parse(&api_version(kind), kind, &shown),
        Ok((rule.clone(), vec![])),
        "what is shown reads as what was written"
    );

    let meta = Meta::new(kind, "shop", "it");
    let problems = check(&meta, &rule);
    assert_eq!(problems, check(&meta, &rule));
    assert!(
        problems.len() <= 101
            && problems
                .iter()
                .all(|problem| problem.to_string().len() < 2000)
    );
    let cluster = ClusterId::from("c");
    match &rule {
        RuleSpec::ServiceEntry(entry) => {
            let resolved = services(&meta, entry, &cluster, "td");
            assert_eq!(
                resolved,
                services(&meta, entry, &cluster, "td"),
                "it is a function of its arguments"
            );
            let of_workload =
                |(service, _): &_| endpoint_of(service, &selected(), ServiceSource::Rule);
            let own = resolved
                .iter()
                .flat_map(|(_, endpoints)| endpoints.iter().cloned());
            for endpoint in own.chain(resolved.iter().filter_map(of_workload)) {
                assert!(!endpoint.addresses.is_empty() && endpoint.weight > 0);
                assert!(endpoint.ports.iter().all(|ports| ports.is_sorted()));
            }
            if !is_fatal(&problems) {
                assert!(!resolved.is_empty());
                for (service, endpoints) in &resolved {
                    let usable = entry
                        .endpoints
                        .iter()
                        .filter(|endpoint| !endpoint.address.is_empty())
                        .count();
                    assert!(
                        endpoints.len() >= usable,
                        "no endpoint of an accepted entry is lost"
                    );
                    assert_eq!(
                        service.ports.len(),
                        entry.ports.len(),
                        "no port of an accepted entry is lost"
                    );
                    assert!(service.ports.is_sorted_by_key(|port| port.port));
                    let reached = |port| {
                        endpoints
                            .iter()
                            .all(|endpoint| endpoint.port(port).is_some())
                    };
                    assert!(service.ports.iter().all(reached));
                }
            }
        }
        RuleSpec::DestinationRule(rule) => {
            let resolved = destination_rule(&meta, rule);
            assert_eq!(resolved, destination_rule(&meta, rule));
            if !is_fatal(&problems) {
                let resolved = resolved.expect("an accepted rule has a host");
                assert_eq!(resolved.subsets.len(), rule.subsets.len());
            }
        }
        RuleSpec::VirtualService(rule) => {
            let resolved = virtual_service(&meta, rule);
            assert_eq!(resolved, virtual_service(&meta, rule));
            if !is_fatal(&problems) {
                let claims = shown.to_string().contains("@request.auth.");
                assert!(claims || resolved.http.len() == rule.http.len());
                assert_eq!(resolved.tls.len(), rule.tls.len());
                assert_eq!(resolved.tcp.len(), rule.tcp.len());
                assert_eq!(resolved.hosts.is_empty(), rule.hosts.is_empty());
            }
        }
        RuleSpec::WorkloadEntry(entry) => {
            let resolved = workload(&meta, entry, &cluster, "td");
            assert_eq!(resolved, workload(&meta, entry, &cluster, "td"));
            if !is_fatal(&problems) {
                assert_eq!(resolved.addresses.is_empty(), entry.address.is_empty());
                assert_eq!(resolved.ports.len(), entry.ports.len());
            }
        }
        other => assert_eq!(
            super::Resolved::of(&meta, other),
            super::Resolved::of(&meta, other)
        ),
    }
}

#[test]
fn the_samples_are_fine() {
    for (kind, value) in samples().iter().filter(|(kind, _)| *kind != "MeshConfig") {
        let (rule, problems) = RuleSpec::parse(&api_version(kind), kind, value).unwrap();
        assert_eq!(
            (problems, check(&Meta::new(kind, "shop", "it"), &rule)),
            (vec![], vec![]),
            "{value}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_object_is_read_or_refused((kind, value) in changed()) {
        holds(kind, &value);
    }

    #[test]
    fn any_value_is_read_or_refused(
        kind in prop::sample::select(vec!["DestinationRule", "VirtualService", "Gateway", "ServiceEntry", "WorkloadEntry", "MeshConfig", "AuthorizationPolicy", "RequestAuthentication", "PeerAuthentication", "WorkloadGroup", "WasmPlugin", "Telemetry", "ProxyConfig", "Ingress", "IngressClass"]), value in odd(),
    ) {
        holds(kind, &value);
    }
}
