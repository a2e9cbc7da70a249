//! Connections that routers pass on without ending their TLS, or without knowing what is spoken.

use pilothouse_tests::envoy::Binary;
use pilothouse_tests::ports::free_address;
use pilothouse_xds::bootstrap::Variant;
use serde_json::json;

use super::client::{Client, Identity, TlsServer};
use super::rules::{connections, entry, gateway, service};
use super::scene::{self, Scene};

/// The certificate that clients see is the service's own.
pub(super) async fn pass_by_server_name(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let (web, api) = (
        Identity::new(&["web.test"]),
        Identity::new(&["api.test", "new.test"]),
    );
    let one = TlsServer::start("one", &web, &[]).await;
    let two = TlsServer::start("two", &api, &[]).await;
    let server = json!({
        "port": { "number": via.port(), "name": "tls", "protocol": "TLS" },
        "hosts": ["*.test"], "tls": { "mode": "PASSTHROUGH" },
    });
    let to = |names: &[&str], host: &str| json!({ "match": [{ "sniHosts": names }], "route": [{ "destination": { "host": host } }] });
    let rule = |api: &[&str]| {
        let routes = json!([to(&["web.test"], "one.mesh"), to(api, "two.mesh")]);
        connections("all", &["*.test"], "tls", routes)
    };
    let objects = [
        service("one.mesh", "TLS", one.address),
        service("two.mesh", "TLS", two.address),
        gateway("gw", json!([server])),
        rule(&["api.test"]),
    ];
    let scene = Scene::start(binary, variant, &objects).await;
    Client::of(&web).answers(via, "web.test", "one").await;
    Client::of(&api).answers(via, "api.test", "two").await;
    Client::of(&api).is_refused(via, "new.test").await;
    scene.write(&rule(&["new.test"]));
    Client::of(&api).answers(via, "new.test", "two").await;
    Client::of(&api).is_refused(via, "api.test").await;
    scene.settled().await;
}

/// Bytes go where a route of connections says, and elsewhere once it says otherwise.
pub(super) async fn are_forwarded(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let [one, two] = scene::backends(["one", "two"]).await;
    let server = json!({ "port": { "number": via.port(), "name": "tcp", "protocol": "TCP" }, "hosts": ["*"] });
    let to = |host: &str| {
        let routes = json!([{ "route": [{ "destination": { "host": host } }] }]);
        connections("all", &["bytes.test"], "tcp", routes)
    };
    let objects = [
        service("one.mesh", "TCP", one.address()),
        service("two.mesh", "TCP", two.address()),
        gateway("gw", json!([server])),
        to("one.mesh"),
    ];
    let scene = Scene::start(binary, variant, &objects).await;
    scene::answers(via, "whatever", "one").await;
    scene.write(&to("two.mesh"));
    scene::answers(via, "whatever", "two").await;
    scene.settled().await;
}

/// A workload elsewhere in the mesh says by server name which cluster it means; its TLS ends at the service.
pub(super) async fn lead_to_services(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let name = "outbound_.80_._.one.mesh";
    let identity = Identity::new(&["one.mesh"]);
    let one = TlsServer::start("one", &identity, &["istio"]).await;
    let [other] = scene::backends(["other"]).await;
    let server = |hosts: &[&str]| {
        json!([{
            "port": { "number": via.port(), "name": "tls", "protocol": "TLS" },
            "hosts": hosts, "tls": { "mode": "AUTO_PASSTHROUGH" },
        }])
    };
    let objects = [
        service("one.mesh", "HTTP", one.address),
        entry("other.mesh", other.address()),
        gateway("gw", server(&["other.mesh"])),
    ];
    let scene = Scene::start(binary, variant, &objects).await;
    let workload = Client {
        protocols: &["istio"],
        ..Client::of(&identity)
    };
    workload.is_let_through(via, name, None).await;
    scene.write(&gateway("gw", server(&["*.mesh"])));
    workload.is_let_through(via, name, Some("one")).await;
    // What is no workload of the mesh does not speak its protocols.
    let stranger = Client::of(&identity);
    stranger.is_let_through(via, name, None).await;
    scene.settled().await;
}
