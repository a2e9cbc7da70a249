use pilothouse_core::mesh::{InboundPolicy, Mesh, MeshConfig};
use pilothouse_core::model::{Interception, Protocol, Proxy, Resolution};
use serde_json::{Value as Json, json};

use crate::resource::ResourceType;
use crate::sample::{
    With, all, auto, endpoint, http, mesh, mesh_with, one, port, service, sidecar, tcp,
};

const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

fn cluster(mesh: &Mesh, proxy: &Proxy, name: &str) -> Json {
    one(mesh, proxy, ResourceType::Cluster, name)
}

#[test]
fn known_endpoints_come_by_assignment() {
    let mesh = mesh([(service("a.com", [http(80)]), vec![])]);
    let expected = json!({
        "@type": ResourceType::Cluster.url(),
        "name": "outbound|80||a.com",
        "alt_stat_name": "outbound|80||a.com;",
        "type": "EDS",
        "eds_cluster_config": {
            "eds_config": {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "15s"},
            "service_name": "outbound|80||a.com",
        },
        "connect_timeout": "10s",
        "lb_policy": "LEAST_REQUEST",
        "common_lb_config": {"locality_weighted_lb_config": {}},
        "circuit_breakers": {"thresholds": [{
            "max_connections": u32::MAX,
            "max_pending_requests": u32::MAX,
            "max_requests": u32::MAX,
            "max_retries": u32::MAX,
            "track_remaining": true,
        }]},
        "metadata": {"filter_metadata": {"istio": {
            "default_original_port": 80.0,
            "services": [{"host": "a.com", "name": "a.com", "namespace": "shop"}],
        }}},
    });
    assert_eq!(cluster(&mesh, &sidecar(), "outbound|80||a.com"), expected);
}

#[test]
fn there_is_a_cluster_for_each_port_that_is_proxied() {
    let mesh = mesh([
        (
            service("a.com", [http(80), tcp(81), port(53, Protocol::Udp)]),
            vec![],
        ),
        (
            service("*.b.com", [http(80), tcp(82)]).resolved(Resolution::DynamicDns),
            vec![],
        ),
    ]);
    let names: Vec<String> = all(&mesh, &sidecar(), ResourceType::Cluster)
        .into_keys()
        .collect();
    let expected = [
        "BlackHoleCluster",
        "InboundPassthroughCluster",
        "PassthroughCluster",
        "outbound|80||*.b.com",
        "outbound|80||a.com",
        "outbound|81||a.com",
    ];
    assert_eq!(names, expected);
}

#[test]
fn names_are_resolved_by_the_proxy() {
    let found = |resolution, endpoints: &[&str]| {
        let endpoints = endpoints.iter().map(|address| endpoint(address)).collect();
        let mesh = mesh([(service("a.com", [http(80)]).resolved(resolution), endpoints)]);
        let cluster = cluster(&mesh, &sidecar(), "outbound|80||a.com");
        let addresses = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
            .as_array()
            .into_iter()
            .flatten();
        let address = |endpoint: &Json| {
            endpoint["endpoint"]["address"]["socket_address"]["address"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        (
            cluster["cluster_type"]["typed_config"].clone(),
            addresses.map(address).collect::<Vec<_>>(),
        )
    };
    let strict = json!({
        "@type": "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster",
        "dns_refresh_rate": "60s",
        "dns_jitter": "0.100s",
        "respect_dns_ttl": true,
        "dns_lookup_family": "V4_ONLY",
        "typed_dns_resolver_config": {
            "name": "envoy.network.dns_resolver.cares",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
                "udp_max_queries": 100,
            },
        },
    });
    let mut logical = strict.clone();
    logical["all_addresses_in_single_endpoint"] = json!(true);
    assert_eq!(
        found(Resolution::Dns, &["b.com", "10.0.0.1"]),
        (strict.clone(), vec!["b.com".into(), "10.0.0.1".into()])
    );
    assert_eq!(
        found(Resolution::DnsRoundRobin, &["b.com", "c.com"]),
        (logical, vec!["b.com".into()])
    );
    // Envoy refuses a logical cluster without a name.
    assert_eq!(found(Resolution::DnsRoundRobin, &[]), (strict, vec![]));
}

#[test]
fn the_dialled_address_is_kept_where_nothing_is_resolved() {
    let mesh = mesh([(
        service("*.a.com", [http(80)]).resolved(Resolution::Passthrough),
        vec![],
    )]);
    let cluster = cluster(&mesh, &sidecar(), "outbound|80||*.a.com");
    let absent = Json::Null;
    assert_eq!(
        (
            &cluster["type"],
            &cluster["lb_policy"],
            &cluster["eds_cluster_config"],
            &cluster["common_lb_config"]
        ),
        (
            &json!("ORIGINAL_DST"),
            &json!("CLUSTER_PROVIDED"),
            &absent,
            &absent
        )
    );
}

#[test]
fn protocols_decide_how_http_is_spoken() {
    let options = |protocol| {
        let mesh = mesh([(service("a.com", [port(80, protocol)]), vec![])]);
        let mut found =
            cluster(&mesh, &sidecar(), "outbound|80||a.com")["typed_extension_protocol_options"]
                [HTTP_OPTIONS]
                .take();
        if let Some(fields) = found.as_object_mut() {
            fields.remove("@type");
        }
        found
    };
    let http2 = json!({"explicit_http_config": {"http2_protocol_options": {}}});
    for protocol in [Protocol::Http2, Protocol::Grpc, Protocol::GrpcWeb] {
        assert_eq!(options(protocol), http2, "{protocol:?}");
    }
    let either = json!({"use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}}});
    assert_eq!(options(Protocol::Auto), either);
    assert_eq!(options(Protocol::Http), Json::Null);
    assert_eq!(options(Protocol::Tcp), Json::Null);
}

#[test]
fn inbound_connections_have_a_source_of_their_own() {
    let services = || [(service("a.com", [auto(80)]), vec![endpoint("10.0.0.1")])];
    let inbound = cluster(&mesh(services()), &sidecar(), "inbound|80||");
    let source = json!({"source_address": {"address": "127.0.0.6", "port_value": 0}});
    assert_eq!(
        (&inbound["type"], &inbound["upstream_bind_config"]),
        (&json!("ORIGINAL_DST"), &source)
    );
    let named = &inbound["metadata"]["filter_metadata"]["istio"]["services"][0]["host"];
    assert_eq!(named, "a.com");
    let dual = Proxy {
        addresses: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
        ..sidecar()
    };
    let both = cluster(&mesh(services()), &dual, "InboundPassthroughCluster");
    assert_eq!(
        both["upstream_bind_config"]["extra_source_addresses"][0]["address"]["address"],
        "::6"
    );
    let transparent = Proxy {
        interception: Interception::Tproxy,
        ..sidecar()
    };
    assert_eq!(
        cluster(&mesh(services()), &transparent, "inbound|80||")["upstream_bind_config"],
        Json::Null
    );
    let localhost = mesh_with(
        MeshConfig {
            inbound: InboundPolicy::Localhost,
            ..Default::default()
        },
        services(),
    );
    let inbound = cluster(&localhost, &sidecar(), "inbound|80||");
    let address =
        &inbound["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"];
    assert_eq!(
        address["socket_address"],
        json!({"address": "127.0.0.1", "port_value": 80})
    );
}
