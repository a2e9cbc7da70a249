//! A router under an agent: `pilot-agent proxy router` as a process, with its Envoy.

use pilothouse_tests::agent::{self, Agent, Options};
use pilothouse_tests::envoy::{Binary, VERSIONS};
use pilothouse_tests::ports::free_address;
use serde_json::json;

use super::rules::{entry, gateway, http_server, route_to, virtual_service};
use super::scene::{answers, backends, status};
use crate::world::World;

/// It announces itself as a router with the labels that it is given, becomes ready, and what gateways say goes through it.
#[tokio::test]
async fn an_agent_starts_a_router() {
    let agent = tokio::task::spawn_blocking(agent::binary)
        .await
        .unwrap()
        .unwrap();
    for version in VERSIONS {
        let binary = Binary::find_version(version).unwrap();
        let via = free_address().unwrap();
        let [web] = backends(["web"]).await;
        let objects = [
            entry("web.mesh", web.address()),
            gateway("gw", json!([http_server(via.port(), &["*.test"])])),
            virtual_service("web", &["web.test"], json!([route_to("web.mesh")])),
        ];
        let files = objects.each_ref().map(|one| (one.file(), one.text()));
        let files = files
            .each_ref()
            .map(|(name, text)| (name.as_str(), text.as_str()));
        let world = World::start(&files).await;
        let options = Options::new(&agent, &binary, "edge", world.dir())
            .unwrap()
            .router()
            .discovery(world.discovery.addresses().grpc)
            .arg("--id", "edge.default")
            .env("ISTIO_METAJSON_LABELS", r#"{"app": "edge"}"#);
        let agent = Agent::start(&options).await.unwrap();
        answers(via, "web.test", "web").await;
        status(via, "other.org", "/", 404).await;
        world.synced("edge.default").await.unwrap();
        let node = &agent.admin_json("/server_info").await.unwrap()["node"];
        let id = node["id"].as_str().unwrap();
        assert!(id.starts_with("router~127.0.0.1~edge.default~"), "{id}");
        assert_eq!(node["metadata"]["LABELS"], json!({ "app": "edge" }));
        assert_eq!(agent.page("/healthz/ready").await.unwrap().status, 200);
    }
}
