//! Something that Envoy refuses: everything else goes on, its author is named, and it heals.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, ensure};
use pilothouse_tests::backend::Backend;
use pilothouse_tests::envoy::Binary;
use pilothouse_tests::mesh_dir::ServiceEntry;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;
use serde_json::Value;

use crate::every_envoy::on_every_envoy;
use crate::world::{SOON, World, answers};

on_every_envoy! {
    a_listener_that_cannot_be_bound
    an_access_log_that_cannot_be_opened
}

/// A service's port is another program's on this machine. The check of a manifest cannot know that, Envoy does.
async fn a_listener_that_cannot_be_bound(binary: &Binary, variant: Variant) {
    let good = free_address().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bad = taken.local_addr().unwrap();
    let backend = Backend::start("web", [127, 0, 0, 1].into()).await.unwrap();
    let entry = |name: &str, via: SocketAddr| {
        ServiceEntry::http(name, &format!("{name}.test"), via.port()).endpoint(backend.address())
    };
    let world = World::of(&[&entry("good", good)]).await;
    let sidecar = Sidecar::new("client", "default").variant(variant);
    let envoy = sidecar
        .start(binary, world.discovery.addresses().grpc, world.dir())
        .await
        .unwrap();
    answers(good, "good.test", "web").await;

    let (also, later) = (free_address().unwrap(), free_address().unwrap());
    let together = format!(
        "{}---\n{}",
        entry("bad", bad).to_yaml(),
        entry("also", also).to_yaml()
    );
    world.mesh.write("together.yaml", &together).unwrap();
    answers(also, "also.test", "web").await;
    let listener = format!("127.0.0.1_{}", bad.port());
    let refused = refused(&world, &sidecar, "lds", &listener).await;
    let message = refused["message"].as_str().unwrap_or_default();
    assert!(message.contains("Address already in use"), "{refused:#}");
    assert!(
        refused["causes"].to_string().contains("together.yaml"),
        "{refused:#}"
    );
    assert!(
        refused["causes"].to_string().contains("default/bad"),
        "{refused:#}"
    );
    let status = world.discovery.debug("/debug/configz").await.unwrap()["status"].clone();
    assert!(
        status.to_string().contains("Address already in use"),
        "{status:#}"
    );

    world.mesh.write_entry(&entry("later", later)).unwrap();
    answers(later, "later.test", "web").await;
    let another = Backend::start("another", [127, 0, 0, 1].into())
        .await
        .unwrap();
    world
        .mesh
        .write_entry(
            &ServiceEntry::http("good", "good.test", good.port()).endpoint(another.address()),
        )
        .unwrap();
    answers(good, "good.test", "another").await;

    // A refused version is not sent again: Envoy is asked once more only when the file has changed.
    let count = envoy
        .stat("listener_manager.lds.update_rejected")
        .await
        .unwrap();
    let fixed = free_address().unwrap();
    let together = format!(
        "{}---\n{}",
        entry("bad", fixed).to_yaml(),
        entry("also", also).to_yaml()
    );
    world.mesh.write("together.yaml", &together).unwrap();
    answers(fixed, "bad.test", "web").await;
    world.synced(&sidecar.id()).await.unwrap();
    assert_eq!(
        envoy
            .stat("listener_manager.lds.update_rejected")
            .await
            .unwrap(),
        count
    );
    nothing_is_refused(&world).await;
    envoy.process().log_text().unwrap();
}

/// Every listener has it, so that no listener can be changed; endpoints and clusters still can.
async fn an_access_log_that_cannot_be_opened(binary: &Binary, variant: Variant) {
    let (via, late) = (free_address().unwrap(), free_address().unwrap());
    let backend = Backend::start("web", [127, 0, 0, 1].into()).await.unwrap();
    let web = ServiceEntry::http("web", "web.test", via.port());
    let good = "accessLogFile: /dev/null\n";
    let bad = "accessLogFile: /dev/null/access.log\n";
    let world = World::start_with(
        &[(
            "web.yaml",
            &web.clone().endpoint(backend.address()).to_yaml(),
        )],
        Some(good),
        &[],
    )
    .await;
    let sidecar = Sidecar::new("client", "default").variant(variant);
    let _envoy = sidecar
        .start(binary, world.discovery.addresses().grpc, world.dir())
        .await
        .unwrap();
    answers(via, "web.test", "web").await;

    world.write_mesh_config(bad);
    let refused = refused(
        &world,
        &sidecar,
        "lds",
        &format!("127.0.0.1_{}", via.port()),
    )
    .await;
    assert!(
        refused["message"]
            .to_string()
            .contains("/dev/null/access.log"),
        "{refused:#}"
    );
    let another = Backend::start("another", [127, 0, 0, 1].into())
        .await
        .unwrap();
    world
        .mesh
        .write("web.yaml", &web.endpoint(another.address()).to_yaml())
        .unwrap();
    answers(via, "web.test", "another").await;

    world.write_mesh_config(good);
    let entry = ServiceEntry::http("late", "late.test", late.port()).endpoint(backend.address());
    world.mesh.write_entry(&entry).unwrap();
    answers(late, "late.test", "web").await;
    world.synced(&sidecar.id()).await.unwrap();
    nothing_is_refused(&world).await;
}

/// What `/debug/syncz` says of a resource that a proxy refuses.
async fn refused(world: &World, sidecar: &Sidecar, of: &str, name: &str) -> Value {
    let shown = async || {
        let client = world.syncz(&sidecar.id()).await?;
        let types = client["types"].as_array().context("no types")?;
        let report = types
            .iter()
            .find(|report| report["type"] == of)
            .context("no such type")?;
        let refused = report["refused"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|refused| refused["name"] == name);
        let refused = refused.with_context(|| format!("{name} is not refused: {report:#}"))?;
        ensure!(
            report["status"] == "ERROR",
            "the type is not in error: {report:#}"
        );
        Ok(refused.clone())
    };
    eventually("the refusal is shown", SOON, shown)
        .await
        .unwrap()
}

async fn nothing_is_refused(world: &World) {
    let healed = async || {
        let configz = world.discovery.debug("/debug/configz").await?;
        let objects = configz["status"]["objects"]
            .as_array()
            .context("no objects")?;
        let refused: Vec<_> = objects
            .iter()
            .filter(|object| {
                object["status"]["refused"]
                    .as_object()
                    .is_some_and(|refused| !refused.is_empty())
            })
            .collect();
        ensure!(refused.is_empty(), "still refused: {refused:#?}");
        Ok(())
    };
    eventually("nothing is refused", SOON, healed)
        .await
        .unwrap();
}
