use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Interception, Proxy};
use serde_json::{Value, json};

use crate::resource::ResourceType;
use crate::sample::{
    With, all, auto, bound, http, mesh, outline, service, sidecar, tcp, with_rule,
};

/// The mesh with a `Sidecar` for the namespace of all sample proxies.
fn limited(mesh: Mesh, spec: &Value) -> Mesh {
    with_rule(mesh, "Sidecar", ("shop", "it"), spec)
}

/// What is there of services, of one type.
fn names(mesh: &Mesh, proxy: &Proxy, kind: ResourceType) -> Vec<String> {
    let all = all(mesh, proxy, kind).into_keys();
    let of_services = |name: &String| {
        name.starts_with("outbound|")
            || kind != ResourceType::Cluster && !name.starts_with("virtual")
    };
    all.filter(of_services).collect()
}

fn clusters(mesh: &Mesh) -> Vec<String> {
    let text = |name: String| name.replace("outbound|", "").replace("||", " ");
    let all = names(mesh, &sidecar(), ResourceType::Cluster).into_iter();
    all.map(text).collect()
}

fn listeners(mesh: &Mesh, proxy: &Proxy) -> Vec<String> {
    let all = all(mesh, proxy, ResourceType::Listener).into_iter();
    let of_services = all.filter(|(name, _)| !name.starts_with("virtual"));
    of_services
        .map(|(name, json)| format!("{name}: {}", outline(&json).join(", ")))
        .collect()
}

fn of_bank(
    host: &str,
    ports: impl IntoIterator<Item = pilothouse_core::model::ServicePort>,
) -> pilothouse_core::model::Service {
    service(host, ports).with(|service| service.key.namespace = "bank".into())
}

#[test]
fn only_what_is_imported_has_clusters() {
    let services = || {
        mesh([
            (service("a.com", [http(80)]), vec![]),
            (service("b.com", [http(80)]), vec![]),
            (of_bank("c.com", [http(80)]), vec![]),
            // One host in two namespaces.
            (service("d.com", [http(81)]).created(2), vec![]),
            (of_bank("d.com", [http(82)]).created(1), vec![]),
        ])
    };
    let check = |hosts: &[&str], expected: &[&str]| {
        let mesh = limited(services(), &json!({"egress": [{"hosts": hosts}]}));
        assert_eq!(clusters(&mesh), expected, "{hosts:?}");
        let routes = names(&mesh, &sidecar(), ResourceType::Route);
        let mut ports: Vec<_> = expected
            .iter()
            .map(|name| name.split(' ').next().unwrap())
            .collect();
        ports.dedup();
        assert_eq!(routes, ports, "{hosts:?}");
    };
    check(&["*/*"], &["80 a.com", "80 b.com", "80 c.com", "81 d.com"]);
    check(&["./a.com"], &["80 a.com"]);
    check(&["./*"], &["80 a.com", "80 b.com", "81 d.com"]);
    check(&["bank/*"], &["80 c.com", "82 d.com"]);
    check(&["*/d.com"], &["81 d.com"]);
    check(&["bank/c.com", "./b.com"], &["80 b.com", "80 c.com"]);
    check(&["~/*"], &[]);
    check(&["other/*"], &[]);
}

#[test]
fn routes_that_are_imported_bring_their_destinations() {
    let route = |host: &str, to: Value| json!({"hosts": [host], "http": [{"route": [{"destination": to}]}]});
    let services = || {
        mesh([
            (service("a.com", [http(80)]), vec![]),
            (of_bank("b.com", [http(80), http(81)]), vec![]),
            (of_bank("c.com", [http(80)]), vec![]),
        ])
    };
    let to_b = route("a.com", json!({"host": "b.com", "port": {"number": 81}}));
    let imported = with_rule(services(), "VirtualService", ("shop", "v"), &to_b);
    let only_a = json!({"egress": [{"hosts": ["./*"]}]});
    let mesh = limited(imported.clone(), &only_a);
    assert_eq!(clusters(&mesh), ["80 a.com", "81 b.com"]);
    let listeners = names(&mesh, &sidecar(), ResourceType::Listener);
    assert_eq!(
        listeners,
        ["0.0.0.0_80"],
        "b.com is no name that clients reach"
    );
    let routes = all(&mesh, &sidecar(), ResourceType::Route)["80"].to_string();
    assert!(routes.contains("outbound|81||b.com"), "{routes}");

    // A rule of a namespace that is not imported does not count.
    let foreign = with_rule(services(), "VirtualService", ("bank", "v"), &to_b);
    let mesh = limited(foreign, &only_a);
    assert_eq!(clusters(&mesh), ["80 a.com"]);
    let routes = all(&mesh, &sidecar(), ResourceType::Route)["80"].to_string();
    assert!(!routes.contains("b.com"), "{routes}");
}

#[test]
fn a_port_has_services_and_an_address_of_its_own() {
    let services = || {
        mesh([
            (
                service("a.com", [http(80), tcp(90)]).at(&["10.1.0.1"]),
                vec![],
            ),
            (
                of_bank("b.com", [http(80), tcp(90), auto(91)]).at(&["10.1.0.2"]),
                vec![],
            ),
        ])
    };
    let own = |port: u16, protocol: &str, bind: Option<&str>, hosts: &str| {
        let mut listener =
            json!({"port": {"number": port, "protocol": protocol}, "hosts": [hosts]});
        if let Some(bind) = bind {
            listener["bind"] = json!(bind);
            listener["captureMode"] = json!("NONE");
        }
        limited(
            services(),
            &json!({"egress": [listener, {"hosts": ["./*"]}]}),
        )
    };
    let plain = "raw_buffer http/1.1 h2c";
    let mesh = own(80, "HTTP", None, "bank/*");
    assert_eq!(clusters(&mesh), ["80 b.com", "90 a.com"]);
    assert_eq!(
        listeners(&mesh, &sidecar()),
        [
            &format!("0.0.0.0_80: {plain} → routes 80, else → PassthroughCluster"),
            "10.1.0.1_90: → outbound|90||a.com",
        ]
    );
    let mesh = own(90, "TCP", Some("127.0.0.2"), "bank/*");
    assert_eq!(clusters(&mesh), ["80 a.com", "90 b.com"]);
    for proxy in [sidecar(), bound()] {
        let all = listeners(&mesh, &proxy);
        let found = all.iter().find(|line| line.contains("_90"));
        let expected = "127.0.0.2_90: → outbound|90||b.com";
        assert_eq!(found.map(String::as_str), Some(expected));
        let json = &self::all(&mesh, &proxy, ResourceType::Listener)["127.0.0.2_90"];
        assert_eq!(json["bind_to_port"], Value::Null, "it is bound");
    }
    // What is said of the port counts, not what the service says.
    let mesh = own(90, "HTTP", None, "*/*");
    let all = listeners(&mesh, &sidecar());
    let expected = format!("0.0.0.0_90: {plain} → routes 90, else → PassthroughCluster");
    assert!(all.contains(&expected), "{all:?}");
}

#[test]
fn a_listener_without_port_may_be_bound() {
    let services = mesh([(service("a.com", [tcp(90)]).at(&["10.1.0.1"]), vec![])]);
    let spec = json!({"egress": [{"hosts": ["./*"], "captureMode": "NONE"}]});
    let mesh = limited(services, &spec);
    assert_eq!(
        listeners(&mesh, &sidecar()),
        ["127.0.0.1_90: → outbound|90||a.com"]
    );
    assert_ne!(sidecar().interception, Interception::None);
}

#[test]
fn unclaimed_traffic_goes_where_the_sidecar_says() {
    let rest = |policy: Value| {
        let services = mesh([
            (service("a.com", [http(80)]), vec![]),
            (of_bank("proxy.com", [tcp(3128)]), vec![]),
        ]);
        let spec = json!({"egress": [{"hosts": ["./*"]}], "outboundTrafficPolicy": policy});
        let mesh = limited(services, &spec);
        let all = all(&mesh, &sidecar(), ResourceType::Listener);
        (
            clusters(&mesh),
            outline(&all["virtualOutbound"]).pop().unwrap(),
        )
    };
    let a = || "80 a.com".to_owned();
    let nowhere = rest(json!({"mode": "REGISTRY_ONLY"}));
    assert_eq!(nowhere, (vec![a()], "→ BlackHoleCluster".to_owned()));
    let anywhere = rest(json!({"mode": "ALLOW_ANY"}));
    assert_eq!(anywhere, (vec![a()], "→ PassthroughCluster".to_owned()));
    let proxy = json!({"host": "proxy.com", "port": {"number": 3128}});
    let there = rest(json!({"mode": "ALLOW_ANY", "egressProxy": proxy}));
    let expected = (
        vec!["3128 proxy.com".to_owned(), a()],
        "→ outbound|3128||proxy.com".to_owned(),
    );
    assert_eq!(there, expected);
}

/// What a proxy gets is in proportion to what is imported, not to the mesh.
#[test]
fn five_of_a_thousand_services_are_five() {
    let services = (0..1000).map(|n| (service(&format!("s{n}.com"), [http(80), tcp(90)]), vec![]));
    let hosts: Vec<_> = (0..5).map(|n| format!("./s{n}.com")).collect();
    let mesh = limited(mesh(services), &json!({"egress": [{"hosts": hosts}]}));
    let count = |kind| names(&mesh, &sidecar(), kind).len();
    assert_eq!(count(ResourceType::Cluster), 10);
    assert_eq!(count(ResourceType::Endpoint), 10);
    let routes = all(&mesh, &sidecar(), ResourceType::Route)["80"]["virtual_hosts"].clone();
    assert_eq!(routes.as_array().unwrap().len(), 6, "and one for the rest");
}

#[test]
fn a_route_that_goes_takes_its_destinations_along() {
    let d = || mesh([(of_bank("d.com", [tcp(81)]), vec![])]);
    let spec = json!({"egress": [{"port": {"number": 80, "protocol": "TCP"}, "hosts": ["*/*"]}, {"hosts": ["~/*"]}]});
    let to =
        json!({"hosts": ["*.mesh"], "http": [{"route": [{"destination": {"host": "d.com"}}]}]});
    let before = limited(with_rule(d(), "VirtualService", ("bank", "v"), &to), &spec);
    let after = limited(d(), &spec);
    let selection = crate::selection::Selection::of(&before, &sidecar());
    let mut view = crate::view::View::build(&before, Some(&selection.view));
    let host = |name: &str| pilothouse_core::model::Host::new(name).unwrap();
    assert!(view.service(&host("d.com")).is_some());
    let further = view.update(&after, &[host("*.mesh")].into());
    assert_eq!(further, [host("d.com")].into());
    assert!(view.service(&host("d.com")).is_none());
}
