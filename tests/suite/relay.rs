//! Real Envoys behind the agent's relay: what they have does not depend on who carries it, nor on discovery being there.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use pilot_agent::dns::table::{Local, NameTable};
use pilot_agent::relay::{Address, Counters, Limits, Relay, Settings, Status, Upstream};
use pilothouse_tests::backend::Backend;
use pilothouse_tests::discovery::{Discovery, Options};
use pilothouse_tests::envoy::{Binary, Envoy};
use pilothouse_tests::mesh_dir::ServiceEntry;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::process::Process;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::traffic::{Target, Traffic};
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::every_envoy::on_every_envoy;
use crate::world::{SOON, World, answers, binary};

on_every_envoy! {
    a_restart_of_discovery_costs_nothing
    names_are_the_agents_own
}

/// A relay in this process, with the names of the mesh asked for as an agent asks.
struct Carrier {
    socket: PathBuf,
    status: watch::Receiver<Status>,
    counters: Arc<Counters>,
    names: watch::Receiver<Option<Arc<NameTable>>>,
    _running: JoinSet<()>,
}

impl Carrier {
    async fn start(dir: &Path, discovery: &[SocketAddr]) -> Self {
        let address = |socket: &SocketAddr| Address {
            host: socket.ip().to_string(),
            port: socket.port(),
        };
        let socket = dir.join("agent/XDS");
        let relay = Relay::bind(Settings {
            socket: socket.clone(),
            mode: 0o600,
            discovery: discovery.iter().map(address).collect(),
            tls: None,
            names: true,
            limits: Limits {
                connect: Duration::from_secs(2),
                keepalive: Duration::from_secs(1),
                keepalive_timeout: Duration::from_secs(2),
                longest_backoff: Duration::from_secs(1),
                ..Limits::default()
            },
        })
        .await
        .unwrap();
        let (status, counters, names) = (relay.status(), relay.counters(), relay.names());
        let mut running = JoinSet::new();
        running.spawn(relay.run(CancellationToken::new()));
        Self {
            socket,
            status,
            counters,
            names,
            _running: running,
        }
    }

    /// Starts an Envoy behind it.
    async fn envoy(&self, sidecar: &Sidecar, binary: &Binary, dir: &Path) -> Envoy {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut bootstrap = sidecar.bootstrap(nowhere).unwrap();
        let address = "/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address";
        *bootstrap.pointer_mut(address).unwrap() = json!({ "pipe": { "path": self.socket } });
        Envoy::start(binary, &sidecar.id(), &bootstrap, dir)
            .await
            .unwrap()
    }

    async fn status(&mut self, wanted: impl FnMut(&Status) -> bool) {
        timeout(SOON, self.status.wait_for(wanted))
            .await
            .unwrap()
            .unwrap();
    }

    /// Waits until a host has exactly these addresses of IPv4.
    async fn knows(&mut self, host: &str, addresses: &[[u8; 4]]) {
        let expected: Vec<_> = addresses.iter().copied().map(Ipv4Addr::from).collect();
        let local = Local::default();
        let found = self.names.wait_for(|names| {
            let found = names.as_ref().and_then(|names| names.find(host, local));
            found.is_some_and(|found| found.addresses.v4 == expected)
        });
        timeout(SOON, found).await.unwrap().unwrap();
    }

    async fn connected_to(&mut self, discovery: SocketAddr) {
        self.status(|status| matches!(&status.upstream, Upstream::Connected { peer, .. } if *peer == discovery))
            .await;
    }
}

/// Discovery dies under traffic and is away for a while; no request fails, and after its return it sends nothing that Envoy has.
async fn a_restart_of_discovery_costs_nothing(binary: &Binary, variant: Variant) {
    let (via, late) = (free_address().unwrap(), free_address().unwrap());
    let web = Backend::start("web", [127, 0, 0, 1].into()).await.unwrap();
    let entries: Vec<_> = (0..20)
        .map(|n| {
            ServiceEntry::http(&format!("web-{n}"), &format!("web-{n}.test"), via.port())
                .endpoint(web.address())
        })
        .collect();
    let mut world = World::of(&entries.iter().collect::<Vec<_>>()).await;
    let mut carrier = Carrier::start(world.dir(), &[world.discovery.addresses().grpc]).await;
    let sidecar = Sidecar::new("client", "default").variant(variant);
    let envoy = carrier.envoy(&sidecar, binary, world.dir()).await;
    answers(via, "web-0.test", "web").await;
    world.synced(&sidecar.id()).await.unwrap();
    let first = carrier.counters.response_bytes();
    let before = envoy.holds().await.unwrap();
    let target = Target {
        via,
        host: "web-19.test".to_owned(),
        path: "/".to_owned(),
    };
    let traffic = Traffic::start(vec![target], Duration::from_millis(3));

    for kill in [true, false] {
        let carried = carrier.counters.response_bytes();
        if kill {
            world.discovery.kill().unwrap();
        } else {
            world.discovery.stop().await.unwrap();
        }
        carrier.status(|status| !status.is_connected()).await;
        let sent = traffic.report().sent;
        let more = async || {
            let now = traffic.report().sent;
            ensure!(now > sent + 50, "{now} requests");
            Ok(())
        };
        eventually("requests flow without discovery", SOON, more)
            .await
            .unwrap();
        world.discovery.restart().await.unwrap();
        world.synced(&sidecar.id()).await.unwrap();
        let again = carrier.counters.response_bytes() - carried;
        if variant == Variant::Delta {
            assert!(again * 10 < first, "{again} bytes of {first} came again");
        }
        assert_eq!(envoy.holds().await.unwrap(), before);
    }

    let last = ServiceEntry::http("late", "late.test", late.port()).endpoint(web.address());
    world.mesh.write_entry(&last).unwrap();
    answers(late, "late.test", "web").await;
    envoy.wait_settled(SOON).await.unwrap();
    assert_eq!(traffic.stop().await.failed, vec![]);
}

/// The agent is told the names on Envoy's stream and as they change, keeps them while nobody tells any, and is not told again what it
/// knows; Envoy, which would refuse them, sees none.
async fn names_are_the_agents_own(binary: &Binary, variant: Variant) {
    let entry = |ip: &str| {
        let mut entry = ServiceEntry::http("web", "web.test", 8080);
        entry.addresses = vec![ip.to_owned()];
        entry.endpoint(([127, 0, 0, 1], 1).into())
    };
    let mut world = World::of(&[&entry("10.9.9.1")]).await;
    let mut carrier = Carrier::start(world.dir(), &[world.discovery.addresses().grpc]).await;
    let sidecar = Sidecar::new("client", "default")
        .with("DNS_CAPTURE", "true")
        .interception("REDIRECT")
        .variant(variant);
    let envoy = carrier.envoy(&sidecar, binary, world.dir()).await;
    carrier.knows("web.test", &[[10, 9, 9, 1]]).await;
    world.mesh.write_entry(&entry("10.9.9.2")).unwrap();
    carrier.knows("web.test", &[[10, 9, 9, 2]]).await;
    world.synced(&sidecar.id()).await.unwrap();
    let told = carrier.counters.name_tables();

    world.discovery.kill().unwrap();
    carrier.status(|status| !status.is_connected()).await;
    carrier.knows("web.test", &[[10, 9, 9, 2]]).await;
    world.discovery.restart().await.unwrap();
    world.synced(&sidecar.id()).await.unwrap();
    if variant == Variant::Delta {
        assert_eq!(carrier.counters.name_tables(), told);
    }
    world.mesh.write_entry(&entry("10.9.9.3")).unwrap();
    carrier.knows("web.test", &[[10, 9, 9, 3]]).await;
    assert_eq!(carrier.counters.refused_name_tables(), 0);
    let refused = envoy.refusals().await.unwrap();
    assert!(refused.is_empty(), "{refused:?}");
}

/// The first discovery is killed, the second stopped so that only its silence tells, and the first is there again.
#[tokio::test]
async fn one_discovery_stands_in_for_another() {
    let via = free_address().unwrap();
    let [one, two, three] = [
        backend("one").await,
        backend("two").await,
        backend("three").await,
    ];
    let entry = |backend: &Backend| {
        ServiceEntry::http("web", "web.test", via.port()).endpoint(backend.address())
    };
    let mut world = World::of(&[&entry(&one)]).await;
    let other_dir = world.dir().join("other");
    std::fs::create_dir(&other_dir).unwrap();
    let options = Options::new(binary().await, world.mesh.path(), &other_dir).unwrap();
    let other = Discovery::start(options).await.unwrap();
    let (first, second) = (world.discovery.addresses().grpc, other.addresses().grpc);
    let mut carrier = Carrier::start(world.dir(), &[first, second]).await;
    let sidecar = Sidecar::new("client", "default");
    let newest = Binary::find().unwrap();
    let envoy = carrier.envoy(&sidecar, &newest, world.dir()).await;
    answers(via, "web.test", "one").await;
    carrier.connected_to(first).await;
    let target = Target {
        via,
        host: "web.test".to_owned(),
        path: "/".to_owned(),
    };
    let traffic = Traffic::start(vec![target], Duration::from_millis(3));

    world.discovery.kill().unwrap();
    carrier.connected_to(second).await;
    world.mesh.write_entry(&entry(&two)).unwrap();
    answers(via, "web.test", "two").await;

    world.discovery.restart().await.unwrap();
    signal(other.process(), "STOP");
    carrier.connected_to(first).await;
    world.mesh.write_entry(&entry(&three)).unwrap();
    answers(via, "web.test", "three").await;
    signal(other.process(), "CONT");

    envoy.wait_settled(SOON).await.unwrap();
    assert_eq!(traffic.stop().await.failed, vec![]);
}

/// Envoy and its agent are there first.
#[tokio::test]
async fn discovery_may_come_last() {
    let via = free_address().unwrap();
    let web = backend("web").await;
    let entry = ServiceEntry::http("web", "web.test", via.port()).endpoint(web.address());
    let mut world = World::of(&[&entry]).await;
    world.discovery.kill().unwrap();
    let mut carrier = Carrier::start(world.dir(), &[world.discovery.addresses().grpc]).await;
    let sidecar = Sidecar::new("client", "default");
    let newest = Binary::find().unwrap();
    let envoy = carrier.envoy(&sidecar, &newest, world.dir()).await;
    carrier
        .status(|status| status.last_error.is_some() && !status.is_connected())
        .await;
    assert_eq!(envoy.get("/ready").await.unwrap().status, 503);
    world.discovery.restart().await.unwrap();
    envoy.wait_ready(SOON).await.unwrap();
    answers(via, "web.test", "web").await;
    assert_eq!(
        envoy.stat("control_plane.connected_state").await.unwrap(),
        1
    );
}

async fn backend(name: &str) -> Backend {
    Backend::start(name, [127, 0, 0, 1].into()).await.unwrap()
}

fn signal(process: &Process, name: &str) {
    let sent = std::process::Command::new("sh")
        .args(["-c", "kill -$0 $1", name, &process.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}
