//! Routers: real requests and connections through real Envoys, where `Gateway`s and the rules that are bound to them say.

mod agent;
mod client;
mod connections;
mod rules;
mod scene;
mod tls;

use anyhow::ensure;
use pilothouse_tests::envoy::Binary;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;
use serde_json::json;

use crate::every_envoy::on_every_envoy;
use crate::world::SOON;
use rules::{Object, entry, envoy_filter, gateway, http_server, route_to, virtual_service};
use scene::{Scene, answers, status};

on_every_envoy! {
    requests_go_by_host
    rules_for_one_host_merge
    gateways_share_a_port_and_the_oldest_goes_first
    tls_ends_at_the_router
    clients_are_sent_to_tls
    connections_pass_by_server_name
    bytes_are_forwarded
    server_names_of_clusters_lead_to_services
    patches_of_gateways_apply
}

/// Exact hosts, wildcards and hosts that nobody has; changes take effect without a restart.
async fn requests_go_by_host(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let [web, api] = scene::backends(["web", "api"]).await;
    let server = http_server(via.port(), &["*.test"]);
    let objects = [
        entry("web.mesh", web.address()),
        entry("api.mesh", api.address()),
        gateway("gw", json!([server])),
        virtual_service("web", &["web.test"], json!([route_to("web.mesh")])),
        virtual_service("rest", &["*.test"], json!([route_to("api.mesh")])),
    ];
    let scene = Scene::start(binary, variant, &objects).await;
    answers(via, "web.test", "web").await;
    answers(via, "any.test", "api").await;
    // The port in the host does not count.
    answers(via, &format!("web.test:{}", via.port()), "web").await;
    status(via, "other.org", "/", 404).await;
    scene.write(&virtual_service(
        "rest",
        &["*.test"],
        json!([route_to("web.mesh")]),
    ));
    answers(via, "any.test", "web").await;
    scene.remove("VirtualService", "web");
    scene.remove("VirtualService", "rest");
    status(via, "web.test", "/", 404).await;
    scene.remove("Gateway", "gw");
    let closed = async || {
        ensure!(tokio::net::TcpStream::connect(via).await.is_err());
        Ok(())
    };
    eventually("the port is closed", SOON, closed)
        .await
        .unwrap();
    scene.settled().await;
}

/// Routes of several rules for one host: the oldest first, and what takes everything last.
async fn rules_for_one_host_merge(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let [web, api, old] = scene::backends(["web", "api", "old"]).await;
    let at = |path: &str, host: &str| {
        let mut route = route_to(host);
        route["match"] = json!([{"uri": {"prefix": path}}]);
        route
    };
    let objects = [
        entry("web.mesh", web.address()),
        entry("api.mesh", api.address()),
        entry("old.mesh", old.address()),
        gateway("gw", json!([http_server(via.port(), &["*"])])),
        virtual_service("a", &["web.test"], json!([route_to("web.mesh")])).created(1),
        virtual_service("b", &["web.test"], json!([at("/api", "api.mesh")])).created(2),
        virtual_service("c", &["web.test"], json!([at("/api/old", "old.mesh")])).created(3),
    ];
    let scene = Scene::start(binary, variant, &objects).await;
    scene::answers_at(via, "web.test", "/api/old", "api").await;
    scene::answers_at(via, "web.test", "/", "web").await;
    let older = virtual_service("c", &["web.test"], json!([at("/api/old", "old.mesh")])).created(0);
    scene.write(&older);
    scene::answers_at(via, "web.test", "/api/old", "old").await;
    scene::answers_at(via, "web.test", "/api/new", "api").await;
    scene.settled().await;
}

/// Two gateways of one protocol share a port. One of another does not, and is told who is in its way.
async fn gateways_share_a_port_and_the_oldest_goes_first(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let [web, api] = scene::backends(["web", "api"]).await;
    let to = |name: &str, gateway: &str| {
        let mut rule = virtual_service(name, &[], json!([route_to(&format!("{name}.mesh"))]));
        rule.set("hosts", json!([format!("{name}.test")]));
        rule.set("gateways", json!([gateway]));
        rule
    };
    let bytes =
        json!({"port": {"number": via.port(), "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]});
    let objects = [
        entry("web.mesh", web.address()),
        entry("api.mesh", api.address()),
        gateway("one", json!([http_server(via.port(), &["web.test"])])).created(1),
        gateway("two", json!([http_server(via.port(), &["api.test"])])).created(2),
        gateway("three", json!([bytes])).created(3),
        to("web", "one"),
        to("api", "two"),
    ];
    let scene = Scene::start(binary, variant, &objects).await;
    answers(via, "web.test", "web").await;
    answers(via, "api.test", "api").await;
    scene
        .told(
            "Gateway",
            "three",
            "spec.servers[0] of Gateway default/one listens on port",
        )
        .await;
    // Without the others it is opened; nothing is bound to it, so that nobody listens.
    scene.remove("Gateway", "one");
    answers(via, "api.test", "api").await;
    status(via, "web.test", "/", 404).await;
    scene
        .told(
            "Gateway",
            "three",
            "spec.servers[0] of Gateway default/two listens on port",
        )
        .await;
    scene.remove("Gateway", "two");
    scene.not_told("Gateway", "three").await;
    scene.settled().await;
}

async fn tls_ends_at_the_router(binary: &Binary, variant: Variant) {
    tls::it_ends_at_the_router(binary, variant).await;
}

async fn clients_are_sent_to_tls(binary: &Binary, variant: Variant) {
    tls::clients_are_sent_there(binary, variant).await;
}

async fn connections_pass_by_server_name(binary: &Binary, variant: Variant) {
    connections::pass_by_server_name(binary, variant).await;
}

async fn bytes_are_forwarded(binary: &Binary, variant: Variant) {
    connections::are_forwarded(binary, variant).await;
}

async fn server_names_of_clusters_lead_to_services(binary: &Binary, variant: Variant) {
    connections::lead_to_services(binary, variant).await;
}

/// Patches for gateways change what routers do, and those for sidecars do not.
async fn patches_of_gateways_apply(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let [web] = scene::backends(["web"]).await;
    let lua = |context: &str, path: &str| {
        let code = format!(
            "function envoy_on_request(handle)\n  if handle:headers():get(\":path\") == \"{path}\" then\n    handle:respond({{[\":status\"] = \"200\"}}, \"lua\")\n  end\nend"
        );
        let manager = "envoy.filters.network.http_connection_manager";
        let router = json!({"name": manager, "subFilter": {"name": "envoy.filters.http.router"}});
        json!({
            "applyTo": "HTTP_FILTER",
            "match": {"context": context, "listener": {"portNumber": via.port(), "filterChain": {"filter": router}}},
            "patch": {"operation": "INSERT_BEFORE", "value": {
                "name": context.to_lowercase(),
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                    "default_source_code": {"inline_string": code},
                },
            }},
        })
    };
    let route = json!({
        "applyTo": "VIRTUAL_HOST",
        "match": {"context": "GATEWAY", "routeConfiguration": {"portNumber": via.port()}},
        "patch": {"operation": "MERGE", "value": {
            "routes": [{"match": {"path": "/patched"}, "direct_response": {"status": 418}}],
        }},
    });
    let patches = [
        lua("GATEWAY", "/lua"),
        lua("SIDECAR_OUTBOUND", "/web/sidecar"),
        route,
    ];
    let objects = [
        entry("web.mesh", web.address()),
        gateway("gw", json!([http_server(via.port(), &["*"])])),
        virtual_service("web", &["web.test"], json!([prefixed("web.mesh")])),
        envoy_filter("patch", json!(patches)),
    ];
    let scene = Scene::start(binary, variant, &objects).await;
    scene::answers_at(via, "web.test", "/lua", "lua").await;
    scene::answers_at(via, "web.test", "/web/sidecar", "web").await;
    status(via, "web.test", "/patched", 418).await;
    scene.remove("EnvoyFilter", "patch");
    status(via, "web.test", "/lua", 404).await;
    status(via, "web.test", "/patched", 404).await;
    scene.settled().await;
}

/// A route of what is below `/web` to a service.
fn prefixed(host: &str) -> serde_json::Value {
    let mut route = route_to(host);
    route["match"] = json!([{"uri": {"prefix": "/web"}}]);
    route
}

/// Files that a test writes, one object each.
fn file(kind: &str, name: &str) -> String {
    format!("{kind}.{name}.yaml").to_lowercase()
}

impl Object {
    fn file(&self) -> String {
        file(self.kind(), self.name())
    }
}
