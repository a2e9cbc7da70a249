//! A changed cluster warms until it gets endpoints after the change. Whatever is lost on the way, it warms to its end, and what serves
//! goes on serving.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use pilothouse_tests::ads::{CLUSTER, ENDPOINT};
use pilothouse_tests::backend::Backend;
use pilothouse_tests::envoy::{Binary, Envoy};
use pilothouse_tests::mesh_dir::ServiceEntry;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::relay::{Fault, Relay};
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::traffic::{Target, Traffic};
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;

use crate::every_envoy::on_every_envoy;
use crate::serving::has;
use crate::world::{SOON, World, answers};

on_every_envoy! {
    a_changed_cluster_warms_to_its_end
    a_cut_between_a_changed_cluster_and_its_endpoints
    a_killed_discovery_between_a_changed_cluster_and_its_endpoints
    a_change_taken_back_while_the_stream_was_cut
    a_cluster_that_never_warms_stops_nobody
    a_name_that_nobody_resolves_stops_nobody
}

/// Shorter than the 15 s after which Envoy gives up waiting for endpoints by itself.
const BEFORE_GIVING_UP: Duration = Duration::from_secs(10);
const WARMING: &str = "cluster_manager.warming_clusters";

/// One service with one backend, a sidecar that asks for it through a relay, and requests that never stop.
struct Scene {
    // Clients first: what is dropped later still answers them.
    traffic: Traffic,
    envoy: Envoy,
    relay: Relay,
    world: World,
    proxy: String,
    via: SocketAddr,
    _backend: Backend,
}

impl Scene {
    async fn start(binary: &Binary, variant: Variant) -> Self {
        let backend = Backend::start("web", [127, 0, 0, 1].into()).await.unwrap();
        let via = free_address().unwrap();
        let web = ServiceEntry::http("web", "web.test", via.port()).endpoint(backend.address());
        let world =
            World::start_with(&[("web.yaml", &web.to_yaml())], Some(&mesh_config(10)), &[]).await;
        let relay = Relay::start(world.discovery.addresses().grpc)
            .await
            .unwrap();
        let sidecar = Sidecar::new("client", "default").variant(variant);
        let envoy = sidecar
            .start(binary, relay.address(), world.dir())
            .await
            .unwrap();
        answers(via, "web.test", "web").await;
        world.synced(&sidecar.id()).await.unwrap();
        let target = Target {
            via,
            host: "web.test".to_owned(),
            path: "/".to_owned(),
        };
        let traffic = Traffic::start(vec![target], Duration::from_millis(5));
        Self {
            traffic,
            envoy,
            relay,
            world,
            proxy: sidecar.id(),
            via,
            _backend: backend,
        }
    }

    /// Changes every cluster.
    fn change_clusters(&self, connect_timeout: u32) {
        self.world.write_mesh_config(&mesh_config(connect_timeout));
    }

    async fn is_cut(&self) {
        let is_down = async || {
            ensure!(self.relay.is_down(), "the relay carries");
            Ok(())
        };
        eventually("the stream is cut", SOON, is_down)
            .await
            .unwrap();
    }

    async fn still_warms(&self) {
        let warming = self.envoy.stat(WARMING).await.unwrap();
        assert!(
            warming > 0,
            "the cluster has warmed: what this test is about did not happen"
        );
    }

    /// The changed clusters are in use, nothing warms, nothing was refused, and no request has failed meanwhile.
    async fn ends_well(self, connect_timeout: u32) {
        let wanted = format!("{connect_timeout}s");
        let changed = async || {
            let dump = self
                .envoy
                .get_json("/config_dump?resource=dynamic_active_clusters")
                .await?;
            let clusters = dump["configs"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            let web = clusters.iter().find(|entry| {
                entry["cluster"]["name"] == format!("outbound|{}||web.test", self.via.port())
            });
            ensure!(
                web.is_some_and(|web| web["cluster"]["connect_timeout"] == wanted.as_str()),
                "it is {web:?}"
            );
            Ok(())
        };
        eventually("the changed cluster is in use", BEFORE_GIVING_UP, changed)
            .await
            .unwrap();
        self.envoy
            .wait_stat(WARMING, BEFORE_GIVING_UP, |count| count == 0)
            .await
            .unwrap();
        self.world.synced(&self.proxy).await.unwrap();
        self.envoy.wait_settled(SOON).await.unwrap();
        let endpoints = self
            .envoy
            .stat(&format!(
                "cluster.outbound|{}||web.test;.membership_total",
                self.via.port()
            ))
            .await
            .unwrap();
        assert_eq!(endpoints, 1);
        let report = self.traffic.stop().await;
        assert_eq!((report.failed, report.sent > 0), (vec![], true));
    }
}

fn mesh_config(connect_timeout: u32) -> String {
    format!("connectTimeout: {connect_timeout}s\n")
}

async fn a_changed_cluster_warms_to_its_end(binary: &Binary, variant: Variant) {
    let scene = Scene::start(binary, variant).await;
    scene.change_clusters(11);
    scene.ends_well(11).await;
}

async fn a_cut_between_a_changed_cluster_and_its_endpoints(binary: &Binary, variant: Variant) {
    let scene = Scene::start(binary, variant).await;
    scene.relay.fault(Fault::CutAfter(CLUSTER));
    scene.change_clusters(11);
    scene.is_cut().await;
    scene
        .envoy
        .wait_stat(WARMING, SOON, |count| count > 0)
        .await
        .unwrap();
    scene.relay.heal();
    scene.ends_well(11).await;
}

async fn a_killed_discovery_between_a_changed_cluster_and_its_endpoints(
    binary: &Binary,
    variant: Variant,
) {
    let mut scene = Scene::start(binary, variant).await;
    scene.relay.fault(Fault::CutAfter(CLUSTER));
    scene.change_clusters(11);
    scene.is_cut().await;
    scene.world.discovery.kill().unwrap();
    scene
        .envoy
        .wait_stat(WARMING, SOON, |count| count > 0)
        .await
        .unwrap();
    scene.world.discovery.restart().await.unwrap();
    scene.relay.heal();
    scene.ends_well(11).await;
}

async fn a_change_taken_back_while_the_stream_was_cut(binary: &Binary, variant: Variant) {
    let scene = Scene::start(binary, variant).await;
    scene.relay.fault(Fault::CutAfter(CLUSTER));
    scene.change_clusters(11);
    scene.is_cut().await;
    scene
        .envoy
        .wait_stat(WARMING, SOON, |count| count > 0)
        .await
        .unwrap();
    scene.change_clusters(10);
    let taken_back = async || {
        let config = scene.world.discovery.debug("/debug/configz").await?;
        let timeout = &config["mesh_config"]["settings"]["connect_timeout"];
        ensure!(timeout.as_f64() == Some(10.0), "it is {timeout}");
        Ok(())
    };
    eventually("the change is taken back", SOON, taken_back)
        .await
        .unwrap();
    scene.relay.heal();
    scene.ends_well(10).await;
}

async fn a_cluster_that_never_warms_stops_nobody(binary: &Binary, variant: Variant) {
    let scene = Scene::start(binary, variant).await;
    let (stuck, fine) = (free_address().unwrap(), free_address().unwrap());
    let backend = Backend::start("fine", [127, 0, 0, 1].into()).await.unwrap();
    scene
        .relay
        .lose(ENDPOINT, &format!("outbound|{}||stuck.test", stuck.port()));
    let entry = |name: &str, via: SocketAddr| {
        ServiceEntry::http(name, &format!("{name}.test"), via.port()).endpoint(backend.address())
    };
    scene
        .world
        .mesh
        .write_entry(&entry("stuck", stuck))
        .unwrap();
    scene
        .envoy
        .wait_stat(WARMING, SOON, |count| count > 0)
        .await
        .unwrap();

    // Endpoints still move, and what is new is served while the other warms.
    let another = Backend::start("another", [127, 0, 0, 1].into())
        .await
        .unwrap();
    let web = ServiceEntry::http("web", "web.test", scene.via.port()).endpoint(another.address());
    scene.world.mesh.write("web.yaml", &web.to_yaml()).unwrap();
    answers(scene.via, "web.test", "another").await;
    scene.still_warms().await;

    scene.world.mesh.write_entry(&entry("fine", fine)).unwrap();
    answers(fine, "fine.test", "fine").await;
    scene.still_warms().await;

    scene.relay.heal();
    scene
        .envoy
        .wait_stat(WARMING, SOON, |count| count == 0)
        .await
        .unwrap();
    scene.world.synced(&scene.proxy).await.unwrap();
    scene.envoy.wait_settled(SOON).await.unwrap();
    let report = scene.traffic.stop().await;
    assert_eq!(report.failed, vec![]);
}

/// Whether the resolver says no or nothing at all.
async fn a_name_that_nobody_resolves_stops_nobody(binary: &Binary, variant: Variant) {
    let scene = Scene::start(binary, variant).await;
    let (lost, fine) = (free_address().unwrap(), free_address().unwrap());
    let backend = Backend::start("fine", [127, 0, 0, 1].into()).await.unwrap();
    let mut nowhere = ServiceEntry::http("nowhere", "nowhere.invalid", lost.port());
    nowhere.resolution = "DNS";
    let entry = ServiceEntry::http("fine", "fine.test", fine.port()).endpoint(backend.address());
    scene.world.mesh.write_entry(&nowhere).unwrap();
    scene.world.mesh.write_entry(&entry).unwrap();
    answers(fine, "fine.test", "fine").await;
    let listens = format!("127.0.0.1_{}", lost.port());
    has(&scene.envoy, "the listener is there", |holds| {
        holds.listeners.contains_key(&listens)
    })
    .await;

    scene.world.mesh.remove_entry(&nowhere).unwrap();
    has(&scene.envoy, "all of it is gone", |holds| {
        let clusters = holds.clusters.keys().chain(&holds.warming);
        !holds.listeners.contains_key(&listens)
            && !clusters.into_iter().any(|name| name.contains("nowhere"))
    })
    .await;
    scene.world.synced(&scene.proxy).await.unwrap();
    scene.envoy.wait_settled(SOON).await.unwrap();
    assert_eq!(scene.traffic.stop().await.failed, vec![]);
}
