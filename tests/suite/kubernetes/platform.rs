//! The harness's own promises: what suites of Kubernetes build on.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Request;
use pilothouse_tests::kube::objects::Pod;
use pilothouse_tests::kube::{ADMIN, CONTROLLERS, KubeCluster, Options, PILOTHOUSE};
use pilothouse_tests::wait::eventually;
use serde_json::{Value, json};

use crate::world::SOON;

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}})
}

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

/// The addresses of a service's slices with what is said of them: ready and terminating.
async fn endpoints(cluster: &KubeCluster) -> Result<Vec<(IpAddr, bool, bool)>> {
    let slices = cluster.get_path(SLICES).await?;
    let slices = slices["items"].as_array().context("no list of slices")?;
    let mut found = Vec::new();
    for endpoint in slices
        .iter()
        .flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten())
    {
        let address = endpoint["addresses"][0].as_str().context("no address")?;
        let is = |condition: &str| endpoint["conditions"][condition] == true;
        found.push((address.parse()?, is("ready"), is("terminating")));
    }
    found.sort();
    Ok(found)
}

async fn has_endpoints(cluster: &KubeCluster, expected: &[(Ipv4Addr, bool, bool)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(ip, ready, terminating)| (IpAddr::from(*ip), *ready, *terminating))
        .collect();
    eventually(&format!("the slices have {expected:?}"), SOON, async || {
        let found = endpoints(cluster).await?;
        ensure!(found == expected, "they have {found:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn controllers_write_slices_as_pods_come_and_go() {
    let options = Options {
        controllers: CONTROLLERS.to_vec(),
        ..Options::default()
    };
    let Some(cluster) = KubeCluster::get(options).await else {
        return;
    };
    cluster.apply(SERVICE).await.unwrap();
    cluster.node("node", "north", "north-1").await.unwrap();
    for (name, last) in [("one", 1), ("two", 2)] {
        let pod = Pod::new("default", name, "web", ip(last));
        cluster.pod(&pod).await.unwrap();
    }
    has_endpoints(&cluster, &[(ip(1), true, false), (ip(2), true, false)]).await;

    cluster.set_ready("default", "one", false).await.unwrap();
    has_endpoints(&cluster, &[(ip(1), false, false), (ip(2), true, false)]).await;

    cluster.terminate_pod("default", "two").await.unwrap();
    has_endpoints(&cluster, &[(ip(1), false, false), (ip(2), false, true)]).await;

    cluster.delete_pod("default", "two").await.unwrap();
    has_endpoints(&cluster, &[(ip(1), false, false)]).await;

    cluster.namespace("short", &[]).await.unwrap();
    cluster
        .pod(&Pod::new("short", "lived", "web", ip(9)))
        .await
        .unwrap();
    cluster.delete_pod("short", "lived").await.unwrap();
    cluster
        .kubectl(&["delete", "namespace", "short", "--timeout=60s"], "")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_restart_keeps_objects_address_and_certificates() {
    let Some(mut cluster) = KubeCluster::get(Options::default()).await else {
        return;
    };
    cluster.apply(SERVICE).await.unwrap();
    let config = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    // It trusts the first certificate only.
    let client = cluster.client_of(ADMIN).unwrap();
    cluster.stop_api_server().unwrap();
    let request = || Request::get("/readyz").body(Vec::new()).unwrap();
    tokio::time::timeout(Duration::from_secs(60), client.request_text(request()))
        .await
        .unwrap()
        .unwrap_err();

    cluster.start_api_server().await.unwrap();
    assert_eq!(client.request_text(request()).await.unwrap(), "ok");
    let kept = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    assert_eq!(kept, config);
    let services = cluster
        .kubectl(&["get", "services", "-o", "name"], "")
        .await
        .unwrap();
    assert_eq!(services, "service/kubernetes\nservice/web\n");
}

#[tokio::test]
async fn what_is_compacted_is_gone() {
    let options = Options {
        without_watch_cache: true,
        ..Options::default()
    };
    let Some(cluster) = KubeCluster::get(options).await else {
        return;
    };
    for name in ["a", "b", "c"] {
        cluster.create(&config_map(name)).await.unwrap();
    }
    let page = cluster
        .get_path(&format!("{CONFIG_MAPS}?limit=1"))
        .await
        .unwrap();
    let version = page["metadata"]["resourceVersion"].as_str().unwrap();
    let next = page["metadata"]["continue"].as_str().unwrap();
    let exact = format!("{CONFIG_MAPS}?resourceVersion={version}&resourceVersionMatch=Exact");
    let watch = format!("{CONFIG_MAPS}?watch=true&resourceVersion={version}&timeoutSeconds=1");
    let rest = format!("{CONFIG_MAPS}?limit=1&continue={next}");
    for path in [&exact, &rest] {
        cluster.get_path(path).await.unwrap();
    }

    // The present version stays, and so does what comes after the one before it.
    for name in ["d", "e"] {
        cluster.create(&config_map(name)).await.unwrap();
    }
    cluster.compact().await.unwrap();
    for path in [&exact, &rest] {
        let error = format!("{:#}", cluster.get_path(path).await.unwrap_err());
        assert!(
            error.contains("410") || error.contains("Expired"),
            "{error}"
        );
    }
    let event = cluster.get_path(&watch).await.unwrap();
    assert_eq!(event["type"], "ERROR");
    assert_eq!(event["object"]["code"], 410);
}

#[tokio::test]
async fn users_have_the_rights_that_they_are_given_and_requests_are_recorded() {
    let options = Options {
        users: vec!["reader".to_owned()],
        audited: true,
        ..Options::default()
    };
    let Some(cluster) = KubeCluster::get(options).await else {
        return;
    };
    let list = ["get", "configmaps", "-o", "name"];
    for user in [PILOTHOUSE, "reader"] {
        let error = cluster.kubectl_as(user, &list, "").await.unwrap_err();
        assert!(error.to_string().contains("Forbidden"), "{error:#}");
    }
    let grant = [
        [
            "create",
            "role",
            "reads",
            "--verb=list",
            "--resource=configmaps",
        ],
        [
            "create",
            "rolebinding",
            "reads",
            "--role=reads",
            "--user=reader",
        ],
    ];
    for command in grant {
        cluster.kubectl(&command, "").await.unwrap();
    }
    cluster.create(&config_map("mine")).await.unwrap();
    let names = cluster.kubectl_as("reader", &list, "").await.unwrap();
    assert!(
        names.lines().any(|name| name == "configmap/mine"),
        "{names}"
    );

    let lists: Vec<_> = cluster
        .requests_of("reader")
        .unwrap()
        .into_iter()
        .filter(|request| request.resource == "configmaps")
        .map(|request| (request.verb, request.namespace, request.code))
        .collect();
    assert_eq!(
        lists,
        [403, 200].map(|code| ("list".to_owned(), "default".to_owned(), code))
    );
}

#[tokio::test]
async fn two_clusters_know_nothing_of_each_other() {
    if KubeCluster::missing() {
        return;
    }
    let clusters = KubeCluster::start_all([Options::default(), Options::default()])
        .await
        .unwrap();
    let [one, two] = &clusters[..] else {
        panic!("two were started");
    };
    one.create(&config_map("mine")).await.unwrap();
    let path = format!("{CONFIG_MAPS}/mine");
    one.get_path(&path).await.unwrap();
    two.get_path(&path).await.unwrap_err();
}
