//! Kinds of which one rule counts for a workload: losers are told, and whose provider is missing.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::build::{a_service, object};
use super::{replace, start};
use crate::mesh::Source;
use crate::registry::{Object, RegistryId, Value};
use crate::rules::{RuleSpec, resolve};
use crate::status::{ObjectStatus, StatusHandle};

fn rule(kind: &str, name: &str, spec: &Json) -> Object {
    let group = match kind {
        "Telemetry" => "telemetry.istio.io/v1",
        _ => "networking.istio.io/v1beta1",
    };
    let (spec, problems) = RuleSpec::parse(group, kind, spec).unwrap();
    assert_eq!(problems, []);
    object(kind, name, Value::Rule(spec))
}

fn status(handle: &StatusHandle, of: &Object) -> Arc<ObjectStatus> {
    let source = Source {
        registry: RegistryId::new("Test", "a"),
        object: of.meta.key.clone(),
    };
    handle.get().object(&source).cloned().unwrap_or_default()
}

fn lost_to(handle: &StatusHandle, of: &Object) -> Vec<String> {
    let status = status(handle, of);
    let all = status.lost.iter().map(|lost| &lost.to.object.name);
    all.map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn of_several_rules_for_a_workload_the_oldest_counts() {
    for kind in ["Telemetry", "ProxyConfig"] {
        let of = |labels: Json| json!({"selector": {"matchLabels": labels}});
        let all = [
            rule(kind, "a", &json!({})),
            rule(kind, "b", &json!({})),
            rule(kind, "c", &of(json!({"app": "web"}))),
            rule(kind, "d", &of(json!({"app": "web", "tier": "x"}))),
            rule(kind, "e", &of(json!({"zone": "z"}))),
        ];
        let running = start();
        let updates = running.registry("a");
        for object in all.iter().rev() {
            replace(&updates, &object.meta.key.name, vec![object.clone()]).await;
        }
        running.handle.registries().await.unwrap();
        let lost = || {
            let handle = running.handle.status();
            all.each_ref().map(|of| lost_to(handle, of).join(" "))
        };
        assert_eq!(lost(), ["", "a", "", "c", ""], "{kind}");

        let entry = json!({"address": "10.0.0.1", "labels": {"app": "web", "zone": "z"}});
        let both = rule("WorkloadEntry", "w", &entry);
        replace(&updates, "w", vec![both]).await;
        running.handle.registries().await.unwrap();
        assert_eq!(lost(), ["", "a", "", "c", "c"], "{kind}");
        let handle = running.handle.status();
        assert!(
            !status(handle, &all[1]).is_accepted(),
            "nothing of it counts"
        );
        assert!(status(handle, &all[4]).is_accepted(), "elsewhere it counts");

        replace(&updates, "a", vec![]).await;
        replace(&updates, "w", vec![]).await;
        running.handle.registries().await.unwrap();
        assert_eq!(lost(), ["", "", "", "c", ""], "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_missing_is_told_to_whoever_names_it() {
    let config = json!({"extensionProviders": [
        {"name": "als", "envoyHttpAls": {"service": "als.shop", "port": 80}},
        {"name": "sky", "skywalking": {}},
    ]});
    let (config, _) = resolve::mesh_config(&config).unwrap();
    let running = start();
    running.handle.set_mesh_config(Arc::new(config));
    let updates = running.registry("a");
    let names = |all: &[&str]| {
        all.iter()
            .map(|name| json!({ "name": name }))
            .collect::<Vec<_>>()
    };
    let all = rule(
        "Telemetry",
        "all",
        &json!({"accessLogging": [{"providers": names(&["nobody", "als", "sky", "prometheus", "envoy"])}]}),
    );
    replace(&updates, "all", vec![all.clone()]).await;
    running.handle.registries().await.unwrap();
    let told = || {
        let status = status(running.handle.status(), &all);
        let all: BTreeSet<_> = status
            .ineffective
            .iter()
            .map(|problem| format!("{}: {}", problem.path, problem.what))
            .collect();
        all.into_iter().collect::<Vec<_>>()
    };
    let at =
        |nth: usize, what: &str| format!("spec.accessLogging[0].providers[{nth}].name: {what}");
    let others = [
        at(0, "\"nobody\" is not a provider of mesh config"),
        at(
            2,
            "sky is a provider of skywalking, which is known to Istio and has no effect here",
        ),
        at(3, "prometheus takes no access logs"),
    ];
    let missing = at(
        1,
        "nothing is sent to als: clients in shop see no service als.shop with port 80",
    );
    let mut expected = others.to_vec();
    expected.insert(1, missing);
    assert_eq!(told(), expected);
    let service = object("Service", "als", Value::from(a_service("als")));
    replace(&updates, "als", vec![service]).await;
    running.handle.registries().await.unwrap();
    assert_eq!(told(), others);
    replace(&updates, "all", vec![]).await;
    running.handle.registries().await.unwrap();
    assert_eq!(told(), Vec::<String>::new());
}
