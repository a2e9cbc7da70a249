//! `Ingress`es: real requests through real Envoys, as classes, mesh config and the objects change under them. What single paths
//! match is in the [table of requests](super::requests).

mod scene;

use pilothouse_tests::envoy::Binary;
use pilothouse_xds::bootstrap::Variant;
use serde_json::json;

use crate::every_envoy::on_every_envoy;
use scene::{Scene, backend, class, entry, ingress, path};

on_every_envoy! {
    objects_come_change_and_go
    classes_say_who_serves
    mesh_config_says_who_serves
    a_port_is_found_by_name
    the_older_of_two_counts
    certificates_are_told_of
}

const OURS: &str = "istio.io/ingress-controller";
const NGINX: &str = "k8s.io/ingress-nginx";

/// Hosts, segments of paths and default backends; the port is open as long as there is an object.
async fn objects_come_change_and_go(binary: &Binary, variant: Variant) {
    let [web, api] = scene::backends(["web", "api"]).await;
    let services = [
        entry("web", "http", 8080, &web),
        entry("api", "http", 8080, &api),
    ];
    let shop = |to: &str| {
        let paths = json!([path("/a", "Prefix", to), path("/a", "Exact", "api")]);
        ingress(
            "shop",
            json!({"rules": [{"host": "shop.test", "http": {"paths": paths}}]}),
        )
    };
    let objects = [&services[..], &[class(OURS), shop("web")]].concat();
    let scene = Scene::start(binary, variant, &objects, "{}").await;
    scene.answers("shop.test", "/a/b", "web").await;
    scene.answers("shop.test", "/a", "api").await;
    scene.status("shop.test", "/ab", 404).await;
    scene.status("other.test", "/a", 404).await;

    scene.write(&shop("api"));
    scene.answers("shop.test", "/a/b", "api").await;
    let rest = ingress("rest", json!({"defaultBackend": backend("web")}));
    scene.write(&rest);
    scene.answers("other.test", "/a", "web").await;
    // It is the other object's default.
    scene.status("shop.test", "/ab", 404).await;
    scene.remove(&rest);
    scene.status("other.test", "/a", 404).await;
    scene.remove(&shop("api"));
    scene.is_closed().await;
    scene.settled().await;
}

/// Annotations, and classes that come, change hands and go.
async fn classes_say_who_serves(binary: &Binary, variant: Variant) {
    let [web] = scene::backends(["web"]).await;
    let by_object = ingress("by-object", host("object.test"));
    let by_name = |name: &str| {
        let bare = ingress("by-name", host("name.test")).of_no_class();
        bare.annotated("kubernetes.io/ingress.class", name)
    };
    let nobodys = ingress("nobodys", host("nobody.test")).of_no_class();
    let objects = [
        entry("web", "http", 8080, &web),
        by_object.clone(),
        by_name("istio"),
        nobodys.clone(),
    ];
    let scene = Scene::start(binary, variant, &objects, "{}").await;
    scene.answers("name.test", "/", "web").await;
    scene.status("object.test", "/", 404).await;
    scene.status("nobody.test", "/", 404).await;
    let no_class = "routers do not serve it: it names no class";
    scene.told(&nobodys, "references", no_class).await;
    let no_such = "routers do not serve it: there is no IngressClass of this name";
    scene.told(&by_object, "references", no_such).await;

    scene.write(&class(OURS));
    scene.answers("object.test", "/", "web").await;
    scene.told_nothing(&by_object).await;
    scene.write(&class(NGINX));
    scene.status("object.test", "/", 404).await;
    scene.told_nothing(&by_object).await;
    // Of none are those that the default class is for.
    let default = "ingressclass.kubernetes.io/is-default-class";
    scene.write(&class(OURS).annotated(default, "true"));
    scene.answers("nobody.test", "/", "web").await;
    scene.told_nothing(&nobodys).await;
    scene.write(&by_name("nginx"));
    scene.status("name.test", "/", 404).await;
    scene.answers("object.test", "/", "web").await;
    scene.settled().await;
}

/// The mode, the name of the class, and the routers.
async fn mesh_config_says_who_serves(binary: &Binary, variant: Variant) {
    let [web] = scene::backends(["web"]).await;
    let annotated = ingress("by-name", host("name.test")).of_no_class();
    let objects = [
        entry("web", "http", 8080, &web),
        ingress("nobodys", host("nobody.test")).of_no_class(),
        annotated.annotated("kubernetes.io/ingress.class", "mine"),
    ];
    let scene = Scene::start(binary, variant, &objects, "ingressClass: mine").await;
    scene.answers("name.test", "/", "web").await;
    scene.status("nobody.test", "/", 404).await;
    scene.configure("ingressControllerMode: DEFAULT");
    scene.answers("nobody.test", "/", "web").await;
    scene.status("name.test", "/", 404).await;
    scene.configure("ingressControllerMode: OFF");
    scene.is_closed().await;
    scene.configure("{ ingressControllerMode: DEFAULT, ingressSelector: somebody-else }");
    scene.is_closed().await;
    scene.configure("{ ingressControllerMode: DEFAULT, ingressService: ingressgateway }");
    scene.answers("nobody.test", "/", "web").await;
    scene.settled().await;
}

/// By name the port is the one that the service has by then.
async fn a_port_is_found_by_name(binary: &Binary, variant: Variant) {
    let [web, api] = scene::backends(["web", "api"]).await;
    let to = json!({"service": {"name": "web", "port": {"name": "http-main"}}});
    let named = ingress("named", json!({"defaultBackend": to}));
    let objects = [class(OURS), named, entry("web", "http-main", 8080, &web)];
    let scene = Scene::start(binary, variant, &objects, "{}").await;
    scene.answers("any.test", "/", "web").await;
    scene.write(&entry("web", "http-main", 9090, &api));
    scene.answers("any.test", "/", "api").await;
    scene.write(&entry("web", "http-other", 9090, &api));
    scene.status("any.test", "/", 503).await;
    scene.write(&entry("web", "http-main", 9090, &api));
    scene.answers("any.test", "/", "api").await;
    scene.settled().await;
}

/// Paths of two objects for one host are one list; for the same path the older object counts, and the other's author is told.
async fn the_older_of_two_counts(binary: &Binary, variant: Variant) {
    let [web, api] = scene::backends(["web", "api"]).await;
    let at = |name: &str, paths: serde_json::Value| {
        ingress(
            name,
            json!({"rules": [{"host": "shop.test", "http": {"paths": paths}}]}),
        )
    };
    let old = at("old", json!([path("/a", "Prefix", "web")])).created(1);
    let young = at(
        "young",
        json!([path("/a", "Prefix", "api"), path("/a/b", "Exact", "api")]),
    );
    let young = young.created(2);
    let objects = [
        class(OURS),
        entry("web", "http", 8080, &web),
        entry("api", "http", 8080, &api),
        young.clone(),
        old.clone(),
    ];
    let scene = Scene::start(binary, variant, &objects, "{}").await;
    scene.answers("shop.test", "/a", "web").await;
    scene.answers("shop.test", "/a/b", "api").await;
    scene.answers("shop.test", "/a/b/c", "web").await;
    let why = "spec.rules[0].http.paths[0] of Ingress default/old takes the same requests of the same host";
    scene.told(&young, "lost", why).await;
    scene.remove(&old);
    scene.answers("shop.test", "/a", "api").await;
    scene.told_nothing(&young).await;
    scene.settled().await;
}

/// Hosts with certificates are served without, and their authors are told.
async fn certificates_are_told_of(binary: &Binary, variant: Variant) {
    let [web] = scene::backends(["web"]).await;
    let mut spec = host("safe.test");
    spec["tls"] = json!([{"hosts": ["safe.test"], "secretName": "safe"}]);
    let safe = ingress("safe", spec);
    let objects = [class(OURS), entry("web", "http", 8080, &web), safe.clone()];
    let scene = Scene::start(binary, variant, &objects, "{}").await;
    scene.answers("safe.test", "/", "web").await;
    let what = "is not served: the hosts are served on port 80 alone, without TLS";
    scene.told(&safe, "warnings", what).await;
    assert_eq!(
        scene.listeners().await,
        ["0.0.0.0_".to_owned() + &scene.port()]
    );
    scene.settled().await;
}

/// Everything of a host goes to `web`.
fn host(name: &str) -> serde_json::Value {
    json!({"rules": [{"host": name, "http": {"paths": [path("/", "Prefix", "web")]}}]})
}
