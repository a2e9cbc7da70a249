use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Health, Host, Labels, Protocol, Proxy, Resolution, ServiceKey};
use serde_json::{Value as Json, json};

use super::*;
use crate::encode::encode;
use crate::inputs::Input;
use crate::json::any_to_json;
use crate::resource::ResourceType;
use crate::sample::{
    With, all, endpoint, grpc_client, http, mesh, one, port, service, sidecar, tcp,
};
use crate::translate::translate;

const WEB: &str = "web.shop.svc.cluster.local";

fn ads() -> Json {
    json!({"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "15s"})
}

fn names(mesh: &Mesh, resource_type: ResourceType) -> Vec<String> {
    all(mesh, &grpc_client(), resource_type)
        .into_keys()
        .collect()
}

#[test]
fn a_listener_says_where_routes_are_and_is_nowhere_bound() {
    let mesh = mesh([(service("a.com", [http(80)]), vec![])]);
    let expected = json!({
        "@type": ResourceType::Listener.url(),
        "name": "a.com:80",
        "api_listener": {"api_listener": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "rds": {"config_source": ads(), "route_config_name": "outbound|80||a.com"},
            "http_filters": [
                {
                    "name": "envoy.filters.http.fault",
                    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"},
                },
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
                },
            ],
        }},
    });
    let found = one(&mesh, &grpc_client(), ResourceType::Listener, "a.com:80");
    assert_eq!(found, expected);
}

#[test]
fn a_route_keeps_ports_and_takes_every_method() {
    let alias = service("other.com", []).resolved(Resolution::Alias(Host::new(WEB).unwrap()));
    let mesh = mesh([
        (service(WEB, [http(8080), tcp(9090)]), vec![]),
        (alias, vec![]),
    ]);
    let name = format!("outbound|8080||{WEB}");
    let expected = json!({
        "@type": ResourceType::Route.url(),
        "name": name,
        "virtual_hosts": [{
            "name": format!("{WEB}:8080"),
            "domains": [
                format!("{WEB}:8080"), "web:8080", "web.shop:8080", "web.shop.svc:8080",
                "other.com:8080", "*",
            ],
            "routes": [{
                "name": "default",
                "match": {"prefix": ""},
                "route": {
                    "cluster": name,
                    "retry_policy": {"retry_on": "unavailable,cancelled", "num_retries": 2},
                },
            }],
            "include_request_attempt_count": true,
        }],
    });
    let found = one(&mesh, &grpc_client(), ResourceType::Route, &name);
    assert_eq!(found, expected);
    let expected = [name, format!("outbound|9090||{WEB}")];
    assert_eq!(names(&mesh, ResourceType::Route), expected);
}

#[test]
fn every_name_of_a_service_is_a_listener() {
    let udp = port(53, Protocol::Udp);
    let bank = "web.bank.svc.cluster.local";
    let mesh = mesh([
        (service(WEB, [http(80), tcp(81), udp]), vec![]),
        (service(bank, [http(80)]), vec![]),
        (service("web.shop.svc.elsewhere", [http(80)]), vec![]),
        (service("*.wild.com", [http(80)]), vec![]),
        (
            service("gone.com", [http(80)]).resolved(Resolution::Passthrough),
            vec![],
        ),
        (
            service("found.com", [http(80)]).resolved(Resolution::DynamicDns),
            vec![],
        ),
    ]);
    let mut expected: Vec<String> = ["80", "81"]
        .iter()
        .flat_map(|port| ["web", "web.shop", "web.shop.svc", WEB].map(|n| format!("{n}:{port}")))
        .chain(["web.bank", "web.bank.svc", bank].map(|name| format!("{name}:80")))
        .chain(["web.shop.svc.elsewhere:80".to_owned()])
        .collect();
    expected.sort_unstable();
    assert_eq!(names(&mesh, ResourceType::Listener), expected);
}

#[test]
fn a_name_that_two_could_have_is_its_owners_or_the_nearest() {
    let client = |domain: &str| Proxy {
        id: format!("sidecar~10.0.0.1~app.shop~{domain}")
            .parse()
            .unwrap(),
        ..grpc_client()
    };
    let check = |hosts: &[&str], domain: &str, name: &str, expected: &str| {
        let mesh = mesh(hosts.iter().map(|host| (service(host, [http(80)]), vec![])));
        let found = one(&mesh, &client(domain), ResourceType::Listener, name);
        let route = &found["api_listener"]["api_listener"]["rds"]["route_config_name"];
        assert_eq!(*route, format!("outbound|80||{expected}"), "{name}");
    };
    let shop = "shop.svc.cluster.local";
    check(&[WEB], shop, "web:80", WEB);
    check(&[WEB, "web"], shop, "web:80", "web");
    check(&["web.b", "web.a.b"], "a.b", "web:80", "web.a.b");
    check(&["web.b"], "a.b", "web:80", "web.b");
}

#[test]
fn a_cluster_has_what_clients_know_and_nothing_else() {
    let mesh = mesh([(service("a.com", [http(80)]), vec![])]);
    let name = "outbound|80||a.com";
    let expected = json!({
        "@type": ResourceType::Cluster.url(),
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": ads(), "service_name": name},
        "circuit_breakers": {"thresholds": [{"max_requests": u32::MAX}]},
    });
    let found = one(&mesh, &grpc_client(), ResourceType::Cluster, name);
    // Round robin is the default of the field.
    assert_eq!(found, expected);
    assert_eq!(names(&mesh, ResourceType::Cluster), [name]);
}

#[test]
fn settings_of_a_cluster_come_through() {
    let cluster = |load_balancing, max_requests| -> Json {
        let input = Input::Grpc(GrpcInput::Cluster(GrpcCluster {
            service: ServiceKey {
                namespace: "shop".into(),
                host: Host::new("a.com").unwrap(),
            },
            port: http(80),
            discovery: GrpcDiscovery::Assignment,
            load_balancing,
            max_requests,
            subset: None,
            labels: Labels::default(),
            rules: Vec::new(),
        }));
        any_to_json(&encode(translate(&input)).body).unwrap()
    };
    let ring = |minimum, maximum| LoadBalancing::RingHash { minimum, maximum };
    let found = cluster(ring(1024, 4096), Some(7));
    assert_eq!(found["lb_policy"], "RING_HASH");
    // XX_HASH, the only function that clients take, is the default of the field.
    assert_eq!(
        found["ring_hash_lb_config"],
        json!({"minimum_ring_size": 1024, "maximum_ring_size": 4096})
    );
    assert_eq!(
        found["circuit_breakers"],
        json!({"thresholds": [{"max_requests": 7}]})
    );
    let huge = &cluster(ring(u64::MAX, u64::MAX), None)["ring_hash_lb_config"];
    assert_eq!(
        *huge,
        json!({"minimum_ring_size": 8388608, "maximum_ring_size": 8388608})
    );
    assert_eq!(
        cluster(LoadBalancing::RoundRobin, None)["lb_policy"],
        Json::Null
    );
}

#[test]
fn a_name_is_resolved_by_the_client() {
    let of = |resolution: Resolution, endpoints| {
        let mesh = mesh([(service("a.com", [http(80)]).resolved(resolution), endpoints)]);
        let name = "outbound|80||a.com";
        one(&mesh, &grpc_client(), ResourceType::Cluster, name)
    };
    let mut sick = endpoint("sick.example");
    sick.health = Health::Unhealthy;
    let all = vec![sick, endpoint("one.example"), endpoint("two.example")];
    for resolution in [Resolution::Dns, Resolution::DnsRoundRobin] {
        let found = of(resolution, all.clone());
        assert_eq!(found["type"], "LOGICAL_DNS");
        let address = json!({"socket_address": {"address": "one.example", "port_value": 80}});
        let expected = json!([{
            "locality": {},
            "load_balancing_weight": 1,
            "lb_endpoints": [{"endpoint": {"address": address}, "load_balancing_weight": 1}],
        }]);
        assert_eq!(found["load_assignment"]["endpoints"], expected);
        assert_eq!(found["eds_cluster_config"], Json::Null);
    }
    let nothing = of(Resolution::Dns, vec![]);
    assert_eq!(nothing["type"], "EDS");
    assert_eq!(nothing["load_assignment"], Json::Null);
}

#[test]
fn envoys_get_nothing_of_it() {
    let mesh = mesh([(service("a.com", [http(80)]), vec![])]);
    let listeners = all(&mesh, &sidecar(), ResourceType::Listener);
    assert!(listeners.values().all(|l| l["api_listener"].is_null()));
}
