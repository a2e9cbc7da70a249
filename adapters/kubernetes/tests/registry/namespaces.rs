//! Which namespaces are read.

use std::collections::BTreeSet;

use pilothouse_core::mesh::{LabelRequirement, LabelSelector, MeshConfig};
use pilothouse_kubernetes::KubernetesConfig;
use serde_json::{Value, json};

use crate::fake::Fake;
use crate::running::{Running, endpoints, namespace, service};

const NAMESPACES: &str = "namespaces";
const SERVICES: &str = "services";

/// A service in each of the namespaces `a` (in the mesh), `b` (not in it) and `root`.
fn three() -> Fake {
    let fake = Fake::new();
    for (name, labels) in [("a", on()), ("b", json!({})), ("root", json!({}))] {
        fake.put(NAMESPACES, namespace(name, labels));
        fake.put(SERVICES, service(&format!("{name}/web")));
    }
    fake
}

fn on() -> Value {
    json!({"mesh": "on"})
}

/// Only namespaces with the label are read.
fn selecting() -> MeshConfig {
    let requirement = LabelRequirement::In {
        key: "mesh".into(),
        values: ["on".into()].into(),
    };
    MeshConfig {
        discovery_selectors: vec![LabelSelector(vec![requirement])],
        ..everything()
    }
}

fn everything() -> MeshConfig {
    MeshConfig {
        root_namespace: "root".into(),
        ..MeshConfig::default()
    }
}

/// Waits until the services of exactly these namespaces are there.
async fn until(running: &mut Running, expected: &[&str]) -> pilothouse_core::mesh::Touched {
    let read = |mesh: &pilothouse_core::mesh::Mesh| {
        let there = |name: &&&str| endpoints(mesh, &format!("{name}/web")).is_some();
        ["a", "b", "c", "root"]
            .iter()
            .filter(there)
            .copied()
            .collect::<Vec<_>>()
    };
    running
        .until(&format!("{expected:?}"), |mesh| read(mesh) == expected)
        .await
}

#[tokio::test(start_paused = true)]
async fn namespaces_come_and_go_with_their_labels() {
    let fake = three();
    let mut running = Running::begin(&fake, KubernetesConfig::default());
    running.configure(selecting());
    running.ready().await;
    until(&mut running, &["a", "root"]).await;
    // All namespaces are known, read or not.
    let known = |mesh: &pilothouse_core::mesh::Mesh| {
        let mut names = ["a", "b", "root"].into_iter();
        names.all(|name| mesh.namespace(&name.into()).is_some())
    };
    running.until("all namespaces are known", known).await;

    fake.put(NAMESPACES, namespace("b", on()));
    let touched = until(&mut running, &["a", "b", "root"]).await;
    assert_eq!(touched.services.len(), 1, "{touched:?}");
    fake.put(NAMESPACES, namespace("a", json!({})));
    let touched = until(&mut running, &["b", "root"]).await;
    assert_eq!(touched.services.len(), 1, "{touched:?}");
    // Nothing of what is not read shows.
    fake.put(SERVICES, service("a/other"));
    fake.put(NAMESPACES, namespace("c", on()));
    fake.put(SERVICES, service("c/web"));
    let touched = until(&mut running, &["b", "c", "root"]).await;
    assert_eq!(touched.services.len(), 1, "{touched:?}");
}

#[tokio::test(start_paused = true)]
async fn selectors_may_change_while_all_runs() {
    let fake = three();
    let mut running = Running::begin(&fake, KubernetesConfig::default());
    // As long as it is not known what is to be read, nothing is.
    assert_eq!(fake.asked(), []);
    running.configure(everything());
    running.ready().await;
    until(&mut running, &["a", "b", "root"]).await;
    running.configure(selecting());
    until(&mut running, &["a", "root"]).await;
    running.configure(everything());
    until(&mut running, &["a", "b", "root"]).await;
}

#[tokio::test(start_paused = true)]
async fn one_namespace_and_the_root_are_read_by_themselves() {
    let fake = three();
    let config = KubernetesConfig {
        namespace: Some("b".into()),
        ..KubernetesConfig::default()
    };
    let mut running = Running::begin(&fake, config);
    running.configure(everything());
    running.ready().await;
    until(&mut running, &["b", "root"]).await;
    let asked: BTreeSet<_> = fake
        .asked()
        .into_iter()
        .filter(|asked| asked.resource == SERVICES)
        .map(|asked| asked.namespace)
        .collect();
    assert_eq!(
        asked,
        [Some("b".to_owned()), Some("root".to_owned())].into()
    );
    // Another root is another namespace.
    let other = MeshConfig {
        root_namespace: "a".into(),
        ..MeshConfig::default()
    };
    running.configure(other);
    until(&mut running, &["a", "b"]).await;
}
