//! What has become of patches, and their authors who are told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::mesh::{Mesh, Source};
use pilothouse_core::registry::Problem;
use pilothouse_core::rules::resolve::envoy_filter::Patch;
use pilothouse_core::status::StatusHandle;

use super::Patches;

/// What has become of the patches that one message was offered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Outcome {
    /// Those that changed it.
    pub(crate) applied: BTreeSet<Arc<Patch>>,
    /// Those that would have and could not, and why.
    pub(crate) failed: BTreeMap<Arc<Patch>, String>,
}

/// What has become of patches since they came: each either changed something of what a connected proxy got, or not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Outcomes {
    /// All of them.
    tried: BTreeSet<Arc<Patch>>,
    /// Those that changed something.
    applied: BTreeSet<Arc<Patch>>,
    /// Those that could not be carried out somewhere, and why.
    failed: BTreeMap<Arc<Patch>, Problem>,
    /// Those that add something of whose name there is something else.
    hidden: BTreeSet<Arc<Patch>>,
}

impl Outcome {
    pub(super) fn applied(&mut self, patch: &Arc<Patch>) {
        self.applied.insert(patch.clone());
    }

    /// Notes what an attempt came to: whether it changed anything, or why it could not.
    pub(super) fn note(&mut self, patch: &Arc<Patch>, attempt: Result<bool, String>) {
        match attempt {
            Ok(true) => self.applied(patch),
            Ok(false) => {}
            Err(why) => {
                self.failed.insert(patch.clone(), why);
            }
        }
    }
}

impl Outcomes {
    /// Takes in what has become of some.
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        for patch in &outcome.applied {
            if !self.applied.contains(patch) {
                self.applied.insert(patch.clone());
            }
        }
        for (patch, why) in &outcome.failed {
            if !self.failed.contains_key(patch) {
                let place = format!("spec.configPatches[{}].patch", patch.index);
                let problem = Problem::warning(place, format!("is left out in places: {why}"));
                self.failed.insert(patch.clone(), problem);
            }
        }
    }

    /// A patch cannot be carried out at all.
    pub(crate) fn refused(&mut self, patch: &Arc<Patch>, problem: &Problem) {
        let problem = Problem {
            severity: pilothouse_core::registry::Severity::Warning,
            ..problem.clone()
        };
        self.failed.insert(patch.clone(), problem);
    }

    /// These patches, and no others, add something of whose name there is something else.
    pub(crate) fn hidden(&mut self, patches: BTreeSet<Arc<Patch>>) {
        self.hidden = patches;
    }

    /// These are all patches that have been tried; the others are forgotten.
    pub(crate) fn tried(&mut self, patches: BTreeSet<Arc<Patch>>) {
        self.applied.retain(|patch| patches.contains(patch));
        self.failed.retain(|patch, _| patches.contains(patch));
        self.tried = patches;
    }

    /// What is to be said about these patches, by object; `proxies` says how many each is for.
    fn problems(
        &self,
        mesh: &Mesh,
        proxies: &BTreeMap<Arc<Patch>, usize>,
    ) -> BTreeMap<Source, BTreeSet<Problem>> {
        let mut all: BTreeMap<Source, BTreeSet<Problem>> = BTreeMap::new();
        for (patch, count) in proxies {
            let problem = match self.failed.get(patch) {
                Some(problem) => problem.clone(),
                None if self.hidden.contains(patch) => hidden(patch),
                None if self.applied.contains(patch) || !self.tried.contains(patch) => continue,
                None => nowhere(patch, *count),
            };
            if let Some(rule) = mesh.rule(&patch.rule) {
                let problems = all.entry(rule.source.clone()).or_default();
                problems.insert(problem);
            }
        }
        all
    }
}

fn hidden(patch: &Patch) -> Problem {
    let place = format!("spec.configPatches[{}].patch.value.name", patch.index);
    let what = format!(
        "is the name of a {} that is there without it",
        patch.apply_to.name()
    );
    Problem::warning(place, what).hint("use another name, or REMOVE the other one first")
}

fn nowhere(patch: &Patch, count: usize) -> Problem {
    let place = format!("spec.configPatches[{}]", patch.index);
    let proxies = match count {
        1 => "the 1 connected proxy that it is for".to_owned(),
        count => format!("any of the {count} connected proxies that it is for"),
    };
    let (to, operation) = (patch.apply_to.name(), patch.operation.name());
    let what =
        format!("does not apply to {proxies}: there is nothing that {operation} of {to} matches");
    Problem::warning(place, what).hint("compare match with what `pilotctl proxy-config` shows")
}

/// Tells authors of patches what has become of them, and takes it back.
#[derive(Debug)]
pub(crate) struct Telling {
    status: StatusHandle,
    told: BTreeSet<Source>,
}

impl Telling {
    /// Tells by way of `status`.
    pub(crate) fn new(status: StatusHandle) -> Self {
        Self {
            status,
            told: BTreeSet::new(),
        }
    }

    /// These are all proxies' patches, with how many proxies have them, and what has become of patches.
    pub(crate) fn tell<'a>(
        &mut self,
        mesh: &Mesh,
        outcomes: &Outcomes,
        proxies: impl IntoIterator<Item = (&'a Patches, usize)>,
    ) {
        let mut counts: BTreeMap<Arc<Patch>, usize> = BTreeMap::new();
        for (patches, count) in proxies {
            for patch in patches.iter() {
                *counts.entry(patch.clone()).or_default() += count;
            }
        }
        let all = outcomes.problems(mesh, &counts);
        let told = std::mem::replace(&mut self.told, all.keys().cloned().collect());
        for source in told.difference(&self.told) {
            self.status.ineffective(source, BTreeSet::new());
        }
        for (source, problems) in all {
            self.status.ineffective(&source, problems);
        }
    }
}
