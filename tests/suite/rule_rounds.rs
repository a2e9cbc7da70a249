//! Rules change while requests flow, again and again, and no request fails: weights, subsets, destinations, services.
//!
//! Every change is one file that is replaced whole: what routes need comes with them, and goes with them. The next one follows as
//! soon as the Envoy does as it was told.

mod files;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use pilothouse_tests::backend::Backend;
use pilothouse_tests::envoy::{Binary, Envoy};
use pilothouse_tests::ports::free_address;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::traffic::{Target, Traffic};
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;
use serde_json::{Value, json};

use crate::every_envoy::on_every_envoy;
use crate::world::{SOON, World, answers};
use files::{service, subsets, together, virtual_service};

on_every_envoy! {
    weights_shift
    a_subset_comes_and_goes_with_its_route
    a_route_swaps_its_destination
    a_service_comes_and_goes_with_its_routes
}

const ROUNDS: u32 = 20;
/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(4);
/// How many clients ask at a time.
const CLIENTS: usize = 3;
/// What must have been asked before the next round begins.
const REQUESTS: u64 = 10;
/// The host that everybody asks for; the others are where its requests may go.
const WEB: &str = "web.test";
/// What changes.
const FILE: &str = "changing.yaml";

/// Discovery, an Envoy, and requests for [`WEB`] through it.
struct Rounds {
    // Before what answers it.
    traffic: Traffic,
    envoy: Envoy,
    proxy: String,
    via: SocketAddr,
    world: World,
}

impl Rounds {
    /// Begins with these files; `first` is what [`FILE`] says.
    async fn start(
        (binary, variant): (&Binary, Variant),
        via: SocketAddr,
        services: &str,
        first: &str,
    ) -> Self {
        let world = World::start(&[("services.yaml", services), (FILE, first)]).await;
        let sidecar = Sidecar::new("client", "default").variant(variant);
        let grpc = world.discovery.addresses().grpc;
        let envoy = sidecar.start(binary, grpc, world.dir()).await.unwrap();
        envoy.wait_ready(SOON).await.unwrap();
        let proxy = sidecar.id();
        world.synced(&proxy).await.unwrap();
        let target = Target {
            via,
            host: WEB.to_owned(),
            path: "/".to_owned(),
        };
        Self {
            traffic: Traffic::start(vec![target; CLIENTS], PAUSE),
            envoy,
            proxy,
            via,
            world,
        }
    }

    fn write(&self, text: &str) {
        self.world.mesh.write(FILE, text).unwrap();
    }

    /// Waits until the Envoy does as it was told, and requests have met that.
    async fn until(&self, what: &str, holds: impl AsyncFn() -> Result<()>) {
        eventually(what, SOON, &holds).await.unwrap();
        let before = self.traffic.report().sent;
        let more = async || {
            let sent = self.traffic.report().sent;
            ensure!(sent >= before + REQUESTS, "{} requests", sent - before);
            Ok(())
        };
        eventually("requests meet it", SOON, more).await.unwrap();
    }

    /// Waits until the Envoy has a cluster of this name in use, or none.
    async fn until_cluster(&self, name: &str, is_there: bool) {
        let held = async || {
            let holds = self.envoy.holds().await?;
            let found = holds.clusters.contains_key(name);
            ensure!(found == is_there, "it has {:?}", holds.clusters.keys());
            Ok(())
        };
        self.until(&format!("{name} is there: {is_there}"), held)
            .await;
    }

    /// Nothing has failed, nothing was refused, and these have answered.
    async fn end(self, answered: &[&str]) {
        self.world.synced(&self.proxy).await.unwrap();
        self.envoy.wait_settled(SOON).await.unwrap();
        let found = self.traffic.answers(WEB);
        let report = self.traffic.stop().await;
        assert_eq!(report.failed, [], "of {} requests", report.sent);
        let found: Vec<_> = found.keys().map(String::as_str).collect();
        assert_eq!(found, answered);
    }
}

/// One for each name, which it answers.
async fn backends<const N: usize>(names: [&str; N]) -> [Backend; N] {
    let mut all = Vec::new();
    for name in names {
        all.push(Backend::start(name, [127, 0, 0, 1].into()).await.unwrap());
    }
    all.try_into().unwrap()
}

async fn weights_shift(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let [one, two] = backends(["v1", "v2"]).await;
    let web = service(WEB, via, &[(&one, "v1"), (&two, "v2")]);
    let services = together(&[web, subsets(WEB, &["v1", "v2"])]);
    let to = |subset: &str, weight: u32| {
        let to = json!({ "host": WEB, "subset": subset });
        json!({ "destination": to, "weight": weight })
    };
    let rule = |first: u32| {
        let route = json!([to("v1", first), to("v2", 100 - first)]);
        virtual_service("web", WEB, &json!([{ "route": route }])).to_string()
    };
    let rounds = Rounds::start((binary, variant), via, &services, &rule(50)).await;
    for round in 1..=ROUNDS {
        // Each another one than the one before, none at an end.
        let first = 5 + round * 37 % 90;
        rounds.write(&rule(first));
        let shifted = async || {
            let dump = rounds.envoy.get_json("/config_dump").await?;
            let found = weights(&dump);
            ensure!(found == [first, 100 - first], "the weights are {found:?}");
            Ok(())
        };
        rounds
            .until(&format!("round {round}: {first} % go to v1"), shifted)
            .await;
    }
    rounds.end(&["v1", "v2"]).await;
}

async fn a_subset_comes_and_goes_with_its_route(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let [one, two] = backends(["v1", "v2"]).await;
    let web = service(WEB, via, &[(&one, "v1"), (&two, "v2")]);
    let to = |subset: &str| {
        let to = json!({ "host": WEB, "subset": subset });
        virtual_service("web", WEB, &json!([{ "route": [{ "destination": to }] }]))
    };
    let without = together(&[subsets(WEB, &["v1"]), to("v1")]);
    let with = together(&[subsets(WEB, &["v1", "v2"]), to("v2")]);
    let rounds = Rounds::start((binary, variant), via, &web.to_string(), &without).await;
    let cluster = format!("outbound|{}|v2|{WEB}", via.port());
    for _ in 0..ROUNDS {
        rounds.write(&with);
        answers(via, WEB, "v2").await;
        rounds.until_cluster(&cluster, true).await;
        rounds.write(&without);
        answers(via, WEB, "v1").await;
        rounds.until_cluster(&cluster, false).await;
    }
    rounds.end(&["v1", "v2"]).await;
}

async fn a_route_swaps_its_destination(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let [a, b] = backends(["a.test", "b.test"]).await;
    let services = together(&[
        service(WEB, via, &[]),
        service("a.test", via, &[(&a, "v1")]),
        service("b.test", via, &[(&b, "v1")]),
    ]);
    let to = |host: &str| {
        let http = json!([{ "route": [{ "destination": { "host": host } }] }]);
        virtual_service("web", WEB, &http).to_string()
    };
    let rounds = Rounds::start((binary, variant), via, &services, &to("a.test")).await;
    for round in 0..ROUNDS {
        let next = ["b.test", "a.test"][round as usize % 2];
        rounds.write(&to(next));
        let swapped = async || {
            let answer = pilothouse_tests::http::get(rounds.via, WEB, "/", SOON).await?;
            ensure!(answer.body == next, "it answers {answer:?}");
            Ok(())
        };
        rounds
            .until(&format!("round {round}: {next} answers"), swapped)
            .await;
    }
    rounds.end(&["a.test", "b.test"]).await;
}

async fn a_service_comes_and_goes_with_its_routes(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let [web, new] = backends(["web", "new"]).await;
    let services = service(WEB, via, &[(&web, "v1")]).to_string();
    let http = json!([{ "route": [{ "destination": { "host": "new.test" } }] }]);
    let with = together(&[
        service("new.test", via, &[(&new, "v1")]),
        virtual_service("web", WEB, &http),
    ]);
    let without = "# nothing\n";
    let rounds = Rounds::start((binary, variant), via, &services, without).await;
    let cluster = format!("outbound|{}||new.test", via.port());
    for _ in 0..ROUNDS {
        rounds.write(&with);
        answers(via, WEB, "new").await;
        answers(via, "new.test", "new").await;
        rounds.until_cluster(&cluster, true).await;
        rounds.write(without);
        answers(via, WEB, "web").await;
        rounds.until_cluster(&cluster, false).await;
    }
    rounds.end(&["new", "web"]).await;
}

/// The weights of the only route that has some.
fn weights(dump: &Value) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open = vec![dump];
    while let Some(value) = open.pop() {
        if let Some(clusters) = value["weighted_clusters"]["clusters"].as_array() {
            let weights = clusters.iter().map(|cluster| cluster["weight"].as_u64());
            found = weights.map(|weight| weight.unwrap_or(0) as u32).collect();
        }
        match value {
            Value::Object(fields) => open.extend(fields.values()),
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    found
}
