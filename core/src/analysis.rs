//! What is odd about objects together: references to what is not there, rules that shadow each other, settings that do not do
//! what they seem to.
//!
//! An analyzer is a pure function from a mesh to findings, one file for each theme. A finding has a code: Istio's where its
//! analyzers say the same, and one of our own elsewhere ([`Code`]). What is wrong with one object alone is for
//! [`rules::check`](mod@crate::rules::check) to say; what the store decides, such as who loses a contest, is in its
//! [status](crate::status).

mod addresses;
mod codes;
mod destinations;
mod gateways;
mod hosts;
mod ingresses;
mod patches;
mod ports;
mod references;
mod scene;
mod selectors;
mod sidecars;
mod telemetry;
#[cfg(test)]
mod tests;
mod tokens;
mod verification;

use crate::mesh::Mesh;
use crate::registry::ObjectKey;
pub use codes::{Code, Level};
use scene::Scene;

/// Something odd.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What it is.
    pub code: Code,
    /// The object that its author should look at.
    pub object: ObjectKey,
    /// The field, such as `spec.http[0].route[1].destination.host`; empty for the object as a whole.
    pub path: String,
    /// What is odd, in this case.
    pub what: String,
    /// What to do about it; empty where that is obvious.
    pub hint: String,
}

impl Finding {
    fn new(
        code: Code,
        object: &ObjectKey,
        path: impl Into<String>,
        what: impl Into<String>,
    ) -> Self {
        Self {
            code,
            object: object.clone(),
            path: path.into(),
            what: what.into(),
            hint: String::new(),
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

/// The annotation by which an object's author says that codes are not to be told of it: a list of them, or `*`.
pub const SUPPRESS: &str = "galley.istio.io/analyze-suppress";

/// An analyzer.
type Analyzer = fn(&Scene<'_>) -> Vec<Finding>;

const ANALYZERS: &[Analyzer] = &[
    addresses::protocols,
    destinations::hosts,
    destinations::subsets,
    gateways::certificates,
    gateways::conflicts,
    gateways::hosts,
    gateways::ports,
    hosts::on_mesh,
    ingresses::classes,
    patches::operations,
    ports::names,
    references::gateways,
    references::hosts,
    references::ports,
    selectors::gateway_classes,
    selectors::workloads,
    sidecars::same_workload,
    sidecars::several_defaults,
    telemetry::providers,
    telemetry::same_workload,
    telemetry::several_defaults,
    tokens::claims,
    verification::of_servers,
];

/// Everything that is odd about a mesh, except what annotations of objects say is not to be told. Sorted.
pub fn analyze(mesh: &Mesh) -> Vec<Finding> {
    let scene = Scene::of(mesh);
    let all = ANALYZERS.iter().flat_map(|analyzer| analyzer(&scene));
    let mut all: Vec<_> = all
        .filter(|finding| !is_suppressed(mesh, finding))
        .collect();
    all.sort();
    all.dedup();
    all
}

fn is_suppressed(mesh: &Mesh, finding: &Finding) -> bool {
    let rule = mesh.rule(&finding.object);
    let text = rule.and_then(|rule| rule.meta.annotations.get(SUPPRESS));
    let is_one = |code: &str| code == "*" || code == finding.code.id();
    text.is_some_and(|text| text.split(',').map(str::trim).any(is_one))
}
