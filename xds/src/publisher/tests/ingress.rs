//! `Ingress`es and their classes for random meshes.

use pilothouse_core::registry::Meta;
use serde_json::{Value as Json, json};

/// How many there are of each part of an `Ingress`: the class that it names, and what it says.
pub(super) const PARTS: (u8, u8) = (4, 6);

/// When and as what the `Ingress` of this number was made.
pub(super) fn meta(namespace: &str, number: u8, class: u8) -> Meta {
    let annotation = (class == 3).then_some(("kubernetes.io/ingress.class", "istio"));
    Meta {
        created: Some(jiff::Timestamp::from_second(i64::from(number) % 2).unwrap()),
        annotations: annotation.into_iter().collect(),
        ..Meta::new("Ingress", namespace, &format!("i{number}"))
    }
}

/// An `Ingress` as written.
pub(super) fn spec((class, said): (u8, u8)) -> Json {
    let number =
        |name: &str, number: u16| json!({"service": {"name": name, "port": {"number": number}}});
    let named = |name: &str, port: &str| json!({"service": {"name": name, "port": {"name": port}}});
    let path = |path: &str, path_type: &str, to: Json| json!({"path": path, "pathType": path_type, "backend": to});
    let rule = |host: &str, paths: &[Json]| json!({"host": host, "http": {"paths": paths}});
    let mut spec = match said {
        0 => json!({"defaultBackend": number("a.mesh", 80)}),
        1 => json!({"defaultBackend": named("b.mesh", "http"), "rules": [{"host": "x.test"}]}),
        2 => json!({"rules": [rule("x.test", &[
            path("/a", "Prefix", named("a.mesh", "grpc")),
            path("/a", "Exact", number("b.mesh", 81)),
        ])]}),
        3 => json!({"rules": [rule("*.test", &[
            path("/", "Prefix", number("d.north.svc.cluster.local", 80)),
            path("/a/*", "ImplementationSpecific", named("e.mesh", "none")),
        ])]}),
        4 => json!({"rules": [rule("x.test", &[path("/a", "Prefix", number("none.mesh", 80))])]}),
        _ => {
            json!({"tls": [{"hosts": ["x.test"], "secretName": "x"}], "defaultBackend": {"resource": {"kind": "B", "name": "b"}}})
        }
    };
    spec["ingressClassName"] = match class {
        0 => json!(null),
        1 | 3 => json!("c0"),
        _ => json!("c1"),
    };
    spec
}

/// When and as what the class of this number was made.
pub(super) fn class_meta(number: u8, is_default: bool) -> Meta {
    let name = "ingressclass.kubernetes.io/is-default-class";
    Meta {
        annotations: is_default.then_some((name, "true")).into_iter().collect(),
        ..Meta::new("IngressClass", "", &format!("c{number}"))
    }
}

/// A class as written.
pub(super) fn class(is_ours: bool) -> Json {
    let who = if is_ours {
        "istio.io/ingress-controller"
    } else {
        "example.com/other"
    };
    json!({"controller": who})
}
