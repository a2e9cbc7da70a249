//! How much is on its way, and that it never stops for good.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

use super::discovery::Discovery;
use super::envoy::DELTA;
use super::*;

const CHUNK: usize = 64 << 10;
const TOTAL: usize = 100 << 20;
/// More than is ever on its way.
const MUCH: usize = 2 * BOUND;

/// A message that is as long as a chunk.
fn chunk() -> Bytes {
    framed(&[1; CHUNK - 5]).into()
}

/// What the two connections of a stream and their sockets hold at most: two windows and two buffers, with room for the kernel's.
const BOUND: usize = 12 << 20;

#[tokio::test]
async fn what_envoy_does_not_read_waits_at_discovery() {
    let mut discovery = Discovery::start().await;
    let world = World::start_with(&[discovery.address], |settings| settings.names = true).await;
    let mut envoy = world.envoy().await;
    let opening = envoy.begin(DELTA);
    let mut served = discovery.stream().await;
    let mut stream = opening.answered().await;
    let handed = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    let count = Arc::clone(&handed);
    tasks.spawn(async move {
        for _ in 0..TOTAL / CHUNK {
            served.responses.send(Frame::data(chunk())).await.unwrap();
            count.fetch_add(CHUNK, Ordering::Relaxed);
        }
        served
    });
    let still = settled(&handed).await;
    assert!(still < BOUND, "{still} bytes are on their way");
    let mut read = 0;
    while read < TOTAL {
        let frame = timeout(SOON, stream.responses.frame()).await.unwrap();
        read += frame.unwrap().unwrap().into_data().unwrap().len();
        let ahead = handed.load(Ordering::Relaxed).saturating_sub(read);
        assert!(ahead < BOUND, "{ahead} bytes are on their way");
    }
    tasks.join_next().await.unwrap().unwrap();
    world.end().await;
}

#[tokio::test]
async fn what_discovery_does_not_read_waits_at_envoy() {
    let mut discovery = Discovery::start().await;
    let world = World::start_with(&[discovery.address], |settings| settings.names = true).await;
    let mut envoy = world.envoy().await;
    let handed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&handed);
    let chunks = futures::stream::iter(0..MUCH / CHUNK).map(move |_| {
        count.fetch_add(CHUNK, Ordering::Relaxed);
        Ok(Frame::data(chunk()))
    });
    let (requests, _) = futures::channel::mpsc::unbounded();
    let body = StreamBody::new(chunks).boxed_unsync();
    let opening = envoy.begin_with(DELTA, requests, body);
    let mut served = discovery.stream().await;
    let mut stream = opening.answered().await;
    let still = settled(&handed).await;
    assert!(still < BOUND, "{still} bytes are on their way");
    // The other direction does not wait for that.
    served.send(framed(b"an answer")).await;
    stream.receive(14).await;
    let mut read = 0;
    while let Some(frame) = timeout(SOON, served.requests.frame()).await.unwrap() {
        read += frame.unwrap().into_data().unwrap().len();
    }
    assert!(read >= MUCH, "{read} bytes came");
    world.end().await;
}

/// An Envoy that reads while it writes, and a discovery that writes all before it reads: neither brings the other to a stop.
#[tokio::test]
async fn much_in_both_directions_at_once_gets_through() {
    let mut discovery = Discovery::start().await;
    let world = World::start_with(&[discovery.address], |settings| settings.names = true).await;
    let mut envoy = world.envoy().await;
    let chunks = futures::stream::iter(0..MUCH / CHUNK).map(|_| Ok(Frame::data(chunk())));
    let (requests, _) = futures::channel::mpsc::unbounded();
    let body = StreamBody::new(chunks).boxed_unsync();
    let opening = envoy.begin_with(DELTA, requests, body);
    let mut served = discovery.stream().await;
    let mut stream = opening.answered().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for _ in 0..MUCH / CHUNK {
            served.responses.send(Frame::data(chunk())).await.unwrap();
        }
        let mut read = 0;
        while let Some(frame) = served.requests.frame().await {
            read += frame.unwrap().into_data().unwrap().len();
        }
        read
    });
    let mut read = 0;
    while let Some(frame) = timeout(SOON, stream.responses.frame()).await.unwrap() {
        read += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(read, MUCH);
    let requests = timeout(SOON, tasks.join_next()).await.unwrap();
    assert!(requests.unwrap().unwrap() > MUCH, "and our own among them");
    world.end().await;
}

/// One stream whose Envoy reads nothing leaves room for the others.
#[tokio::test]
async fn a_stalled_stream_does_not_stop_its_neighbour() {
    let mut discovery = Discovery::start().await;
    let world = World::start(&[discovery.address]).await;
    let (mut stalled, mut lively) = (world.envoy().await, world.envoy().await);
    let mut kept = Vec::new();
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let opening = stalled.begin(DELTA);
        let mut served = discovery.stream().await;
        kept.push(opening.answered().await);
        let handed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&handed);
        tasks.spawn(async move {
            for _ in 0..TOTAL / CHUNK {
                served.responses.send(Frame::data(chunk())).await.unwrap();
                count.fetch_add(CHUNK, Ordering::Relaxed);
            }
        });
        settled(&handed).await;
    }
    let opening = lively.begin(DELTA);
    let mut served = discovery.stream().await;
    let mut stream = opening.answered().await;
    for _ in 0..100 {
        served.send(chunk()).await;
        stream.receive(CHUNK).await;
    }
    world.end().await;
}

/// Waits until a count has begun to grow and does not grow any more.
async fn settled(count: &AtomicUsize) -> usize {
    timeout(SOON, async {
        let mut before = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let after = count.load(Ordering::Relaxed);
            if after > 0 && after == before {
                return after;
            }
            before = after;
        }
    })
    .await
    .unwrap()
}
