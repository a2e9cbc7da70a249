//! `Ingress`es that nobody serves: authors are told, in whatever order objects come.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::build::object;
use super::{Running, replace, start};
use crate::mesh::{IngressController, IngressMode, MeshConfig, Source};
use crate::registry::{Object, RegistryId, Value};
use crate::rules::RuleSpec;

fn rule(kind: &str, name: &str, spec: &Json) -> Object {
    let (spec, problems) = RuleSpec::parse("networking.k8s.io/v1", kind, spec).unwrap();
    assert_eq!(problems, []);
    object(kind, name, Value::Rule(spec))
}

fn ingress(name: &str, class: Option<&str>) -> Object {
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    let spec = json!({"ingressClassName": class, "defaultBackend": backend});
    rule("Ingress", name, &spec)
}

fn class(controller: &str) -> Object {
    rule("IngressClass", "mesh", &json!({"controller": controller}))
}

/// What an object is told.
fn told(running: &Running, of: &Object) -> Vec<String> {
    let source = Source {
        registry: RegistryId::new("Test", "a"),
        object: of.meta.key.clone(),
    };
    let status = running.handle.status().get();
    let references = status.object(&source).map(|status| &status.references);
    let told = references.into_iter().flatten().map(ToString::to_string);
    told.collect()
}

#[tokio::test(start_paused = true)]
async fn authors_are_told_that_nobody_serves_their_ingress() {
    let (bare, named) = (ingress("bare", None), ingress("named", Some("mesh")));
    let of_ours = class("istio.io/ingress-controller");
    let no_class = ["spec: routers do not serve it: it names no class"];
    let no_such =
        ["spec.ingressClassName: routers do not serve it: there is no IngressClass of this name"];
    for turned in [false, true] {
        let running = start();
        let updates = running.registry("a");
        let mut order = [&bare, &named];
        if turned {
            order.reverse();
            replace(&updates, "class", vec![of_ours.clone()]).await;
            replace(&updates, "class", vec![]).await;
        }
        for one in order {
            replace(&updates, &one.meta.key.name, vec![one.clone()]).await;
        }
        running.handle.registries().await.unwrap();
        assert_eq!(told(&running, &bare), no_class);
        assert_eq!(told(&running, &named), no_such);

        replace(&updates, "class", vec![of_ours.clone()]).await;
        running.handle.registries().await.unwrap();
        assert_eq!(told(&running, &named), [""; 0]);
        // It is somebody else's: that is nothing to be told of.
        replace(&updates, "class", vec![class("k8s.io/ingress-nginx")]).await;
        running.handle.registries().await.unwrap();
        assert_eq!(told(&running, &named), [""; 0]);
        replace(&updates, "class", vec![]).await;

        let config = |mode| {
            let ingress = IngressController {
                mode,
                ..IngressController::default()
            };
            running.handle.set_mesh_config(Arc::new(MeshConfig {
                ingress,
                ..MeshConfig::default()
            }));
        };
        config(IngressMode::Default);
        running.handle.registries().await.unwrap();
        assert_eq!(told(&running, &bare), [""; 0]);
        assert_eq!(told(&running, &named), no_such);
        config(IngressMode::Strict);
        running.handle.registries().await.unwrap();
        assert_eq!(told(&running, &bare), no_class);
        replace(&updates, "bare", vec![]).await;
        running.handle.registries().await.unwrap();
        assert_eq!(told(&running, &bare), [""; 0]);
    }
}
