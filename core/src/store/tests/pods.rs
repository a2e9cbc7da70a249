//! What a platform says of workloads and machines completes what it says of endpoints, in whatever order it arrives.

use std::sync::Arc;

use super::build::{a_service, a_workload, endpoint, key, object, part, workload_entry};
use super::{Running, replace, start};
use crate::mesh::MeshConfig;
use crate::model::{ClusterId, Endpoint, Locality, Node, Service, ServicePort, Workload};
use crate::registry::{EndpointPart, Object, Value};

fn node(name: &str, locality: &str) -> Object {
    let node = Node {
        name: name.into(),
        locality: Locality::parse(locality),
    };
    object("Node", name, Value::Node(node))
}

fn pod(name: &str, ip: &str, edit: impl FnOnce(&mut Workload)) -> Object {
    let mut workload = a_workload(name, ip, name);
    edit(&mut workload);
    object("Pod", name, Value::from(workload))
}

fn slice(endpoint: Endpoint) -> Object {
    let value = EndpointPart {
        service: key("web"),
        part: "0".into(),
        endpoints: vec![endpoint],
    };
    object("Endpoints", "web", Value::Endpoints(value))
}

fn service(app: &str, port: ServicePort) -> Object {
    let service = Service {
        workload_selector: Some([("app", app)].into_iter().collect()),
        ports: vec![port],
        ..a_service("web")
    };
    object("Service", "web", Value::from(service))
}

async fn web(running: &Running) -> Vec<Endpoint> {
    running.handle.registries().await.unwrap();
    let mesh = running.handle.mesh();
    mesh.endpoints(&key("web"))
        .map_or_else(Vec::new, |all| all.to_vec())
}

async fn each_alone(running: &Running, objects: &[Object]) {
    for object in objects {
        let set = object.meta.key.to_string();
        replace(&running.registry("east"), &set, vec![object.clone()]).await;
        running.handle.registries().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_machine_stands_is_where_its_endpoints_are() {
    let plain = object("Service", "web", Value::from(a_service("web")));
    let of_pod = pod("web", "10.0.0.1", |pod| pod.node = Some("m1".into()));
    let at = |node: &str, locality: &str| Endpoint {
        node: Some(node.into()),
        locality: Locality::parse(locality),
        ..endpoint("10.0.0.1")
    };
    let check = async |slice_says: Endpoint, pods: bool, expected: &str| {
        let mut objects = vec![plain.clone(), slice(slice_says), node("m1", "eu/a/r1")];
        objects.extend(pods.then(|| of_pod.clone()));
        for turn in 0..objects.len() {
            objects.rotate_left(turn);
            let running = start();
            each_alone(&running, &objects).await;
            let found = web(&running).await;
            assert_eq!(found[0].locality, Locality::parse(expected), "{objects:?}");
        }
    };
    check(at("m1", ""), false, "eu/a/r1").await;
    check(at("m1", "/b"), false, "eu/a/r1").await;
    check(at("m1", "us/b"), true, "us/b").await;
    check(at("m2", "/b"), false, "/b").await;
    check(endpoint("10.0.0.1"), true, "eu/a/r1").await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_moves_or_goes_takes_them_along() {
    let running = start();
    let plain = object("Service", "web", Value::from(a_service("web")));
    let of_pod = pod("web", "10.0.0.1", |pod| pod.node = Some("m1".into()));
    let says_itself = pod("other", "10.0.0.2", |pod| {
        pod.node = Some("m1".into());
        pod.locality = Locality::parse("us/c");
    });
    let objects = [plain, part("web", "0", &["10.0.0.1"]), of_pod, says_itself];
    each_alone(&running, &objects).await;
    let mut changes = running.handle.subscribe();
    for (machine, expected) in [("eu/a", "eu/a"), ("us/b", "us/b"), ("", "")] {
        let said = if machine.is_empty() {
            vec![]
        } else {
            vec![node("m1", machine)]
        };
        replace(&running.registry("east"), "nodes", said).await;
        assert_eq!(web(&running).await[0].locality, Locality::parse(expected));
        let change = changes.take().unwrap();
        let touched: Vec<_> = change.touched.workloads.iter().collect();
        assert_eq!(
            touched,
            [&(
                ClusterId::from("east"),
                a_workload("web", "10.0.0.1", "web").key
            )]
        );
        let moved = change.mesh.workload(&touched[0].0, &touched[0].1).unwrap();
        assert_eq!(*change.mesh.locality_of(moved), Locality::parse(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn an_identity_is_made_of_account_and_trust_domain() {
    let running = start();
    let with_account = |account: &str| {
        pod("web", "10.0.0.1", |pod| {
            pod.service_account = Some(account.into())
        })
    };
    let plain = object("Service", "web", Value::from(a_service("web")));
    each_alone(
        &running,
        &[plain, part("web", "0", &["10.0.0.1"]), with_account("shop")],
    )
    .await;
    let identity = async || web(&running).await[0].identity.clone();
    assert_eq!(
        identity().await.as_deref(),
        Some("spiffe://cluster.local/ns/shop/sa/shop")
    );
    let trust_domain = "acme".into();
    running.handle.set_mesh_config(Arc::new(MeshConfig {
        trust_domain,
        ..MeshConfig::default()
    }));
    assert_eq!(
        identity().await.as_deref(),
        Some("spiffe://acme/ns/shop/sa/shop")
    );
}

#[tokio::test(start_paused = true)]
async fn a_platform_service_has_the_workloads_it_selects_unless_endpoints_are_stated() {
    let running = start();
    let named = ServicePort {
        target_name: Some("main".into()),
        ..super::build::http(80)
    };
    let of_pod = |name: &str, ip: &str, port: Option<u16>| {
        pod(name, ip, |pod| {
            pod.labels = [("app", "web")].into_iter().collect();
            pod.ports = port.map(|port| ("main", port)).into_iter().collect();
        })
    };
    let pods = [
        of_pod("a", "10.0.0.1", Some(8080)),
        of_pod("b", "10.0.0.2", None),
    ];
    each_alone(&running, &[service("web", named.clone())]).await;
    each_alone(&running, &pods).await;
    replace(
        &running.registry("west"),
        "vms",
        vec![workload_entry("vm", "10.0.0.9", "web")],
    )
    .await;
    replace(
        &running.registry("west"),
        "pods",
        vec![of_pod("c", "10.0.0.3", Some(1))],
    )
    .await;
    let found = async || {
        let all = web(&running).await;
        let text = |endpoint: &Endpoint| {
            format!(
                "{}:{:?}",
                endpoint.address().unwrap(),
                endpoint.port(&named)
            )
        };
        all.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(
        found().await,
        ["10.0.0.1:Some(8080)", "10.0.0.2:None", "10.0.0.9:Some(80)"]
    );
    each_alone(&running, &[part("web", "0", &["10.0.0.7"])]).await;
    assert_eq!(found().await, ["10.0.0.7:Some(80)", "10.0.0.9:Some(80)"]);
    each_alone(&running, &[part("web", "0", &[])]).await;
    assert_eq!(found().await, ["10.0.0.9:Some(80)"]);
}

#[tokio::test(start_paused = true)]
async fn a_named_pod_says_which_network_its_endpoint_is_on() {
    let plain = object("Service", "web", Value::from(a_service("web")));
    let named = Endpoint {
        workload: Some(a_workload("web-1", "10.0.0.1", "web").key),
        ..endpoint("10.0.0.1")
    };
    let away = pod("web-1", "10.0.0.1", |pod| pod.network = "n1".into());
    // One of another name at the same address, as with machines' own addresses.
    let beside = pod("another", "10.0.0.1", |_| {});
    let objects = [plain, slice(named), beside, away];
    for reversed in [false, true] {
        let running = start();
        let mut order = objects.to_vec();
        if reversed {
            order.reverse();
        }
        each_alone(&running, &order).await;
        let found = web(&running).await;
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.network.as_str(), one.labels.get("app")))
            .collect();
        assert_eq!(found, [("n1", Some("web-1"))], "reversed: {reversed}");
    }
}
