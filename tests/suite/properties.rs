//! What must hold of every mesh, whatever its rules are: the store and the publisher make random ones in this process.

mod mutate;
mod objects;

use std::collections::BTreeSet;

use bytes::Bytes;
use pilothouse_core::mesh::MeshConfig;
use pilothouse_core::model::Proxy;
use pilothouse_core::registry::Severity;
use pilothouse_static::{File, read_text};
use pilothouse_tests::fuzz::proxy;
use pilothouse_tests::made::{Contents, made};
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_xds::json::any_to_json;
use pilothouse_xds::resource::ResourceType;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use mutate::{Mutation, mutate, mutations};
use objects::{AMBER, BLUE, Rule, document, rules, services};

/// Takes the place of [`AMBER`]: as long, and in the same place of any order.
const RENAMED: &str = "ambex";
/// A namespace of which nobody else hears.
const ODD: &str = "odd";

/// A sidecar whose traffic is captured, one whose is not, and a router.
fn proxies(namespace: &str, third: u8) -> Vec<Proxy> {
    let at = |last: u8| [10, 0, third, last].into();
    let captured = Sidecar::new("web", namespace)
        .at(at(1))
        .interception("REDIRECT")
        .with("DNS_CAPTURE", "true")
        .with("LABELS", json!({ "app": "web", "version": "v1" }));
    let router = Sidecar::new("gateway", namespace)
        .at(at(8))
        .router()
        .with("LABELS", json!({ "istio": "ingressgateway" }));
    let plain = Sidecar::new("client", namespace).at(at(9));
    [captured, plain, router]
        .map(|sidecar| proxy(&sidecar))
        .into()
}

/// Of both namespaces.
fn everybody(amber: &str) -> Vec<Proxy> {
    [proxies(amber, 1), proxies(BLUE, 2)].concat()
}

/// What everybody gets of these documents, each in a file of its own.
fn contents(documents: &[String], proxies: &[Proxy]) -> Vec<Contents> {
    let file = |(number, text): (usize, &String)| read_text(&format!("file-{number}"), text);
    let files: Vec<_> = documents.iter().enumerate().map(file).collect();
    made(&files, MeshConfig::default(), proxies)
        .unwrap()
        .contents
}

fn documents(rules: &[Rule]) -> Vec<String> {
    services()
        .into_iter()
        .chain(rules.iter().map(Rule::document))
        .collect()
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let mut out = bytes.to_vec();
    for start in 0..out.len().saturating_sub(from.len() - 1) {
        if let Some(found) = out.get_mut(start..start + from.len())
            && found == from
        {
            found.copy_from_slice(to);
        }
    }
    out
}

/// The first resource that differs, in words.
fn difference(a: &Contents, b: &Contents) -> Option<String> {
    let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
    let key = keys.into_iter().find(|key| a.get(key) != b.get(key))?;
    let shown = |all: &Contents| match all.get(key) {
        Some(body) => {
            any_to_json(body).map_or_else(|_| format!("{body:?}"), |json| json.to_string())
        }
        None => "nothing".to_owned(),
    };
    Some(format!("{key:?} is\n{}\nand\n{}", shown(a), shown(b)))
}

/// `value` without the items of lists, and without the default chain, that speak of `name`.
fn without(value: &mut Json, name: &str) {
    match value {
        Json::Array(items) => {
            items.retain(|item| !item.to_string().contains(name));
            items.iter_mut().for_each(|item| without(item, name));
        }
        Json::Object(fields) => {
            // Where clients are not captured, services meet on one address.
            let is_its = |field: &Json| field.to_string().contains(name);
            if fields.get("default_filter_chain").is_some_and(is_its) {
                fields.remove("default_filter_chain");
            }
            fields.values_mut().for_each(|field| without(field, name));
        }
        _ => {}
    }
}

fn speaks_of(body: &Bytes, name: &str) -> bool {
    body.windows(name.len())
        .any(|window| window == name.as_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_rules_gives_the_same_bytes(
        rules in rules(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 64),
        together in 1usize..5,
    ) {
        let documents = documents(&rules);
        let mut left = documents.clone();
        let mut picks = order.iter().cycle();
        let mut shuffled = Vec::new();
        while !left.is_empty() {
            let at = picks.next().map_or(0, |pick| pick.index(left.len()));
            shuffled.push(left.remove(at));
        }
        let files: Vec<_> = shuffled.chunks(together).map(|some| some.join("\n---\n")).collect();
        let proxies = everybody(AMBER);
        for (a, b) in contents(&documents, &proxies).iter().zip(&contents(&files, &proxies)) {
            prop_assert_eq!(difference(a, b), None);
        }
    }

    #[test]
    fn renaming_a_namespace_renames_and_changes_nothing_else(rules in rules()) {
        let documents = documents(&rules);
        let renamed: Vec<_> = documents.iter().map(|text| text.replace(AMBER, RENAMED)).collect();
        let before = contents(&documents, &everybody(AMBER));
        let after = contents(&renamed, &everybody(RENAMED));
        for (before, after) in before.iter().zip(&after) {
            let expected: Contents = before.iter().map(|((kind, name), body)| {
                let body = Bytes::from(replaced(body, AMBER, RENAMED));
                ((*kind, name.replace(AMBER, RENAMED)), body)
            }).collect();
            prop_assert_eq!(difference(&expected, after), None);
        }
    }

    #[test]
    fn an_unrelated_service_changes_nothing_of_any_other(rules in rules(), namespace in prop::sample::select(vec![AMBER, BLUE, "gamma"])) {
        let mut documents = documents(&rules);
        let proxies = everybody(AMBER);
        let before = contents(&documents, &proxies);
        documents.push(objects::unrelated(namespace));
        let after = contents(&documents, &proxies);
        for (before, after) in before.iter().zip(&after) {
            for (key, body) in before {
                let Some(found) = after.get(key) else {
                    return Err(TestCaseError::fail(format!("{key:?} has gone")));
                };
                if found == body || key.0 == ResourceType::NameTable {
                    continue;
                }
                prop_assert!(speaks_of(found, objects::UNRELATED), "{:?} differs", key);
                let mut rest = any_to_json(found).unwrap();
                without(&mut rest, objects::UNRELATED);
                prop_assert_eq!(rest, any_to_json(body).unwrap(), "{:?}", key);
            }
        }
    }

    #[test]
    fn an_odd_object_affects_no_other(rules in rules(), mut odd in objects::rule(), mutations in mutations()) {
        odd.namespace = ODD;
        let text = mutated(&odd, &mutations);
        let mut files: Vec<_> = documents(&rules).iter().enumerate().map(|(number, text)| read_text(&format!("file-{number}"), text)).collect();
        let proxies = [everybody(AMBER), proxies(ODD, 3)].concat();
        let before = made(&files, MeshConfig::default(), &proxies).unwrap().contents;
        let file = read_text("odd", &text);
        let refused = is_refused(&file);
        files.push(file);
        let after = made(&files, MeshConfig::default(), &proxies).unwrap().contents;
        for ((before, after), proxy) in before.iter().zip(&after).zip(&proxies) {
            // These are for routers of every namespace.
            let everywhere = ["Gateway", "Ingress"].contains(&odd.kind());
            let concerned = proxy.namespace.as_str() == ODD || everywhere;
            if refused || !concerned {
                prop_assert_eq!(difference(before, after), None, "{} gets of {}", proxy.id, text);
            }
        }
    }
}

/// The properties are about rules in force: whatever is written of the shapes is accepted.
#[test]
fn every_shape_is_accepted() {
    for rule in objects::of_every_shape() {
        let text = rule.document();
        assert!(!is_refused(&read_text("rule", &text)), "{text}");
    }
}

/// The object, changed, and of no concern to other namespaces.
fn mutated(rule: &Rule, mutations: &[Mutation]) -> String {
    let mut spec = rule.spec();
    for mutation in mutations {
        mutate(&mut spec, mutation);
    }
    let exported = ["VirtualService", "DestinationRule", "ServiceEntry"].contains(&rule.kind());
    if exported && let Json::Object(fields) = &mut spec {
        fields.remove("export_to");
        fields.insert("exportTo".to_owned(), json!(["."]));
    }
    document(rule.kind(), rule.namespace, &rule.name(), None, &spec)
}

fn is_refused(file: &File) -> bool {
    let problems = file
        .checked
        .iter()
        .chain(&file.findings)
        .flat_map(|finding| &finding.problems);
    file.objects.is_empty()
        || problems
            .into_iter()
            .any(|problem| problem.severity == Severity::Error)
}
