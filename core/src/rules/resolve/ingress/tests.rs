//! What `Ingress`es mean.

use serde_json::{Value, json};

use super::*;
use crate::rules::RuleSpec;
use crate::rules::resolve::StringMatch;

fn read(spec: &Value) -> Ingress {
    let meta = Meta {
        domain: Some("shop.svc.cluster.local".into()),
        ..Meta::new("Ingress", "shop", "it")
    };
    match RuleSpec::parse("networking.k8s.io/v1", "Ingress", spec) {
        Ok((RuleSpec::Ingress(spec), _)) => ingress(&meta, &spec),
        other => panic!("{other:?}"),
    }
}

/// Hosts, and their routes in the order in which they count.
fn shown(spec: &Value) -> Vec<String> {
    let read = read(spec);
    let mut all = Vec::new();
    for rule in &read.routes {
        let hosts: Vec<_> = rule.hosts.iter().map(Host::as_str).collect();
        all.push(hosts.join(" "));
        for route in &rule.http {
            let requests = match route.matches.first() {
                None => "everything".to_owned(),
                Some(one) => match (&one.uri, one.whole_segments) {
                    (Some(StringMatch::Exact(path)), false) => format!("= {path}"),
                    (Some(StringMatch::Prefix(path)), false) => format!("{path}…"),
                    (Some(StringMatch::Prefix(path)), true) => format!("{path} and below"),
                    other => panic!("{other:?}"),
                },
            };
            let HttpAction::Route(targets) = &route.action else {
                panic!("{route:?}");
            };
            let to = &targets[0].to;
            let port = match (&to.port, &to.port_name) {
                (Some(number), None) => number.to_string(),
                (None, Some(name)) => name.to_string(),
                other => panic!("{other:?}"),
            };
            let field = &route.place.field;
            all.push(format!("  {requests} → {}:{port} ({field})", to.host));
        }
    }
    all
}

fn to(name: &str) -> Value {
    json!({"service": {"name": name, "port": {"number": 80}}})
}

fn at(path: &str, path_type: &str, name: &str) -> Value {
    json!({"path": path, "pathType": path_type, "backend": to(name)})
}

#[test]
fn exact_paths_come_first_and_then_the_longest() {
    let paths = [
        at("/", "Prefix", "root"),
        at("/a", "Prefix", "a"),
        at("/a/bc/", "Prefix", "abc"),
        at("/a", "Exact", "exactly"),
        at("/a/", "Exact", "slash"),
        at("/x.*", "ImplementationSpecific", "x"),
        at("/y/*", "ImplementationSpecific", "y"),
        at("/z", "ImplementationSpecific", "z"),
        at("/a", "Prefix", "never"),
    ];
    let expected = [
        "a.test",
        "  = /a/ → slash.shop.svc.cluster.local:80 (spec.rules[0].http.paths[4])",
        "  = /a → exactly.shop.svc.cluster.local:80 (spec.rules[0].http.paths[3])",
        "  = /z → z.shop.svc.cluster.local:80 (spec.rules[0].http.paths[7])",
        "  /a/bc and below → abc.shop.svc.cluster.local:80 (spec.rules[0].http.paths[2])",
        "  /a and below → a.shop.svc.cluster.local:80 (spec.rules[0].http.paths[1])",
        "  /x and below → x.shop.svc.cluster.local:80 (spec.rules[0].http.paths[5])",
        "  /y and below → y.shop.svc.cluster.local:80 (spec.rules[0].http.paths[6])",
        "  /… → root.shop.svc.cluster.local:80 (spec.rules[0].http.paths[0])",
    ];
    assert_eq!(
        shown(&json!({"rules": [{"host": "a.test", "http": {"paths": paths}}]})),
        expected
    );
}

#[test]
fn hosts_have_their_paths_and_the_default_backend() {
    let by_name = json!({"service": {"name": "named", "port": {"name": "http-web"}}});
    let paths = |host: &str, path: Value| json!({"host": host, "http": {"paths": [path]}});
    let nothing = json!({"resource": {"kind": "Bucket", "name": "b"}});
    let spec = json!({"defaultBackend": by_name, "rules": [
        paths("*.shop.test", at("/a", "Exact", "a")),
        {"host": "bare.test"},
        paths("*.Shop.test", at("/b", "Exact", "b")),
        paths("", json!({"path": "/c", "pathType": "Exact", "backend": nothing})),
    ]});
    let everything = "  everything → named.shop.svc.cluster.local:http-web (spec.defaultBackend)";
    assert_eq!(
        shown(&spec),
        [
            "*",
            everything,
            "*.shop.test",
            "  = /a → a.shop.svc.cluster.local:80 (spec.rules[0].http.paths[0])",
            "  = /b → b.shop.svc.cluster.local:80 (spec.rules[2].http.paths[0])",
            everything,
            "bare.test",
            everything,
        ]
    );
    assert_eq!(
        shown(&json!({"rules": [{"host": "bare.test"}]})),
        ["bare.test"]
    );
}

#[test]
fn routes_are_for_its_own_gateway_and_every_router_sees_them() {
    let read = read(&json!({"defaultBackend": to("a")}));
    let server = &read.gateway.servers[0];
    assert_eq!(
        (server.port, server.protocol, &server.security),
        (80, Protocol::Http, &Security::Plain)
    );
    let rule = &read.routes[0];
    assert!(rule.gateways.is_empty() && rule.mesh_hosts().is_empty());
    assert_eq!(rule.export_to, Some(Visibility::Public));
    assert_eq!((&rule.key, &read.gateway.key), (read.key(), read.key()));
}

#[test]
fn annotations_name_classes_before_fields_do() {
    let class_of = |annotation: Option<&str>, field: Option<&str>| {
        let annotation = annotation.map(|name| ("kubernetes.io/ingress.class", name));
        let meta = Meta {
            annotations: annotation.into_iter().collect(),
            ..Meta::new("Ingress", "shop", "it")
        };
        let spec = spec::Ingress {
            ingress_class_name: field.map(Into::into),
            ..spec::Ingress::default()
        };
        ingress(&meta, &spec).class
    };
    assert_eq!(class_of(None, None), NamedClass::None);
    assert_eq!(class_of(None, Some("a")), NamedClass::Object("a".into()));
    let annotated = NamedClass::Annotated("b".into());
    assert_eq!(class_of(Some("b"), Some("a")), annotated);
}
