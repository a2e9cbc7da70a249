//! What passes.

use bytes::Bytes;
use futures::SinkExt;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt, Empty};

use super::discovery::Discovery;
use super::envoy::{DELTA, SOTW};
use super::*;

#[tokio::test]
async fn bytes_pass_both_ways_as_they_are() {
    let mut discovery = Discovery::start().await;
    let mut world = World::start(&[discovery.address]).await;
    let mut envoy = world.envoy().await;
    for path in [
        DELTA,
        SOTW,
        "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats",
    ] {
        let opening = envoy.begin(path);
        let mut served = discovery.stream().await;
        let mut stream = opening.answered().await;
        assert_eq!(served.path, path);
        assert_eq!(served.headers.get("te").unwrap(), "trailers");
        assert!(!served.headers.contains_key("grpc-accept-encoding"));
        let request = framed(&[7; 3000]);
        stream.send(request.clone());
        assert_eq!(served.message(&mut Vec::new()).await, [7; 3000]);
        // Messages are not waited for: half of one passes as well.
        served.send(request[..100].to_vec()).await;
        assert_eq!(stream.receive(100).await, request[..100]);
        served.send(request[100..].to_vec()).await;
        assert_eq!(stream.receive(2905).await, request[100..]);

        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "7".parse().unwrap());
        served
            .responses
            .send(Frame::trailers(trailers))
            .await
            .unwrap();
        assert_eq!(stream.ended().await.get("grpc-status").unwrap(), "7");
    }
    let status = world.status(Status::is_connected).await;
    let peer = discovery.address;
    assert_eq!(
        status.upstream,
        Upstream::Connected {
            address: peer.to_string(),
            peer
        }
    );
    assert_eq!(
        (world.counters.connections(), world.counters.streams()),
        (1, 3)
    );
    assert_eq!(world.counters.request_bytes(), 3 * 3005);
    assert_eq!(world.counters.response_bytes(), 3 * 3005);
    drop(envoy);
    world.end().await;
}

#[tokio::test]
async fn the_end_of_one_side_is_the_end_of_the_other() {
    let mut discovery = Discovery::start().await;
    let world = World::start(&[discovery.address]).await;
    let mut envoy = world.envoy().await;

    let opening = envoy.begin(DELTA);
    let served = discovery.stream().await;
    let stream = opening.answered().await;
    drop(stream.requests);
    let said = timeout(SOON, served.requests.collect()).await.unwrap();
    assert_eq!(said.unwrap().to_bytes(), "", "it ends, and well");
    drop(stream.responses);

    let opening = envoy.begin(DELTA);
    let mut served = discovery.stream().await;
    let stream = opening.answered().await;
    drop(envoy);
    drop(stream);
    assert!(served.requests.frame().await.unwrap().is_err());
    let counters = Arc::clone(&world.counters);
    timeout(SOON, async {
        while counters.open_streams() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    world.end().await;
}

#[tokio::test]
async fn there_is_a_limit_to_streams() {
    let mut discovery = Discovery::start().await;
    let world = World::start_with(&[discovery.address], |settings| {
        settings.limits.streams = 1;
    })
    .await;
    let (mut one, mut two) = (world.envoy().await, world.envoy().await);
    let opening = one.begin(DELTA);
    let _served = discovery.stream().await;
    let stream = opening.answered().await;
    let refused = two.begin(DELTA).answered().await;
    assert_eq!(refused.headers.get("grpc-status").unwrap(), "8");
    drop((one, stream));
    let mut opening = two.begin(DELTA);
    loop {
        // Until the first has been seen to end.
        tokio::select! {
            _ = discovery.stream() => break,
            refused = opening.answered() => {
                assert_eq!(refused.headers.get("grpc-status").unwrap(), "8");
                opening = two.begin(DELTA);
            }
        }
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_no_grpc_is_refused() {
    let world = World::start(&[]).await;
    let mut envoy = world.envoy().await;
    let body = Empty::<Bytes>::new().boxed_unsync();
    let request = http::Request::get("http://agent/").body(body).unwrap();
    let response = envoy.raw(request).await;
    assert_eq!(response.status(), 405);
    drop(envoy);
    world.end().await;
}
