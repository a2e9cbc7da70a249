//! The kinds of rules as `CustomResourceDefinition`s, for API servers that do not have Istio's own.
//!
//! - What may be written comes from the readers of the rules (`pilothouse_core::rules::schema`), so that the API server keeps
//!   exactly the fields that are read.
//! - `names` has what `kubectl` calls the kinds and what it prints of them: as users know them from Istio.
//! - `limits` adds what the API server can refuse at once. It refuses nothing that the rules' own checks accept, apart from
//!   sizes that Istio's definitions limit, too.
//! - `status` is the part that controllers write.

mod limits;
mod names;
mod open_api;
mod status;
#[cfg(test)]
mod tests;

use pilothouse_core::rules::{self, RuleKind};
use serde_json::{Map, Value, json};

use names::Naming;

/// The definition of a kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Crd {
    /// The kind that it defines, such as `VirtualService`.
    pub kind: &'static str,
    /// What the definition is called, such as `virtualservices.networking.istio.io`.
    pub name: String,
    /// What the kind's objects are called, such as `virtualservices`.
    pub plural: &'static str,
    /// What they are called in short, such as `vs`.
    pub short_names: &'static [&'static str],
    /// The object, in `apiextensions.k8s.io/v1`.
    pub document: Value,
}

/// The definitions of all kinds of rules but those that Kubernetes has itself, ordered by kind.
pub fn crds() -> Vec<Crd> {
    let kinds = rules::kinds().iter();
    let undefined = kinds.filter(|kind| !kind.is_of_kubernetes());
    let mut all: Vec<_> = undefined.filter_map(crd).collect();
    all.sort_by_key(|crd| crd.kind);
    all
}

fn crd(kind: &RuleKind) -> Option<Crd> {
    let naming = names::of(kind.name)?;
    let name = format!("{}.{}", naming.plural, kind.group);
    let schema = object(kind, naming);
    // The preferred version is the one that is stored.
    let versions = kind.versions.iter().enumerate();
    let versions: Vec<_> = versions
        .map(|(index, version)| {
            json!({
                "name": version,
                "served": true,
                "storage": index == 0,
                "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}},
                "additionalPrinterColumns": names::columns(naming),
            })
        })
        .collect();
    let family = kind.group.split('.').next().unwrap_or_default();
    let document = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": name,
            "labels": {
                "app.kubernetes.io/name": "pilothouse",
                "app.kubernetes.io/part-of": "pilothouse",
            },
            // With a definition all objects of its kind would go.
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": format!("{}List", kind.name),
                "plural": naming.plural,
                "singular": naming.singular,
                "shortNames": naming.short,
                "categories": ["istio-io", format!("{family}-istio-io")],
            },
            "versions": versions,
        },
    });
    Some(Crd {
        kind: kind.name,
        name,
        plural: naming.plural,
        short_names: naming.short,
        document,
    })
}

/// The schema of an object as a whole.
fn object(kind: &RuleKind, naming: &Naming) -> Value {
    let mut spec = open_api::schema(&rules::schema::schema(kind));
    if let Some(spec) = spec.as_object_mut() {
        spec.insert("description".to_owned(), json!(naming.about));
    }
    let mut properties = Map::new();
    // What an API server demands of every object is its own affair.
    properties.insert("spec".to_owned(), spec);
    properties.insert("status".to_owned(), status::schema(kind.name));
    let mut object = json!({
        "type": "object",
        "description": naming.about,
        "properties": properties,
    });
    limits::apply(kind.name, &mut object);
    object
}
