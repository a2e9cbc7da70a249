//! Of several `Sidecar`s for a workload one counts, and the authors of the others are told.

use serde_json::{Value as Json, json};

use super::build::object;
use super::{replace, start};
use crate::mesh::Source;
use crate::registry::{Object, RegistryId, Value};
use crate::rules::RuleSpec;

fn sidecar(name: &str, labels: Option<Json>) -> Object {
    let mut spec = json!({"egress": [{"hosts": ["./*"]}]});
    if let Some(labels) = labels {
        spec["workloadSelector"] = json!({"labels": labels});
    }
    let (spec, problems) = RuleSpec::parse("networking.istio.io/v1", "Sidecar", &spec).unwrap();
    assert_eq!(problems, []);
    object("Sidecar", name, Value::Rule(spec))
}

#[tokio::test(start_paused = true)]
async fn the_oldest_counts_and_the_others_are_told() {
    let all = [
        sidecar("a", None),
        sidecar("b", None),
        sidecar("c", Some(json!({"app": "web"}))),
        sidecar("d", Some(json!({"app": "web", "tier": "x"}))),
        sidecar("e", Some(json!({"app": "db"}))),
    ];
    let running = start();
    let updates = running.registry("a");
    for object in all.iter().rev() {
        replace(&updates, &object.meta.key.name, vec![object.clone()]).await;
    }
    running.handle.registries().await.unwrap();
    let lost = || {
        all.each_ref().map(|of| {
            let source = Source {
                registry: RegistryId::new("Test", "a"),
                object: of.meta.key.clone(),
            };
            let status = running.handle.status().get();
            let status = status.object(&source).cloned().unwrap_or_default();
            let names = status
                .lost
                .iter()
                .map(|lost| lost.to.object.name.to_string());
            names.collect::<String>()
        })
    };
    assert_eq!(lost(), ["", "a", "", "c", ""]);
    replace(&updates, "a", vec![]).await;
    replace(&updates, "c", vec![]).await;
    running.handle.registries().await.unwrap();
    assert_eq!(lost(), [""; 5]);
}
