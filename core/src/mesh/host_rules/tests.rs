//! Which `VirtualService`s route what, to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::mesh::{ExportTo, Mesh, MeshConfig, Rule, Source, VirtualServiceMerge};
use crate::model::{Host, NamespaceName};
use crate::registry::{Meta, ObjectKey, RegistryId};
use crate::rules::resolve::{HttpAction, HttpRoute, StringMatch, VirtualService};
use crate::rules::{HostKind, Resolved, RuleSpec};

const KIND: &str = "VirtualService";

fn key(id: &str) -> ObjectKey {
    let (namespace, name) = id.split_once('/').unwrap();
    Meta::new(KIND, namespace, name).key
}

fn host(text: &str) -> Host {
    Host::new(text).unwrap()
}

/// Puts a rule in force: `namespace/name`, and when it was made.
fn put(mesh: &mut Mesh, id: &str, second: i64, spec: &Value) {
    let (rule, _) = RuleSpec::parse("networking.istio.io/v1", KIND, spec).unwrap();
    let meta = Meta {
        key: key(id),
        created: Timestamp::from_second(second).ok(),
        ..Meta::new(KIND, "", "")
    };
    let rule = Rule {
        source: Source {
            registry: RegistryId::new("Test", "a"),
            object: key(id),
        },
        resolved: Resolved::of(&meta, &rule),
        meta,
        spec: rule,
    };
    mesh.set_rule(&key(id), Some(Arc::new(rule)));
}

/// A route of this name to `b`, for paths that begin like this.
fn to(name: &str, prefixes: &[&str]) -> Value {
    let matches: Vec<_> = prefixes
        .iter()
        .map(|prefix| json!({"uri": {"prefix": prefix}}))
        .collect();
    json!({"name": name, "match": matches, "route": [{"destination": {"host": "b.com"}}]})
}

/// A rule with one route of its own name.
fn plain(mesh: &mut Mesh, id: &str, second: i64, hosts: &[&str], export_to: &[&str]) {
    let (_, name) = id.split_once('/').unwrap();
    let spec = json!({"hosts": hosts, "exportTo": export_to, "http": [to(name, &[])]});
    put(mesh, id, second, &spec);
}

/// The names of the HTTP routes of a host, as clients of a namespace have them.
fn names(mesh: &Mesh, namespace: Option<&str>, text: &str) -> Vec<String> {
    let namespace = namespace.map(NamespaceName::from);
    let found = mesh.host_rules(namespace.as_ref(), &host(text), None);
    let routing = found.and_then(|found| found.routing);
    let routes = routing.iter().flat_map(|routing| &routing.http);
    routes.map(|route| route.name.to_string()).collect()
}

fn merging() -> Arc<MeshConfig> {
    Arc::new(MeshConfig {
        virtual_service_merge: VirtualServiceMerge::Namespace,
        ..MeshConfig::default()
    })
}

#[test]
fn the_most_specific_host_counts_and_then_the_oldest() {
    let mut mesh = Mesh::default();
    plain(&mut mesh, "x/all", 1, &["*.com"], &[]);
    plain(&mut mesh, "x/young", 3, &["a.com"], &[]);
    plain(&mut mesh, "y/old", 2, &["a.com"], &[]);
    plain(&mut mesh, "x/b", 2, &["a.com"], &[]);
    plain(&mut mesh, "x/edge", 0, &["*.org"], &[]);
    let spec = json!({"hosts": ["a.com"], "gateways": ["edge"], "http": [to("gateway", &[])]});
    put(&mut mesh, "x/gateway", 0, &spec);
    assert_eq!(names(&mesh, None, "a.com"), ["b"], "by age, then by name");
    assert_eq!(names(&mesh, None, "b.com"), ["all"]);
    assert_eq!(names(&mesh, None, "*.b.com"), ["all"]);
    assert_eq!(names(&mesh, None, "com"), [""; 0]);
    mesh.set_rule(&key("x/b"), None);
    assert_eq!(names(&mesh, None, "a.com"), ["old"]);
}

#[test]
fn who_does_not_see_a_rule_does_not_follow_it() {
    let mut mesh = Mesh::default();
    plain(&mut mesh, "x/own", 1, &["a.com"], &["."]);
    plain(&mut mesh, "y/z-only", 2, &["a.com"], &["z"]);
    plain(&mut mesh, "y/default", 3, &["a.com"], &[]);
    plain(&mut mesh, "y/all", 4, &["a.com"], &["*"]);
    assert_eq!(names(&mesh, Some("x"), "a.com"), ["own"]);
    assert_eq!(names(&mesh, Some("z"), "a.com"), ["z-only"]);
    assert_eq!(names(&mesh, Some("other"), "a.com"), ["default"]);
    assert_eq!(names(&mesh, None, "a.com"), ["default"]);
    mesh.set_config(Arc::new(MeshConfig {
        default_virtual_service_export_to: ExportTo::Some {
            own: true,
            namespaces: ["w".into()].into(),
        },
        ..MeshConfig::default()
    }));
    assert_eq!(names(&mesh, None, "a.com"), ["all"]);
    assert_eq!(names(&mesh, Some("w"), "a.com"), ["default"]);
    assert_eq!(names(&mesh, Some("y"), "a.com"), ["default"]);
}

#[test]
fn rules_of_one_namespace_merge_if_mesh_config_says_so() {
    let mut mesh = Mesh::default();
    let spec = json!({"hosts": ["a.com"], "http": [to("1a", &["/1"]), to("1rest", &["/1b", "/"]), to("1never", &["/n"])]});
    put(&mut mesh, "x/1", 1, &spec);
    let spec = json!({"hosts": ["a.com"], "http": [to("2a", &["/2"]), to("2rest", &[]), to("2never", &["/n"])]});
    put(&mut mesh, "x/2", 2, &spec);
    plain(&mut mesh, "y/elsewhere", 2, &["a.com"], &[]);
    plain(&mut mesh, "x/wild", 0, &["*.com"], &[]);
    assert_eq!(names(&mesh, None, "a.com"), ["1a", "1rest", "1never"]);
    mesh.set_config(merging());
    let expected = ["1a", "1rest", "2a", "1rest", "2rest"];
    assert_eq!(names(&mesh, None, "a.com"), expected);
    let namespace = None;
    let found = mesh.host_rules(namespace, &host("a.com"), None).unwrap();
    let rules = found.routing.unwrap().rules.clone();
    assert_eq!(rules[..], [key("x/1"), key("x/2")]);
    mesh.set_rule(&key("x/2"), None);
    assert_eq!(names(&mesh, None, "a.com"), ["1a", "1rest", "1never"]);
}

#[test]
fn delegates_stand_in_the_place_of_those_that_delegate() {
    let mut mesh = Mesh::default();
    let root = json!({"hosts": ["a.com"], "gateways": ["mesh", "edge"], "http": [
        {"name": "r", "match": [{"uri": {"prefix": "/p"}}], "delegate": {"name": "d", "namespace": "y"}, "timeout": "5s"},
        to("rest", &[]),
    ]});
    put(&mut mesh, "x/root", 1, &root);
    assert_eq!(names(&mesh, None, "a.com"), ["rest"], "there is none yet");
    put(
        &mut mesh,
        "y/d",
        2,
        &json!({"http": [to("one", &["/p/1"]), to("two", &[]), to("elsewhere", &["/q"])]}),
    );
    assert_eq!(names(&mesh, None, "a.com"), ["r-one", "r-two", "rest"]);
    let found = mesh.host_rules(None, &host("a.com"), None).unwrap();
    let routing = found.routing.unwrap();
    assert_eq!(routing.rules[..], [key("x/root"), key("y/d")]);
    let [one, ..] = &routing.http[..] else {
        panic!("{routing:?}")
    };
    assert_eq!(
        (&one.place.rule, &one.place.by, &*one.place.field),
        (&key("y/d"), &Some(key("x/root")), "spec.http[0]")
    );
    assert_eq!(one.timeout, Some(std::time::Duration::from_secs(5)));
    assert!(matches!(one.action, HttpAction::Route(_)));
    let uri = one.matches[0].uri.clone();
    assert_eq!(uri, Some(StringMatch::Prefix("/p/1".into())));

    let gateway = mesh.virtual_services_of_gateway(&"x".into(), "edge");
    let all = gateway.iter().flat_map(|rule| &rule.http);
    let all: Vec<_> = all.map(|route| route.name.to_string()).collect();
    assert_eq!(all, ["r-one", "r-two", "rest"]);
    // A change of the delegate concerns what its roots are for.
    let delegate = mesh.rule(&key("y/d")).unwrap().resolved.clone().unwrap();
    assert_eq!(mesh.hosts_concerned(&delegate), [host("a.com")].into());
    assert_eq!(mesh.hosts_referring(&host("b.com")), [host("a.com")].into());
    mesh.set_rule(&key("x/root"), None);
    assert_eq!(mesh.hosts_concerned(&delegate), [].into());
}

#[test]
fn who_delegates_in_vain_is_told_why() {
    let mut mesh = Mesh::default();
    let root = json!({"hosts": ["a.com"], "http": [
        {"match": [{"uri": {"prefix": "/p"}}], "delegate": {"name": "d", "namespace": "y"}},
    ]});
    put(&mut mesh, "x/root", 1, &root);
    let check = |mesh: &Mesh, expected: &[&str]| {
        let Some(Resolved::Virtual(root)) = &mesh.rule(&key("x/root")).unwrap().resolved else {
            panic!("it is a VirtualService")
        };
        let problems = mesh.delegation_problems(root);
        let told: Vec<_> = problems
            .iter()
            .map(|problem| format!("{}: {}", problem.path, problem.what))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|what| format!("spec.http[0].delegate: {what}"))
            .collect();
        assert_eq!(told, expected);
    };
    check(
        &mesh,
        &["VirtualService y/d does not exist: the route is left out"],
    );
    plain(&mut mesh, "y/d", 1, &["b.com"], &[]);
    check(
        &mesh,
        &["VirtualService y/d has hosts and is in force by itself: the route is left out"],
    );
    put(
        &mut mesh,
        "y/d",
        1,
        &json!({"exportTo": ["."], "http": [to("", &[])]}),
    );
    check(
        &mesh,
        &["VirtualService y/d does not let this namespace see it: the route is left out"],
    );
    let two = json!({"exportTo": ["x"], "http": [to("", &["/p/1"]), to("", &["/q"])]});
    put(&mut mesh, "y/d", 1, &two);
    check(
        &mesh,
        &[
            "spec.http[1] of VirtualService y/d is for requests that this route is not for, and is left out",
        ],
    );
}

/// The HTTP route of a rule that says this.
fn route(fields: &Value) -> Arc<HttpRoute> {
    let mut mesh = Mesh::default();
    let mut route = to("", &[]);
    route
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    put(
        &mut mesh,
        "x/it",
        1,
        &json!({"hosts": ["a.com"], "http": [route]}),
    );
    let found = mesh.host_rules(None, &host("a.com"), None).unwrap();
    found.routing.unwrap().http[0].clone()
}

#[test]
fn matches_of_delegates_are_within_those_of_their_root() {
    // What both say, as the matches of a route say it; `None` where they contradict each other.
    let check = |root: Value, leaf: Value, expected: Option<Value>| {
        let of = |matches: &Value| route(&json!({"match": matches}));
        let both = crate::rules::resolve::delegated(&of(&root), &of(&leaf));
        let matches = both.map(|both| both.matches);
        let expected = expected.map(|expected| of(&expected).matches.clone());
        assert_eq!(matches, expected, "{root} {leaf}");
    };
    let uri = |how: &str, text: &str| json!([{"uri": {how: text}}]);
    let header = |value: Value| json!([{"headers": {"h": value}}]);
    check(json!([]), json!([]), Some(json!([])));
    check(json!([]), uri("prefix", "/a"), Some(uri("prefix", "/a")));
    check(uri("prefix", "/a"), json!([]), Some(uri("prefix", "/a")));
    check(
        uri("prefix", "/a"),
        uri("prefix", "/a/b"),
        Some(uri("prefix", "/a/b")),
    );
    check(
        uri("prefix", "/a"),
        uri("exact", "/ab"),
        Some(uri("exact", "/ab")),
    );
    check(uri("prefix", "/a/b"), uri("prefix", "/a"), None);
    check(uri("exact", "/a"), uri("exact", "/b"), None);
    check(uri("exact", "/a"), uri("prefix", "/a"), None);
    check(uri("regex", "/a"), uri("regex", "/a"), None);
    check(uri("prefix", "/a"), uri("regex", "/a"), None);
    check(
        json!([{"port": 80}]),
        uri("regex", "/a"),
        Some(json!([{"port": 80, "uri": {"regex": "/a"}}])),
    );
    check(
        header(json!({})),
        header(json!({"exact": "v"})),
        Some(header(json!({"exact": "v"}))),
    );
    check(header(json!({"exact": "v"})), header(json!({})), None);
    check(
        json!([{"withoutHeaders": {"h": {}}}]),
        json!([{"withoutHeaders": {"h": {}, "i": {}}}]),
        Some(json!([{"withoutHeaders": {"h": {}, "i": {}}}])),
    );
    check(
        json!([{"withoutHeaders": {"h": {}}}]),
        json!([{"withoutHeaders": {"h": {"exact": "v"}}}]),
        None,
    );
    for (field, one, other) in [
        ("port", json!(1), json!(2)),
        ("sourceNamespace", json!("a"), json!("b")),
        ("sourceLabels", json!({"a": "1"}), json!({"a": "2"})),
        ("gateways", json!(["mesh"]), json!(["mesh", "x"])),
        ("ignoreUriCase", json!(true), json!(false)),
    ] {
        check(json!([{field: one}]), json!([{field: other}]), None);
    }
    // Each match of the delegate goes with every match of the root that it does not contradict, and has to go with one.
    let several =
        json!([{"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/b"}}, {"method": {"exact": "GET"}}]);
    check(
        several.clone(),
        uri("prefix", "/a/b"),
        Some(
            json!([{"uri": {"prefix": "/a/b"}}, {"uri": {"prefix": "/a/b"}, "method": {"exact": "GET"}}]),
        ),
    );
    check(
        json!([{"uri": {"prefix": "/a"}}]),
        json!([{"uri": {"prefix": "/a/b"}}, {"uri": {"prefix": "/c"}}]),
        None,
    );
}

#[test]
fn rules_of_a_gateway_come_by_age() {
    let mut mesh = Mesh::default();
    let spec =
        |name: &str| json!({"hosts": ["a.com"], "gateways": ["g/edge"], "http": [to(name, &[])]});
    put(&mut mesh, "x/b", 2, &spec("b"));
    put(&mut mesh, "y/a", 2, &spec("a"));
    put(&mut mesh, "z/old", 1, &spec("old"));
    put(
        &mut mesh,
        "z/other",
        1,
        &json!({"hosts": ["a.com"], "gateways": ["edge"], "http": []}),
    );
    let all = |mesh: &Mesh| {
        let rules: Vec<Arc<VirtualService>> = mesh.virtual_services_of_gateway(&"g".into(), "edge");
        let names: Vec<_> = rules.iter().map(|rule| rule.key.name.to_string()).collect();
        names
    };
    assert_eq!(all(&mesh), ["old", "a", "b"]);
    assert_eq!(names(&mesh, None, "a.com"), [""; 0], "not on sidecars");
    mesh.set_rule(&key("y/a"), None);
    assert_eq!(all(&mesh), ["old", "b"]);
    put(&mut mesh, "z/old", 3, &spec("old"));
    assert_eq!(all(&mesh), ["b", "old"]);
}

proptest! {
    #[test]
    fn who_is_not_heard_is_who_is_seen_and_does_not_count(
        rules in prop::collection::vec((prop::sample::select(vec!["x", "y", "z"]), 0..3_i64, prop::sample::select(exports())), 0..6),
        merge: bool,
        own_by_default: bool,
    ) {
        let mut mesh = Mesh::default();
        let mut config = MeshConfig::default();
        if merge {
            config.virtual_service_merge = VirtualServiceMerge::Namespace;
        }
        if own_by_default {
            let namespaces = ["y".into()].into();
            config.default_virtual_service_export_to = ExportTo::Some { own: true, namespaces };
        }
        mesh.set_config(Arc::new(config));
        for (index, (namespace, second, export_to)) in rules.iter().enumerate() {
            plain(&mut mesh, &format!("{namespace}/{index}"), *second, &["a.com"], export_to);
        }
        let mut expected: BTreeMap<ObjectKey, BTreeSet<bool>> = BTreeMap::new();
        for client in ["x", "y", "z", "other", "any"].map(NamespaceName::from) {
            let found = mesh.host_rules(Some(&client), &host("a.com"), None);
            let routing = found.and_then(|found| found.routing);
            for rule in mesh.all_rules_of_host(HostKind::Virtual, &host("a.com")) {
                let Some(Resolved::Virtual(rule)) = &rule.resolved else { continue };
                if mesh.sees_virtual_service(&client, rule) {
                    let heard = routing.as_ref().is_some_and(|routing| routing.rules.contains(&rule.key));
                    expected.entry(rule.key.clone()).or_default().insert(heard);
                }
            }
        }
        expected.retain(|_, heard| heard.contains(&false));
        let unheard = mesh.unheard(&host("a.com")).into_iter();
        let found: BTreeMap<_, _> = unheard.map(|unheard| (unheard.rule, unheard.in_part)).collect();
        let expected: BTreeMap<_, _> = expected.into_iter().map(|(key, heard)| (key, heard.contains(&true))).collect();
        prop_assert_eq!(found, expected);
    }
}

fn exports() -> Vec<&'static [&'static str]> {
    vec![&[], &["*"], &["."], &["x", "other"], &["."], &["z"]]
}
