//! Whatever a patch says: nothing fails, and nothing changes but what it is about.

use pilothouse_core::registry::Meta;
use pilothouse_core::rules::RuleSpec;
use proptest::prelude::*;

use super::*;
use crate::patch::check;

/// What is wrong with one patch.
fn problems(to: &str, operation: &str, value: Json) -> Vec<String> {
    let spec = json!({ "configPatches": [{}, patch(to, json!({}), operation, value)] });
    let (spec, _) = RuleSpec::parse("networking.istio.io/v1alpha3", "EnvoyFilter", &spec).unwrap();
    let found = check(&Meta::new("EnvoyFilter", "shop", "f"), &spec);
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn a_value_that_is_no_message_is_told_with_its_place() {
    let one = |to: &str, value: Json, expected: &str| {
        let found = problems(to, "ADD", value);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with(&format!("spec.configPatches[1].patch.value{expected}")),
            "{found:?}"
        );
    };
    one(
        "CLUSTER",
        json!({ "name": "a", "nome": "b" }),
        ".nome: is not Envoy's Cluster: ",
    );
    one(
        "CLUSTER",
        json!({ "name": "a", "type": "STATICO" }),
        ".type: is not Envoy's Cluster: ",
    );
    one(
        "CLUSTER",
        json!({ "connect_timeout": "1s" }),
        ".name: is missing",
    );
    one(
        "HTTP_FILTER",
        json!({ "name": "a", "typed_config": { "@type": "type.googleapis.com/acme.Foo" } }),
        ".typed_config: is not Envoy's HttpFilter: message 'acme.Foo' not found",
    );
    one(
        "HTTP_FILTER",
        json!({ "name": "a", "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua", "inline": 1 } }),
        ".typed_config.inline: is not Envoy's HttpFilter: ",
    );
    one(
        "HTTP_FILTER",
        json!({ "name": "a" }),
        ".typed_config: is missing",
    );
    one("NETWORK_FILTER", json!({ "typed_config": {} }), ".");
    assert_eq!(
        problems("HTTP_FILTER", "MERGE", json!({ "name": "a" })),
        [""; 0]
    );
    assert_eq!(problems("CLUSTER", "REMOVE", json!(null)), [""; 0]);
    assert_eq!(problems("BOOTSTRAP", "MERGE", json!({ "odd": 1 })), [""; 0]);
    let old = problems(
        "HTTP_FILTER",
        "MERGE",
        json!({ "typed_config": { "@type": "t/envoy.config.filter.http.lua.v2.Lua" } }),
    );
    assert!(
        old[0].ends_with("(Envoy has v3 of its API only)"),
        "{old:?}"
    );
}

#[test]
fn metadata_that_no_proxy_has_is_told() {
    let proxy = json!({ "metadata": { "ISTIO_VERSION": "1", "NETWORK": "n", "OWNER": "o" } });
    let mut patch = patch("CLUSTER", json!({}), "REMOVE", json!(null));
    patch["match"]["proxy"] = proxy;
    let spec = json!({ "configPatches": [patch] });
    let (spec, _) = RuleSpec::parse("networking.istio.io/v1", "EnvoyFilter", &spec).unwrap();
    let found = check(&Meta::new("EnvoyFilter", "shop", "f"), &spec);
    let places: Vec<_> = found.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(
        places,
        [r#"spec.configPatches[0].match.proxy.metadata["OWNER"]"#]
    );
}

/// Some JSON, with words of Envoy's among it.
fn value() -> impl Strategy<Value = Json> {
    const KEYS: [&str; 16] = [
        "name",
        "typed_config",
        "@type",
        "filters",
        "filter_chains",
        "address",
        "routes",
        "route",
        "domains",
        "value",
        "virtual_hosts",
        "transport_socket",
        "connect_timeout",
        "metadata",
        "match",
        "config_discovery",
    ];
    const TYPES: [&str; 6] = [
        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        "type.googleapis.com/google.protobuf.Any",
        "type.googleapis.com/google.protobuf.Struct",
        "1s",
        "x",
    ];
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(|number| json!(number)),
        prop::sample::select(&TYPES[..]).prop_map(Json::from),
        "[a-z.*/]{0,5}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::btree_map(prop::sample::select(&KEYS[..]), inner, 0..4).prop_map(
                |map| map
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            ),
        ]
    })
}

fn object() -> impl Strategy<Value = Json> {
    value().prop_map(|value| match value {
        Json::Object(_) => value,
        other => json!({ "name": other }),
    })
}

const TARGETS: [&str; 11] = [
    "LISTENER",
    "FILTER_CHAIN",
    "NETWORK_FILTER",
    "HTTP_FILTER",
    "ROUTE_CONFIGURATION",
    "VIRTUAL_HOST",
    "HTTP_ROUTE",
    "CLUSTER",
    "EXTENSION_CONFIG",
    "BOOTSTRAP",
    "LISTENER_FILTER",
];
const OPERATIONS: [&str; 8] = [
    "MERGE",
    "ADD",
    "REMOVE",
    "INSERT_BEFORE",
    "INSERT_AFTER",
    "INSERT_FIRST",
    "REPLACE",
    "MERGE_AND_REPLACE_LIST",
];

/// What a patch of this kind may change.
fn may_change(to: &str, name: &str) -> bool {
    match to {
        "CLUSTER" => name.starts_with("cds/"),
        "ROUTE_CONFIGURATION" | "VIRTUAL_HOST" | "HTTP_ROUTE" => {
            name.starts_with("rds/") || name == "lds/virtualInbound"
        }
        "EXTENSION_CONFIG" | "BOOTSTRAP" => false,
        _ => name.starts_with("lds/"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn any_value_changes_what_it_is_about_or_nothing(
        to in prop::sample::select(&TARGETS[..]),
        operation in prop::sample::select(&OPERATIONS[..]),
        value in object(),
    ) {
        let patches = json!([patch(to, json!({}), operation, value)]);
        for change in changes(&patches) {
            let name = change.split_once(' ').unwrap().1;
            prop_assert!(may_change(to, name), "{} by {}", change, patches);
        }
    }
}
