use pilothouse_core::mesh::{Mesh, MeshConfig, OutboundPolicy};
use pilothouse_core::model::{AutomaticAddress, Host, Proxy, Resolution, ServiceSource};
use serde_json::{Value as Json, json};

use crate::resource::ResourceType;
use crate::sample::{With, auto, http, mesh, mesh_with, one, service, sidecar, tcp};

/// The virtual hosts of a route configuration: `NAME: DOMAINS`.
fn hosts(mesh: &Mesh, proxy: &Proxy, name: &str) -> Vec<String> {
    let route = one(mesh, proxy, ResourceType::Route, name);
    let hosts = route["virtual_hosts"].as_array().unwrap().iter();
    hosts
        .map(|host| {
            let domains = host["domains"]
                .as_array()
                .unwrap()
                .iter()
                .map(|domain| domain.as_str().unwrap());
            format!(
                "{}: {}",
                host["name"].as_str().unwrap(),
                domains.collect::<Vec<_>>().join(" ")
            )
        })
        .collect()
}

/// The failures after which requests are tried again where nobody says anything.
pub(super) const RETRY_ON: &str =
    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";

fn check(mesh: &Mesh, name: &str, expected: &[&str]) {
    assert_eq!(hosts(mesh, &sidecar(), name), expected);
}

#[test]
fn a_virtual_host_leads_to_its_cluster() {
    let mesh = mesh([(service("a.com", [http(80)]), vec![])]);
    let route = json!({
        "name": "default",
        "match": {"prefix": "/"},
        "decorator": {"operation": "a.com:80/*"},
        "route": {
            "cluster": "outbound|80||a.com",
            "timeout": "0s",
            "max_stream_duration": {"grpc_timeout_header_max": "0s"},
            "retry_policy": {
                "retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
                "num_retries": 2,
                "retry_host_predicate": [{
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
                    },
                }],
                "host_selection_retry_max_attempts": 5,
            },
        },
    });
    let any = json!({
        "name": "allow_any",
        "match": {"prefix": "/"},
        "route": {
            "cluster": "PassthroughCluster",
            "timeout": "0s",
            "max_stream_duration": {"grpc_timeout_header_max": "0s"},
        },
    });
    let host = |name: &str, domains: &[&str], route: Json| json!({"name": name, "domains": domains, "routes": [route], "include_request_attempt_count": true});
    let expected = json!({
        "@type": ResourceType::Route.url(),
        "name": "80",
        "virtual_hosts": [host("a.com:80", &["a.com", "a.com."], route), host("allow_any", &["*"], any)],
        "validate_clusters": false,
        "max_direct_response_body_size_bytes": 1048576,
        "ignore_port_in_host_matching": true,
    });
    assert_eq!(one(&mesh, &sidecar(), ResourceType::Route, "80"), expected);
}

#[test]
fn clients_use_short_names_and_addresses() {
    let mesh = mesh([
        (
            service("a.shop.svc.cluster.local", [http(80), tcp(81)]).at(&[
                "10.1.0.1",
                "fd00::1",
                "10.2.0.0/16",
            ]),
            vec![],
        ),
        (service("a.bank.svc.cluster.local", [auto(80)]), vec![]),
        (service("*.wild.com", [http(80)]), vec![]),
    ]);
    check(
        &mesh,
        "80",
        &[
            "*.wild.com:80: *.wild.com",
            "a.bank.svc.cluster.local:80: a.bank.svc.cluster.local a.bank.svc.cluster.local. a.bank a.bank.svc",
            "a.shop.svc.cluster.local:80: a.shop.svc.cluster.local a.shop.svc.cluster.local. a a.shop a.shop.svc 10.1.0.1 [fd00::1]",
            "allow_any: *",
        ],
    );
}

#[test]
fn headless_services_of_a_platform_have_names_below_them() {
    let headless = service("a.shop.svc.cluster.local", [http(80)])
        .resolved(Resolution::Passthrough)
        .with(|service| service.source = ServiceSource::Platform);
    check(
        &mesh([(headless, vec![])]),
        "80",
        &[
            "a.shop.svc.cluster.local:80: a.shop.svc.cluster.local a.shop.svc.cluster.local. a a.shop a.shop.svc \
             *.a.shop.svc.cluster.local *.a.shop.svc.cluster.local. *.a *.a.shop *.a.shop.svc",
            "allow_any: *",
        ],
    );
}

#[test]
fn a_name_goes_to_whose_full_name_it_is_and_then_to_the_oldest() {
    let mesh = mesh([
        (
            service("a.shop.svc.cluster.local", [http(80)])
                .created(1)
                .at(&["10.1.0.1"]),
            vec![],
        ),
        (
            service("a", [http(80)])
                .created(2)
                .at(&["10.1.0.1", "10.1.0.2"]),
            vec![],
        ),
    ]);
    check(
        &mesh,
        "80",
        &[
            "a.shop.svc.cluster.local:80: a.shop.svc.cluster.local a.shop.svc.cluster.local. a.shop a.shop.svc 10.1.0.1",
            "a:80: a a. 10.1.0.2",
            "allow_any: *",
        ],
    );
}

#[test]
fn an_automatic_address_is_a_name_for_those_who_capture_dns() {
    let mesh = mesh([(
        service("a.com", [http(80)]).with(|s| s.automatic = AutomaticAddress::at(254)),
        vec![],
    )]);
    check(&mesh, "80", &["a.com:80: a.com a.com.", "allow_any: *"]);
    let mut capturing = sidecar();
    capturing
        .metadata
        .insert("DNS_CAPTURE".into(), "true".into());
    assert_eq!(
        hosts(&mesh, &capturing, "80"),
        ["a.com:80: a.com a.com. 240.240.1.1", "allow_any: *"]
    );
}

#[test]
fn requests_that_no_service_claims_go_by_policy() {
    let config = MeshConfig {
        outbound: OutboundPolicy::RegistryOnly,
        ..Default::default()
    };
    let mesh_ = mesh_with(config, [(service("a.com", [http(80)]), vec![])]);
    let route = one(&mesh_, &sidecar(), ResourceType::Route, "80");
    let expected = json!([{"name": "block_all", "match": {"prefix": "/"}, "direct_response": {"status": 502}}]);
    assert_eq!(route["virtual_hosts"][1]["routes"], expected);
    // A service for all names leaves nothing.
    check(
        &mesh([(service("*", [http(80)]), vec![])]),
        "80",
        &["*:80: *"],
    );
}

#[test]
fn a_listener_of_its_own_has_a_route_of_its_own() {
    let mesh = mesh([(service("a.com", [auto(80)]).at(&["10.1.0.1"]), vec![])]);
    check(&mesh, "a.com:80", &["a.com:80: *"]);
    check(
        &mesh,
        "80",
        &["a.com:80: a.com a.com. 10.1.0.1", "allow_any: *"],
    );
}

#[test]
fn an_http_proxy_reaches_every_port() {
    let config = MeshConfig {
        proxy_http_port: Some(15002),
        ..Default::default()
    };
    let mesh = mesh_with(config, [(service("a.com", [http(80), http(8080)]), vec![])]);
    check(
        &mesh,
        "http_proxy",
        &[
            "a.com:80: a.com:80 a.com a.com.:80 a.com.",
            "a.com:8080: a.com:8080 a.com.:8080",
            "allow_any: *",
        ],
    );
    let route = one(&mesh, &sidecar(), ResourceType::Route, "http_proxy");
    assert_eq!(route["ignore_port_in_host_matching"], Json::Null);
}

#[test]
fn another_name_of_a_service_is_a_name_of_its() {
    let alias = Resolution::Alias(Host::new("a.com").unwrap());
    let mesh = mesh([
        (service("a.com", [http(80)]), vec![]),
        (
            service("b.shop.svc.cluster.local", [http(80)]).resolved(alias),
            vec![],
        ),
    ]);
    let domains =
        "a.com a.com. b.shop.svc.cluster.local b.shop.svc.cluster.local. b b.shop b.shop.svc";
    check(
        &mesh,
        "80",
        &[&format!("a.com:80: {domains}"), "allow_any: *"],
    );
}
