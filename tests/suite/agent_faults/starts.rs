//! Faults at the start, and of discovery later.

use std::time::Duration;

use anyhow::ensure;
use pilothouse_tests::agent::Agent;
use pilothouse_tests::backend::Backend;
use pilothouse_tests::discovery::{Discovery, Options as DiscoveryOptions};
use pilothouse_tests::envoy::{Binary, VERSIONS};
use pilothouse_tests::mesh_dir::{MeshDir, ServiceEntry};
use pilothouse_tests::ports::free_address;
use pilothouse_tests::traffic::{Target, Traffic};
use pilothouse_tests::wait::eventually;

use super::scene::{ended, gone, log, logs, options, says_why_not, scripted, signal};
use crate::world::{self, SOON, Scratch, World, answers};

/// Discovery comes after the agent; until then readiness says that it is missing.
#[tokio::test]
async fn discovery_may_come_later() {
    let dir = Scratch::new();
    let via = free_address().unwrap();
    let backend = Backend::start("web", "127.0.0.1".parse().unwrap())
        .await
        .unwrap();
    let mesh = MeshDir::create(dir.path()).unwrap();
    let entry = ServiceEntry::http("web", "web.test", via.port()).endpoint(backend.address());
    mesh.write_entry(&entry).unwrap();
    let settings = DiscoveryOptions::new(world::binary().await, mesh.path(), dir.path()).unwrap();
    let discovery = free_address().unwrap();
    let settings = settings.arg("--grpc-addr", discovery.to_string());

    let mut agent = Agent::spawn(&options(discovery, dir.path()).await).unwrap();
    says_why_not(&mut agent, "Envoy has no clusters and no listeners yet").await;
    says_why_not(&mut agent, &discovery.to_string()).await;

    let _discovery = Discovery::start(settings).await.unwrap();
    agent.wait_ready().await.unwrap();
    answers(via, "web.test", "web").await;
}

/// Discovery is killed, and asked to end, and comes back each time: no request fails.
#[tokio::test]
async fn discovery_may_go_and_come_back() {
    for version in VERSIONS {
        let via = free_address().unwrap();
        let backend = Backend::start("web", "127.0.0.1".parse().unwrap())
            .await
            .unwrap();
        let entry = ServiceEntry::http("web", "web.test", via.port()).endpoint(backend.address());
        let mut world = World::of(&[&entry]).await;
        let binary = Binary::find_version(version).unwrap();
        let options = options(world.discovery.addresses().grpc, world.dir())
            .await
            .arg("--binaryPath", binary.path());
        let agent = Agent::start(&options).await.unwrap();
        answers(via, "web.test", "web").await;
        let target = Target {
            via,
            host: "web.test".into(),
            path: "/".into(),
        };
        let traffic = Traffic::start(vec![target], Duration::from_millis(3));
        let flows = async || {
            let before = traffic.report().sent;
            let more = async || {
                ensure!(traffic.report().sent > before + 50);
                Ok(())
            };
            eventually("requests flow", SOON, more).await.unwrap();
        };
        for crash in [true, false] {
            match crash {
                true => world.discovery.kill().unwrap(),
                false => world.discovery.stop().await.unwrap(),
            }
            flows().await;
            world.discovery.restart().await.unwrap();
            world.synced("client.default").await.unwrap();
            flows().await;
        }
        assert_eq!(traffic.stop().await.failed, vec![]);
        assert_eq!(agent.page("/healthz/ready").await.unwrap().status, 200);
    }
}

/// What prevents Envoy from running ends the agent, with Envoy's reason or its own.
#[tokio::test]
async fn an_envoy_that_does_not_run_ends_the_agent() {
    let nobody = free_address().unwrap();
    for (script, code, said) in [
        (
            "echo out of order >&2; exit 3",
            3,
            "Envoy exited with code 3",
        ),
        (
            "kill -SEGV $$",
            139,
            "Envoy was ended by signal 11 (SIGSEGV)",
        ),
    ] {
        let dir = Scratch::new();
        let mut agent = Agent::spawn(&scripted(nobody, dir.path(), script).await).unwrap();
        let status = ended(agent.process()).await;
        let log = log(&mut agent);
        assert_eq!(status.code(), Some(code), "{log}");
        assert!(log.contains(said), "{log}");
    }
    let dir = Scratch::new();
    let missing = dir.path().join("none");
    let options = options(nobody, dir.path())
        .await
        .arg("--binaryPath", &missing);
    let mut agent = Agent::spawn(&options).unwrap();
    assert_eq!(ended(agent.process()).await.code(), Some(1));
    let said = format!("there is no Envoy at {}", missing.display());
    assert!(log(&mut agent).contains(&said), "{}", log(&mut agent));
}

/// An Envoy that runs and never answers leaves the agent not ready, which says why, and ends when it is told.
#[tokio::test]
async fn an_envoy_that_hangs_is_not_ready() {
    let dir = Scratch::new();
    let hanging = "trap 'exit 0' TERM; echo it hangs; while :; do sleep 0.1; done";
    let options = scripted(free_address().unwrap(), dir.path(), hanging).await;
    let mut agent = Agent::spawn(&options).unwrap();
    logs(&mut agent, "it hangs").await;
    says_why_not(&mut agent, "Envoy's admin page does not answer").await;
    let envoy = agent.envoy_id().unwrap();
    signal(agent.process().id(), "TERM");
    let status = ended(agent.process()).await;
    assert_eq!(status.code(), Some(0), "{}", log(&mut agent));
    gone(envoy).await;
}
