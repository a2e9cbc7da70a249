//! What Envoy gets of gateways.

use pilothouse_core::mesh::{GatewayTopology, Mesh, MeshConfig};
use pilothouse_core::model::Resolution;
use serde_json::{Value, json};

use crate::resource::ResourceType::{Cluster, Endpoint, Listener, Route};
use crate::sample::{With, endpoint, http, mesh_with, one, router_proxy, service, with_rule};

fn scene(server: Value) -> Mesh {
    let mut config = MeshConfig::default();
    config.default_config.gateway_topology = GatewayTopology {
        trusted_proxies: 2,
        ..Default::default()
    };
    let web = (service("web.com", [http(80)]), vec![endpoint("10.0.0.2")]);
    let mesh = mesh_with(config, [web]);
    let mesh = with_rule(
        mesh,
        "Gateway",
        ("shop", "gw"),
        &json!({"servers": [server]}),
    );
    let rule = json!({
        "hosts": ["web.com"], "gateways": ["gw"],
        "http": [{"name": "all", "route": [{"destination": {"host": "web.com"}}]}],
    });
    with_rule(mesh, "VirtualService", ("shop", "web"), &rule)
}

fn server(protocol: &str, tls: Value) -> Value {
    let port = json!({"number": 8443, "name": "web", "protocol": protocol});
    json!({"port": port, "hosts": ["web.com"], "tls": tls})
}

fn manager(chain: &Value) -> &Value {
    &chain["filters"][0]["typed_config"]
}

#[test]
fn requests() {
    let mesh = scene(server("HTTP", json!({"httpsRedirect": true})));
    let listener = one(&mesh, &router_proxy(), Listener, "0.0.0.0_8443");
    assert_eq!(listener["address"]["socket_address"]["port_value"], 8443);
    assert_eq!(listener["traffic_direction"], "OUTBOUND");
    assert_eq!(listener["listener_filters"], Value::Null);
    let chain = &listener["filter_chains"][0];
    assert_eq!(
        (&chain["filter_chain_match"], &chain["transport_socket"]),
        (&Value::Null, &Value::Null)
    );
    let manager = manager(chain);
    let expected = json!({
        "stat_prefix": "outbound_0.0.0.0_8443",
        "server_name": "istio-envoy",
        "use_remote_address": true,
        "xff_num_trusted_hops": 2,
        "normalize_path": true,
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": {"subject": true, "cert": true, "dns": true, "uri": true},
        "upgrade_configs": [{"upgrade_type": "websocket"}],
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(manager[field], *value, "{field}");
    }
    assert_eq!(manager["rds"]["route_config_name"], "http.8443");

    let route = one(&mesh, &router_proxy(), Route, "http.8443");
    let host = &route["virtual_hosts"][0];
    assert_eq!(host["name"], "web.com:8443");
    assert_eq!(host["domains"], json!(["web.com"]));
    assert_eq!(host["require_tls"], "ALL");
    let cluster = &host["routes"][0]["route"]["cluster"];
    assert_eq!(*cluster, "outbound|80||web.com");
    assert_eq!(route["ignore_port_in_host_matching"], true);
}

#[test]
fn names_that_requests_say_are_resolved_where_rules_lead_to_such_services() {
    let pool = service("*.pool.com", [http(80)]).resolved(Resolution::DynamicDns);
    let check = |destination: &str, expected: bool| {
        let mesh = mesh_with(
            MeshConfig::default(),
            [
                (service("web.com", [http(80)]), vec![endpoint("10.0.0.2")]),
                (pool.clone(), vec![]),
            ],
        );
        let servers = json!({"servers": [server("HTTP", Value::Null)]});
        let mesh = with_rule(mesh, "Gateway", ("shop", "gw"), &servers);
        let rule = json!({
            "hosts": ["web.com"], "gateways": ["gw"],
            "http": [{"route": [{"destination": {"host": destination}}]}],
        });
        let mesh = with_rule(mesh, "VirtualService", ("shop", "web"), &rule);
        let listener = one(&mesh, &router_proxy(), Listener, "0.0.0.0_8443");
        let filters = manager(&listener["filter_chains"][0])["http_filters"].to_string();
        let name = "envoy.filters.http.dynamic_forward_proxy";
        assert_eq!(filters.contains(name), expected, "{filters}");
    };
    check("*.pool.com", true);
    check("web.com", false);
}

#[test]
fn a_server_without_rules_answers_404() {
    let mut server = server("HTTP", Value::Null);
    server["hosts"] = json!(["other.com"]);
    let route = one(&scene(server), &router_proxy(), Route, "http.8443");
    let expected = json!([{"name": "blackhole:8443", "domains": ["*"]}]);
    assert_eq!(route["virtual_hosts"], expected);
}

#[test]
fn tls_of_files() {
    let tls = json!({
        "mode": "MUTUAL", "serverCertificate": "/c", "privateKey": "/k", "caCertificates": "/ca",
        "subjectAltNames": ["spiffe://a/b"], "minProtocolVersion": "TLSV1_3", "maxProtocolVersion": "TLSV1_3",
        "cipherSuites": ["AES128-SHA"], "verifyCertificateHash": ["e".repeat(64)],
    });
    let mesh = scene(server("HTTPS", tls));
    let listener = one(&mesh, &router_proxy(), Listener, "0.0.0.0_8443");
    let inspector = &listener["listener_filters"][0]["name"];
    assert_eq!(*inspector, "envoy.filters.listener.tls_inspector");
    let chain = &listener["filter_chains"][0];
    assert_eq!(
        chain["filter_chain_match"],
        json!({"server_names": ["web.com"]})
    );
    let context = &chain["transport_socket"]["typed_config"];
    assert_eq!(context["require_client_certificate"], true);
    let common = &context["common_tls_context"];
    let parameters = json!({
        "tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3", "cipher_suites": ["AES128-SHA"],
    });
    assert_eq!(common["tls_params"], parameters);
    assert_eq!(common["alpn_protocols"], json!(["h2", "http/1.1"]));
    let own = &common["tls_certificate_sds_secret_configs"][0]["name"];
    assert_eq!(*own, "file-cert:/c~/k");
    let verified = &common["combined_validation_context"];
    let roots = &verified["validation_context_sds_secret_config"]["name"];
    assert_eq!(*roots, "file-root:/ca");
    let expected = json!({
        "verify_certificate_hash": ["e".repeat(64)],
        "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": "spiffe://a/b"}}],
    });
    assert_eq!(verified["default_validation_context"], expected);
    let rds = &manager(chain)["rds"]["route_config_name"];
    assert_eq!(*rds, "https.8443.web.gw.shop");
}

#[test]
fn tls_of_the_mesh() {
    let mesh = scene(server("HTTPS", json!({"mode": "ISTIO_MUTUAL"})));
    let listener = one(&mesh, &router_proxy(), Listener, "0.0.0.0_8443");
    let context = &listener["filter_chains"][0]["transport_socket"]["typed_config"];
    assert_eq!(context["require_client_certificate"], true);
    let common = &context["common_tls_context"];
    let own = &common["tls_certificate_sds_secret_configs"][0]["name"];
    assert_eq!(*own, "default");
    let verified = &common["combined_validation_context"];
    let roots = &verified["validation_context_sds_secret_config"]["name"];
    assert_eq!(*roots, "ROOTCA");
}

#[test]
fn clusters_by_server_name_have_endpoints_and_no_tls_of_their_own() {
    let mesh = scene(server("TLS", json!({"mode": "AUTO_PASSTHROUGH"})));
    let tls = json!({"host": "web.com", "trafficPolicy": {"tls": {"mode": "SIMPLE"}}});
    let mesh = with_rule(mesh, "DestinationRule", ("shop", "web"), &tls);
    let name = "outbound_.80_._.web.com";
    let cluster = one(&mesh, &router_proxy(), Cluster, name);
    assert_eq!(cluster["eds_cluster_config"]["service_name"], name);
    assert_eq!(cluster["transport_socket"], Value::Null);
    let plain = one(&mesh, &router_proxy(), Cluster, "outbound|80||web.com");
    assert_ne!(plain["transport_socket"], Value::Null);
    let endpoints = one(&mesh, &router_proxy(), Endpoint, name);
    assert!(endpoints.to_string().contains("10.0.0.2"), "{endpoints}");
    let listener = one(&mesh, &router_proxy(), Listener, "0.0.0.0_8443");
    let expected = json!({
        "server_names": [name],
        "application_protocols": ["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"],
    });
    let chain = &listener["filter_chains"][0];
    assert_eq!(chain["filter_chain_match"], expected);
    assert_eq!(manager(chain)["cluster"], name);
}
