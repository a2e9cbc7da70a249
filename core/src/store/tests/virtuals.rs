//! `VirtualService`s that compete, and those that delegate: authors are told, in whatever order objects come.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::build::object;
use super::{replace, start};
use crate::mesh::{MeshConfig, Source, VirtualServiceMerge};
use crate::registry::{Object, RegistryId, Value};
use crate::rules::RuleSpec;
use crate::status::Contest;

const KIND: &str = "VirtualService";

fn rule(namespace: &str, name: &str, second: i64, fields: &Json) -> Object {
    let mut spec =
        json!({"hosts": ["a.com"], "http": [{"route": [{"destination": {"host": "b.com"}}]}]});
    spec.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let (spec, problems) = RuleSpec::parse("networking.istio.io/v1", KIND, &spec).unwrap();
    assert_eq!(problems, []);
    let mut object = object(KIND, name, Value::Rule(spec));
    object.meta.key = object.meta.key.in_namespace(namespace.into());
    object.meta.created = Timestamp::from_second(second).ok();
    object
}

/// What an object is told: contests lost, and what it refers to in vain.
fn told(running: &super::Running, of: &Object) -> Vec<String> {
    let source = Source {
        registry: RegistryId::new("Test", "a"),
        object: of.meta.key.clone(),
    };
    let status = running.handle.status().get();
    let Some(status) = status.object(&source) else {
        return Vec::new();
    };
    assert!(status.is_accepted(), "it is in force elsewhere");
    let lost = status.lost.iter().map(|lost| match &lost.over {
        Contest::Routing(host) => format!("{host} to {}: {}", lost.to.object.name, lost.why),
        other => format!("{other:?}"),
    });
    let in_vain = status.references.iter().map(|problem| problem.what.clone());
    lost.chain(in_vain).collect()
}

const OLDEST: &str = "VirtualService x/old says how sidecars route a.com: of several rules for one host the oldest counts";

#[tokio::test(start_paused = true)]
async fn whoever_is_not_heard_is_told_and_untold() {
    let old = rule("x", "old", 1, &json!({}));
    let same = rule("x", "same", 2, &json!({}));
    let other = rule("y", "other", 3, &json!({"hosts": ["a.com", "c.com"]}));
    let hidden = rule("z", "hidden", 4, &json!({"exportTo": ["."]}));
    let gateway = rule("x", "gateway", 5, &json!({"gateways": ["edge"]}));
    let own = rule(
        "v",
        "own",
        0,
        &json!({"exportTo": ["."], "hosts": ["c.com"]}),
    );
    let all = [&old, &same, &other, &hidden, &gateway, &own];
    for turned in [false, true] {
        let running = start();
        let updates = running.registry("a");
        let mut order = all.to_vec();
        if turned {
            order.reverse();
        }
        for object in order {
            let set = object.meta.key.name.to_string();
            replace(&updates, &set, vec![object.clone()]).await;
        }
        running.handle.registries().await.unwrap();
        let lost = vec![format!("a.com to old: {OLDEST}")];
        let part = "c.com to own: VirtualService v/own says how some of the sidecars that see both route c.com: of several rules for one host the oldest counts".to_owned();
        assert_eq!(told(&running, &same), lost);
        assert_eq!(
            told(&running, &other),
            [&lost[..], std::slice::from_ref(&part)].concat()
        );
        assert_eq!(told(&running, &hidden), lost);
        for winner in [&old, &gateway, &own] {
            assert_eq!(told(&running, winner), [""; 0]);
        }

        running.handle.set_mesh_config(Arc::new(MeshConfig {
            virtual_service_merge: VirtualServiceMerge::Namespace,
            ..MeshConfig::default()
        }));
        running.handle.registries().await.unwrap();
        assert_eq!(told(&running, &same), [""; 0], "it adds its routes");
        assert_eq!(told(&running, &other).len(), 2);
        running
            .handle
            .set_mesh_config(Arc::new(MeshConfig::default()));

        replace(&updates, "old", vec![]).await;
        running.handle.registries().await.unwrap();
        assert_eq!(told(&running, &same), [""; 0]);
        let now = "a.com to same: VirtualService x/same says how sidecars route a.com: of several rules for one host the oldest counts".to_owned();
        assert_eq!(told(&running, &other), [now, part]);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_delegates_in_vain_is_told_and_untold() {
    let root = rule(
        "x",
        "root",
        1,
        &json!({"http": [{"delegate": {"name": "leaf", "namespace": "y"}}]}),
    );
    let leaf = rule("y", "leaf", 1, &json!({"hosts": []}));
    let hidden = rule("y", "leaf", 1, &json!({"hosts": [], "exportTo": ["."]}));
    let running = start();
    let updates = running.registry("a");
    let missing = ["VirtualService y/leaf does not exist: the route is left out"];
    replace(&updates, "root", vec![root.clone()]).await;
    running.handle.registries().await.unwrap();
    assert_eq!(told(&running, &root), missing);
    replace(&updates, "leaf", vec![leaf]).await;
    running.handle.registries().await.unwrap();
    assert_eq!(told(&running, &root), [""; 0]);
    replace(&updates, "leaf", vec![hidden]).await;
    running.handle.registries().await.unwrap();
    assert_eq!(
        told(&running, &root),
        ["VirtualService y/leaf does not let this namespace see it: the route is left out"]
    );
    replace(&updates, "leaf", vec![]).await;
    running.handle.registries().await.unwrap();
    assert_eq!(told(&running, &root), missing);
    replace(&updates, "root", vec![]).await;
    running.handle.registries().await.unwrap();
    assert_eq!(told(&running, &root), [""; 0]);
}
