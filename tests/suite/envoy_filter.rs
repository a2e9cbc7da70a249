//! What `EnvoyFilter`s change, on real Envoys: requests, clusters and listeners; what is wrong with them hurts nobody else.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use pilothouse_tests::backend::Backend;
use pilothouse_tests::envoy::{Binary, Envoy};
use pilothouse_tests::http;
use pilothouse_tests::mesh_dir::ServiceEntry;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;
use serde_json::{Value, json};

use crate::every_envoy::on_every_envoy;
use crate::world::{SOON, World, answers};

on_every_envoy! {
    a_filter_answers_requests
    clusters_and_listeners_are_added_and_changed
    what_is_no_message_is_rejected_and_what_was_good_stays
    what_envoy_refuses_has_an_author_and_hurts_nobody_else
}

const LUA: &str = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua";

/// An `EnvoyFilter` of these patches.
fn filter(patches: &[Value]) -> String {
    let filter = json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": { "name": "patch", "namespace": "default" },
        "spec": { "configPatches": patches },
    });
    filter.to_string()
}

/// Puts this before the router of the listener on a port.
fn before_the_router(port: u16, value: &Value) -> Value {
    let manager = "envoy.filters.network.http_connection_manager";
    let router = json!({ "name": manager, "subFilter": { "name": "envoy.filters.http.router" } });
    json!({
        "applyTo": "HTTP_FILTER",
        "match": { "context": "SIDECAR_OUTBOUND", "listener": { "portNumber": port, "filterChain": { "filter": router } } },
        "patch": { "operation": "INSERT_BEFORE", "value": value },
    })
}

/// Answers requests for `/lua` by itself.
fn lua(answer: &str) -> Value {
    let code = format!(
        "function envoy_on_request(handle)\n  if handle:headers():get(\":path\") == \"/lua\" then\n    handle:respond({{[\":status\"] = \"200\"}}, \"{answer}\")\n  end\nend"
    );
    json!({ "name": "lua", "typed_config": { "@type": LUA, "default_source_code": { "inline_string": code } } })
}

/// Discovery on a service `web.test` and a filter, and an Envoy that has everything.
async fn scene(
    binary: &Binary,
    variant: Variant,
    via: SocketAddr,
    backend: &Backend,
    filter: &str,
) -> (World, Sidecar, Envoy) {
    let web = ServiceEntry::http("web", "web.test", via.port()).endpoint(backend.address());
    let world = World::start(&[("web.yaml", &web.to_yaml()), ("filter.yaml", filter)]).await;
    let sidecar = Sidecar::new("client", "default").variant(variant);
    let grpc = world.discovery.addresses().grpc;
    let envoy = sidecar.start(binary, grpc, world.dir()).await.unwrap();
    answers(via, "web.test", "web").await;
    world.synced(&sidecar.id()).await.unwrap();
    (world, sidecar, envoy)
}

async fn backend(name: &str) -> Backend {
    Backend::start(name, [127, 0, 0, 1].into()).await.unwrap()
}

/// Waits until a request for `path` is answered like this.
async fn gets(via: SocketAddr, path: &str, expected: &str) {
    let got = async || {
        let answer = http::get(via, "web.test", path, SOON).await?;
        ensure!(answer.body == expected, "{answer:?}");
        Ok(())
    };
    eventually(&format!("{path} is answered by {expected}"), SOON, got)
        .await
        .unwrap();
}

/// Waits until the status of the filter says this.
async fn status_says(world: &World, section: &str, expected: &str) -> Value {
    let says = async || {
        let configz = world.discovery.debug("/debug/configz").await?;
        let objects = configz["status"]["objects"]
            .as_array()
            .context("no objects")?;
        let ours = objects
            .iter()
            .find(|object| object["of"]["object"]["kind"] == "EnvoyFilter");
        let status = ours.context("nothing is said of it")?["status"].clone();
        ensure!(status[section].to_string().contains(expected), "{status:#}");
        Ok(status)
    };
    eventually(&format!("{section} says {expected}"), SOON, says)
        .await
        .unwrap()
}

/// It comes, changes and goes with its object.
async fn a_filter_answers_requests(binary: &Binary, variant: Variant) {
    let (via, web) = (free_address().unwrap(), backend("web").await);
    let one = filter(&[before_the_router(via.port(), &lua("one"))]);
    let (world, _, envoy) = scene(binary, variant, via, &web, &one).await;
    gets(via, "/lua", "one").await;
    gets(via, "/", "web").await;
    let two = filter(&[before_the_router(via.port(), &lua("two"))]);
    world.mesh.write("filter.yaml", &two).unwrap();
    gets(via, "/lua", "two").await;
    let nowhere = filter(&[before_the_router(1, &lua("two"))]);
    world.mesh.write("filter.yaml", &nowhere).unwrap();
    gets(via, "/lua", "web").await;
    status_says(
        &world,
        "ineffective",
        "does not apply to the 1 connected proxy",
    )
    .await;
    envoy.wait_settled(SOON).await.unwrap();
}

/// A cluster is changed, another added and routed to; a listener of one's own answers.
async fn clusters_and_listeners_are_added_and_changed(binary: &Binary, variant: Variant) {
    let (via, own) = (free_address().unwrap(), free_address().unwrap());
    let (web, extra) = (backend("web").await, backend("extra").await);
    let name = format!("outbound|{}||web.test", via.port());
    let address = |at: SocketAddr| json!({ "socket_address": { "address": at.ip().to_string(), "port_value": at.port() } });
    let endpoint = json!({ "endpoint": { "address": address(extra.address()) } });
    let cluster = json!({
        "name": "extra", "type": "STATIC", "connect_timeout": "1s",
        "load_assignment": { "cluster_name": "extra", "endpoints": [{ "lb_endpoints": [endpoint] }] },
    });
    let route =
        json!({ "name": "extra", "match": { "path": "/extra" }, "route": { "cluster": "extra" } });
    let direct = json!({
        "name": "own",
        "address": address(own),
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "own",
                "http_filters": [{
                    "name": "envoy.filters.http.router",
                    "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
                }],
                "route_config": { "name": "own", "virtual_hosts": [{
                    "name": "all", "domains": ["*"],
                    "routes": [{ "match": { "prefix": "/" }, "direct_response": { "status": 200, "body": { "inline_string": "own" } } }],
                }] },
            },
        }] }],
    });
    let patch = |to: &str, matching: Value, operation: &str, value: Value| json!({ "applyTo": to, "match": matching, "patch": { "operation": operation, "value": value } });
    let routes = json!({ "context": "SIDECAR_OUTBOUND", "routeConfiguration": { "portNumber": via.port(), "vhost": { "domainName": "web.test" } } });
    let filter = filter(&[
        patch(
            "CLUSTER",
            json!({ "cluster": { "name": name } }),
            "MERGE",
            json!({ "connect_timeout": "7s" }),
        ),
        patch("CLUSTER", json!({}), "ADD", cluster),
        patch("HTTP_ROUTE", routes, "INSERT_FIRST", route),
        patch("LISTENER", json!({}), "ADD", direct),
    ]);
    let (world, _, envoy) = scene(binary, variant, via, &web, &filter).await;
    gets(via, "/extra", "extra").await;
    gets(via, "/", "web").await;
    gets(own, "/", "own").await;
    let dump = envoy
        .get_json("/config_dump?resource=dynamic_active_clusters")
        .await
        .unwrap();
    let clusters = dump["configs"].as_array().unwrap().iter();
    let timeouts: Vec<_> = clusters
        .filter(|cluster| cluster["cluster"]["name"] == name)
        .map(|cluster| &cluster["cluster"]["connect_timeout"])
        .collect();
    assert_eq!(timeouts, ["7s"], "{dump:#}");
    world.mesh.remove("filter.yaml").unwrap();
    gets(via, "/extra", "web").await;
    let gone = async || {
        let holds = envoy.holds().await?;
        ensure!(
            !holds.clusters.contains_key("extra"),
            "the cluster is there"
        );
        ensure!(
            !holds.listeners.contains_key("own"),
            "the listener is there"
        );
        Ok(())
    };
    eventually("what was added is gone", SOON, gone)
        .await
        .unwrap();
    envoy.wait_settled(SOON).await.unwrap();
}

/// Its author is told the place, and the version before it stays.
async fn what_is_no_message_is_rejected_and_what_was_good_stays(binary: &Binary, variant: Variant) {
    let (via, web) = (free_address().unwrap(), backend("web").await);
    let good = before_the_router(via.port(), &lua("good"));
    let (world, _, _envoy) = scene(
        binary,
        variant,
        via,
        &web,
        &filter(std::slice::from_ref(&good)),
    )
    .await;
    gets(via, "/lua", "good").await;
    let mut odd = before_the_router(via.port(), &lua("odd"));
    odd["patch"]["value"]["typed_config"]["inline"] = json!("x");
    world
        .mesh
        .write("filter.yaml", &filter(&[good, odd]))
        .unwrap();
    let place = "spec.configPatches[1].patch.value.typed_config.inline";
    status_says(&world, "rejected", place).await;
    let (late, other) = (free_address().unwrap(), backend("other").await);
    let entry = ServiceEntry::http("late", "late.test", late.port()).endpoint(other.address());
    world.mesh.write_entry(&entry).unwrap();
    answers(late, "late.test", "other").await;
    gets(via, "/lua", "good").await;
}

/// A script that cannot be read: the listener stays as it was, others change, and it heals.
async fn what_envoy_refuses_has_an_author_and_hurts_nobody_else(binary: &Binary, variant: Variant) {
    let (via, web) = (free_address().unwrap(), backend("web").await);
    let good = filter(&[before_the_router(via.port(), &lua("good"))]);
    let (world, sidecar, _envoy) = scene(binary, variant, via, &web, &good).await;
    gets(via, "/lua", "good").await;
    let broken = json!({ "name": "lua", "typed_config": { "@type": LUA, "default_source_code": { "inline_string": "function (" } } });
    let bad = filter(&[before_the_router(via.port(), &broken)]);
    world.mesh.write("filter.yaml", &bad).unwrap();
    let status = status_says(&world, "refused", "script load error").await;
    assert!(
        status["refused"].to_string().contains("client.default"),
        "{status:#}"
    );
    let (late, other) = (free_address().unwrap(), backend("other").await);
    let entry = ServiceEntry::http("late", "late.test", late.port()).endpoint(other.address());
    world.mesh.write_entry(&entry).unwrap();
    answers(late, "late.test", "other").await;
    gets(via, "/lua", "good").await;
    let again = filter(&[before_the_router(via.port(), &lua("again"))]);
    world.mesh.write("filter.yaml", &again).unwrap();
    gets(via, "/lua", "again").await;
    world.synced(&sidecar.id()).await.unwrap();
}
