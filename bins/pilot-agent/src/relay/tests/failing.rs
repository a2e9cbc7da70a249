//! What happens when discovery is away.

use std::sync::atomic::Ordering;

use super::discovery::{Discovery, Mood};
use super::envoy::DELTA;
use super::*;

#[tokio::test]
async fn a_stream_is_held_until_there_is_a_discovery() {
    let address = Discovery::start().await.address;
    let mut world = World::start(&[address]).await;
    let status = world.status(|status| status.last_error.is_some()).await;
    assert_eq!(status.upstream, Upstream::Away);
    let mut envoy = world.envoy().await;
    let opening = envoy.begin(DELTA);
    opening
        .requests
        .unbounded_send(framed(b"the first").into())
        .unwrap();
    let mut discovery = Discovery::start_at(address, Mood::Takes, None).await;
    let mut served = discovery.stream().await;
    assert_eq!(served.message(&mut Vec::new()).await, b"the first");
    opening.answered().await;
    world.end().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_discovery_and_the_next_one_goes_on() {
    let mut discovery = Discovery::start().await;
    let address = discovery.address;
    let mut world = World::start(&[address]).await;
    let mut envoy = world.envoy().await;
    let opening = envoy.begin(DELTA);
    let mut served = discovery.stream().await;
    let mut stream = opening.answered().await;
    served.send(framed(b"something")).await;
    stream.receive(14).await;
    drop((served, discovery));
    let trailers = stream.ended().await;
    assert_eq!(trailers.get("grpc-status").unwrap(), "14");
    let status = world.status(|status| !status.is_connected()).await;
    assert!(
        status.last_error.unwrap().contains(&address.to_string()),
        "it says whom it has lost"
    );

    let opening = envoy.begin(DELTA);
    let mut discovery = Discovery::start_at(address, Mood::Takes, None).await;
    discovery.stream().await;
    opening.answered().await;
    assert_eq!(
        world.counters.streams(),
        2,
        "Envoy is not made to come back again and again"
    );
    world.end().await;
}

#[tokio::test]
async fn one_that_refuses_streams_is_left_for_another() {
    let refusing = Discovery::start_at("127.0.0.1:0".parse().unwrap(), Mood::Refuses, None).await;
    let mut ready = Discovery::start().await;
    let mut world = World::start(&[refusing.address, ready.address]).await;
    world.status(Status::is_connected).await;
    let mut envoy = world.envoy().await;
    let refused = envoy.begin(DELTA).answered().await;
    assert_eq!(refused.headers.get("grpc-status").unwrap(), "14");
    let opening = envoy.begin(DELTA);
    ready.stream().await;
    opening.answered().await;
    let peer = ready.address;
    let status = world
        .status(|status| matches!(&status.upstream, Upstream::Connected { peer: found, .. } if *found == peer))
        .await;
    assert!(status.last_error.unwrap().contains("not ready"));
    assert_eq!(refusing.accepted.load(Ordering::Relaxed), 1);
    world.end().await;
}

#[tokio::test]
async fn one_that_accepts_and_says_nothing_is_left_for_another() {
    // The kernel takes connections for a process that is stopped.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut ready = Discovery::start().await;
    let addresses = [mute.local_addr().unwrap(), ready.address];
    let world = World::start_with(&addresses, |settings| {
        settings.limits.connect = Duration::from_millis(200);
    })
    .await;
    let mut envoy = world.envoy().await;
    let opening = envoy.begin(DELTA);
    ready.stream().await;
    opening.answered().await;
    assert_eq!(world.counters.failures(), 1);
    world.end().await;
}

#[tokio::test]
async fn waiting_costs_next_to_nothing() {
    let nobody = Discovery::start().await.address;
    let mut world = World::start_with(&[nobody], |settings| {
        settings.limits.backoff = Duration::from_millis(10);
        settings.limits.longest_backoff = Duration::from_secs(3600);
    })
    .await;
    let counters = Arc::clone(&world.counters);
    world.status(|_| counters.failures() >= 4).await;
    // 10, 20, 40 ms and so on, give or take a half: a second has at most nine of them.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        world.counters.failures() < 12,
        "{} attempts",
        world.counters.failures()
    );
    world.end().await;
}
