//! What listeners report: logs, spans and counters, by what rules and providers say.

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Labels, Protocol, Proxy};
use pilothouse_core::registry::Meta;
use pilothouse_core::rules::resolve::mesh_config;
use serde_json::{Value as Json, json};

use crate::extensions::Extension;
use crate::resource::{Cause, ResourceType};
use crate::sample::{
    With, endpoint, http, mesh_with, one, port, resources, service, sidecar, tcp, with_rule,
};

/// A mesh with these providers, a service that proxies are clients and servers of, and one that takes reports.
fn mesh(config: Json, rule: Json) -> Mesh {
    let (config, _) = mesh_config(&config).unwrap();
    let mesh = mesh_with(
        config,
        [
            (
                service("a.com", [http(80), tcp(90)]).at(&["10.1.0.1"]),
                vec![endpoint("10.0.0.1")],
            ),
            (
                service("c.com", [http(81), port(82, Protocol::Grpc)]),
                vec![],
            ),
        ],
    );
    with_rule(mesh, "Telemetry", ("shop", "it"), &rule)
}

fn proxy() -> Proxy {
    let labels: Labels = [("app", "web"), ("version", "v7")].into_iter().collect();
    Proxy {
        labels,
        ..sidecar()
    }
}

/// The first filter of the chain with HTTP (`true`) or TCP, outbound or inbound.
fn filter(mesh: &Mesh, proxy: &Proxy, inbound: bool, is_http: bool) -> Json {
    let name = match (inbound, is_http) {
        (true, _) => "virtualInbound",
        (false, true) => "0.0.0.0_80",
        (false, false) => "10.1.0.1_90",
    };
    let listener = one(mesh, proxy, ResourceType::Listener, name);
    let chains = listener["filter_chains"].as_array().unwrap().iter();
    let filters = chains.map(|chain| &chain["filters"][0]["typed_config"]);
    let wanted = match is_http {
        true => "HttpConnectionManager",
        false => "TcpProxy",
    };
    let mut found = filters.filter(|filter| filter["@type"].as_str().unwrap().ends_with(wanted));
    let found = match inbound {
        // The port's own chains come behind those for all ports.
        true => found.next_back(),
        false => found.next(),
    };
    found.unwrap().clone()
}

/// The names and files or clusters of logs, with `?` behind those with a filter.
fn logs(of: &Json) -> Vec<String> {
    let all = of["access_log"].as_array().into_iter().flatten();
    let one = |log: &Json| {
        let config = &log["typed_config"];
        let common = match &config["common_config"] {
            Json::Null => config,
            common => common,
        };
        let cluster = &common["grpc_service"]["envoy_grpc"]["cluster_name"];
        let to = config["path"]
            .as_str()
            .or(cluster.as_str())
            .unwrap_or_default();
        let name = log["name"].as_str().unwrap().rsplit('.').next().unwrap();
        let filter = if log["filter"].is_null() { "" } else { "?" };
        format!("{name}{filter} {to}")
    };
    all.map(one).collect()
}

fn providers() -> Json {
    json!({"extensionProviders": [
        {"name": "file", "envoyFileAccessLog": {"path": "/a", "logFormat": {"labels": {"k": "%PROTOCOL%"}}, "omitEmptyValues": true}},
        {"name": "http", "envoyHttpAls": {"service": "c.com", "port": 82, "additionalRequestHeadersToLog": ["x-a"]}},
        {"name": "tcp", "envoyTcpAls": {"service": "shop/c.com", "port": 82}},
        {"name": "gone", "envoyHttpAls": {"service": "d.com", "port": 82}},
        {"name": "elsewhere", "envoyHttpAls": {"service": "bank/c.com", "port": 82}},
        {"name": "otel", "envoyOtelAls": {"service": "c.com", "port": 82, "logFormat": {"text": "%PATH%", "labels": {"a": {"b": 1}}}}},
        {"name": "zipkin", "zipkin": {"service": "c.com", "port": 81, "maxTagLength": 99}},
        {"name": "spans", "opentelemetry": {"service": "c.com", "port": 81, "maxTagLength": 99, "http": {"path": "/v1/traces"}}},
    ]})
}

fn by(names: &[&str]) -> Json {
    let names: Vec<_> = names.iter().map(|name| json!({ "name": name })).collect();
    json!({ "providers": names })
}

#[test]
fn logs_go_where_their_side_and_protocol_says() {
    let mut client = by(&["file", "http", "tcp", "gone", "elsewhere"]);
    client["match"] = json!({"mode": "CLIENT"});
    let mut server = by(&["file"]);
    server["match"] = json!({"mode": "SERVER"});
    server["filter"] = json!({"expression": "response.code >= 500"});
    let mesh = mesh(providers(), json!({"accessLogging": [client, server]}));
    let proxy = proxy();
    let of = |inbound, is_http| logs(&filter(&mesh, &proxy, inbound, is_http));
    let cluster = "outbound|82||c.com";
    assert_eq!(
        of(false, true),
        ["file /a".to_owned(), format!("http_grpc {cluster}")]
    );
    assert_eq!(
        of(false, false),
        ["file /a".to_owned(), format!("tcp_grpc {cluster}")]
    );
    assert_eq!(of(true, true), ["file? /a"]);
    assert_eq!(of(true, false), ["file? /a"]);
    let without = Proxy {
        missing: [
            Extension::CelLogFilter.name(),
            Extension::HttpGrpcLog.name(),
        ]
        .into(),
        ..proxy.clone()
    };
    assert_eq!(
        logs(&filter(&mesh, &without, true, true)),
        [""; 0],
        "rather none than all"
    );
    assert_eq!(logs(&filter(&mesh, &without, false, true)), ["file /a"]);
    for resource in resources(&mesh, &proxy) {
        let text = String::from_utf8_lossy(&resource.body).into_owned();
        let is_listener = text.contains("config.listener.v3.Listener");
        let rule = Cause::Rule(Meta::new("Telemetry", "shop", "it").key);
        assert_eq!(
            resource.causes.contains(&rule),
            is_listener,
            "{}",
            resource.name
        );
        let is_outbound = resource.name.as_str() != "virtualInbound";
        let mut uses = resource.uses.clusters.iter();
        let uses = uses.any(|name| name.as_str() == cluster);
        assert!(!is_listener || uses == is_outbound, "{}", resource.name);
    }
}

#[test]
fn a_listener_logs_what_finds_no_chain_and_passes_the_filter() {
    let mut entry = by(&["file"]);
    entry["filter"] = json!({"expression": "true"});
    let mesh = mesh(providers(), json!({"accessLogging": [entry]}));
    let listener = one(&mesh, &proxy(), ResourceType::Listener, "virtualInbound");
    let cel = json!({"extension_filter": {
        "name": "envoy.access_loggers.extension_filters.cel",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter", "expression": "true",
        },
    }});
    let no_route = json!({"response_flag_filter": {"flags": ["NR"]}});
    assert_eq!(
        listener["access_log"],
        json!([{
            "name": "envoy.access_loggers.file",
            "filter": {"and_filter": {"filters": [no_route, cel]}},
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": "/a",
                "log_format": {"json_format": {"k": "%PROTOCOL%"}, "omit_empty_values": true},
            },
        }])
    );
}

#[test]
fn newer_envoys_get_the_newer_fields_of_opentelemetry() {
    let mesh = mesh(providers(), json!({"accessLogging": [by(&["otel"])]}));
    let config = |version| {
        let proxy = Proxy {
            envoy: Some(version),
            ..proxy()
        };
        filter(&mesh, &proxy, false, true)["access_log"][0]["typed_config"].clone()
    };
    let service =
        json!({"envoy_grpc": {"cluster_name": "outbound|82||c.com", "authority": "c.com"}});
    let entry = json!({
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
        "body": {"string_value": "%PATH%"},
        "attributes": {"values": [{"key": "a", "value": {"kvlist_value": {"values": [{"key": "b", "value": {"string_value": "1"}}]}}}]},
    });
    let mut newer = entry.clone();
    newer["log_name"] = json!("otel_envoy_accesslog");
    newer["grpc_service"] = service.clone();
    assert_eq!(config((1, 40, 0)), newer);
    let mut older = entry;
    older["common_config"] = json!({"log_name": "otel_envoy_accesslog", "grpc_service": service, "transport_api_version": "V3"});
    assert_eq!(config((1, 36, 4)), older);
}

#[test]
fn spans_go_to_their_collector_with_tags_of_the_workload() {
    let mut client = by(&["zipkin"]);
    client["match"] = json!({"mode": "CLIENT"});
    client["randomSamplingPercentage"] = json!(12.5);
    client["customTags"] = json!({"a": {"formatter": {"value": "%PROTOCOL%"}}});
    let mut server = by(&["spans"]);
    server["match"] = json!({"mode": "SERVER"});
    server["enableIstioTags"] = json!(false);
    server["useRequestIdForTraceSampling"] = json!(false);
    let mesh = mesh(providers(), json!({"tracing": [client, server]}));
    let out = filter(&mesh, &proxy(), false, true);
    let literal = |tag: &str, value: &str| json!({"tag": tag, "literal": {"value": value}});
    assert_eq!(
        out["tracing"],
        json!({
            "client_sampling": {"value": 100.0}, "random_sampling": {"value": 12.5}, "overall_sampling": {"value": 100.0},
            "max_path_tag_length": 99,
            "custom_tags": [
                {"tag": "a", "value": "%PROTOCOL%"},
                literal("istio.canonical_revision", "v7"),
                literal("istio.canonical_service", "web"),
                literal("istio.mesh_id", "cluster.local"),
                literal("istio.namespace", "shop"),
            ],
            "provider": {"name": "envoy.tracers.zipkin", "typed_config": {
                "@type": "type.googleapis.com/envoy.config.trace.v3.ZipkinConfig", "collector_cluster": "outbound|81||c.com",
                "collector_endpoint": "/api/v2/spans", "collector_endpoint_version": "HTTP_JSON", "collector_hostname": "c.com",
                "trace_id_128bit": true, "shared_span_context": false,
            }},
        })
    );
    assert_eq!(out["request_id_extension"], Json::Null);
    let older = Proxy {
        envoy: Some((1, 36, 4)),
        ..proxy()
    };
    let first = &filter(&mesh, &older, false, true)["tracing"]["custom_tags"][0]["tag"];
    assert_eq!(
        first, "istio.canonical_revision",
        "it has no tags of formats"
    );
    let into = filter(&mesh, &proxy(), true, true);
    assert_eq!(
        into["tracing"],
        json!({
            "client_sampling": {"value": 100.0}, "random_sampling": {"value": 1.0}, "overall_sampling": {"value": 100.0},
            "max_path_tag_length": 99,
            "provider": {"name": "envoy.tracers.opentelemetry", "typed_config": {
                "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig", "service_name": "web.shop",
                "http_service": {"http_uri": {
                    "uri": "http://c.com/v1/traces", "cluster": "outbound|81||c.com", "timeout": "10s",
                }},
            }},
        })
    );
    let by_id = &into["request_id_extension"]["typed_config"]["use_request_id_for_trace_sampling"];
    assert_eq!(by_id, false);
}

#[test]
fn metrics_have_the_tags_that_are_left_and_those_that_are_added() {
    let mut metrics = by(&["prometheus"]);
    metrics["overrides"] = json!([
        {"disabled": true},
        {"match": {"metric": "REQUEST_COUNT"}, "disabled": false, "tagOverrides": {
            "host": {"value": "request.host"}, "response_flags": {"operation": "REMOVE"},
        }},
        {"match": {"metric": "TCP_SENT_BYTES", "mode": "SERVER"}, "disabled": false},
    ]);
    let mesh = mesh(providers(), json!({"metrics": [metrics]}));
    let config = |inbound, is_http| {
        filter(&mesh, &proxy(), inbound, is_http)["access_log"][0]["typed_config"].clone()
    };
    let out = config(false, true);
    assert_eq!(out["stats_scope"], json!({"prefix": "istio"}));
    let counter = &out["counters"][0];
    assert_eq!(
        (&counter["stat"]["name"], &counter["value_fixed"]),
        (&json!("requests_total"), &json!(1))
    );
    let tags = counter["stat"]["tags"].as_array().unwrap();
    let tag = |name: &str| {
        let found = tags.iter().find(|tag| tag["name"] == name);
        found.map(|tag| tag["value_format"].as_str().unwrap())
    };
    assert_eq!(tag("host"), Some("%CEL(request.host)%"));
    assert_eq!(tag("response_flags"), None);
    assert_eq!(
        (tag("reporter"), tag("source_app"), tag("destination_app")),
        (Some("source"), Some("web"), Some("unknown"))
    );
    assert_eq!(
        (
            &out["counters"].as_array().unwrap().len(),
            &out["histograms"]
        ),
        (&1, &Json::Null)
    );
    assert_eq!(
        config(true, false)["counters"][0]["value_format"],
        "%BYTES_SENT%"
    );
    let older = Proxy {
        missing: [Extension::StatsLog.name()].into(),
        ..proxy()
    };
    assert_eq!(filter(&mesh, &older, false, true)["access_log"], Json::Null);
}
