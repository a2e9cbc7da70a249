//! Anything may stand in an object: it is read, or refused with the field, and nothing panics.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::super::{Kind, Said, read_fields, read_text};
use super::{names, object};

/// One object of each kind with a value in every field.
fn full() -> Vec<(Kind, Json)> {
    let meta = json!({
        "labels": {"kubernetes.io/service-name": "web", "istio-locality": "a.b", "topology.istio.io/network": "n"},
        "annotations": {"networking.istio.io/exportTo": "."},
        "deletionTimestamp": "2026-01-01T00:00:00Z",
    });
    let service = json!({
        "type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "externalName": "a.b",
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "appProtocol": "http", "targetPort": "x"}, {"name": "b", "port": 81, "targetPort": 8081}],
        "selector": {"app": "web"}, "publishNotReadyAddresses": true, "internalTrafficPolicy": "Local", "trafficDistribution": "PreferClose",
    });
    let target = json!({"kind": "Pod", "namespace": "shop", "name": "a"});
    let endpoint = json!({
        "addresses": ["10.0.0.1"], "conditions": {"ready": true, "serving": true, "terminating": false}, "hostname": "a",
        "nodeName": "n", "targetRef": target, "zone": "z",
    });
    let address = json!({"ip": "10.0.0.1", "hostname": "a", "nodeName": "n", "targetRef": target});
    let subset = json!({"addresses": [address], "notReadyAddresses": [address], "ports": [{"name": "http", "port": 80}]});
    let container = json!({"restartPolicy": "Always", "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}]});
    let status = json!({"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}], "conditions": [{"type": "Ready", "status": "True"}]});
    let spec = json!({"nodeName": "n", "serviceAccountName": "a", "containers": [container], "initContainers": [container]});
    vec![
        (Kind::Namespace, json!({"metadata": meta})),
        (Kind::Node, json!({"metadata": meta})),
        (Kind::Service, json!({"metadata": meta, "spec": service})),
        (
            Kind::EndpointSlice,
            json!({"metadata": meta, "addressType": "IPv4", "endpoints": [endpoint], "ports": [{"name": "http", "port": 80}]}),
        ),
        (
            Kind::Endpoints,
            json!({"metadata": meta, "subsets": [subset]}),
        ),
        (
            Kind::Pod,
            json!({"metadata": meta, "spec": spec, "status": status}),
        ),
    ]
}

/// The paths of all values in it.
fn paths(value: &Json, at: &str, all: &mut Vec<String>) {
    let inner: Vec<(String, &Json)> = match value {
        Json::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value))
            .collect(),
        Json::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    for (name, value) in inner {
        let path = format!("{at}/{name}");
        paths(value, &path, all);
        all.push(path);
    }
}

/// Read as fields and as a text it is the same, and problems are of a kind that the result says.
fn is_read_or_refused(kind: Kind, name: &str, fields: &Map<String, Json>) {
    let (meta, fields) = object(kind, name, Json::Object(fields.clone()));
    let said = read_fields(kind, &meta, &fields, &names());
    let text = Json::Object(fields).to_string();
    let problems = match &said {
        Ok(Said { warnings, .. }) => warnings,
        Err(problems) => problems,
    };
    for problem in problems {
        assert!(
            !problem.path.is_empty() && !problem.what.is_empty(),
            "{problem:?} of {text}"
        );
    }
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == pilothouse_core::registry::Severity::Error);
    assert_eq!(errors.count() > 0, said.is_err(), "{text}");
    assert_eq!(
        read_text(kind, &meta, &text, &names()).is_ok(),
        said.is_ok(),
        "{text}"
    );
}

#[test]
fn every_field_may_be_null_or_absent() {
    for (kind, whole) in full() {
        let mut all = Vec::new();
        paths(&whole, "", &mut all);
        // A label without a value is another selector than none.
        all.retain(|path| path != "/spec/selector/app");
        for path in &all {
            let mut changed = whole.clone();
            *changed.pointer_mut(path).unwrap() = Json::Null;
            let (meta, fields) = object(kind, "web", changed);
            let null = read_fields(kind, &meta, &fields, &names());
            // Some things must be said; whatever is wrong then, it is not the type of a field.
            for problem in null.as_ref().err().into_iter().flatten() {
                assert!(
                    !problem.what.starts_with("invalid type"),
                    "{kind:?} {path}: {problem}"
                );
            }
            let mut changed = whole.clone();
            let (parent, name) = path.rsplit_once('/').unwrap();
            let Some(parent) = changed.pointer_mut(parent).and_then(Json::as_object_mut) else {
                continue;
            };
            parent.remove(&name.replace("~1", "/"));
            let (meta, fields) = object(kind, "web", changed);
            assert_eq!(
                read_fields(kind, &meta, &fields, &names()),
                null,
                "{kind:?} {path}"
            );
        }
    }
}

fn json_values() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[a-z./:~*-]{0,12}".prop_map(Json::from),
        "\\PC{0,300}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[a-zA-Z]{0,8}", inner, 0..4)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn odd_values_in_odd_places_are_read_or_refused(which in 0..6usize, changes in prop::collection::vec((any::<prop::sample::Index>(), json_values()), 1..4), name in "[a-z.-]{0,9}|\\PC{0,9}") {
        let (kind, mut whole) = full().swap_remove(which);
        for (place, value) in changes {
            let mut all = Vec::new();
            paths(&whole, "", &mut all);
            // Metadata has been read by whoever has the object.
            all.retain(|path| !path.starts_with("/metadata"));
            if !all.is_empty() {
                *whole.pointer_mut(place.get::<String>(&all).as_str()).unwrap() = value;
            }
        }
        let Json::Object(fields) = whole else { unreachable!("the whole is never replaced") };
        is_read_or_refused(kind, &name, &fields);
    }
}
