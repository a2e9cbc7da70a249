//! The harness's own Envoy handle, without a control plane: a static bootstrap is checked, served and asked after.

use std::time::Duration;

use pilothouse_tests::envoy::{Binary, Envoy, VERSIONS};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

fn bootstrap(cluster: Value) -> Value {
    json!({
        "admin": { "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } } },
        "static_resources": { "clusters": [cluster] },
    })
}

fn plain_cluster() -> Value {
    json!({ "name": "outbound|80||a.b", "type": "STATIC", "connect_timeout": "1s", "load_assignment": { "cluster_name": "outbound|80||a.b" } })
}

#[tokio::test]
async fn every_pinned_version_accepts_a_good_bootstrap_and_refuses_a_bad_one() {
    let dir = tempfile::tempdir().unwrap();
    for version in VERSIONS {
        let binary = Binary::find_version(version).unwrap();
        binary
            .validate("good", &bootstrap(plain_cluster()), dir.path())
            .await
            .unwrap();

        let error = binary
            .validate(
                "bad",
                &bootstrap(json!({ "name": "x", "type": "SOMETIMES" })),
                dir.path(),
            )
            .await
            .unwrap_err();
        assert!(error.to_string().contains("SOMETIMES"), "{error}");

        let mut deprecated = plain_cluster();
        deprecated["http2_protocol_options"] = json!({});
        let error = binary
            .validate("deprecated", &bootstrap(deprecated), dir.path())
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("http2_protocol_options"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_running_envoy_answers_on_its_admin_page() {
    let dir = tempfile::tempdir().unwrap();
    let binary = Binary::find().unwrap();
    let envoy = Envoy::start(&binary, "envoy", &bootstrap(plain_cluster()), dir.path())
        .await
        .unwrap();
    envoy.wait_ready(SOON).await.unwrap();
    assert_eq!(
        envoy
            .stat("cluster.outbound|80||a.b.membership_total")
            .await
            .unwrap(),
        0
    );
    envoy
        .wait_stat("cluster_manager.active_clusters", SOON, |clusters| {
            clusters == 1
        })
        .await
        .unwrap();
    assert_eq!(
        envoy
            .stat("cluster_manager.warming_clusters")
            .await
            .unwrap(),
        0
    );
    let dump = envoy.get_json("/config_dump").await.unwrap();
    assert_eq!(
        dump["configs"][1]["static_clusters"][0]["cluster"]["name"],
        "outbound|80||a.b"
    );
    assert_eq!(envoy.deprecations().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn an_envoy_that_does_not_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let error = Envoy::start(
        &Binary::find().unwrap(),
        "envoy",
        &json!({ "node": 3 }),
        dir.path(),
    )
    .await
    .unwrap_err();
    assert!(format!("{error:#}").contains("node"), "{error:#}");
}
