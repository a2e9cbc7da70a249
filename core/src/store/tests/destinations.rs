//! `DestinationRule`s that compete: whoever loses is told, in whatever order they come.

use serde_json::{Value as Json, json};

use super::build::object;
use super::{replace, start};
use crate::mesh::Source;
use crate::registry::{Object, RegistryId, Value};
use crate::rules::RuleSpec;
use crate::status::Contest;

const KIND: &str = "DestinationRule";

fn rule(name: &str, spec: &Json) -> Object {
    let (spec, problems) = RuleSpec::parse("networking.istio.io/v1", KIND, spec).unwrap();
    assert_eq!(problems, []);
    object(KIND, name, Value::Rule(spec))
}

#[tokio::test(start_paused = true)]
async fn the_loser_of_a_subset_or_policy_is_told_and_untold() {
    let a = rule(
        "a",
        &json!({"host": "web.shop", "trafficPolicy": {"tls": {}}, "subsets": [{"name": "v1"}]}),
    );
    let b = rule(
        "b",
        &json!({"host": "web.shop", "trafficPolicy": {"tls": {}}, "subsets": [{"name": "v1"}, {"name": "v2"}]}),
    );
    let elsewhere = rule(
        "c",
        &json!({"host": "other.shop", "subsets": [{"name": "v1"}]}),
    );
    for order in [[&a, &b], [&b, &a]] {
        let running = start();
        let updates = running.registry("a");
        let lost = |of: &Object| -> Vec<String> {
            let source = Source {
                registry: RegistryId::new("Test", "a"),
                object: of.meta.key.clone(),
            };
            let status = running.handle.status().get();
            let Some(status) = status.object(&source) else {
                return Vec::new();
            };
            assert!(status.is_accepted(), "the rest of it counts");
            let mut all: Vec<_> = status
                .lost
                .iter()
                .map(|lost| match &lost.over {
                    Contest::Destination(host, subset) => format!(
                        "{host} {} to {}",
                        subset.as_deref().unwrap_or("policy"),
                        lost.to.object.name
                    ),
                    other => format!("{other:?}"),
                })
                .collect();
            all.sort();
            all
        };
        for object in order {
            let set = object.meta.key.name.to_string();
            replace(&updates, &set, vec![object.clone()]).await;
        }
        replace(&updates, "c", vec![elsewhere.clone()]).await;
        running.handle.registries().await.unwrap();
        assert_eq!(lost(&b), ["web.shop policy to a", "web.shop v1 to a"]);
        assert_eq!((lost(&a), lost(&elsewhere)), (vec![], vec![]));

        replace(&updates, "a", vec![]).await;
        running.handle.registries().await.unwrap();
        assert_eq!(lost(&b), Vec::<String>::new());
    }
}
