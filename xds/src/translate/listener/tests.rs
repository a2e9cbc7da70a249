use pilothouse_core::mesh::{AccessLog, AccessLogEncoding, Mesh, MeshConfig};
use pilothouse_core::model::{EndpointPort, Interception, Protocol, Proxy};
use serde_json::{Value as Json, json};

use crate::resource::ResourceType;
use crate::sample::{
    With, all, auto, bound, endpoint, http, mesh, mesh_with, one, outline, port, service, sidecar,
    tcp,
};

fn inbound(mesh: &Mesh, proxy: &Proxy) -> Json {
    one(mesh, proxy, ResourceType::Listener, "virtualInbound")
}

fn filter_names(listener: &Json) -> Vec<&str> {
    let filters = listener["listener_filters"]
        .as_array()
        .into_iter()
        .flatten();
    filters
        .map(|filter| filter["name"].as_str().unwrap().rsplit('.').next().unwrap())
        .collect()
}

const CATCH_ALL: [&str; 4] = [
    ":15006 → BlackHoleCluster",
    "raw_buffer http/1.1 h2c → inbound|http|0 InboundPassthroughCluster",
    "raw_buffer → InboundPassthroughCluster",
    "tls → InboundPassthroughCluster",
];

#[test]
fn ports_of_the_workload_have_chains_by_protocol() {
    let ports = [
        http(80),
        tcp(81),
        auto(82),
        port(84, Protocol::Grpc),
        port(85, Protocol::Udp),
    ];
    let mesh = mesh([(
        service("a.com", ports),
        vec![endpoint("10.0.0.1"), endpoint("10.0.0.2")],
    )]);
    let listener = inbound(&mesh, &sidecar());
    let own = [
        ":80 → inbound|http|80 inbound|80||",
        ":81 → inbound|81||",
        ":82 raw_buffer http/1.1 h2c → inbound|http|82 inbound|82||",
        ":82 raw_buffer → inbound|82||",
        ":82 tls → inbound|82||",
        ":84 → inbound|http|84 inbound|84||",
    ];
    assert_eq!(outline(&listener), [&CATCH_ALL[..], &own[..]].concat());
    assert_eq!(
        filter_names(&listener),
        ["original_dst", "tls_inspector", "http_inspector"]
    );
    let range = |port: u16| json!({"destination_port_range": {"start": port, "end": port + 1}});
    let disabled = json!({"or_match": {"rules": [range(80), range(81), range(84)]}});
    assert_eq!(listener["listener_filters"][1]["filter_disabled"], disabled);
    assert_eq!(listener["traffic_direction"], "INBOUND");
}

#[test]
fn requests_to_the_workload_are_not_sent_twice() {
    let mesh = mesh([(service("a.com", [http(80)]), vec![endpoint("10.0.0.1")])]);
    let listener = inbound(&mesh, &sidecar());
    let manager = &listener["filter_chains"][4]["filters"][0]["typed_config"];
    assert_eq!(listener["filter_chains"][4]["name"], "0.0.0.0_80");
    assert_eq!(
        (
            &manager["server_name"],
            &manager["forward_client_cert_details"]
        ),
        (&json!("istio-envoy"), &json!("APPEND_FORWARD"))
    );
    let route = &manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"];
    assert_eq!(
        route["retry_policy"],
        json!({"retry_on": "reset-before-request", "num_retries": 2})
    );
}

#[test]
fn the_number_that_the_workload_listens_on_counts() {
    let at = |host, second, protocol| {
        let mut endpoint = endpoint("10.0.0.1");
        endpoint.ports = Some(
            [EndpointPort {
                name: "p80".into(),
                port: 8080,
            }]
            .into(),
        );
        (
            service(host, [port(80, protocol)]).created(second),
            vec![endpoint],
        )
    };
    let mesh = mesh([
        at("young.com", 2, Protocol::Tcp),
        at("old.com", 1, Protocol::Http),
    ]);
    let listener = inbound(&mesh, &sidecar());
    assert_eq!(
        outline(&listener)[4..],
        [":8080 → inbound|http|80 inbound|8080||"]
    );
}

#[test]
fn only_its_own_namespace_says_what_a_workload_answers() {
    let foreign =
        service("a.com", [http(80)]).with(|service| service.key.namespace = "bank".into());
    let mesh = mesh([(foreign, vec![endpoint("10.0.0.1")])]);
    assert_eq!(outline(&inbound(&mesh, &sidecar())), CATCH_ALL);
}

#[test]
fn transparent_proxies_keep_the_clients_address() {
    let proxy = Proxy {
        interception: Interception::Tproxy,
        ..sidecar()
    };
    let listener = inbound(&mesh([]), &proxy);
    assert_eq!(listener["transparent"], true);
    assert_eq!(
        filter_names(&listener),
        [
            "original_dst",
            "original_src",
            "tls_inspector",
            "http_inspector"
        ]
    );
    assert_eq!(
        listener["listener_filters"][1]["typed_config"]["mark"],
        1337
    );
    assert_eq!(
        one(&mesh([]), &proxy, ResourceType::Listener, "virtualOutbound")["transparent"],
        true
    );
}

#[test]
fn without_capture_there_is_no_virtual_listener() {
    let mesh = mesh([(service("a.com", [http(80)]), vec![endpoint("10.0.0.1")])]);
    let names: Vec<String> = all(&mesh, &bound(), ResourceType::Listener)
        .into_keys()
        .collect();
    assert_eq!(names, ["127.0.0.1_80"]);
}

#[test]
fn requests_connections_and_refusals_are_logged() {
    let access_log = Some(AccessLog {
        file: "/dev/stdout".into(),
        encoding: AccessLogEncoding::Json,
        format: None,
    });
    let services = [(service("a.com", [http(80), tcp(81)]), vec![])];
    let mesh = mesh_with(
        MeshConfig {
            access_log,
            ..Default::default()
        },
        services,
    );
    let listeners = all(&mesh, &sidecar(), ResourceType::Listener);
    for listener in listeners.values() {
        let refused = &listener["access_log"][0]["filter"]["response_flag_filter"]["flags"];
        assert_eq!(*refused, json!(["NR"]), "{}", listener["name"]);
        let chains = listener["filter_chains"]
            .as_array()
            .unwrap()
            .iter()
            .chain(listener.get("default_filter_chain"));
        for chain in chains {
            let log = &chain["filters"][0]["typed_config"]["access_log"][0];
            assert_eq!(
                log["typed_config"]["path"], "/dev/stdout",
                "{}",
                listener["name"]
            );
            assert_eq!(log["filter"], Json::Null);
        }
    }
}

#[test]
fn requests_are_routed_by_a_filter_of_stock_envoy() {
    let mesh = mesh([(service("a.com", [http(80)]), vec![])]);
    let listener = one(&mesh, &bound(), ResourceType::Listener, "127.0.0.1_80");
    let manager = &listener["filter_chains"][0]["filters"][0]["typed_config"];
    let filters: Vec<&str> = manager["http_filters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        filters,
        ["grpc_stats", "fault", "cors", "router"].map(|name| format!("envoy.filters.http.{name}"))
    );
    assert_eq!(
        (&manager["stat_prefix"], &manager["normalize_path"]),
        (&json!("outbound_127.0.0.1_80"), &json!(true))
    );
    assert_eq!(
        (
            &manager["stream_idle_timeout"],
            &manager["use_remote_address"]
        ),
        (&json!("0s"), &json!(false))
    );
    assert_eq!(
        manager["upgrade_configs"],
        json!([{"upgrade_type": "websocket"}])
    );
    let source = json!({"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "15s"});
    assert_eq!(
        manager["rds"],
        json!({"route_config_name": "80", "config_source": source})
    );
}
