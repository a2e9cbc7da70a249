//! Real requests through real sidecars while everything changes: endpoints, services and ports come and go, clusters change, files
//! move, and discovery dies. No request fails that the change does not explain.
//!
//! `CHURN_SEED=n` repeats a run, `CHURN_CHANGES=n` makes it longer.

mod model;
mod random;

use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use pilothouse_tests::envoy::{Binary, Envoy, VERSIONS};
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::traffic::{Report, Traffic};
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;
use serde_json::Value;

use crate::world::{SOON, World};
use model::{Model, NAMESPACES};
use random::Random;

/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(20);

#[tokio::test]
async fn no_request_fails_without_a_reason() {
    let seed = number("CHURN_SEED").unwrap_or_else(|| {
        SystemTime::UNIX_EPOCH
            .elapsed()
            .map_or(0, |age| age.as_nanos() as u64)
    });
    let changes = number("CHURN_CHANGES").unwrap_or(200);
    let mut run = Run::start(seed).await;
    for change in 0..changes {
        // Twice on the way: once as by a crash, once as by an update.
        match change {
            at if at == changes / 3 => run.discovery_dies(true).await,
            at if at == 2 * changes / 3 => run.discovery_dies(false).await,
            _ => run.change().await,
        }
    }
    run.end().await;
}

struct Run {
    seed: u64,
    random: Random,
    model: Model,
    // Before what answers it.
    traffic: Traffic,
    envoys: Vec<Envoy>,
    proxies: Vec<String>,
    world: World,
    log: Vec<String>,
}

impl Run {
    async fn start(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let model = Model::start(&mut random).await;
        // Most of the few endpoints that there are may go at once here, and it is meant.
        let flags = [("--guard-count", "1000000")];
        let world = World::start_with(&[], Some(&model.mesh_config()), &flags).await;
        model.write_all(&world.mesh);
        let mut envoys = Vec::new();
        let mut proxies = Vec::new();
        for ((namespace, version), variant) in NAMESPACES
            .into_iter()
            .zip(VERSIONS)
            .zip([Variant::Sotw, Variant::Delta])
        {
            let sidecar = Sidecar::new("client", namespace).variant(variant);
            let binary = Binary::find_version(version).unwrap();
            envoys.push(
                sidecar
                    .start(&binary, world.discovery.addresses().grpc, world.dir())
                    .await
                    .unwrap(),
            );
            proxies.push(sidecar.id());
        }
        let mut run = Self {
            seed,
            random,
            traffic: Traffic::start(Vec::new(), PAUSE),
            model,
            envoys,
            proxies,
            world,
            log: Vec::new(),
        };
        run.arrived().await;
        run.traffic = Traffic::start(run.model.targets(), PAUSE);
        for host in run.model.absent_hosts() {
            run.traffic.excuse(&host);
        }
        run
    }

    /// One change of the files; now and then everything that has changed so far arrives before the next.
    async fn change(&mut self) {
        let did = self
            .model
            .change(&mut self.random, &self.traffic, &self.world)
            .await;
        self.log.push(did);
        if self.random.one_in(2) {
            self.settle().await;
        }
    }

    /// A change while discovery is away is found by the next one.
    async fn discovery_dies(&mut self, suddenly: bool) {
        self.log
            .push(format!("discovery dies, suddenly: {suddenly}"));
        if suddenly {
            self.world.discovery.kill().unwrap();
        } else {
            self.world.discovery.stop().await.unwrap();
        }
        let did = self
            .model
            .change(&mut self.random, &self.traffic, &self.world)
            .await;
        self.log.push(did);
        self.world.discovery.restart().await.unwrap();
        self.settle().await;
    }

    /// Everything has arrived everywhere: what has been removed may stop, what has come must answer.
    async fn settle(&mut self) {
        self.arrived().await;
        self.log.push("all has arrived".to_owned());
        self.model.arrived(&self.traffic);
    }

    async fn arrived(&self) {
        for proxy in &self.proxies {
            let arrived = async || self.has_arrived(proxy).await;
            if let Err(error) =
                eventually(&format!("all has arrived at {proxy}"), SOON, arrived).await
            {
                self.world.keep_pages().await;
                panic!("{}: {error:#}", self.history());
            }
        }
    }

    /// What a proxy is to have is what the files say, and it has acknowledged it.
    async fn has_arrived(&self, proxy: &str) -> Result<()> {
        let dump: Value = self
            .world
            .discovery
            .debug(&format!("/debug/config_dump?proxyID={proxy}"))
            .await?;
        let namespace = proxy
            .rsplit_once('.')
            .map_or("", |(_, namespace)| namespace);
        self.model.is_in(&dump, namespace)?;
        self.world.is_synced(proxy).await
    }

    async fn end(mut self) {
        self.settle().await;
        self.requests_flow().await;
        let history = self.history();
        for envoy in &self.envoys {
            envoy
                .wait_settled(SOON)
                .await
                .unwrap_or_else(|error| panic!("{history}: {error:#}"));
        }
        self.model.check_answers(&self.traffic);
        let Report {
            sent,
            failed,
            unexplained,
        } = self.traffic.stop().await;
        assert!(
            unexplained.is_empty(),
            "{history}\n{} of {sent} requests failed, without a reason: {unexplained:#?}",
            failed.len()
        );
        let answered = sent - failed.len() as u64;
        assert!(
            answered > 2000 && answered > sent / 3,
            "{history}\n{answered} of {sent} requests have been answered: little has been tried"
        );
    }

    async fn requests_flow(&self) {
        let before = self.traffic.report().sent;
        let more = async || {
            let sent = self.traffic.report().sent;
            ensure!(sent > before + 200, "{sent} requests");
            Ok(())
        };
        eventually("requests flow", SOON, more).await.unwrap();
    }

    fn history(&self) -> String {
        format!("CHURN_SEED={}, after:\n{}", self.seed, self.log.join("\n"))
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap())
}
