//! Objects in, values out.

mod endpoints;
mod odd;
mod pods;
mod services;

use pilothouse_core::registry::{Meta, Problem, Value};
use serde_json::{Map, Value as Json, json};

use super::{Kind, Names, Said, is_of_no_concern, read_fields, read_text};

/// What a file or a server says of an object of this name in `shop`.
fn object(kind: Kind, name: &str, fields: Json) -> (Meta, Map<String, Json>) {
    let Json::Object(mut fields) = fields else {
        panic!("an object is made of fields");
    };
    let namespace = if kind.is_namespaced() { "shop" } else { "" };
    let mut meta = Meta::new(kind.as_str(), namespace, name);
    let texts = |field: &str| {
        let texts = fields.get("metadata").and_then(|meta| meta.get(field));
        let texts = texts.and_then(Json::as_object).into_iter().flatten();
        texts
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect()
    };
    (meta.labels, meta.annotations) = (texts("labels"), texts("annotations"));
    fields.insert("apiVersion".to_owned(), kind.api_version().into());
    fields.insert("kind".to_owned(), kind.as_str().into());
    (meta, fields)
}

fn names() -> Names {
    Names::new("cluster.local")
}

/// What it means, which is the same whoever has it.
fn read(kind: Kind, name: &str, fields: Json) -> Result<Said, Vec<Problem>> {
    let (meta, fields) = object(kind, name, fields);
    let said = read_fields(kind, &meta, &fields, &names());
    let text = Json::Object(fields).to_string();
    assert_eq!(read_text(kind, &meta, &text, &names()), said, "{text}");
    said
}

/// The value of one of which nothing is to be said.
fn value(kind: Kind, name: &str, fields: Json) -> Value {
    let said = read(kind, name, fields).unwrap();
    assert_eq!(said.warnings, []);
    said.value.unwrap()
}

fn texts(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// It is used, and this is to be said.
#[track_caller]
fn warns(kind: Kind, fields: Json, expected: &[&str]) {
    let said = read(kind, "web", fields.clone()).unwrap();
    assert_eq!(texts(&said.warnings), expected, "{fields}");
}

/// It is not used, and this is to be said.
#[track_caller]
fn refuses(kind: Kind, fields: Json, expected: &[&str]) {
    let problems = read(kind, "web", fields.clone()).unwrap_err();
    assert_eq!(texts(&problems), expected, "{fields}");
}

#[test]
fn kinds_are_told_by_group_and_name() {
    for kind in Kind::ALL {
        assert_eq!(Kind::of(kind.api_version(), kind.as_str()), Some(kind));
    }
    let check = |version: &str, kind: &str, read: bool, no_concern: bool| {
        let found = (
            Kind::of(version, kind).is_some(),
            is_of_no_concern(version, kind),
        );
        assert_eq!(found, (read, no_concern), "{version} {kind}");
    };
    check("v1", "Service", true, false);
    check("serving.knative.dev/v1", "Service", false, false);
    check("v1", "EndpointSlice", false, false);
    check("discovery.k8s.io/v1beta1", "EndpointSlice", false, false);
    check("v1", "Secret", false, true);
    check("apps/v1", "Deployment", false, true);
    check("rbac.authorization.k8s.io/v1", "Role", false, true);
    check("networking.k8s.io/v1", "NetworkPolicy", false, true);
    check("gateway.networking.k8s.io/v1", "HTTPRoute", false, false);
    check("acme.example/v1", "Deployment", false, false);
}

#[test]
fn what_means_nothing_is_not_kept() {
    let labels = json!({"labels": {"app": "web"}, "annotations": {
        "networking.istio.io/exportTo": ".", "kubectl.kubernetes.io/last-applied-configuration": "{}",
    }});
    let kept = |kind: Kind| {
        let (mut meta, _) = object(kind, "web", json!({"metadata": labels}));
        kind.trim(&mut meta);
        let names = |texts: &pilothouse_core::model::Labels| {
            let names = texts.iter().map(|(name, _)| name.to_owned());
            names.collect::<Vec<_>>().join(" ")
        };
        (names(&meta.labels), names(&meta.annotations))
    };
    let check = |kind, labels: &str, annotations: &str| {
        assert_eq!(
            kept(kind),
            (labels.to_owned(), annotations.to_owned()),
            "{kind:?}"
        );
    };
    check(Kind::Service, "app", "networking.istio.io/exportTo");
    check(Kind::Pod, "app", "");
    check(Kind::Namespace, "app", "");
    check(Kind::Node, "", "");
    check(Kind::EndpointSlice, "", "");
    check(Kind::Endpoints, "", "");
}
