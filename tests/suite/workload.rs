//! An agent that is started with what `pilotctl workload configure` writes.

use clap::Parser;
use pilotctl::cli::{self, CommandLine};
use pilothouse_tests::agent::{self, Agent, Options};
use pilothouse_tests::envoy::Binary;
use serde_json::json;

use crate::world::{Scratch, World};

#[tokio::test]
async fn an_agent_is_started_from_the_files() {
    let world = World::start(&[]).await;
    let dir = Scratch::new();
    let object = |kind: &str, version: &str, name: &str, spec: serde_json::Value| {
        let object = json!({
            "apiVersion": format!("networking.istio.io/{version}"), "kind": kind,
            "metadata": {"name": name, "namespace": "shop"}, "spec": spec,
        });
        let path = dir.path().join(format!("{kind}.yaml"));
        std::fs::write(&path, object.to_string()).unwrap();
        path
    };
    let group =
        json!({"metadata": {"labels": {"app": "web"}}, "template": {"serviceAccount": "web-sa"}});
    let group = object("WorkloadGroup", "v1", "web", group);
    let start = json!({
        "selector": {"matchLabels": {"app": "web"}}, "concurrency": 2, "environmentVariables": {"ISTIO_META_COLOUR": "blue"},
    });
    let start = object("ProxyConfig", "v1beta1", "web", start);
    let config = dir.path().join("config.yaml");
    let address = world.discovery.addresses().grpc.to_string();
    std::fs::write(
        &config,
        json!({"defaultConfig": {"discoveryAddress": address}}).to_string(),
    )
    .unwrap();
    let made = dir.path().join("made");
    let line = [
        "pilotctl".as_ref(),
        "workload".as_ref(),
        "configure".as_ref(),
        "-f".as_ref(),
        group.as_os_str(),
        "-f".as_ref(),
        start.as_os_str(),
        "--mesh-config".as_ref(),
        config.as_os_str(),
        "-o".as_ref(),
        made.as_os_str(),
    ];
    let line = CommandLine::try_parse_from(line).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = cli::run(line, &mut out, &mut err).await.unwrap();
    assert_eq!(code, 0, "{}", String::from_utf8_lossy(&err));

    let binary = tokio::task::spawn_blocking(agent::binary)
        .await
        .unwrap()
        .unwrap();
    let mut options = Options::new(&binary, &Binary::find().unwrap(), "web", dir.path())
        .unwrap()
        .without("--concurrency")
        .arg("--mesh-config", made.join("mesh.yaml"));
    for line in std::fs::read_to_string(made.join("cluster.env"))
        .unwrap()
        .lines()
    {
        let (name, value) = line.split_once('=').unwrap();
        options = options.env(name, value.trim_matches('\''));
    }
    let agent = Agent::start(&options).await.unwrap();
    let info = agent.admin_json("/server_info").await.unwrap();
    assert_eq!(info["command_line_options"]["concurrency"], 2);
    let metadata = &info["node"]["metadata"];
    let expected = [
        (&metadata["LABELS"]["app"], "web"),
        (&metadata["COLOUR"], "blue"),
        (&metadata["NAMESPACE"], "shop"),
        (&metadata["SERVICE_ACCOUNT"], "web-sa"),
    ];
    for (found, value) in expected {
        assert_eq!(found, value, "{metadata:#}");
    }
}
