//! TLS that ends at a router, with certificates that its agent reads from files.

use pilothouse_tests::envoy::Binary;
use pilothouse_tests::ports::free_address;
use pilothouse_xds::bootstrap::Variant;
use serde_json::{Value, json};

use super::client::{Client, Identity};
use super::rules::{entry, gateway, http_server, route_to, virtual_service};
use super::scene::{self, Scene, path, status};
use crate::world::Scratch;

fn https(port: u16, name: &str, host: &str, tls: Value) -> Value {
    json!({ "port": { "number": port, "name": name, "protocol": "HTTPS" }, "hosts": [host], "tls": tls })
}

/// Each server name has its own certificate and demands; clients whose certificates are not believed get nothing.
pub(super) async fn it_ends_at_the_router(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let dir = Scratch::new();
    let (web, bank, person, stranger) = (
        Identity::new(&["web.test"]),
        Identity::new(&["bank.test", "maybe.test"]),
        Identity::new(&["person"]),
        Identity::new(&["stranger"]),
    );
    for (identity, name) in [(&web, "web"), (&bank, "bank"), (&person, "person")] {
        identity.write(dir.path(), name);
    }
    let files = |mode: &str, name: &str, authorities: Option<&str>| {
        let mut tls = json!({
            "mode": mode,
            "serverCertificate": path(dir.path(), &format!("{name}.pem")),
            "privateKey": path(dir.path(), &format!("{name}.key")),
        });
        if let Some(authorities) = authorities {
            tls["caCertificates"] = json!(path(dir.path(), authorities));
        }
        tls
    };
    let [one, two] = scene::backends(["one", "two"]).await;
    let port = via.port();
    let mut secret = https(port, "secret", "secret.test", json!({ "mode": "SIMPLE" }));
    secret["tls"]["credentialName"] = json!("secret");
    let servers = json!([
        https(port, "web", "web.test", files("SIMPLE", "web", None)),
        https(
            port,
            "bank",
            "bank.test",
            files("MUTUAL", "bank", Some("person.pem"))
        ),
        https(
            port,
            "maybe",
            "maybe.test",
            files("OPTIONAL_MUTUAL", "bank", Some("person.pem"))
        ),
        secret,
    ]);
    let objects = [
        entry("one.mesh", one.address()),
        entry("two.mesh", two.address()),
        gateway("gw", servers),
        virtual_service("web", &["web.test"], json!([route_to("one.mesh")])),
        virtual_service(
            "bank",
            &["bank.test", "maybe.test"],
            json!([route_to("two.mesh")]),
        ),
    ];
    let scene = Scene::start(binary, variant, &objects).await;
    Client::of(&web).answers(via, "web.test", "one").await;
    let known = Client {
        own: Some(&person),
        ..Client::of(&bank)
    };
    known.answers(via, "bank.test", "two").await;
    known.answers(via, "maybe.test", "two").await;
    Client::of(&bank).answers(via, "maybe.test", "two").await;
    let unknown = Client {
        own: Some(&stranger),
        ..Client::of(&bank)
    };
    unknown.is_refused(via, "bank.test").await;
    unknown.is_refused(via, "maybe.test").await;
    Client::of(&bank).is_refused(via, "bank.test").await;
    // Nobody serves its certificate, so that there is no such server.
    Client::of(&web).is_refused(via, "secret.test").await;
    // A host of another server is not to be had by this server's name.
    let crossed = Client::of(&web).get_by(via, "web.test", "bank.test").await;
    assert_eq!(crossed.unwrap().status, 404);
    scene.settled().await;
}

/// Requests without TLS are answered with 301 to where there is TLS.
pub(super) async fn clients_are_sent_there(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let mut server = http_server(via.port(), &["web.test", "idle.test"]);
    server["tls"] = json!({ "httpsRedirect": true });
    let [web] = scene::backends(["web"]).await;
    let objects = [
        entry("web.mesh", web.address()),
        gateway("gw", json!([server])),
        virtual_service("web", &["web.test"], json!([route_to("web.mesh")])),
    ];
    let scene = Scene::start(binary, variant, &objects).await;
    status(via, "web.test", "/", 301).await;
    status(via, "idle.test", "/", 301).await;
    status(via, "other.test", "/", 404).await;
    assert_eq!(web.requests(), 0);
    scene.write(&gateway(
        "gw",
        json!([http_server(via.port(), &["web.test"])]),
    ));
    scene::answers(via, "web.test", "web").await;
    scene.settled().await;
}
