//! Who gets what of a router's ports.

mod ingresses;

use pilothouse_core::mesh::{Mesh, MeshConfig};
use pilothouse_core::model::{Proxy, Resolution};
use pilothouse_core::rules::resolve::StringMatch;
use serde_json::{Value, json};

use super::*;
use crate::sample::{With, endpoint, http, mesh, mesh_with, router_proxy, service, tcp, with_rule};
use crate::selection::Selection;

/// A mesh of some services without gateways.
fn services() -> Mesh {
    mesh([
        (service("web.com", [http(80)]), vec![endpoint("10.0.0.2")]),
        (service("api.com", [http(80)]), vec![endpoint("10.0.0.3")]),
        (service("db.com", [tcp(3306)]), vec![endpoint("10.0.0.4")]),
    ])
}

fn gateway(mesh: Mesh, name: &str, servers: Value) -> Mesh {
    with_rule(
        mesh,
        "Gateway",
        ("shop", name),
        &json!({"servers": servers}),
    )
}

fn server(number: u16, protocol: &str, hosts: &[&str]) -> Value {
    let name = format!("{}-{number}", protocol.to_lowercase());
    json!({"port": {"number": number, "name": name, "protocol": protocol}, "hosts": hosts})
}

fn with_tls(mut server: Value, tls: Value) -> Value {
    server["tls"] = tls;
    server
}

fn ends() -> Value {
    json!({"mode": "SIMPLE", "serverCertificate": "/c", "privateKey": "/k"})
}

/// A rule that is bound to gateways; it sends everything to this host.
fn to(mesh: Mesh, name: &str, hosts: &[&str], gateways: &[&str], host: &str) -> Mesh {
    let spec = json!({
        "hosts": hosts, "gateways": gateways,
        "http": [{"name": name, "route": [{"destination": {"host": host}}]}],
    });
    with_rule(mesh, "VirtualService", ("shop", name), &spec)
}

fn made(mesh: &Mesh, proxy: &Proxy) -> Made {
    let selection = Selection::of(mesh, proxy);
    let view = View::build(mesh, Some(&selection.view));
    let projection = &selection.router().unwrap().gateways;
    router(mesh, &view, &selection.view.namespace, projection)
}

/// What is made, in short: listeners with their chains, and routes with their hosts.
fn shown(mesh: &Mesh) -> Vec<String> {
    let made = made(mesh, &router_proxy());
    let mut all = Vec::new();
    for input in &made.inputs {
        match input {
            Input::Router(RouterInput::Listener(listener)) => {
                for chain in &listener.chains {
                    let names: Vec<_> = chain.server_names.iter().map(Host::as_str).collect();
                    let to = match &chain.to {
                        ChainTo::Requests(route) => route.to_string(),
                        ChainTo::Connections(to) => {
                            let clusters = to.clusters.iter();
                            let clusters = clusters.map(|(cluster, _)| cluster.to_string());
                            clusters.collect::<Vec<_>>().join(" + ")
                        }
                    };
                    let names = names.join(" ");
                    all.push(format!("{} [{names}] → {to}", listener.name));
                }
            }
            Input::Router(RouterInput::Route(route)) => {
                for host in &route.hosts {
                    let routes = host.routes.iter().map(|one| &*one.route.name);
                    let routes = routes.collect::<Vec<_>>().join(" ");
                    let redirect = if host.redirect { "!" } else { "" };
                    all.push(format!("{} {}{redirect} → {routes}", route.name, host.host));
                }
            }
            other => panic!("{other:?}"),
        }
    }
    all.sort();
    all
}

/// Who lost to whom.
fn lost(mesh: &Mesh) -> Vec<String> {
    let made = made(mesh, &router_proxy());
    let all = made.lost.iter();
    all.map(|lost| format!("{} of {}: {}", lost.field, lost.loser.name, lost.why))
        .collect()
}

#[test]
fn requests_go_by_host() {
    let mesh = gateway(
        services(),
        "gw",
        json!([server(80, "HTTP", &["*.com", "shop/x.org", "bank/y.org"])]),
    );
    assert_eq!(shown(&mesh), ["0.0.0.0_80 [] → http.80"]);
    let mesh = to(mesh, "web", &["web.com", "other.net"], &["gw"], "web.com");
    let mesh = to(mesh, "org", &["*.org"], &["shop/gw"], "web.com");
    let mesh = to(mesh, "sidecars", &["web.com"], &["mesh"], "api.com");
    let mesh = to(mesh, "elsewhere", &["web.com"], &["other"], "api.com");
    assert_eq!(
        shown(&mesh),
        [
            "0.0.0.0_80 [] → http.80",
            "http.80 web.com → web",
            "http.80 x.org → org",
        ]
    );
}

#[test]
fn rules_for_one_host_merge_and_what_takes_everything_is_last() {
    let mesh = gateway(services(), "gw", json!([server(80, "HTTP", &["*"])]));
    let mesh = to(mesh, "a", &["web.com"], &["gw"], "web.com");
    let narrow = json!({
        "hosts": ["web.com"], "gateways": ["gw"],
        "http": [
            {"name": "x", "match": [{"uri": {"prefix": "/x"}}], "route": [{"destination": {"host": "api.com"}}]},
            {"name": "y", "match": [{"uri": {"exact": "/y"}}], "route": [{"destination": {"host": "api.com"}}]},
        ],
    });
    let mesh = with_rule(mesh, "VirtualService", ("shop", "b"), &narrow);
    let mesh = to(mesh, "c", &["web.com"], &["gw"], "api.com");
    assert_eq!(
        shown(&mesh),
        ["0.0.0.0_80 [] → http.80", "http.80 web.com → x y a c"]
    );
}

#[test]
fn http_redirects_to_https() {
    let redirect = with_tls(
        server(80, "HTTP", &["web.com", "idle.com"]),
        json!({"httpsRedirect": true}),
    );
    let https = with_tls(server(443, "HTTPS", &["web.com"]), ends());
    let mesh = gateway(services(), "gw", json!([redirect, https]));
    let mesh = to(mesh, "web", &["web.com"], &["gw"], "web.com");
    assert_eq!(
        shown(&mesh),
        [
            "0.0.0.0_443 [web.com] → https.443.https-443.gw.shop",
            "0.0.0.0_80 [] → http.80",
            "http.80 idle.com! → ",
            "http.80 web.com! → web",
            "https.443.https-443.gw.shop web.com → web",
        ]
    );
}

#[test]
fn gateways_share_ports() {
    let mesh = gateway(services(), "a", json!([server(80, "HTTP", &["web.com"])]));
    let mesh = gateway(mesh, "b", json!([server(80, "HTTP2", &["api.com"])]));
    let mesh = gateway(mesh, "c", json!([server(80, "TCP", &["*"])]));
    let mesh = to(mesh, "web", &["web.com"], &["a"], "web.com");
    let mesh = to(mesh, "api", &["api.com"], &["b"], "api.com");
    assert_eq!(
        shown(&mesh),
        [
            "0.0.0.0_80 [] → http.80",
            "http.80 api.com → api",
            "http.80 web.com → web",
        ]
    );
    assert_eq!(
        lost(&mesh),
        [
            "spec.servers[0] of c: spec.servers[0] of Gateway shop/a listens on port 80 with Http, which nothing tells from \
             Tcp: of several, the server of the oldest gateway is opened"
        ]
    );
}

#[test]
fn a_server_name_belongs_to_the_oldest() {
    let https = |hosts: &[&str]| json!([with_tls(server(443, "HTTPS", hosts), ends())]);
    let mesh = gateway(services(), "a", https(&["web.com"]));
    let mesh = gateway(mesh, "b", https(&["api.com", "*/web.com"]));
    let mesh = gateway(mesh, "c", https(&["*.com"]));
    assert_eq!(
        shown(&mesh),
        [
            "0.0.0.0_443 [*.com] → https.443.https-443.c.shop",
            "0.0.0.0_443 [web.com] → https.443.https-443.a.shop",
        ]
    );
    assert_eq!(
        lost(&mesh),
        [
            "spec.servers[0] of b: spec.servers[0] of Gateway shop/a listens on port 443 for web.com: of servers for one \
             server name, that of the oldest gateway is opened"
        ]
    );
}

#[test]
fn connections_pass_by_server_name() {
    let pass = with_tls(server(443, "TLS", &["*.com"]), json!({}));
    let mesh = gateway(services(), "gw", json!([pass]));
    assert_eq!(shown(&mesh), [""; 0]);
    let rule = |name: &str, sni: &[&str]| {
        json!({
            "hosts": ["*.com"], "gateways": ["gw"],
            "tls": [{"match": [{"sniHosts": sni}], "route": [{"destination": {"host": name, "port": {"number": 80}}}]}],
        })
    };
    let mesh = with_rule(
        mesh,
        "VirtualService",
        ("shop", "a"),
        &rule("web.com", &["web.com"]),
    );
    let second = rule("api.com", &["web.com", "api.com"]);
    let mesh = with_rule(mesh, "VirtualService", ("shop", "b"), &second);
    assert_eq!(
        shown(&mesh),
        [
            "0.0.0.0_443 [api.com] → outbound|80||api.com",
            "0.0.0.0_443 [web.com] → outbound|80||web.com",
        ]
    );
    assert_eq!(
        lost(&mesh),
        [
            "spec.tls[0] of b: VirtualService shop/a has connections with server name web.com: of several, those of the \
             oldest gateway and the oldest rule count"
        ]
    );
}

#[test]
fn bytes_go_where_the_first_route_says() {
    let mesh = gateway(services(), "gw", json!([server(3306, "MYSQL", &["*"])]));
    let spec = json!({
        "hosts": ["db.com"], "gateways": ["gw"],
        "tcp": [
            {"match": [{"port": 1}], "route": [{"destination": {"host": "web.com"}}]},
            {"match": [{"port": 3306}], "route": [
                {"destination": {"host": "db.com"}, "weight": 1}, {"destination": {"host": "api.com"}, "weight": 3},
            ]},
        ],
    });
    let mesh = with_rule(mesh, "VirtualService", ("shop", "db"), &spec);
    assert_eq!(
        shown(&mesh),
        ["0.0.0.0_3306 [] → outbound|3306||db.com + outbound|80||api.com"]
    );
}

#[test]
fn server_names_of_clusters_lead_to_services() {
    let east_west = with_tls(
        server(15443, "TLS", &["shop/web.com", "bank/*"]),
        json!({"mode": "AUTO_PASSTHROUGH"}),
    );
    let mesh = gateway(services(), "gw", json!([east_west]));
    let subset = json!({"host": "web.com", "subsets": [{"name": "v1"}]});
    let mesh = with_rule(mesh, "DestinationRule", ("shop", "web"), &subset);
    assert_eq!(
        shown(&mesh),
        [
            "0.0.0.0_15443 [outbound_.80_._.web.com] → outbound_.80_._.web.com",
            "0.0.0.0_15443 [outbound_.80_.v1_.web.com] → outbound_.80_.v1_.web.com",
        ]
    );
}

#[test]
fn services_before_a_router_translate_ports() {
    let translating = service("ingress", [http(80)]).with(|service| {
        service.ports[0].target_port = Some(8080);
    });
    let mesh = mesh([(translating, vec![endpoint("10.0.0.1")])]);
    let servers = json!([server(80, "HTTP", &["*"]), server(81, "HTTP", &["*"])]);
    assert_eq!(
        shown(&gateway(mesh, "gw", servers)),
        ["0.0.0.0_8080 [] → http.8080", "0.0.0.0_81 [] → http.81",]
    );
}

#[test]
fn addresses_are_told_apart() {
    let at = |bind: &str| {
        let mut server = server(80, "HTTP", &["*"]);
        server["bind"] = json!(bind);
        server
    };
    let mut file = at("unix:///run/gw");
    file["port"] = json!({"number": 0, "name": "file", "protocol": "HTTP"});
    let mesh = gateway(services(), "a", json!([at("10.0.0.9"), file]));
    let mut bytes = at("10.0.0.8");
    bytes["port"]["protocol"] = json!("TCP");
    let mesh = gateway(mesh, "b", json!([bytes]));
    assert_eq!(
        shown(&mesh),
        [
            "/run/gw_0 [] → http.0.unix:///run/gw",
            "10.0.0.9_80 [] → http.80.10.0.0.9",
        ]
    );
    assert_eq!(lost(&mesh), [""; 0]);
}

#[test]
fn routers_are_selected_by_labels_wherever_they_are() {
    let selecting =
        |app: &str| json!({"selector": {"app": app}, "servers": [server(80, "HTTP", &["*"])]});
    let mesh = with_rule(services(), "Gateway", ("bank", "one"), &selecting("edge"));
    let mesh = with_rule(mesh, "Gateway", ("shop", "two"), &selecting("other"));
    let proxy = Proxy {
        labels: [("app", "edge")].into_iter().collect(),
        ..router_proxy()
    };
    let selection = Selection::of(&mesh, &proxy);
    let gateways = &selection.router().unwrap().gateways.gateways;
    let names: Vec<_> = gateways.iter().map(|key| &*key.name).collect();
    assert_eq!(names, ["one"]);
    let mut scoped = mesh.clone();
    scoped.set_config(Arc::new(MeshConfig {
        scope_gateways: true,
        ..MeshConfig::default()
    }));
    let selection = Selection::of(&scoped, &proxy);
    let gateways = &selection.router().unwrap().gateways.gateways;
    assert!(gateways.is_empty(), "it is in another namespace");
    assert_eq!(
        made(&mesh, &router_proxy()),
        Made {
            reads: Some(BTreeSet::new()),
            ..Made::default()
        }
    );
}

#[test]
fn routers_have_endpoints_where_sidecars_dial() {
    use crate::resource::ResourceType::{Cluster, Endpoint};
    let headless = service("pets", [http(80)]).resolved(Resolution::Passthrough);
    let mesh = mesh_with(Default::default(), [(headless, vec![endpoint("10.0.0.7")])]);
    let name = "outbound|80||pets";
    let cluster = crate::sample::one(&mesh, &router_proxy(), Cluster, name);
    assert_eq!(cluster["type"], "EDS");
    let found = crate::sample::one(&mesh, &router_proxy(), Endpoint, name);
    assert!(found.to_string().contains("10.0.0.7"), "{found}");
    let all = crate::sample::all(&mesh, &router_proxy(), Cluster);
    let names: Vec<_> = all.keys().map(String::as_str).collect();
    assert_eq!(names, ["BlackHoleCluster", name]);
}
