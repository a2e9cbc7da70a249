//! What rules change in clusters, assignments, routes and chains.

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Endpoint, Locality, Protocol, Proxy, Resolution, Visibility};
use serde_json::{Value as Json, json};

use crate::resource::ResourceType;
use crate::sample::{
    With, all, bound, endpoint, grpc_client, http, mesh, one, port, service, sidecar, tcp,
    with_rule,
};

const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const RULE: &str = "DestinationRule";

fn ruled(mesh: Mesh, spec: Json) -> Mesh {
    with_rule(mesh, RULE, ("shop", "it"), &spec)
}

fn plain() -> Mesh {
    mesh([(
        service("a.com", [http(80), tcp(81), port(82, Protocol::Grpc)]),
        vec![endpoint("10.0.0.1")],
    )])
}

/// The cluster of port 80 under this policy.
fn under(policy: Json) -> Json {
    let mesh = ruled(plain(), json!({"host": "a.com", "trafficPolicy": policy}));
    cluster(&mesh, "outbound|80||a.com")
}

fn cluster(mesh: &Mesh, name: &str) -> Json {
    one(mesh, &sidecar(), ResourceType::Cluster, name)
}

#[test]
fn a_rule_that_says_nothing_changes_nothing_but_its_mention() {
    let before = cluster(&plain(), "outbound|80||a.com");
    let mut after = under(json!({}));
    let config = &mut after["metadata"]["filter_metadata"]["istio"];
    assert_eq!(
        config
            .as_object_mut()
            .and_then(|fields| fields.remove("config")),
        Some(json!(
            "/apis/networking.istio.io/v1/namespaces/shop/destination-rule/it"
        ))
    );
    assert_eq!(after, before);
}

#[test]
fn ways_to_choose() {
    let check = |balancer: Json, policy: &str, config: Json| {
        let found = under(json!({"loadBalancer": balancer}));
        assert_eq!(found["lb_policy"].as_str().unwrap_or("ROUND_ROBIN"), policy);
        let names = [
            "least_request_lb_config",
            "round_robin_lb_config",
            "ring_hash_lb_config",
            "maglev_lb_config",
        ];
        let found = names.iter().find_map(|name| found.get(*name));
        assert_eq!(found.unwrap_or(&Json::Null), &config, "{balancer}");
    };
    for (simple, policy) in [
        ("UNSPECIFIED", "LEAST_REQUEST"),
        ("LEAST_CONN", "LEAST_REQUEST"),
        ("LEAST_REQUEST", "LEAST_REQUEST"),
        ("RANDOM", "RANDOM"),
        ("ROUND_ROBIN", "ROUND_ROBIN"),
        ("PASSTHROUGH", "CLUSTER_PROVIDED"),
    ] {
        check(json!({"simple": simple}), policy, Json::Null);
    }
    let slow = json!({"slow_start_config": {
        "slow_start_window": "9s",
        "aggression": {"default_value": 1.5, "runtime_key": "upstream.slow_start.aggression"},
        "min_weight_percent": {"value": 5.0},
    }});
    let warmup = json!({"duration": "9s", "minimumPercent": 5, "aggression": 1.5});
    check(json!({"warmup": warmup}), "LEAST_REQUEST", slow.clone());
    check(
        json!({"simple": "ROUND_ROBIN", "warmup": warmup}),
        "ROUND_ROBIN",
        slow,
    );
    check(
        json!({"consistentHash": {"useSourceIp": true}}),
        "RING_HASH",
        json!({"minimum_ring_size": 1024}),
    );
    check(
        json!({"consistentHash": {"useSourceIp": true, "maglev": {"tableSize": 101}}}),
        "MAGLEV",
        json!({"table_size": 101}),
    );
}

#[test]
fn nobody_chooses_where_clients_dialled() {
    let spec =
        json!({"host": "a.com", "trafficPolicy": {"loadBalancer": {"simple": "PASSTHROUGH"}}});
    let mesh = ruled(plain(), spec);
    assert_eq!(cluster(&mesh, "outbound|80||a.com")["type"], "ORIGINAL_DST");
    let assignments = all(&mesh, &sidecar(), ResourceType::Endpoint);
    assert_eq!(assignments.len(), 0, "{assignments:?}");
    let for_grpc = all(&mesh, &grpc_client(), ResourceType::Endpoint);
    assert_eq!(for_grpc.len(), 3, "there is nobody to dial");
}

#[test]
fn limits() {
    let found = under(json!({
        "connectionPool": {
            "tcp": {
                "maxConnections": 1, "connectTimeout": "1.5s", "maxConnectionDuration": "9s",
                "tcpKeepalive": {"probes": 3, "time": "7200s", "interval": "75s"},
            },
            "http": {
                "http1MaxPendingRequests": 2, "http2MaxRequests": 3, "maxRequestsPerConnection": 4, "maxRetries": 5,
                "idleTimeout": "6s",
            },
        },
        "retryBudget": {"percent": 12.5},
    }));
    let expected = json!([{
        "max_connections": 1, "max_pending_requests": 2, "max_requests": 3, "max_retries": 5,
        "track_remaining": true,
        "retry_budget": {"budget_percent": {"value": 12.5}, "min_retry_concurrency": 3},
    }]);
    assert_eq!(found["circuit_breakers"]["thresholds"], expected);
    assert_eq!(found["connect_timeout"], "1.500s");
    assert_eq!(
        found["upstream_connection_options"]["tcp_keepalive"],
        json!({"keepalive_probes": 3, "keepalive_time": 7200, "keepalive_interval": 75})
    );
    let options = &found["typed_extension_protocol_options"][HTTP_OPTIONS];
    assert_eq!(
        options["common_http_protocol_options"],
        json!({"idle_timeout": "6s", "max_connection_duration": "9s", "max_requests_per_connection": 4})
    );
    assert!(options["explicit_http_config"]["http_protocol_options"].is_object());
}

#[test]
fn versions_of_http() {
    let check = |http: Json, expected: &str| {
        let found = under(json!({"connectionPool": {"http": http}}));
        let options = &found["typed_extension_protocol_options"][HTTP_OPTIONS];
        assert!(options.to_string().contains(expected), "{options}");
    };
    check(
        json!({"h2UpgradePolicy": "UPGRADE"}),
        "http2_protocol_options",
    );
    check(
        json!({"h2UpgradePolicy": "UPGRADE", "maxConcurrentStreams": 6}),
        r#""max_concurrent_streams":6"#,
    );
    check(
        json!({"useClientProtocol": true}),
        "use_downstream_protocol_config",
    );
}

#[test]
fn ejection() {
    let found = under(json!({"outlierDetection": {
        "splitExternalLocalOriginErrors": true, "consecutiveLocalOriginFailures": 1, "consecutiveGatewayErrors": 2,
        "consecutive5xxErrors": 0, "interval": "1s", "baseEjectionTime": "2s", "maxEjectionPercent": 100,
        "minHealthPercent": 50,
    }}));
    let expected = json!({
        "enforcing_success_rate": 0,
        "enforcing_consecutive_5xx": 0,
        "consecutive_gateway_failure": 2,
        "enforcing_consecutive_gateway_failure": 100,
        "interval": "1s",
        "base_ejection_time": "2s",
        "max_ejection_percent": 100,
        "split_external_local_origin_errors": true,
        "consecutive_local_origin_failure": 1,
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_local_origin_success_rate": 0,
    });
    assert_eq!(found["outlier_detection"], expected);
    let panics = &found["common_lb_config"]["healthy_panic_threshold"];
    assert_eq!(*panics, json!({"value": 50.0}));
}

#[test]
fn tls_of_files_and_of_the_mesh() {
    let tls = |fields: Json| {
        let found = under(json!({"tls": fields}));
        found["transport_socket"]["typed_config"].clone()
    };
    let validation = |found: &Json| {
        let context = &found["common_tls_context"]["combined_validation_context"];
        context["validation_context_sds_secret_config"]["name"].clone()
    };
    assert_eq!(tls(json!({"mode": "DISABLE"})), Json::Null);
    let simple = tls(json!({"mode": "SIMPLE"}));
    assert_eq!(validation(&simple), "file-root:system");
    let found = tls(json!({
        "mode": "MUTUAL", "clientCertificate": "/c", "privateKey": "/k", "caCertificates": "/r", "sni": "b.com",
        "subjectAltNames": ["b.com", "spiffe://b"],
    }));
    assert_eq!(
        (&found["sni"], validation(&found)),
        (&json!("b.com"), json!("file-root:/r"))
    );
    let own = &found["common_tls_context"]["tls_certificate_sds_secret_configs"][0];
    assert_eq!(own["name"], "file-cert:/c~/k");
    assert_eq!(
        own["sds_config"]["api_config_source"]["grpc_services"],
        json!([{"envoy_grpc": {"cluster_name": "sds-grpc"}}])
    );
    let names = &found["common_tls_context"]["combined_validation_context"]["default_validation_context"]
        ["match_typed_subject_alt_names"];
    assert_eq!(
        *names,
        json!([
            {"san_type": "DNS", "matcher": {"exact": "b.com"}},
            {"san_type": "URI", "matcher": {"exact": "spiffe://b"}},
        ])
    );
    let found = tls(json!({"mode": "ISTIO_MUTUAL"}));
    assert_eq!(
        (&found["sni"], validation(&found)),
        (&json!("outbound_.80_._.a.com"), json!("ROOTCA"))
    );
    assert_eq!(
        found["common_tls_context"]["alpn_protocols"],
        json!(["istio-peer-exchange", "istio"])
    );
    let blind = tls(json!({"mode": "SIMPLE", "insecureSkipVerify": true}));
    assert_eq!(blind["common_tls_context"], json!({}));
    let unserved = tls(json!({"mode": "SIMPLE", "credentialName": "c"}));
    assert!(unserved.to_string().contains(&"0".repeat(64)), "{unserved}");
}

#[test]
fn a_name_is_asked_for_and_verified_where_none_is_said() {
    let options = |fields: Json| {
        let found = under(json!({"tls": fields}));
        found["typed_extension_protocol_options"][HTTP_OPTIONS]["upstream_http_protocol_options"]
            .clone()
    };
    assert_eq!(
        options(json!({"mode": "SIMPLE"})),
        json!({"auto_sni": true, "auto_san_validation": true})
    );
    assert_eq!(
        options(json!({"mode": "SIMPLE", "subjectAltNames": ["b.com"]})),
        json!({"auto_sni": true})
    );
    assert_eq!(
        options(json!({"mode": "SIMPLE", "sni": "b.com"})),
        Json::Null
    );
}

#[test]
fn a_proxy_header_goes_before_everything() {
    let check = |policy: Json, inner: &str| {
        let socket = under(policy)["transport_socket"].clone();
        assert_eq!(
            socket["name"],
            "envoy.transport_sockets.upstream_proxy_protocol"
        );
        assert_eq!(socket["typed_config"]["transport_socket"]["name"], inner);
    };
    check(
        json!({"proxyProtocol": {"version": "V2"}}),
        "envoy.transport_sockets.raw_buffer",
    );
    check(
        json!({"proxyProtocol": {}, "tls": {"mode": "SIMPLE"}}),
        "envoy.transport_sockets.tls",
    );
}

#[test]
fn subsets_have_clusters_and_assignments_of_their_own() {
    let labelled = |ip: &str, version: &str| Endpoint {
        labels: [("version", version)].into_iter().collect(),
        ..endpoint(ip)
    };
    let endpoints = vec![labelled("10.0.0.1", "v1"), labelled("10.0.0.2", "v2")];
    let mesh = mesh([
        (service("a.com", [http(80)]), endpoints.clone()),
        (
            service("b.com", [http(80)]).resolved(Resolution::Dns),
            endpoints,
        ),
    ]);
    let mesh = ruled(
        mesh,
        json!({"host": "*.com", "subsets": [{"name": "v1", "labels": {"version": "v1"}}]}),
    );
    let addresses = |assignment: &Json| -> Vec<String> {
        let localities = assignment["endpoints"].as_array().into_iter().flatten();
        localities
            .flat_map(|locality| locality["lb_endpoints"].as_array().into_iter().flatten())
            .map(|e| e["endpoint"]["address"]["socket_address"]["address"].to_string())
            .collect()
    };
    let name = "outbound|80|v1|a.com";
    let found = cluster(&mesh, name);
    assert_eq!(found["eds_cluster_config"]["service_name"], name);
    assert_eq!(
        found["metadata"]["filter_metadata"]["istio"]["subset"],
        "v1"
    );
    let of = |proxy: &Proxy| one(&mesh, proxy, ResourceType::Endpoint, name);
    assert_eq!(addresses(&of(&sidecar())), [r#""10.0.0.1""#]);
    assert_eq!(addresses(&of(&grpc_client())), [r#""10.0.0.1""#]);
    let inline = &cluster(&mesh, "outbound|80|v1|b.com")["load_assignment"];
    assert_eq!(addresses(inline), [r#""10.0.0.1""#]);
}

#[test]
fn the_clients_namespace_goes_first_then_the_services_then_the_root() {
    let connections = |rules: &[(&str, &str, &str, Json)], namespace: &str| {
        let mut mesh = mesh([(service("a.b.com", [http(80)]), vec![])]);
        for (index, (of, host, export_to, _)) in rules.iter().enumerate() {
            let mut spec = json!({
                "host": host,
                "trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": index + 1}}},
                "exportTo": [export_to],
            });
            if let Json::Object(more) = &rules[index].3 {
                spec.as_object_mut().unwrap().extend(more.clone());
            }
            mesh = with_rule(mesh, RULE, (of, &format!("r{index}")), &spec);
        }
        let proxy = Proxy {
            namespace: namespace.into(),
            labels: [("app", "web")].into_iter().collect(),
            ..sidecar()
        };
        let name = "outbound|80||a.b.com";
        let found = one(&mesh, &proxy, ResourceType::Cluster, name);
        let limit = &found["circuit_breakers"]["thresholds"][0]["max_connections"];
        limit.as_u64().filter(|limit| *limit != u64::from(u32::MAX))
    };
    let root = ("istio-system", "*", "*", Json::Null);
    let of_service = ("shop", "a.b.com", "*", Json::Null);
    let of_client = ("bank", "*.com", "*", Json::Null);
    let private = ("shop", "a.b.com", ".", Json::Null);
    let narrow = ("bank", "*.b.com", "*", Json::Null);
    let selects = |app: &str| json!({"workloadSelector": {"matchLabels": {"app": app}}});
    let mine = ("bank", "a.b.com", ".", selects("web"));
    let others = ("bank", "a.b.com", ".", selects("db"));
    let check = |rules: &[_], expected| assert_eq!(connections(rules, "bank"), expected);
    check(std::slice::from_ref(&root), Some(1));
    check(&[root.clone(), of_service.clone()], Some(2));
    check(
        &[root.clone(), of_service.clone(), of_client.clone()],
        Some(3),
    );
    check(&[root.clone(), private.clone()], Some(1));
    check(&[of_client.clone(), narrow.clone()], Some(2));
    check(&[narrow.clone(), mine.clone()], Some(2));
    check(&[narrow, others], Some(1));
    check(&[("other", "a.b.com", "*", Json::Null)], None);
    assert_eq!(connections(&[root, private, mine], "shop"), Some(2));
}

#[test]
fn what_routes_and_chains_have_to_know() {
    let spec = |by: Json| {
        let balancer = json!({"consistentHash": by});
        let pool = json!({"tcp": {"idleTimeout": "5s", "maxConnectionDuration": "9s"}});
        let tunnel = json!({"targetHost": "fd00::1", "targetPort": 1});
        json!({
            "host": "a.com",
            "trafficPolicy": {"loadBalancer": balancer, "connectionPool": pool, "tunnel": tunnel},
        })
    };
    let hash = |by: Json| {
        let found = one(
            &ruled(plain(), spec(by)),
            &sidecar(),
            ResourceType::Route,
            "80",
        );
        found["virtual_hosts"][0]["routes"][0]["route"]["hash_policy"].clone()
    };
    assert_eq!(
        hash(json!({"httpHeaderName": "x"})),
        json!([{"header": {"header_name": "x"}}])
    );
    assert_eq!(
        hash(json!({"httpCookie": {"name": "c", "path": "/p", "ttl": "0s"}})),
        json!([{"cookie": {"name": "c", "path": "/p", "ttl": "0s"}}])
    );
    assert_eq!(
        hash(json!({"httpQueryParameterName": "q"})),
        json!([{"query_parameter": {"name": "q"}}])
    );
    let source = json!({"useSourceIp": true});
    assert_eq!(
        hash(source.clone()),
        json!([{"connection_properties": {"source_ip": true}}])
    );
    let listener = one(
        &ruled(plain(), spec(source)),
        &bound(),
        ResourceType::Listener,
        "127.0.0.1_81",
    );
    let text = listener.to_string();
    for part in [
        r#""idle_timeout":"5s""#,
        r#""max_downstream_connection_duration":"9s""#,
        r#""hash_policy":[{"source_ip":{}}]"#,
        r#""hostname":"[fd00::1]:1""#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn localities_count_by_where_the_client_is() {
    let at = |ip: &str, locality: &str| Endpoint {
        locality: Locality::parse(locality),
        labels: [("rack", ip)].into_iter().collect(),
        ..endpoint(ip)
    };
    let endpoints = vec![
        at("10.0.0.1", "eu/a/1"),
        at("10.0.0.2", "eu/a/2"),
        at("10.0.0.3", "eu/b"),
        at("10.0.0.4", "us/a"),
        at("10.0.0.5", "as/a"),
    ];
    let check = |from: &str, policy: Json, expected: &str| {
        let mesh = mesh([(service("a.com", [http(80)]), endpoints.clone())]);
        let mesh = ruled(mesh, json!({"host": "a.com", "trafficPolicy": policy}));
        let proxy = Proxy {
            locality: Locality::parse(from),
            labels: [("rack", "10.0.0.4")].into_iter().collect(),
            ..sidecar()
        };
        let found = one(&mesh, &proxy, ResourceType::Endpoint, "outbound|80||a.com");
        let show = |locality: &Json| {
            let socket = &locality["lb_endpoints"][0]["endpoint"]["address"]["socket_address"];
            let last = socket["address"].as_str().unwrap().rsplit('.').next();
            format!(
                "{}@{}x{}",
                last.unwrap(),
                locality["priority"].as_u64().unwrap_or(0),
                locality["load_balancing_weight"]
            )
        };
        let localities = found["endpoints"].as_array().unwrap();
        let shown: Vec<_> = localities.iter().map(show).collect();
        assert_eq!(shown.join(" "), expected, "{from} {policy}");
    };
    let detects = |locality: Json| json!({"outlierDetection": {}, "loadBalancer": {"localityLbSetting": locality}});
    let even = "5@0x1 1@0x1 2@0x1 3@0x1 4@0x1";
    check("eu/a/1", json!({}), even);
    check("", json!({"outlierDetection": {}}), even);
    check("eu/a/1", detects(json!({"enabled": false})), even);
    check(
        "eu/a/1",
        json!({"outlierDetection": {}}),
        "1@0x1 2@1x1 3@2x1 5@3x1 4@3x1",
    );
    check(
        "eu/a/1",
        detects(json!({"failover": [{"from": "eu", "to": "us"}]})),
        "1@0x1 2@1x1 3@2x1 4@3x1 5@4x1",
    );
    check(
        "eu/a/1",
        detects(json!({"failoverPriority": ["rack"]})),
        "4@0x1 5@1x1 1@1x1 2@1x1 3@1x1",
    );
    check(
        "eu/a/1",
        detects(json!({"failoverPriority": ["topology.kubernetes.io/region", "rack=10.0.0.3"]})),
        "3@0x1 1@1x1 2@1x1 5@2x1 4@2x1",
    );
    let shares = json!({"distribute": [{"from": "eu/a/*", "to": {"eu/a/*": 80, "us": 20}}]});
    let distribute = json!({"loadBalancer": {"localityLbSetting": shares}});
    check(
        "eu/a/1",
        distribute.clone(),
        "1@0x400000 2@0x400000 4@0x200000",
    );
    check("us/a", distribute, even);
}

#[test]
fn hosts_that_nobody_sees_are_nobodys() {
    let hidden = service("a.com", [http(80)])
        .with(|service| service.export_to = Some(Visibility::Namespaces(Default::default())));
    let mesh = ruled(
        mesh([(hidden, vec![])]),
        json!({"host": "a.com", "subsets": [{"name": "v1"}]}),
    );
    let names: Vec<_> = all(&mesh, &sidecar(), ResourceType::Cluster)
        .into_keys()
        .filter(|name| name.starts_with("outbound"))
        .collect();
    assert_eq!(names, Vec::<String>::new());
}

#[test]
fn grpc_clients_get_what_they_know() {
    let spec = json!({"host": "a.com", "trafficPolicy": {
        "loadBalancer": {"consistentHash": {"httpHeaderName": "user", "ringHash": {"minimumRingSize": 9}}},
        "connectionPool": {"http": {"http2MaxRequests": 7}},
        "outlierDetection": {},
    }});
    let mesh = ruled(plain(), spec);
    let name = "outbound|80||a.com";
    let found = one(&mesh, &grpc_client(), ResourceType::Cluster, name);
    assert_eq!(found["lb_policy"], "RING_HASH");
    assert_eq!(found["ring_hash_lb_config"]["minimum_ring_size"], 9);
    assert_eq!(
        found["circuit_breakers"]["thresholds"][0]["max_requests"],
        7
    );
    let route = one(&mesh, &grpc_client(), ResourceType::Route, name);
    assert!(
        route.to_string().contains(r#""header_name":"user""#),
        "{route}"
    );
}
