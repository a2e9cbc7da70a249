//! A token that loses rights, or is gone, costs nothing: what was known stays.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::time::Duration;

use pilothouse_tests::backend::Backend;
use pilothouse_tests::consul::{Binary, Cluster};
use pilothouse_tests::discovery::Discovery;
use pilothouse_tests::envoy;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::traffic::{Target, Traffic};
use pilothouse_tests::wait::{eventually, eventually_every};
use serde_json::json;

use super::health::only;
use super::setting::{backends, discovery_on, failing, says, unchecked};
use crate::world::{SOON, Scratch};

/// The token that may do everything, and the one that discovery has.
const MASTER: &str = "5e5a0c1e-0000-4000-8000-000000000001";
const READER: &str = "5e5a0c1e-0000-4000-8000-000000000002";
const ALL: &str = r#"service_prefix "" { policy = "read" } node_prefix "" { policy = "read" } key_prefix "" { policy = "read" }"#;
/// Services without their nodes; not even Consul's own is among them.
const LESS: &str = r#"service "web" { policy = "read" } key_prefix "" { policy = "read" }"#;

async fn acl<const N: usize>(cluster: &Cluster, command: [&str; N], args: &[&str]) {
    let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
    // A new cluster begins with the ACLs of old Consuls, and leaves them behind in a moment.
    eventually("the cluster has ACLs", SOON, async || {
        cluster.run(command, &args)
    })
    .await
    .unwrap();
}

/// Waits until discovery says this while something about a service changes again and again: a change makes Consul answer, by and
/// by with what the token may see, for rights are remembered for half a minute.
async fn stirred(cluster: &Cluster, discovery: &Discovery, backend: &Backend, why: Option<&str>) {
    let mut times = 0;
    let what = format!("discovery says {why:?}");
    eventually_every(Duration::from_secs(2), &what, 4 * SOON, async || {
        times += 1;
        let mut definition = unchecked("web", backend);
        definition["tags"] = json!([format!("time|{times}")]);
        cluster.register(definition).await?;
        says(discovery, why).await
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_token_that_is_narrowed_and_then_deleted_takes_nothing_away() {
    let dir = Scratch::new();
    let more = json!({"acl": {"enabled": true, "default_policy": "deny", "tokens": {"master": MASTER, "agent": MASTER}}});
    let cluster = Cluster::start(&Binary::find().unwrap(), "dc1", more, dir.path())
        .await
        .unwrap();
    let cluster = cluster.with_token(MASTER);
    let all = backends(["a", "b", "c"]).await;
    let [a, b, c] = &all[..] else {
        panic!("three were started")
    };
    // The first tokens are made by a new leader, a moment after it leads.
    eventually("the cluster knows its tokens", SOON, async || {
        cluster.register(unchecked("web", a)).await
    })
    .await
    .unwrap();
    cluster.register(unchecked("web", b)).await.unwrap();
    acl(
        &cluster,
        ["acl", "policy", "create"],
        &["-name=read", &format!("-rules={ALL}")],
    )
    .await;
    acl(
        &cluster,
        ["acl", "token", "create"],
        &[
            "-policy-name=read",
            &format!("-secret={READER}"),
            &format!("-accessor={READER}"),
        ],
    )
    .await;
    let token = dir.path().join("token");
    std::fs::write(&token, READER).unwrap();
    let flag = [("--consul-token-file", token.to_str().unwrap())];
    let discovery = discovery_on(&cluster, dir.path(), &flag).await;
    let sidecar = Sidecar::new("client", "default");
    let binary = envoy::Binary::find().unwrap();
    let _client = sidecar
        .start(&binary, discovery.addresses().grpc, dir.path())
        .await
        .unwrap();
    let via = SocketAddr::from(([127, 0, 0, 1], a.address().port()));
    only(via, &["a", "b"]).await;
    let target = Target {
        via,
        host: "web.service.consul".into(),
        path: "/".into(),
    };
    let flowing = Traffic::start(vec![target], Duration::from_millis(5));

    acl(
        &cluster,
        ["acl", "policy", "update"],
        &["-name=read", &format!("-rules={LESS}")],
    )
    .await;
    cluster.register(unchecked("other", c)).await.unwrap();
    stirred(&cluster, &discovery, a, Some("the token may not read node")).await;
    only(via, &["a", "b"]).await;
    acl(
        &cluster,
        ["acl", "policy", "update"],
        &["-name=read", &format!("-rules={ALL}")],
    )
    .await;
    stirred(&cluster, &discovery, a, None).await;
    only(via, &["a", "b"]).await;

    acl(
        &cluster,
        ["acl", "token", "delete"],
        &[&format!("-id={READER}")],
    )
    .await;
    cluster.deregister("other-c").await.unwrap();
    failing(&discovery, Some("ACL not found")).await;
    only(via, &["a", "b"]).await;
    std::fs::write(&token, MASTER).unwrap();
    cluster.register(unchecked("web", c)).await.unwrap();
    only(via, &["a", "b", "c"]).await;
    let report = flowing.stop().await;
    assert_eq!(report.failed, [], "of {} requests", report.sent);
}
