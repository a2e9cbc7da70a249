//! What patches make of resources, remembered by what was to be patched and by the patches.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use pilothouse_core::rules::resolve::envoy_filter::Patch;

use super::{Memo, SMALL};
use crate::inputs::Input;
use crate::patch::{Decoded, Decoder, Outcome, Outcomes, Patches, added, apply};
use crate::resource::{Resource, ResourceType};
use crate::translate::translate;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Patched {
    made: HashMap<(Input, Patches), Made, foldhash::fast::RandomState>,
    sweep_at: usize,
    decoder: Decoder,
    outcomes: Outcomes,
}

struct Made {
    /// `None`: it is removed.
    resource: Option<Weak<Resource>>,
    outcome: Arc<Outcome>,
}

impl Memo {
    /// The resource that `input` translates to and `patches` make something else of; `None` if they remove it. One that they
    /// do not change is shared with those who have no patches.
    pub(in super::super) fn patched(
        &mut self,
        input: Input,
        patches: &Patches,
    ) -> Option<Arc<Resource>> {
        if patches.is_empty() {
            return Some(self.resource(input));
        }
        let key = (input, patches.clone());
        if let Some(made) = self.patched.made.get(&key) {
            let known = match &made.resource {
                None => Some(None),
                Some(resource) => resource.upgrade().map(Some),
            };
            if let Some(known) = known {
                self.patched.outcomes.add(&made.outcome);
                self.read(true);
                return known;
            }
        }
        let decoded = self.patched.decode(patches);
        let (output, outcome) = apply(translate(&key.0), patches.context(), &decoded);
        let resource = match output {
            None => None,
            Some(output) if outcome.applied.is_empty() => Some(match self.known(&key.0) {
                Some(known) => known,
                None => self.keep(key.0.clone(), output),
            }),
            Some(output) => {
                self.read(false);
                Some(self.encode(output))
            }
        };
        self.patched.outcomes.add(&outcome);
        let made = Made {
            resource: resource.as_ref().map(Arc::downgrade),
            outcome: Arc::new(outcome),
        };
        self.patched.keep(key, made);
        resource
    }

    /// What `patches` add.
    pub(in super::super) fn added(
        &mut self,
        patches: &Patches,
    ) -> Vec<(Arc<Patch>, ResourceType, Arc<Resource>)> {
        let decoded = self.patched.decode(patches);
        let (outputs, outcome) = added(&decoded);
        self.patched.outcomes.add(&outcome);
        let encoded = outputs.into_iter().map(|(patch, output)| {
            let resource_type = output.message.resource_type();
            (patch, resource_type, self.encode(output))
        });
        encoded.collect()
    }

    /// What has become of patches.
    pub(in super::super) fn outcomes(&self) -> &Outcomes {
        &self.patched.outcomes
    }

    /// The same, to be added to.
    pub(in super::super) fn outcomes_mut(&mut self) -> &mut Outcomes {
        &mut self.patched.outcomes
    }

    /// Forgets what has become of all patches but these.
    pub(in super::super) fn retain_patches(&mut self, patches: BTreeSet<Arc<Patch>>) {
        self.patched.decoder.retain(|patch| patches.contains(patch));
        if patches.is_empty() {
            self.patched.made.clear();
        }
        self.patched.outcomes.tried(patches);
    }
}

impl Patched {
    /// Those that can be carried out at all.
    fn decode(&mut self, patches: &Patches) -> Vec<Arc<Decoded>> {
        let mut all = Vec::new();
        for patch in patches.iter() {
            match self.decoder.get(patch) {
                Ok(decoded) => all.push(decoded),
                Err(problem) => self.outcomes.refused(patch, &problem),
            }
        }
        all
    }

    fn keep(&mut self, key: (Input, Patches), made: Made) {
        if self.made.len() >= self.sweep_at {
            self.made.retain(|_, made| {
                let held = |resource: &Weak<Resource>| resource.strong_count() > 0;
                made.resource.as_ref().is_some_and(held)
            });
            self.sweep_at = (2 * self.made.len()).max(SMALL);
        }
        self.made.insert(key, made);
    }
}
