//! All patches of a kind, made to one message.

use std::collections::BTreeSet;
use std::sync::Arc;

use pilothouse_core::rules::resolve::envoy_filter::{ApplyTo, Context};

use super::{Decoded, Outcome, cluster, listener, route, uses};
use crate::resource::Cause;
use crate::translate::{Message, Output};

/// Patches while they are made to a message.
pub(super) struct Patching<'a> {
    patches: &'a [Arc<Decoded>],
    pub(super) context: Context,
    pub(super) outcome: Outcome,
}

impl<'a> Patching<'a> {
    /// The patches of this kind, in order.
    pub(super) fn of(&self, to: ApplyTo) -> impl Iterator<Item = &'a Decoded> + use<'a> {
        let patches = self.patches;
        patches
            .iter()
            .map(|patch| &**patch)
            .filter(move |patch| patch.patch.apply_to == to)
    }

    /// Whether there is a patch of any of these kinds.
    pub(super) fn has(&self, kinds: &[ApplyTo]) -> bool {
        let mut patches = self.patches.iter();
        patches.any(|patch| kinds.contains(&patch.patch.apply_to))
    }
}

/// What becomes of a message; `None` if it is removed. A message that nothing changes comes back as it was.
pub(crate) fn apply(
    output: Output,
    context: Context,
    patches: &[Arc<Decoded>],
) -> (Option<Output>, Outcome) {
    let mut patching = Patching {
        patches,
        context,
        outcome: Outcome::default(),
    };
    let Output {
        name,
        mut message,
        mut uses,
        mut causes,
    } = output;
    let kept = match &mut message {
        Message::Cluster(message) => cluster::apply(&mut patching, message, &causes),
        Message::Listener(message) => listener::apply(&mut patching, message),
        Message::Route(message) => {
            route::apply(&mut patching, message);
            true
        }
        Message::Assignment(_) | Message::NameTable(_) => true,
    };
    let outcome = patching.outcome;
    if kept && !outcome.applied.is_empty() {
        if let Some(found) = uses::of(&message) {
            uses = found;
        }
        let rules = outcome.applied.iter();
        let mut all: BTreeSet<Cause> = rules.map(|patch| Cause::Rule(patch.rule.clone())).collect();
        all.extend(causes.iter().cloned());
        causes = all.into_iter().collect();
    }
    let output = kept.then_some(Output {
        name,
        message,
        uses,
        causes,
    });
    (output, outcome)
}
