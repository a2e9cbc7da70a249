//! Requests go to what Consul calls healthy, and to nothing else, whatever changes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use pilothouse_tests::http;
use pilothouse_tests::traffic::{Target, Traffic};
use pilothouse_tests::wait::eventually;
use serde_json::json;

use super::setting::{Setting, backends, instance};
use crate::world::SOON;

const HOST: &str = "web.service.consul";
/// Enough that a backend which gets any is among them.
const REQUESTS: usize = 24;

/// Waits until exactly these backends answer.
pub(super) async fn only(via: SocketAddr, expected: &[&str]) {
    only_within(via, expected, SOON).await;
}

/// The same with this patience.
pub(super) async fn only_within(via: SocketAddr, expected: &[&str], within: Duration) {
    only_of(via, HOST, expected, within).await;
}

/// The same of another host.
pub(super) async fn only_of(via: SocketAddr, host: &str, expected: &[&str], within: Duration) {
    let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
    let asked = async || {
        let mut seen = BTreeSet::new();
        for _ in 0..REQUESTS {
            let answer = http::get(via, host, "/", SOON).await?;
            ensure!(answer.status == 200, "{answer:?}");
            seen.insert(answer.body);
        }
        ensure!(seen == expected, "{seen:?} answer");
        Ok(())
    };
    eventually(
        &format!("exactly {expected:?} answer for {host}"),
        within,
        asked,
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn requests_follow_checks_maintenance_and_registrations() {
    let all = backends(["a", "b", "c"]).await;
    let [a, b, c] = &all[..] else {
        panic!("three were started")
    };
    let port = a.address().port();
    let setting = Setting::start(async |cluster| {
        cluster.register(instance("web", a)).await.unwrap();
        cluster.register(instance("web", b)).await.unwrap();
    })
    .await;
    let _client = setting.client().await;
    let via = SocketAddr::from(([127, 0, 0, 1], port));
    only(via, &["a", "b"]).await;
    let target = Target {
        via,
        host: HOST.into(),
        path: "/".into(),
    };
    let traffic = Traffic::start(vec![target], Duration::from_millis(5));

    let cluster = &setting.cluster;
    cluster.put("/v1/agent/check/fail/check-b").await.unwrap();
    only(via, &["a"]).await;
    cluster.put("/v1/agent/check/pass/check-b").await.unwrap();
    only(via, &["a", "b"]).await;
    cluster
        .put("/v1/agent/service/maintenance/web-a?enable=true")
        .await
        .unwrap();
    only(via, &["b"]).await;
    cluster
        .put("/v1/agent/service/maintenance/web-a?enable=false")
        .await
        .unwrap();
    only(via, &["a", "b"]).await;
    cluster.register(instance("web", c)).await.unwrap();
    only(via, &["a", "b", "c"]).await;
    cluster.deregister("web-b").await.unwrap();
    only(via, &["a", "c"]).await;
    let report = traffic.stop().await;
    assert_eq!(report.failed, [], "of {} requests", report.sent);
}

#[tokio::test]
async fn weights_and_warnings_are_shares_of_the_load() {
    let all = backends(["heavy", "light"]).await;
    let [heavy, light] = &all[..] else {
        panic!("two were started")
    };
    let weighted = |backend, passing: u32, warning: u32| {
        let mut definition = instance("web", backend);
        definition["weights"] = json!({"passing": passing, "warning": warning});
        definition
    };
    let setting = Setting::start(async |cluster| {
        cluster.register(weighted(heavy, 9, 1)).await.unwrap();
        cluster.register(weighted(light, 1, 1)).await.unwrap();
    })
    .await;
    let _client = setting.client().await;
    let via = SocketAddr::from(([127, 0, 0, 1], heavy.address().port()));
    only(via, &["heavy", "light"]).await;
    let share = async || {
        let before = heavy.requests();
        for _ in 0..400 {
            http::get(via, HOST, "/", SOON).await?;
        }
        anyhow::Ok(heavy.requests() - before)
    };
    // 360 of 400 on average, with a deviation of 6.
    let got = share().await.unwrap();
    assert!((330..=390).contains(&got), "{got} of 400");
    setting
        .cluster
        .put("/v1/agent/check/warn/check-heavy")
        .await
        .unwrap();
    eventually("half of the load is left", SOON, async || {
        let got = share().await?;
        // 200 of 400, with a deviation of 10.
        ensure!((150..=250).contains(&got), "{got} of 400");
        Ok(())
    })
    .await
    .unwrap();
}
