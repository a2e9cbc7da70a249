use std::net::IpAddr;

use pilothouse_core::mesh::{Mesh, MeshConfig, OutboundPolicy};
use pilothouse_core::model::{
    AutomaticAddress, Labels, Protocol, Proxy, Resolution, ServicePort, ServiceSource,
};

use crate::inputs::{Generator, Listeners};
use crate::resource::{Name, ResourceType};
use crate::sample::{
    With, all, auto, bound, endpoint, http, mesh, mesh_with, outline, port, service, sidecar, tcp,
};
use crate::selection::Selection;
use crate::view::View;

const EVERYTHING: [&str; 2] = ["virtualOutbound", "virtualInbound"];

/// All outbound listeners of services: `NAME: CHAINS`.
fn listeners(mesh: &Mesh, proxy: &Proxy) -> Vec<String> {
    let all = all(mesh, proxy, ResourceType::Listener).into_iter();
    let of_services = all.filter(|(name, _)| !EVERYTHING.contains(&name.as_str()));
    of_services
        .map(|(name, json)| format!("{name}: {}", outline(&json).join(", ")))
        .collect()
}

fn check(mesh: &Mesh, proxy: &Proxy, expected: &[&str]) {
    assert_eq!(listeners(mesh, proxy), expected);
}

const PLAIN: &str = "raw_buffer http/1.1 h2c";

#[test]
fn requests_share_a_port_and_connections_go_by_address() {
    let mesh = mesh([
        (
            service(
                "a.com",
                [http(80), tcp(81), auto(82), port(53, Protocol::Udp)],
            )
            .at(&["10.1.0.1"]),
            vec![],
        ),
        (
            service("b.com", [port(80, Protocol::Grpc)]).at(&["10.1.0.2"]),
            vec![],
        ),
    ]);
    check(
        &mesh,
        &sidecar(),
        &[
            &format!("0.0.0.0_80: {PLAIN} → routes 80, else → PassthroughCluster"),
            "10.1.0.1_81: → outbound|81||a.com",
            &format!("10.1.0.1_82: {PLAIN} → routes a.com:82, else → outbound|82||a.com"),
        ],
    );
}

#[test]
fn automatic_addresses_are_for_those_who_capture_dns() {
    let given = |host, ports: &[ServicePort]| {
        let service = service(host, ports.to_vec());
        let given = service.with(|s| s.automatic = AutomaticAddress::at(0));
        (given, vec![])
    };
    let mesh = mesh([given("a.com", &[tcp(81), auto(82), http(80)])]);
    let with = |metadata: &[(&str, &str)], more: Option<&str>| {
        let mut proxy = sidecar();
        let metadata = metadata
            .iter()
            .map(|&(key, value)| (key.into(), value.into()));
        proxy.metadata.extend(metadata);
        proxy
            .addresses
            .extend(more.map(|ip| ip.parse::<IpAddr>().unwrap()));
        proxy
    };
    let http = format!("0.0.0.0_80: {PLAIN} → routes 80, else → PassthroughCluster");
    let without = [
        &http,
        "0.0.0.0_81: → outbound|81||a.com",
        &format!("0.0.0.0_82: {PLAIN} → routes 82, else → outbound|82||a.com"),
    ];
    check(&mesh, &sidecar(), &without);
    let capture = ("DNS_CAPTURE", "true");
    check(
        &mesh,
        &with(&[capture, ("DNS_AUTO_ALLOCATE", "false")], None),
        &without,
    );
    check(&mesh, &with(&[("DNS_CAPTURE", "false")], None), &without);
    let four = [
        "240.240.0.1_81: → outbound|81||a.com",
        &format!("240.240.0.1_82: {PLAIN} → routes a.com:82, else → outbound|82||a.com"),
    ];
    check(
        &mesh,
        &with(&[capture], None),
        &[&[http.as_str()], &four[..]].concat(),
    );
    let mut both = listeners(&mesh, &with(&[capture], Some("fd00::7")));
    both.retain(|line| line.contains("_81"));
    assert_eq!(both, ["2001:2::f0f0:1_81: → outbound|81||a.com", four[0]]);
}

#[test]
fn what_two_services_claim_the_older_one_has() {
    let at = |host, second, p, addresses: &[&str]| {
        (service(host, [p]).created(second).at(addresses), vec![])
    };
    let mesh = mesh([
        at("young.com", 2, tcp(80), &["10.1.0.1"]),
        at("old.com", 1, tcp(80), &["10.1.0.1"]),
        at("wide.com", 3, tcp(90), &["10.0.0.0/8", "10.1.0.0/16"]),
        at("wider.com", 4, tcp(90), &["10.0.0.0/8", "11.0.0.0/8"]),
        at("all.com", 5, tcp(90), &[]),
        at("more.com", 6, tcp(90), &["0.0.0.0"]),
        at("requests.com", 7, http(90), &[]),
    ]);
    check(
        &mesh,
        &sidecar(),
        &[
            &format!(
                "0.0.0.0_90: 10.0.0.0/8 10.1.0.0/16 → outbound|90||wide.com, 11.0.0.0/8 → outbound|90||wider.com, \
                 {PLAIN} → routes 90, else → outbound|90||all.com"
            ),
            "10.1.0.1_80: → outbound|80||old.com",
        ],
    );
}

#[test]
fn tls_without_address_goes_by_server_name() {
    let tls = |host, addresses: &[&str]| {
        (
            service(host, [port(443, Protocol::Tls)]).at(addresses),
            vec![],
        )
    };
    let mesh = mesh([
        tls("a.com", &[]),
        tls("*.b.com", &[]),
        tls("c.com", &["10.0.0.0/8"]),
        tls("d.com", &["10.1.1.1"]),
    ]);
    check(
        &mesh,
        &sidecar(),
        &[
            "0.0.0.0_443: sni=*.b.com → outbound|443||*.b.com, sni=a.com → outbound|443||a.com, \
             10.0.0.0/8 sni=c.com → outbound|443||c.com, else → PassthroughCluster",
            "10.1.1.1_443: → outbound|443||d.com",
        ],
    );
    check(
        &mesh,
        &bound(),
        &[
            "127.0.0.1_443: sni=*.b.com → outbound|443||*.b.com, sni=a.com → outbound|443||a.com, \
           sni=c.com → outbound|443||c.com, sni=d.com → outbound|443||d.com, else → outbound|443||*.b.com",
        ],
    );
}

#[test]
fn headless_services_are_dialled_by_endpoint() {
    let headless =
        |host: &str| service(host, [http(80), tcp(81)]).resolved(Resolution::Passthrough);
    let platform =
        |host: &str| headless(host).with(|service| service.source = ServiceSource::Platform);
    let requests = format!("0.0.0.0_80: {PLAIN} → routes 80, else → PassthroughCluster");
    let one = |service, endpoints: &[&str]| {
        mesh([(service, endpoints.iter().map(|ip| endpoint(ip)).collect())])
    };
    check(
        &one(platform("a.com"), &["10.0.0.8", "fd00::8"]),
        &sidecar(),
        &[
            &requests,
            "10.0.0.8_81: → outbound|81||a.com",
            "fd00::8_81: → outbound|81||a.com",
        ],
    );
    check(&one(platform("a.com"), &[]), &sidecar(), &[&requests]);
    let selects =
        headless("a.com").with(|service| service.workload_selector = Some(Labels::default()));
    check(&one(selects, &[]), &sidecar(), &[&requests]);
    check(
        &one(headless("a.com"), &[]),
        &sidecar(),
        &[&requests, "0.0.0.0_81: → outbound|81||a.com"],
    );
}

#[test]
fn without_capture_listeners_are_bound_to_the_loopback_address() {
    let mesh = mesh([
        (
            service(
                "a.com",
                [
                    http(8080),
                    tcp(8081),
                    auto(8082),
                    http(80),
                    http(15090),
                    http(15000),
                ],
            )
            .at(&["10.1.0.1"]),
            vec![],
        ),
        (service("b.com", [tcp(8082)]).created(1), vec![]),
    ]);
    let expected = [
        "127.0.0.1_80: → routes 80",
        "127.0.0.1_8080: → routes 8080",
        "127.0.0.1_8081: → outbound|8081||a.com",
        &format!("127.0.0.1_8082: {PLAIN} → routes 8082, else → outbound|8082||a.com"),
    ];
    check(&mesh, &bound(), &expected);
    let json = all(&mesh, &bound(), ResourceType::Listener);
    assert_eq!(
        json["127.0.0.1_80"]["bind_to_port"],
        serde_json::Value::Null
    );
    assert_eq!(json.len(), expected.len());
    let mut unprivileged = bound();
    unprivileged
        .metadata
        .insert("UNPRIVILEGED_POD".into(), "true".into());
    check(&mesh, &unprivileged, &expected[1..]);
}

#[test]
fn ports_that_proxies_use_are_theirs() {
    let ports = [15001, 15006, 15021, 15090];
    let at = |address: &[&str]| mesh([(service("a.com", ports.map(tcp)).at(address), vec![])]);
    check(&at(&[]), &sidecar(), &[]);
    assert_eq!(listeners(&at(&["10.1.0.1"]), &sidecar()).len(), ports.len());
}

#[test]
fn an_outbound_policy_decides_about_the_rest() {
    let config = MeshConfig {
        outbound: OutboundPolicy::RegistryOnly,
        ..Default::default()
    };
    let mesh = mesh_with(config, [(service("a.com", [http(80)]), vec![])]);
    check(
        &mesh,
        &sidecar(),
        &[&format!(
            "0.0.0.0_80: {PLAIN} → routes 80, else → BlackHoleCluster"
        )],
    );
    let first = &all(&mesh, &sidecar(), ResourceType::Listener)["virtualOutbound"];
    assert_eq!(
        outline(first),
        [":15001 → BlackHoleCluster", "→ BlackHoleCluster"]
    );
    assert_eq!(first["use_original_dst"], true);
}

#[test]
fn an_http_proxy_is_there_on_request() {
    let services = || [(service("a.com", [http(80), http(15002)]), vec![])];
    let mesh_wide = mesh_with(
        MeshConfig {
            proxy_http_port: Some(15002),
            ..Default::default()
        },
        services(),
    );
    let proxy = "127.0.0.1_15002: → routes http_proxy";
    check(&mesh_wide, &bound(), &[proxy, "127.0.0.1_80: → routes 80"]);
    let mut asking = bound();
    asking
        .metadata
        .insert("HTTP_PROXY_PORT".into(), "15003".into());
    check(
        &mesh(services()),
        &asking,
        &[
            "127.0.0.1_15002: → routes 15002",
            "127.0.0.1_15003: → routes http_proxy",
            "127.0.0.1_80: → routes 80",
        ],
    );
}

#[test]
fn wildcards_follow_the_versions_of_ip() {
    let mesh = mesh([(service("a.com", [tcp(80)]), vec![])]);
    let with = |addresses: &[&str]| Proxy {
        addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
        ..sidecar()
    };
    check(&mesh, &with(&["fd00::1"]), &["::_80: → outbound|80||a.com"]);
    check(
        &mesh,
        &with(&["fd00::1", "10.0.0.1"]),
        &["0.0.0.0_80: → outbound|80||a.com"],
    );
    let json = &all(
        &mesh,
        &with(&["fd00::1", "10.0.0.1"]),
        ResourceType::Listener,
    )["0.0.0.0_80"];
    assert_eq!(
        json["additional_addresses"][0]["address"]["socket_address"]["address"],
        "::"
    );
    assert_eq!(json["bind_to_port"], false);
}

#[test]
fn who_loses_is_told() {
    let at = |host, second, p, addresses: &[&str]| {
        (service(host, [p]).created(second).at(addresses), vec![])
    };
    let mesh = mesh([
        at("old.com", 1, tcp(80), &["10.1.0.1", "10.0.0.0/8"]),
        at("young.com", 2, auto(80), &["10.1.0.1", "10.0.0.0/8"]),
        at("a.com", 1, port(443, Protocol::Tls), &[]),
        at("b.com", 2, port(443, Protocol::Tls), &[]),
    ]);
    let lost = |proxy: &Proxy| -> Vec<String> {
        let selection = Selection::of(&mesh, proxy);
        let view = View::build(&mesh, Some(&selection.view));
        let names =
            Listeners::names(&mesh, &view, &selection.envoy().unwrap().listeners).into_iter();
        let of = |name: Name| {
            let lost = Listeners::lost(&mesh, &view, &selection.envoy().unwrap().listeners, &name)
                .into_iter();
            lost.map(move |lost| format!("{name}: {} to {}", lost.service, lost.to))
        };
        names.flat_map(of).collect()
    };
    let expected = [
        "0.0.0.0_80: shop/young.com to shop/old.com",
        "10.1.0.1_80: shop/young.com to shop/old.com",
    ];
    assert_eq!(lost(&sidecar()), expected);
    assert_eq!(
        lost(&bound()),
        ["127.0.0.1_80: shop/young.com to shop/old.com"]
    );
}
