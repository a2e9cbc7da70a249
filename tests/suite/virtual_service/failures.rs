//! What fails, in earnest and on purpose; and copies of what does not.

use std::time::Duration;

use anyhow::ensure;
use pilothouse_tests::envoy::Binary;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::echo::{Ask, Echo, ask};
use super::{Scene, entry, rule, within_five_sigma};
use crate::world::SOON;

async fn scene(
    binary: &Binary,
    variant: Variant,
    http: Value,
) -> (std::net::SocketAddr, [Echo; 2], Scene) {
    let via = free_address().unwrap();
    let [web, copy] = [Echo::start("web").await, Echo::start("copy").await];
    let service = |host: &str, of: &Echo| entry(host, via.port(), "HTTP", of.address);
    let entries = [service("web.test", &web), service("copy.test", &copy)];
    let rules = [rule("web", json!({ "hosts": ["web.test"], "http": http }))];
    let scene = Scene::start(binary, variant, &entries, &rules).await;
    (via, [web, copy], scene)
}

fn to_web() -> Value {
    json!([{ "destination": { "host": "web.test" } }])
}

fn at(prefix: &str) -> Value {
    json!([{ "uri": { "prefix": prefix } }])
}

/// A failure is tried again as often as is said, and one that lasts too long ends.
pub(super) async fn retries(binary: &Binary, variant: Variant) {
    let kind = |kind: &str| json!([{ "headers": { "x-kind": { "exact": kind } } }]);
    let retries = |attempts: u32, on: &str| json!({ "attempts": attempts, "retryOn": on, "backoff": "0.001s" });
    let http = json!([
        { "match": kind("enough"), "retries": retries(2, "503"), "route": to_web() },
        { "match": kind("too-few"), "retries": retries(1, "5xx"), "route": to_web() },
        { "match": kind("others"), "retries": retries(2, "404,reset"), "route": to_web() },
        { "match": kind("never"), "retries": { "attempts": 0 }, "route": to_web() },
        { "match": kind("slow"), "timeout": "0.3s", "route": to_web() },
        {
            "match": kind("each"),
            "retries": { "attempts": 2, "perTryTimeout": "0.1s", "retryOn": "5xx" },
            "route": to_web(),
        },
    ]);
    let (via, [web, _copy], scene) = scene(binary, variant, http).await;
    let check = async |kind: &str, path: &str, status: u16, attempts: usize| {
        let headers = [("x-kind", kind)];
        let reply = ask(via, Ask::get(path).with(&headers)).await.unwrap();
        assert_eq!(
            (reply.status, web.take().len()),
            (status, attempts),
            "{kind}"
        );
    };
    check("enough", "/failing", 200, 3).await;
    check("too-few", "/failing", 503, 2).await;
    check("others", "/failing", 503, 1).await;
    check("never", "/failing", 503, 1).await;
    check("slow", "/silent", 504, 1).await;
    check("each", "/silent", 504, 3).await;
    scene.envoy.wait_settled(SOON).await.unwrap();
}

/// Delays take as long as is said; so many requests fail as is said.
pub(super) async fn faults(binary: &Binary, variant: Variant) {
    const MANY: u32 = 1000;
    // A timer of Envoy's counts from when its loop last read the clock, which may be some milliseconds ago.
    const DELAY: std::ops::Range<Duration> = Duration::from_millis(300)..SOON;
    let all = json!({ "value": 100 });
    let http = json!([
        {
            "match": at("/delay"),
            "fault": { "delay": { "fixedDelay": "0.4s", "percentage": all } },
            "route": to_web(),
        },
        {
            "match": at("/abort"),
            "fault": { "abort": { "httpStatus": 418, "percentage": all } },
            "route": to_web(),
        },
        {
            "match": at("/grpc"),
            "fault": { "abort": { "grpcStatus": "UNAVAILABLE", "percentage": all } },
            "route": to_web(),
        },
        {
            "match": at("/some"),
            "fault": { "abort": { "httpStatus": 555, "percentage": { "value": 12.5 } } },
            "route": to_web(),
        },
        { "route": to_web() },
    ]);
    let (via, [web, _copy], scene) = scene(binary, variant, http).await;
    let get = async |path: &str| ask(via, Ask::get(path)).await.unwrap();
    let begun = Instant::now();
    assert_eq!(get("/delay").await.status, 200);
    let took = begun.elapsed();
    assert!(DELAY.contains(&took), "{took:?}");
    assert_eq!(web.take().len(), 1);
    assert_eq!(get("/abort").await.status, 418);
    let call = [("content-type", "application/grpc")];
    let reply = ask(via, Ask::get("/grpc").with(&call)).await.unwrap();
    assert_eq!((reply.status, reply.header("grpc-status")), (200, "14"));
    assert_eq!(get("/").await.status, 200);
    assert_eq!(web.take().len(), 1, "what is aborted gets nowhere");
    let mut failed = 0;
    for _ in 0..MANY {
        failed += u32::from(get("/some").await.status == 555);
    }
    within_five_sigma(failed, MANY, 0.125);
    scene.envoy.wait_settled(SOON).await.unwrap();
}

/// Copies go to the mirror, all or some, and the client hears nothing of them.
pub(super) async fn mirrors(binary: &Binary, variant: Variant) {
    const MANY: u32 = 1000;
    let mirror =
        |percent: Value| json!([{ "destination": { "host": "copy.test" }, "percentage": percent }]);
    let http = json!([
        { "match": at("/all"), "mirror": { "host": "copy.test" }, "route": to_web() },
        { "match": at("/some"), "mirrors": mirror(json!({ "value": 25 })), "route": to_web() },
        { "match": at("/no"), "mirrors": mirror(json!({ "value": 0 })), "route": to_web() },
    ]);
    let (via, [_web, copy], scene) = scene(binary, variant, http).await;
    let get = async |path: &str| {
        let reply = ask(via, Ask::get(path)).await.unwrap();
        assert_eq!((reply.status, &*reply.body), (200, "web"));
    };
    get("/no").await;
    get("/all/of?it").await;
    let mut copies = Vec::new();
    let copied = async |copies: &mut Vec<_>| {
        copies.extend(copy.take());
        ensure!(!copies.is_empty(), "no copy");
        Ok(())
    };
    eventually("the copy arrives", SOON, async || copied(&mut copies).await)
        .await
        .unwrap();
    assert_eq!(copies.len(), 1);
    assert_eq!(copies[0].path, "/all/of?it");
    for _ in 0..MANY {
        get("/some").await;
    }
    // A copy may come after the answer that the client has; one that goes last comes after all others of a connection.
    let before = copies.len();
    let settled = async |copies: &mut Vec<_>| {
        let all = scene
            .envoy
            .stats(r"copy_test.*upstream_rq_(total|completed)$")
            .await?;
        copies.extend(copy.take());
        let sent = u64::try_from(copies.len())?;
        ensure!(
            all.values().all(|count| *count == sent),
            "{all:?}, {sent} have come"
        );
        Ok(())
    };
    eventually("all copies have come", SOON, async || {
        settled(&mut copies).await
    })
    .await
    .unwrap();
    within_five_sigma(u32::try_from(copies.len() - before).unwrap(), MANY, 0.25);
    scene.envoy.wait_settled(SOON).await.unwrap();
}
