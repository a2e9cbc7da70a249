//! What each kind of patch does to what a sidecar gets.

mod merging;
mod odd;
mod places;

use std::collections::BTreeMap;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::Proxy;
use serde_json::{Value as Json, json};

use super::{Decoded, Outcome, Patches, added, apply};
use crate::encode::encode;
use crate::inputs::{Clusters, Generator, Input, Listeners, Routes, own};
use crate::json::any_to_json;
use crate::sample::{With, endpoint, http, mesh, service, sidecar, tcp, with_rule};
use crate::selection::Selection;
use crate::translate::{Output, translate};
use crate::view::View;

/// What a proxy gets, by type and name: `cds/NAME` and the like.
type Got = BTreeMap<String, Json>;

/// A mesh of `a.com`, which answers HTTP on 80 and anything on 90 at the sidecar's own address.
fn shop() -> Mesh {
    let service = service("a.com", [http(80), tcp(90)]).at(&["10.1.0.1"]);
    mesh([(service, vec![endpoint("10.0.0.1")])])
}

/// The same with an `EnvoyFilter` of these patches.
fn patched(patches: &Json) -> Mesh {
    let spec = json!({ "configPatches": patches });
    with_rule(shop(), "EnvoyFilter", ("shop", "f"), &spec)
}

/// What `proxy` gets, and what has become of its patches.
fn get(mesh: &Mesh, proxy: &Proxy) -> (Got, Vec<Outcome>) {
    let selection = Selection::of(mesh, proxy);
    let view = View::build(mesh, Some(&selection.view));
    let envoy = selection.envoy().unwrap();
    let (mut got, mut outcomes) = (Got::new(), Vec::new());
    let mut take = |output: Output| {
        let key = format!("{}/{}", output.message.resource_type().short(), output.name);
        got.insert(key, any_to_json(&encode(output).body).unwrap());
    };
    let (outputs, outcome) = added(&decoded(&envoy.added));
    outputs.into_iter().for_each(|(_, output)| take(output));
    outcomes.push(outcome);
    let all = [
        (
            of::<Clusters>(mesh, &view, &envoy.clusters),
            &envoy.clusters.patches,
        ),
        (
            of::<Listeners>(mesh, &view, &envoy.listeners),
            &envoy.listeners.patches,
        ),
        (
            of::<Routes>(mesh, &view, &envoy.routes),
            &envoy.routes.patches,
        ),
        (own(mesh, &envoy.own), &envoy.own.patches),
    ];
    for (inputs, patches) in all {
        for input in inputs {
            let (output, outcome) = apply(translate(&input), patches.context(), &decoded(patches));
            output.into_iter().for_each(&mut take);
            outcomes.push(outcome);
        }
    }
    (got, outcomes)
}

fn of<G: Generator>(mesh: &Mesh, view: &View, projection: &G::Projection) -> Vec<Input> {
    let names = G::names(mesh, view, projection);
    let inputs = names.iter();
    inputs
        .filter_map(|name| G::input(mesh, view, projection, name))
        .collect()
}

fn decoded(patches: &Patches) -> Vec<std::sync::Arc<Decoded>> {
    let all = patches.iter();
    all.filter_map(|patch| Decoded::new(patch).ok())
        .map(std::sync::Arc::new)
        .collect()
}

/// What a sidecar gets with these patches.
fn with(patches: &Json) -> Got {
    get(&patched(patches), &sidecar()).0
}

/// The names of everything that is another than without these patches: `+` came, `-` went, `~` changed.
fn changes(patches: &Json) -> Vec<String> {
    let (before, after) = (get(&shop(), &sidecar()).0, with(patches));
    let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let sign = |name: &String| match (before.get(name), after.get(name)) {
        (None, _) => Some('+'),
        (_, None) => Some('-'),
        (one, other) => (one != other).then_some('~'),
    };
    let changed = names.into_iter();
    changed
        .filter_map(|name| Some(format!("{} {name}", sign(name)?)))
        .collect()
}

/// The names of the elements of a list.
fn names<'a>(got: &'a Got, resource: &str, list: &str) -> Vec<&'a str> {
    let items = got[resource].pointer(list).and_then(Json::as_array);
    let items = items.into_iter().flatten();
    items
        .map(|item| item["name"].as_str().unwrap_or_default())
        .map(|name| name.rsplit('.').next().unwrap_or_default())
        .collect()
}

fn patch(to: &str, matching: Json, operation: &str, value: Json) -> Json {
    let value = if value.is_null() { None } else { Some(value) };
    let mut patch = json!({ "operation": operation });
    if let Some(value) = value {
        patch["value"] = value;
    }
    json!({ "applyTo": to, "match": matching, "patch": patch })
}
