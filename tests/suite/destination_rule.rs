//! What clients do once they have chosen a service: real requests through real Envoys, with what `DestinationRule`s say.

pub(crate) mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::ensure;
use pilothouse_tests::backend::Backend;
use pilothouse_tests::envoy::{Binary, Envoy};
use pilothouse_tests::http;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::every_envoy::on_every_envoy;
use crate::world::{SOON, World, answers};

on_every_envoy! {
    subsets_have_clusters_of_their_own
    an_endpoint_that_fails_is_ejected
    equal_requests_get_to_the_same_endpoint
    requests_beyond_a_limit_are_refused
    the_own_zone_goes_first
    certificates_come_from_files
}

/// An entry `web.test` at `via`; endpoints with their version and locality.
fn entry(via: SocketAddr, endpoints: &[(SocketAddr, &str, &str)]) -> String {
    let endpoints: String = endpoints
        .iter()
        .map(|(address, version, locality)| {
            let (ip, port) = (address.ip(), address.port());
            format!(
                "  - {{ address: {ip}, ports: {{ http: {port} }}, labels: {{ version: {version} }}, locality: {locality} }}\n"
            )
        })
        .collect();
    format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: web, namespace: default }}
spec:
  hosts: [web.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{ name: http, number: {}, protocol: HTTP }}]
  endpoints:
{endpoints}",
        via.port()
    )
}

/// A rule for `web.test`; `spec` is its fields as a JSON object, without the host.
fn rule(mut spec: serde_json::Value) -> String {
    spec["host"] = json!("web.test");
    let rule = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": { "name": "web", "namespace": "default" },
        "spec": spec,
    });
    rule.to_string()
}

/// Discovery on these, and an Envoy in `r/near` that has everything.
async fn scene(
    binary: &Binary,
    variant: Variant,
    entry: &str,
    rule: &str,
) -> (World, Sidecar, Envoy) {
    let world = World::start(&[("web.yaml", entry), ("rule.yaml", rule)]).await;
    let sidecar = Sidecar::new("client", "default").variant(variant);
    let mut bootstrap = sidecar.bootstrap(world.discovery.addresses().grpc).unwrap();
    bootstrap["node"]["locality"] = json!({ "region": "r", "zone": "near" });
    let envoy = Envoy::start(binary, &sidecar.id(), &bootstrap, world.dir())
        .await
        .unwrap();
    envoy.wait_ready(SOON).await.unwrap();
    world.synced(&sidecar.id()).await.unwrap();
    (world, sidecar, envoy)
}

async fn backends<const N: usize>(names: [&str; N]) -> [Backend; N] {
    let mut all = Vec::new();
    for name in names {
        all.push(Backend::start(name, [127, 0, 0, 1].into()).await.unwrap());
    }
    all.try_into().unwrap()
}

async fn get(via: SocketAddr, path: &str) -> String {
    http::get(via, "web.test", path, SOON).await.unwrap().body
}

/// A subset's endpoints are those with its labels, and follow as endpoints come; a subset that is taken away goes.
async fn subsets_have_clusters_of_their_own(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let [one, two] = backends(["one", "two"]).await;
    let subset = |name: &str| json!({ "name": name, "labels": { "version": name } });
    let both = rule(json!({ "subsets": [subset("v1"), subset("v2")] }));
    let (one_at, two_at) = (one.address(), two.address());
    let (world, _, envoy) =
        scene(binary, variant, &entry(via, &[(one_at, "v1", "r")]), &both).await;
    let holds = async |name: &str, expected: Option<Vec<SocketAddr>>| {
        let cluster = format!("outbound|{}|{name}|web.test", via.port());
        let expected = expected.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        let held = async || {
            let holds = envoy.holds().await?;
            let mut found = holds.assignments.get(&cluster).cloned();
            found.iter_mut().for_each(|all| all.sort());
            ensure!(found == expected, "{cluster} has {found:?}");
            ensure!(holds.clusters.contains_key(&cluster) == expected.is_some());
            Ok(())
        };
        eventually(&format!("{cluster} has {expected:?}"), SOON, held)
            .await
            .unwrap();
    };
    holds("v1", Some(vec![one_at])).await;
    holds("v2", Some(vec![])).await;
    let more = entry(via, &[(one_at, "v1", "r"), (two_at, "v2", "r")]);
    world.mesh.write("web.yaml", &more).unwrap();
    holds("v2", Some(vec![two_at])).await;
    holds("v1", Some(vec![one_at])).await;
    let only = rule(json!({ "subsets": [subset("v1")] }));
    world.mesh.write("rule.yaml", &only).unwrap();
    holds("v2", None).await;
    holds("v1", Some(vec![one_at])).await;
    envoy.wait_settled(SOON).await.unwrap();
}

/// Nobody listens at one of two endpoints: after a few failures it gets no more requests, and nothing fails.
async fn an_endpoint_that_fails_is_ejected(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let [good] = backends(["good"]).await;
    let bad = free_address().unwrap();
    let spec = json!({ "trafficPolicy": { "outlierDetection": {
        "consecutive5xxErrors": 2, "interval": "0.1s", "baseEjectionTime": "60s", "maxEjectionPercent": 100,
    } } });
    let endpoints = [(good.address(), "v1", "r"), (bad, "v1", "r")];
    let (_world, _, envoy) = scene(binary, variant, &entry(via, &endpoints), &rule(spec)).await;
    let name = format!("cluster.outbound_{}__web_test", via.port());
    let ejected = async || {
        assert_eq!(get(via, "/").await, "good", "failures are tried elsewhere");
        let all = envoy.stats(r"outlier_detection\.ejections_active$").await?;
        ensure!(all.values().sum::<u64>() == 1, "{name}: {all:?}");
        Ok(())
    };
    eventually("the endpoint is ejected", SOON, ejected)
        .await
        .unwrap();
    let failures = async || {
        let all = envoy.stats(r"upstream_cx_connect_fail$").await.unwrap();
        all.values().sum::<u64>()
    };
    let before = failures().await;
    for _ in 0..20 {
        assert_eq!(get(via, "/").await, "good");
    }
    assert_eq!(failures().await, before, "it is left alone");
}

/// By a parameter of the query: one user stays with one endpoint, and many users get to all.
async fn equal_requests_get_to_the_same_endpoint(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let all = backends(["one", "two", "three"]).await;
    let endpoints: Vec<_> = all.iter().map(|b| (b.address(), "v1", "r")).collect();
    let hash = |by: serde_json::Value| {
        rule(json!({ "trafficPolicy": { "loadBalancer": { "consistentHash": by } } }))
    };
    let by_user = hash(json!({ "httpQueryParameterName": "user" }));
    let (world, _, envoy) = scene(binary, variant, &entry(via, &endpoints), &by_user).await;
    let mut got: BTreeMap<String, u32> = BTreeMap::new();
    for user in 0..60 {
        let path = format!("/?user={user}");
        let first = get(via, &path).await;
        for _ in 0..3 {
            assert_eq!(get(via, &path).await, first, "user {user}");
        }
        *got.entry(first).or_default() += 1;
    }
    assert_eq!(got.len(), 3, "{got:?}");

    let by_source = hash(json!({ "useSourceIp": true, "maglev": { "tableSize": 1009 } }));
    world.mesh.write("rule.yaml", &by_source).unwrap();
    let same = async || {
        let first = get(via, "/?user=1").await;
        for user in 0..30 {
            ensure!(get(via, &format!("/?user={user}")).await == first);
        }
        Ok(())
    };
    eventually("everybody here gets to one endpoint", SOON, same)
        .await
        .unwrap();
    envoy.wait_settled(SOON).await.unwrap();
}

/// One connection, and one request that waits for it: more are refused at once.
async fn requests_beyond_a_limit_are_refused(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let spec = json!({ "trafficPolicy": { "connectionPool": {
        "tcp": { "maxConnections": 1 },
        "http": { "http1MaxPendingRequests": 1 },
    } } });
    let endpoints = [(silent.local_addr().unwrap(), "v1", "r")];
    let (_world, _, envoy) = scene(binary, variant, &entry(via, &endpoints), &rule(spec)).await;
    let mut requests = JoinSet::new();
    for _ in 0..5 {
        requests.spawn(http::get(via, "web.test", "/", SOON));
    }
    for _ in 0..3 {
        let answer = requests.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.body.contains("overflow"), "{answer:?}");
    }
    let all = envoy.stats(r"upstream_rq_pending_overflow$").await.unwrap();
    assert!(all.values().sum::<u64>() >= 3, "{all:?}");
    assert_eq!(requests.len(), 2, "two have a place");
}

/// Requests stay in the client's zone as long as that is healthy, and go elsewhere when it is not.
async fn the_own_zone_goes_first(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let [near, far] = backends(["near", "far"]).await;
    let spec = json!({ "trafficPolicy": { "outlierDetection": {
        "consecutive5xxErrors": 1, "interval": "0.1s", "baseEjectionTime": "60s", "maxEjectionPercent": 100,
    } } });
    let endpoints = [
        (far.address(), "v1", "r/far"),
        (near.address(), "v1", "r/near"),
    ];
    let (_world, _, envoy) = scene(binary, variant, &entry(via, &endpoints), &rule(spec)).await;
    for _ in 0..30 {
        assert_eq!(get(via, "/").await, "near");
    }
    drop(near);
    answers(via, "web.test", "far").await;
    for _ in 0..30 {
        assert_eq!(get(via, "/").await, "far");
    }
    envoy.wait_settled(SOON).await.unwrap();
}

async fn certificates_come_from_files(binary: &Binary, variant: Variant) {
    tls::certificates_come_from_files(binary, variant).await;
}
