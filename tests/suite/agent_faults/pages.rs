//! What others ask of an agent while all goes well: that it is ready, how much there is of everything, that it goes.

use std::process::Command;

use http::Method;
use pilothouse_tests::agent::{Agent, Options};
use pilothouse_tests::backend::Backend;
use pilothouse_tests::envoy::{Binary, VERSIONS};
use pilothouse_tests::http as client;
use pilothouse_tests::process::Process;

use super::scene::{binary, ended, gone, log, options};
use crate::world::{SOON, World};

/// An application that answers everything with a line of metrics, and an agent with these flags and variables beside it.
async fn beside(world: &World, version: &str) -> (Backend, Options) {
    let application = Backend::start("app_up 1", "127.0.0.1".parse().unwrap())
        .await
        .unwrap();
    let port = application.address().port();
    let metrics = format!(r#"{{"scrape":"true","port":"{port}"}}"#);
    let probers = format!(r#"{{"/app-health/web/livez":{{"httpGet":{{"port":{port}}}}}}}"#);
    let envoy = Binary::find_version(version).unwrap();
    let options = options(world.discovery.addresses().grpc, world.dir())
        .await
        .arg("--binaryPath", envoy.path())
        .env("ISTIO_PROMETHEUS_ANNOTATIONS", metrics)
        .env("ISTIO_KUBE_APP_PROBERS", probers);
    (application, options)
}

#[tokio::test]
async fn pages_have_what_everybody_says() {
    for version in VERSIONS {
        let world = World::of(&[]).await;
        let (application, options) = beside(&world, version).await;
        let agent = Agent::start(&options).await.unwrap();
        let page = agent.page("/stats/prometheus").await.unwrap().body;
        for line in [
            "app_up 1",
            "# TYPE envoy_cluster_manager_cds_update_success counter",
            "istio_agent_scrapes_total 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}: {page}");
        }
        assert!(!page.contains("scrape_failures_total{"), "{page}");
        let probed = agent.page("/app-health/web/livez").await.unwrap();
        assert_eq!((probed.status, probed.body.as_str()), (200, ""));
        assert_eq!(application.requests(), 2);
        // Envoy passes on what the agent says.
        let readiness = options.addresses().readiness;
        let answer = client::get(readiness, "localhost", "/healthz/ready", SOON).await;
        assert_eq!(answer.unwrap().status, 200);
    }
}

#[tokio::test]
async fn commands_ask_the_pages() {
    let world = World::of(&[]).await;
    let options = options(world.discovery.addresses().grpc, world.dir()).await;
    let mut agent = Agent::spawn(&options).unwrap();
    let readiness = format!("http://{}/healthz/ready", options.addresses().readiness);
    let (status, said) = run(
        &world,
        &["wait", "--url", &readiness, "--periodMillis", "50"],
    )
    .await;
    assert!(status, "{said}");
    let admin = options.addresses().admin.port().to_string();
    let (status, said) = run(
        &world,
        &["request", "--debug-port", &admin, "GET", "server_info"],
    )
    .await;
    assert!(status && said.contains("\"state\": \"LIVE\""), "{said}");
    let own = options.addresses().status.port().to_string();
    let (status, said) = run(&world, &["request", "--debug-port", &own, "POST", "drain"]).await;
    assert!(status && said.contains("draining"), "{said}");
    let (status, said) = run(
        &world,
        &["request", "--debug-port", &own, "GET", "healthz/ready"],
    )
    .await;
    assert!(!status && said.contains("it is being drained"), "{said}");
    agent.process().check_running().unwrap();
}

#[tokio::test]
async fn it_ends_when_somebody_on_this_machine_asks() {
    let world = World::of(&[]).await;
    let options = options(world.discovery.addresses().grpc, world.dir()).await;
    let mut agent = Agent::start(&options).await.unwrap();
    let envoy = agent.envoy_id().unwrap();
    let status = options.addresses().status;
    let asked = client::send(Method::POST, status, "localhost", "/quitquitquit", SOON).await;
    assert_eq!(asked.unwrap().status, 200);
    let code = ended(agent.process()).await.code();
    let log = log(&mut agent);
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("Envoy drains"), "{log}");
    gone(envoy).await;
}

/// Whether a command of the agent succeeded, and what it said.
async fn run(world: &World, line: &[&str]) -> (bool, String) {
    let file = world.dir().join("command.log");
    std::fs::remove_file(&file).ok();
    let mut command = Command::new(binary().await);
    let mut process = Process::spawn("command", command.args(line), &file).unwrap();
    let status = ended(&mut process).await;
    (status.success(), process.log_text().unwrap())
}
