//! How what an Envoy has differs from what discovery holds for it.
//!
//! Both say it in protobuf's JSON, written by different hands: a number may be a text, a duration may have zeros at its end.
//! Of endpoints Envoy keeps no message; what is compared there are addresses with their locality and weight.

mod values;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use super::super::dump::{Dump, Section, State};
use super::super::json::{address, joined, list, number, text};
pub(super) use values::Changed;

/// How one type differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Difference {
    /// `Clusters`, `Listeners` …
    pub(super) of: &'static str,
    /// How many resources discovery holds.
    pub(super) compared: usize,
    /// Those that Envoy does not have.
    pub(super) missing: Vec<String>,
    /// Those that only Envoy has.
    pub(super) extra: Vec<String>,
    /// Those that both have, otherwise.
    pub(super) different: BTreeMap<String, Vec<Changed>>,
}

impl Difference {
    /// Whether there is none.
    pub(super) fn is_none(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.different.is_empty()
    }
}

/// Compares type by type.
pub(super) fn between(discovery: &Dump, envoy: &Dump) -> Vec<Difference> {
    let clusters = compare(
        "Clusters",
        by_name(discovery, Section::Clusters, "name"),
        &by_name(envoy, Section::Clusters, "name"),
    );
    let listeners = compare(
        "Listeners",
        by_name(discovery, Section::Listeners, "name"),
        &by_name(envoy, Section::Listeners, "name"),
    );
    // Envoy asks for the tables that its listeners name.
    let mut routes = by_name(discovery, Section::Routes, "name");
    let named = named_routes(discovery);
    routes.retain(|name, _| named.contains(name));
    let routes = compare("Routes", routes, &by_name(envoy, Section::Routes, "name"));
    // It shows endpoints of every cluster, also of those that find their own.
    let endpoints = assignments(discovery);
    let mut held = assignments(envoy);
    held.retain(|name, _| endpoints.contains_key(name));
    let endpoints = compare("Endpoints", endpoints, &held);
    vec![clusters, listeners, routes, endpoints]
}

fn compare(
    of: &'static str,
    discovery: BTreeMap<&str, Value>,
    envoy: &BTreeMap<&str, Value>,
) -> Difference {
    let mut difference = Difference {
        of,
        compared: discovery.len(),
        missing: Vec::new(),
        extra: Vec::new(),
        different: BTreeMap::new(),
    };
    for (name, wanted) in &discovery {
        match envoy.get(name) {
            None => difference.missing.push((*name).to_owned()),
            Some(held) => {
                let changes = values::changes(wanted, held);
                if !changes.is_empty() {
                    difference.different.insert((*name).to_owned(), changes);
                }
            }
        }
    }
    let extra = envoy.keys().filter(|name| !discovery.contains_key(*name));
    difference.extra = extra.map(|name| (*name).to_owned()).collect();
    difference
}

/// What came over xDS and is in use.
fn by_name<'a>(dump: &'a Dump, section: Section, key: &str) -> BTreeMap<&'a str, Value> {
    dump.held(section)
        .into_iter()
        .filter(|held| held.state == State::Active)
        .map(|held| (text(&held.resource[key]), held.resource.clone()))
        .collect()
}

fn named_routes(dump: &Dump) -> BTreeSet<&str> {
    let mut open: Vec<&Value> = dump
        .held(Section::Listeners)
        .iter()
        .map(|held| held.resource)
        .collect();
    let mut names = BTreeSet::new();
    while let Some(value) = open.pop() {
        if let Some(name) = value["rds"]["route_config_name"].as_str() {
            names.insert(name);
        }
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => open.extend(fields.values()),
            _ => {}
        }
    }
    names
}

/// By cluster: what is at which address. Envoy may order and group endpoints as it likes.
fn assignments(dump: &Dump) -> BTreeMap<&str, Value> {
    let held = dump.held(Section::Endpoints).into_iter();
    held.filter(|held| held.state == State::Active)
        .map(|held| {
            let mut endpoints: BTreeMap<String, Value> = BTreeMap::new();
            for locality in list(&held.resource["endpoints"]) {
                for endpoint in list(&locality["lb_endpoints"]) {
                    let (ip, port) = address(&endpoint["endpoint"]["address"]);
                    let weight = number(&endpoint["load_balancing_weight"]).unwrap_or(1);
                    let priority = number(&locality["priority"]).unwrap_or_default();
                    let place = ["region", "zone", "sub_zone"]
                        .map(|part| text(&locality["locality"][part]))
                        .join("/");
                    endpoints.insert(
                        joined(&ip, port),
                        json!({ "weight": weight, "priority": priority, "locality": place }),
                    );
                }
            }
            let endpoints = endpoints.into_iter().collect();
            (
                text(&held.resource["cluster_name"]),
                Value::Object(endpoints),
            )
        })
        .collect()
}
