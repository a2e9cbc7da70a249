//! Single objects, as the API server has them.

use pilothouse_core::model::Host;
use pilothouse_core::registry::Severity;
use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::config::Reads;
use crate::kinds;

fn converter(kind: &str, selected: Selected) -> Converter {
    let all = kinds::of(Reads::Everything);
    let kind = all.into_iter().find(|known| known.name == kind).unwrap();
    let names = Names::new("cluster.local").in_cluster("east");
    Converter::new(kind, kind.versions[0], "east", names, Arc::new(selected))
}

fn convert(kind: &str, selected: Selected, object: serde_json::Value) -> Converted {
    let text = object.to_string();
    let raw = Raw {
        metadata: serde_json::from_value(object["metadata"].clone()).unwrap(),
        text: <&RawValue>::deserialize(&mut serde_json::Deserializer::from_str(&text)).unwrap(),
    };
    converter(kind, selected).convert(raw)
}

fn virtual_service(spec: serde_json::Value) -> serde_json::Value {
    json!({
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "17", "generation": 3,
            "creationTimestamp": "2026-01-31T12:00:00Z", "labels": {"a": "b"}, "annotations": {"c": "d"},
            "managedFields": [{"manager": "kubectl"}],
        },
        "spec": spec,
        "status": {"observedGeneration": 3},
    })
}

#[test]
fn a_rule_is_kept_with_its_metadata() {
    let spec = json!({"hosts": ["web"], "http": [{"route": [{"destination": {"host": "web"}}]}]});
    let converted = convert("VirtualService", Selected::All, virtual_service(spec));
    assert_eq!(converted.key.to_string(), "VirtualService shop/web");
    assert!(converted.entry.is_some());
    let Means::Good(object, warnings) = converted.means else {
        panic!("{converted:?}");
    };
    assert_eq!(warnings, []);
    assert_eq!(
        object.origin.as_str(),
        "Kubernetes/east VirtualService shop/web@17"
    );
    let Meta {
        generation,
        created,
        domain,
        labels,
        annotations,
        ..
    } = &object.meta;
    assert_eq!(*generation, 3);
    assert_eq!(created.unwrap().to_string(), "2026-01-31T12:00:00Z");
    assert_eq!(domain.as_deref(), Some("shop.svc.cluster.local"));
    assert_eq!(labels.get("a"), Some("b"));
    assert_eq!(annotations.get("c"), Some("d"));
}

#[test]
fn what_is_wrong_with_a_rule_is_told_with_its_field() {
    let converted = convert(
        "VirtualService",
        Selected::All,
        virtual_service(json!({"hosts": 7})),
    );
    let Means::Bad(origin, problems) = converted.means else {
        panic!("{converted:?}");
    };
    assert_eq!(
        origin.as_str(),
        "Kubernetes/east VirtualService shop/web@17"
    );
    assert_eq!(problems[0].path, "spec.hosts");
    assert_eq!(problems[0].severity, Severity::Error);
}

#[test]
fn a_rule_may_say_nothing() {
    for spec in [json!(null), json!({})] {
        let converted = convert("Sidecar", Selected::All, virtual_service(spec));
        assert!(matches!(converted.means, Means::Good(..)), "{converted:?}");
    }
}

#[test]
fn a_service_gets_its_name_from_the_cluster() {
    let service = json!({
        "metadata": {"name": "web", "namespace": "shop", "resourceVersion": "5"},
        "spec": {"clusterIP": "10.0.0.1", "ports": [{"name": "http", "port": 80}]},
    });
    let converted = convert("Service", Selected::All, service);
    assert!(converted.entry.is_none());
    let Means::Good(object, _) = converted.means else {
        panic!("{converted:?}");
    };
    let Value::Service(service) = &object.value else {
        panic!("no service");
    };
    assert_eq!(
        service.key.host,
        Host::new("web.shop.svc.cluster.local").unwrap()
    );
}

#[test]
fn what_belongs_to_a_namespace_that_is_not_read_means_nothing() {
    let only = || Selected::Some([NamespaceName::from("other")].into());
    let converted = convert("VirtualService", only(), virtual_service(json!(null)));
    assert!(matches!(converted.means, Means::Nothing), "{converted:?}");
    let namespace = json!({"metadata": {"name": "shop", "labels": {"a": "b"}}});
    let converted = convert("Namespace", only(), namespace);
    assert_eq!(converted.key.to_string(), "Namespace shop");
    assert!(matches!(converted.means, Means::Good(..)), "{converted:?}");
}
