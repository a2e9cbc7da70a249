//! A sick Consul costs nothing: requests go on to what was healthy, and nothing is taken away.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use pilothouse_tests::discovery::Discovery;
use pilothouse_tests::traffic::{Target, Traffic};
use pilothouse_tests::wait::eventually;
use tokio::time::Instant;

use super::health::{only, only_within};
use super::setting::{Setting, backends, unchecked};
use crate::world::SOON;

/// How long a cluster is away, and how long in the soak.
const AWAY: Duration = Duration::from_secs(60);
const LONG_AWAY: Duration = Duration::from_secs(600);

fn traffic(via: SocketAddr) -> Traffic {
    let target = Target {
        via,
        host: "web.service.consul".into(),
        path: "/".into(),
    };
    Traffic::start(vec![target], Duration::from_millis(5))
}

#[tokio::test]
async fn a_leader_and_then_the_whole_cluster_are_lost_and_come_back() {
    lost_for(AWAY).await;
}

#[tokio::test]
#[ignore = "it takes ten minutes: make soak"]
async fn soak_the_whole_cluster_is_lost_for_ten_minutes() {
    lost_for(LONG_AWAY).await;
}

#[expect(
    clippy::print_stderr,
    reason = "how much was asked meanwhile is a result"
)]
async fn lost_for(away: Duration) {
    let all = backends(["a", "b", "c"]).await;
    let [a, b, c] = &all[..] else {
        panic!("three were started")
    };
    let mut setting = Setting::start(async |cluster| {
        cluster.register(unchecked("web", a)).await.unwrap();
        cluster.register(unchecked("web", b)).await.unwrap();
    })
    .await;
    let _client = setting.client().await;
    let via = SocketAddr::from(([127, 0, 0, 1], a.address().port()));
    only(via, &["a", "b"]).await;
    let flowing = traffic(via);

    let leader = setting.cluster.has_leader().await.unwrap();
    setting.cluster.kill_server(leader).unwrap();
    only(via, &["a", "b"]).await;
    setting.cluster.start_server(leader).unwrap();
    setting.cluster.has_leader().await.unwrap();

    for at in 0..3 {
        setting.cluster.kill_server(at).unwrap();
    }
    eventually("discovery says what is failing", SOON, async || {
        let page = setting.discovery.debug("/debug/registryz").await?;
        ensure!(page.to_string().contains("\"failing\":{"), "{page}");
        Ok(())
    })
    .await
    .unwrap();
    let answered = flowing.report().sent;
    let lost = Instant::now();
    while lost.elapsed() < away {
        // Nothing goes while it is away, and its age grows.
        let rest = away.saturating_sub(lost.elapsed());
        tokio::time::sleep(rest.min(SOON / 2)).await;
        only(via, &["a", "b"]).await;
        let failing = failing_for(&setting.discovery).await;
        assert!(
            failing + SOON > lost.elapsed(),
            "{failing:?} after {:?}",
            lost.elapsed()
        );
    }
    assert!(
        flowing.report().sent > answered + 100,
        "requests go on meanwhile"
    );
    only(via, &["a", "b"]).await;
    is_told_once(&setting.discovery);
    for at in 0..3 {
        setting.cluster.start_server(at).unwrap();
    }
    setting.cluster.has_leader().await.unwrap();
    setting.cluster.register(unchecked("web", c)).await.unwrap();
    only_within(via, &["a", "b", "c"], 2 * SOON).await;
    let report = flowing.stop().await;
    eprintln!(
        "{} requests while Consul was away for {away:?} and came back",
        report.sent
    );
    assert_eq!(report.failed, [], "of {} requests", report.sent);
}

/// Whatever was asked again and again has been told of once for each of the two losses.
fn is_told_once(discovery: &Discovery) {
    let log = discovery.process().log_text().unwrap();
    let told = log.lines().filter_map(|line| {
        let told = line.contains("cannot be read") && line.contains("set=service/web");
        line.split_once('\t').filter(|_| told)
    });
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, what) in told {
        *times.entry(what).or_default() += 1;
    }
    assert!(
        !times.is_empty() && times.values().all(|times| *times <= 2),
        "{times:?}"
    );
}

/// For how long discovery has been without Consul, by its metrics.
async fn failing_for(discovery: &Discovery) -> Duration {
    let text = discovery.metrics().await.unwrap();
    let name = "pilothouse_registry_failing_seconds{registry=\"Consul/Consul\"} ";
    let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
    let seconds = values.next().and_then(|value| value.parse().ok());
    Duration::from_secs_f64(seconds.expect("the metric is there"))
}

#[tokio::test]
async fn a_snapshot_that_is_restored_takes_nothing_away_at_once() {
    let all = backends(["a", "b"]).await;
    let [a, b] = &all[..] else {
        panic!("two were started")
    };
    let setting = Setting::start(async |cluster| {
        cluster.register(unchecked("web", a)).await.unwrap();
    })
    .await;
    let snapshot = setting.dir.path().join("snapshot");
    setting
        .cluster
        .run(["snapshot", "save"], &[snapshot.as_os_str()])
        .unwrap();
    setting.cluster.register(unchecked("web", b)).await.unwrap();
    let _client = setting.client().await;
    let via = SocketAddr::from(([127, 0, 0, 1], a.address().port()));
    only(via, &["a", "b"]).await;
    let flowing = traffic(via);
    setting
        .cluster
        .run(["snapshot", "restore"], &[snapshot.as_os_str()])
        .unwrap();
    // The agent that knows of it registers it again, which is how Consul heals.
    only(via, &["a", "b"]).await;
    setting.cluster.deregister("web-b").await.unwrap();
    // What the restored catalog lacked is doubted for a while.
    only_within(via, &["a"], 3 * SOON).await;
    let report = flowing.stop().await;
    assert_eq!(report.failed, [], "of {} requests", report.sent);
}
