//! `Ingress`es for one host: whose paths count, and in which order.
//!
//! An `Ingress` says nothing of the order of its paths: the one counts that takes the fewest requests, whichever object it is
//! in. Of two that take the same requests the older object's counts.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::resolve::{HttpMatch, Place, StringMatch};

use super::LostServer;
use crate::inputs::routing::Routed;

/// The place of a route among those of `Ingress`es for its host: exact paths before prefixes, long ones before short ones, and
/// default backends last.
pub(super) type Rank = (u8, Reverse<usize>);

/// The paths of a host that somebody has.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// The place of the oldest `Ingress` among rules.
    place: Option<usize>,
    taken: BTreeMap<(u8, Arc<str>), Place>,
}

impl Paths {
    /// Takes the path of a route of the rule with this place among rules. `None`: somebody else has it.
    pub(super) fn take(
        &mut self,
        place: usize,
        route: &Routed,
        lost: &mut BTreeSet<LostServer>,
    ) -> Option<(usize, Rank)> {
        let (how, path) = requests(route.matching());
        let said = &route.route.place;
        let rank = (how, Reverse(path.len()));
        match self.taken.entry((how, path)) {
            Entry::Vacant(entry) => {
                entry.insert(said.clone());
                Some((*self.place.get_or_insert(place), rank))
            }
            Entry::Occupied(entry) => {
                let Place { rule, field, .. } = entry.get();
                lost.insert(LostServer {
                    loser: said.rule.clone(),
                    field: said.field.clone(),
                    to: rule.clone(),
                    why: format!("{field} of {rule} takes the same requests of the same host: of several Ingresses the oldest counts").into(),
                });
                None
            }
        }
    }
}

/// Whether a rule is an `Ingress`.
pub(super) fn is_one(rule: &ObjectKey) -> bool {
    rule.kind.as_str() == "Ingress"
}

/// How a path is meant, and the path.
fn requests(matching: Option<&HttpMatch>) -> (u8, Arc<str>) {
    match matching.and_then(|one| one.uri.as_ref()) {
        Some(StringMatch::Exact(path)) => (0, path.clone()),
        Some(StringMatch::Prefix(path) | StringMatch::Regex(path)) => (1, path.clone()),
        None => (2, Arc::default()),
    }
}
