//! A `ServiceEntry` of one registry and the workloads of others: its endpoints are all of its namespace that it selects.

use super::build::{endpoints, key, selecting, workload, workload_entry};
use super::{Running, replace, start};
use crate::registry::Object;

/// The endpoints of `web`: address, cluster and workload.
fn web(running: &Running) -> Vec<(String, String, String)> {
    let mesh = running.handle.mesh();
    let all = mesh.endpoints(&key("web")).into_iter();
    all.flat_map(|all| all.iter())
        .map(|endpoint| {
            let address = endpoint.address().map(ToString::to_string);
            let workload = endpoint.workload.as_ref();
            (
                address.unwrap_or_default(),
                endpoint.cluster.to_string(),
                workload.map_or_else(String::new, |key| key.name.to_string()),
            )
        })
        .collect()
}

fn elsewhere(mut object: Object) -> Object {
    object.meta.key = object.meta.key.in_namespace("bank".into());
    object
}

#[tokio::test(start_paused = true)]
async fn workloads_of_any_registry_are_endpoints() {
    let objects = [
        ("files", selecting("web", "web")),
        ("east", workload("pod", "10.0.0.1", "web")),
        ("west", workload_entry("vm", "10.0.0.2", "web")),
        ("files", workload_entry("own", "10.0.0.3", "web")),
        ("east", workload("other", "10.0.0.4", "other")),
        ("west", elsewhere(workload_entry("away", "10.0.0.5", "web"))),
    ];
    let expected = [
        ("10.0.0.1", "east", "pod"),
        ("10.0.0.2", "west", "vm"),
        ("10.0.0.3", "files", "own"),
    ];
    let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    for reversed in [false, true] {
        let running = start();
        let mut order: Vec<_> = objects.iter().collect();
        if reversed {
            order.reverse();
        }
        for (registry, object) in order {
            let set = object.meta.key.to_string();
            replace(&running.registry(registry), &set, vec![object.clone()]).await;
        }
        running.handle.registries().await.unwrap();
        assert_eq!(web(&running), expected, "reversed: {reversed}");
        let mesh = running.handle.mesh();
        let registries: Vec<_> = mesh
            .sources(&key("web"))
            .iter()
            .map(|source| source.registry.cluster.to_string())
            .collect();
        assert_eq!(registries, ["east", "files", "files", "west"]);
    }
}

#[tokio::test(start_paused = true)]
async fn they_follow_as_workloads_and_the_entry_change() {
    let running = start();
    let (files, east, west) = (
        running.registry("files"),
        running.registry("east"),
        running.registry("west"),
    );
    replace(&files, "all", vec![selecting("web", "web")]).await;
    replace(&east, "all", vec![workload("pod", "10.0.0.1", "web")]).await;
    replace(&west, "all", vec![workload_entry("vm", "10.0.0.2", "web")]).await;
    let settled = async || {
        running.handle.registries().await.unwrap();
        endpoints(&running.handle.mesh(), "web")
    };
    assert_eq!(settled().await, ["10.0.0.1", "10.0.0.2"]);
    // It becomes something else.
    replace(&east, "all", vec![workload("pod", "10.0.0.1", "db")]).await;
    assert_eq!(settled().await, ["10.0.0.2"]);
    replace(&files, "all", vec![selecting("web", "db")]).await;
    assert_eq!(settled().await, ["10.0.0.1"]);
    replace(&east, "all", vec![]).await;
    assert_eq!(settled().await, Vec::<String>::new());
    west.close().await.unwrap();
    replace(&east, "all", vec![workload("pod", "10.0.0.9", "db")]).await;
    assert_eq!(settled().await, ["10.0.0.9"]);
}
