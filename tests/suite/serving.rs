//! What serves goes on serving: while something else is removed, and while discovery is away and comes back.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use pilothouse_tests::backend::Backend;
use pilothouse_tests::envoy::{Binary, Envoy};
use pilothouse_tests::http;
use pilothouse_tests::mesh_dir::ServiceEntry;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::relay::Relay;
use pilothouse_tests::sidecar::{Holds, Sidecar};
use pilothouse_tests::traffic::{Target, Traffic};
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;

use crate::every_envoy::on_every_envoy;
use crate::world::{SOON, World, answers};

on_every_envoy! {
    removals_under_traffic
    a_restart_changes_nothing
}

const PAUSE: Duration = Duration::from_millis(3);

/// An endpoint, a service of a shared port and a port of its own go; what is left does not lose a request.
async fn removals_under_traffic(binary: &Binary, variant: Variant) {
    let (shared, own) = (free_address().unwrap(), free_address().unwrap());
    let [stays, leaves] = backends(["stays", "leaves"]).await;
    let web = ServiceEntry::http("web", "web.test", shared.port()).endpoint(stays.address());
    let both = web.clone().endpoint(leaves.address());
    let neighbour =
        ServiceEntry::http("neighbour", "neighbour.test", shared.port()).endpoint(leaves.address());
    let alone = ServiceEntry::http("alone", "alone.test", own.port()).endpoint(leaves.address());
    let world = World::of(&[&both, &neighbour, &alone]).await;
    let sidecar = Sidecar::new("client", "default").variant(variant);
    let envoy = sidecar
        .start(binary, world.discovery.addresses().grpc, world.dir())
        .await
        .unwrap();
    for (via, host) in [
        (shared, "web.test"),
        (shared, "neighbour.test"),
        (own, "alone.test"),
    ] {
        answers_at_all(via, host).await;
    }
    let traffic = Traffic::start(vec![target(shared, "web.test")], PAUSE);

    world.mesh.write_entry(&web).unwrap();
    let endpoint = leaves.address().to_string();
    has(&envoy, "the endpoint is gone", |holds| {
        let assignment = holds
            .assignments
            .get(&format!("outbound|{}||web.test", shared.port()));
        assignment.is_some_and(|addresses| !addresses.contains(&endpoint))
    })
    .await;
    world.mesh.remove_entry(&neighbour).unwrap();
    has(&envoy, "the neighbour's cluster is gone", |holds| {
        !holds
            .clusters
            .keys()
            .any(|name| name.ends_with("|neighbour.test"))
    })
    .await;
    // It is not known here any longer, and whatever is not known passes; here it passes to nowhere.
    assert_eq!(
        http::get(shared, "neighbour.test", "/", SOON)
            .await
            .unwrap()
            .status,
        503
    );

    world.mesh.remove_entry(&alone).unwrap();
    has(&envoy, "the listener is gone", |holds| {
        !holds
            .listeners
            .keys()
            .any(|name| name.ends_with(&format!("_{}", own.port())))
    })
    .await;
    has(&envoy, "its cluster is gone", |holds| {
        !holds
            .clusters
            .keys()
            .any(|name| name.ends_with("|alone.test"))
    })
    .await;
    world.synced(&sidecar.id()).await.unwrap();
    drop(leaves);

    let before = traffic.report().sent;
    let more = async || {
        let sent = traffic.report().sent;
        ensure!(sent > before + 50, "{sent} requests");
        Ok(())
    };
    eventually("requests flow", SOON, more).await.unwrap();
    envoy.wait_settled(SOON).await.unwrap();
    assert_eq!(traffic.stop().await.failed, vec![]);
}

/// Discovery dies and comes back with the same files: no request fails, Envoy gets nothing that it has, and nothing is taken away at
/// any time.
async fn a_restart_changes_nothing(binary: &Binary, variant: Variant) {
    let (via, late) = (free_address().unwrap(), free_address().unwrap());
    let [web] = backends(["web"]).await;
    let entries: Vec<_> = (0..20)
        .map(|n| {
            ServiceEntry::http(&format!("web-{n}"), &format!("web-{n}.test"), via.port())
                .endpoint(web.address())
        })
        .collect();
    let mut world = World::of(&entries.iter().collect::<Vec<_>>()).await;
    let relay = Relay::start(world.discovery.addresses().grpc)
        .await
        .unwrap();
    let sidecar = Sidecar::new("client", "default").variant(variant);
    let envoy = sidecar
        .start(binary, relay.address(), world.dir())
        .await
        .unwrap();
    answers(via, "web-0.test", "web").await;
    world.synced(&sidecar.id()).await.unwrap();
    let traffic = Traffic::start(
        vec![target(via, "web-0.test"), target(via, "web-19.test")],
        PAUSE,
    );
    let before = envoy.holds().await.unwrap();

    for kill in [true, false] {
        relay.take_carried();
        if kill {
            world.discovery.kill().unwrap();
        } else {
            world.discovery.stop().await.unwrap();
        }
        world.discovery.restart().await.unwrap();
        world.synced(&sidecar.id()).await.unwrap();
        let carried = relay.take_carried();
        let removals: Vec<_> = carried
            .iter()
            .flat_map(|response| &response.removals)
            .collect();
        assert_eq!(removals, Vec::<&String>::new());
        if variant == Variant::Delta {
            let upserts: Vec<_> = carried
                .iter()
                .flat_map(|response| &response.upserts)
                .collect();
            assert_eq!(upserts, Vec::<&String>::new());
        }
        assert_eq!(envoy.holds().await.unwrap(), before);
    }

    // What is new arrives, and nothing else with it.
    let last = ServiceEntry::http("late", "late.test", late.port()).endpoint(web.address());
    world.mesh.write_entry(&last).unwrap();
    answers(late, "late.test", "web").await;
    world.synced(&sidecar.id()).await.unwrap();
    if variant == Variant::Delta {
        let upserts: BTreeSet<_> = relay
            .take_carried()
            .into_iter()
            .flat_map(|response| response.upserts)
            .collect();
        let port = late.port();
        let expected = [
            format!("outbound|{port}||late.test"),
            format!("127.0.0.1_{port}"),
            port.to_string(),
        ];
        assert_eq!(upserts, expected.into());
    }
    envoy.wait_settled(SOON).await.unwrap();
    assert_eq!(traffic.stop().await.failed, vec![]);
}

async fn backends<const N: usize>(names: [&str; N]) -> [Backend; N] {
    let mut started = Vec::new();
    for name in names {
        started.push(Backend::start(name, [127, 0, 0, 1].into()).await.unwrap());
    }
    started.try_into().unwrap()
}

fn target(via: SocketAddr, host: &str) -> Target {
    Target {
        via,
        host: host.to_owned(),
        path: "/".to_owned(),
    }
}

async fn answers_at_all(via: SocketAddr, host: &str) {
    let asked = async || {
        let answer = http::get(via, host, "/", SOON).await?;
        ensure!(answer.status == 200, "it answers {answer:?}");
        Ok(())
    };
    eventually(&format!("{host} answers at {via}"), SOON, asked)
        .await
        .unwrap();
}

/// Waits until what Envoy holds is as wanted.
pub(crate) async fn has(envoy: &Envoy, what: &str, wanted: impl Fn(&Holds) -> bool) {
    let holds = async || {
        let holds = envoy.holds().await?;
        ensure!(wanted(&holds), "it holds {holds:#?}");
        Ok(())
    };
    eventually(what, SOON, holds).await.unwrap();
}
