//! What routers get of `Ingress`es.

use pilothouse_core::mesh::IngressController;
use pilothouse_core::model::Labels;

use super::*;

/// A router that serves `Ingress`es.
fn edge() -> Proxy {
    Proxy {
        labels: [("istio", "ingressgateway")].into_iter().collect(),
        ..router_proxy()
    }
}

fn class(mesh: Mesh, controller: &str) -> Mesh {
    let spec = json!({"controller": controller});
    with_rule(mesh, "IngressClass", ("", "mesh"), &spec)
}

fn with_class(mesh: Mesh) -> Mesh {
    class(mesh, "istio.io/ingress-controller")
}

fn backend(name: &str) -> Value {
    json!({"service": {"name": name, "port": {"number": 80}}})
}

fn ingress(mesh: Mesh, name: &str, default: Option<&str>, paths: &[(&str, &str, &str)]) -> Mesh {
    let rules = paths.iter().map(|(host, path, to)| {
        let (path, path_type) = match path.strip_prefix('=') {
            Some(path) => (path, "Exact"),
            None => (*path, "Prefix"),
        };
        let path = json!({"path": path, "pathType": path_type, "backend": backend(to)});
        json!({"host": host, "http": {"paths": [path]}})
    });
    let spec = json!({
        "ingressClassName": "mesh", "defaultBackend": default.map(backend), "rules": rules.collect::<Vec<_>>(),
    });
    with_rule(mesh, "Ingress", ("shop", name), &spec)
}

/// The routes of each host: which requests, to which cluster, and who says it.
fn routes(mesh: &Mesh, proxy: &Proxy) -> Vec<String> {
    let made = made(mesh, proxy);
    let mut all = Vec::new();
    for input in &made.inputs {
        let Input::Router(RouterInput::Route(route)) = input else {
            continue;
        };
        for host in &route.hosts {
            for one in &host.routes {
                let path = match one.matching().and_then(|one| one.uri.as_ref()) {
                    Some(StringMatch::Exact(path)) => format!("={path}"),
                    Some(StringMatch::Prefix(path)) => path.to_string(),
                    other => format!("{other:?}"),
                };
                let to = &one.targets[0].cluster;
                let by = &one.route.place.rule.name;
                all.push(format!("{} {path} → {to} by {by}", host.host));
            }
        }
    }
    all
}

#[test]
fn routers_of_the_selector_serve_those_of_the_class() {
    let mesh = ingress(services(), "a", Some("web.com"), &[]);
    assert_eq!(
        routes(&mesh, &edge()),
        [""; 0],
        "there is no class of that name"
    );
    let served = ["* None → outbound|80||web.com by a"];
    assert_eq!(routes(&with_class(mesh.clone()), &edge()), served);
    let others = class(mesh.clone(), "k8s.io/ingress-nginx");
    assert_eq!(routes(&others, &edge()), [""; 0]);
    assert_eq!(
        routes(&with_class(mesh.clone()), &router_proxy()),
        [""; 0],
        "it is another router"
    );
    let front: Labels = [("istio", "front")].into_iter().collect();
    let mut mesh = with_class(mesh);
    let config = MeshConfig {
        ingress: IngressController {
            selector: front.clone(),
            ..IngressController::default()
        },
        ..MeshConfig::default()
    };
    mesh.set_config(Arc::new(config.clone()));
    assert_eq!(routes(&mesh, &edge()), [""; 0]);
    let router = Proxy {
        labels: front,
        ..router_proxy()
    };
    assert_eq!(routes(&mesh, &router), served);
    // Where gateways are for their own namespace, Ingresses are for the root namespace.
    mesh.set_config(Arc::new(MeshConfig {
        scope_gateways: true,
        ..config
    }));
    assert_eq!(routes(&mesh, &router), [""; 0]);
    let root = Proxy {
        namespace: "istio-system".into(),
        ..router
    };
    assert_eq!(routes(&mesh, &root), served);
}

#[test]
fn paths_of_several_objects_for_one_host_are_sorted() {
    let mesh = with_class(services());
    let mesh = ingress(
        mesh,
        "a",
        Some("db.com"),
        &[("x.com", "/a", "web.com"), ("x.com", "/", "web.com")],
    );
    let mesh = ingress(
        mesh,
        "b",
        None,
        &[
            ("x.com", "/a/b", "api.com"),
            ("x.com", "=/a", "api.com"),
            ("x.com", "/a/", "api.com"),
            ("y.com", "/", "api.com"),
        ],
    );
    assert_eq!(
        routes(&mesh, &edge()),
        [
            "* None → outbound|80||db.com by a",
            "x.com =/a → outbound|80||api.com by b",
            "x.com /a/b → outbound|80||api.com by b",
            "x.com /a → outbound|80||web.com by a",
            "x.com / → outbound|80||web.com by a",
            "y.com / → outbound|80||api.com by b",
        ]
    );
    let lost = made(&mesh, &edge()).lost.into_iter();
    let lost: Vec<_> = lost
        .map(|one| format!("{} {}: {}", one.loser, one.field, one.why))
        .collect();
    assert_eq!(
        lost,
        [
            "Ingress shop/b spec.rules[2].http.paths[0]: spec.rules[0].http.paths[0] of Ingress shop/a takes the same requests \
             of the same host: of several Ingresses the oldest counts"
        ]
    );
}

#[test]
fn together_they_are_as_old_as_the_oldest() {
    // Of one age, names decide.
    let mesh = with_class(services());
    let mesh = ingress(mesh, "a", None, &[("x.com", "/a", "web.com")]);
    let mesh = ingress(mesh, "d", None, &[("x.com", "/d", "web.com")]);
    let server = server(80, "HTTP", &["*"]);
    let mesh = gateway(mesh, "gw", json!([server]));
    let rule = |mesh, name: &str, path: &str| {
        let spec = json!({"hosts": ["x.com"], "gateways": ["gw"], "http": [
            {"match": [{"uri": {"exact": path}}], "route": [{"destination": {"host": "api.com"}}]},
        ]});
        with_rule(mesh, "VirtualService", ("shop", name), &spec)
    };
    let mesh = rule(rule(mesh, "b", "/b"), "0", "/0");
    assert_eq!(
        routes(&mesh, &edge()),
        [
            "x.com =/0 → outbound|80||api.com by 0",
            "x.com /a → outbound|80||web.com by a",
            "x.com /d → outbound|80||web.com by d",
            "x.com =/b → outbound|80||api.com by b",
        ]
    );
}

#[test]
fn a_port_has_a_name_or_is_nowhere() {
    let by_name = |name: &str| json!({"service": {"name": "web.com", "port": {"name": name}}});
    let spec = |name: &str| json!({"ingressClassName": "mesh", "defaultBackend": by_name(name)});
    let check = |name: &str, cluster: &str| {
        let mesh = with_class(services());
        let mesh = with_rule(mesh, "Ingress", ("shop", "a"), &spec(name));
        let expected = format!("* None → {cluster} by a");
        assert_eq!(routes(&mesh, &edge()), [expected]);
    };
    check("p80", "outbound|80||web.com");
    check("gone", "outbound|0||web.com");
}
