//! What is kept beside the objects of a set: what of it cannot be read or used. It goes to the status.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use tokio::time::Instant;

use super::staged::Staged;
use super::{Failing, Rejection, Set, Shard};
use crate::registry::{ObjectKey, Origin, SetId};
use crate::status::{Contest, Lost, Rejected, SetStatus};

impl Shard {
    /// Notes that a transaction has spoken of a set, and what it could not read there.
    pub(super) fn note(&mut self, id: &SetId, mut staged: Staged, now: Instant) {
        let run = self.run;
        let set = self.sets.entry(id.clone()).or_default();
        set.committed = Some(now);
        set.failing = None;
        if staged.replaced || set.run == 0 {
            set.run = run;
        }
        // Those of which something else is to be said than before.
        let mut said = BTreeMap::new();
        if staged.replaced {
            said.extend(
                mem::take(&mut set.rejected)
                    .into_keys()
                    .map(|key| (key, None)),
            );
            said.extend(mem::take(&mut set.twice).into_iter().map(|key| (key, None)));
            set.unreadable.clear();
        }
        set.unreadable.extend(staged.unreadable);
        let mut warnings = Vec::new();
        for (key, entry) in staged.entries {
            let rejected = set.rejected.remove(&key).is_some();
            let twice = set.twice.remove(&key);
            let again = entry.good.as_ref().and_then(|good| {
                let again = good.again.clone()?;
                Some((good.object.origin.clone(), again))
            });
            if rejected || twice || entry.rejected.is_some() || again.is_some() {
                said.insert(key.clone(), again.clone());
            }
            if again.is_some() {
                set.twice.insert(key.clone());
            }
            if let Some(rejection) = entry.rejected {
                set.rejected.insert(key.clone(), rejection);
            }
            if let Some(good) = entry.good {
                let noted = staged.noted.remove(&key).unwrap_or_default();
                let all: BTreeSet<_> = good.warnings.into_iter().chain(noted).collect();
                warnings.push((key, all));
            }
        }
        for (key, again) in said {
            self.report_object(id, &key, again);
        }
        for (key, warnings) in warnings {
            if self.winner(&key).is_some_and(|(set, _)| set == id) {
                self.status.warnings(&self.source(&key), warnings);
            }
        }
        self.report_set(id);
        self.drop_if_empty(id);
    }

    /// Clears what a set has beside its objects.
    pub(super) fn forget_notes(&mut self, id: &SetId) {
        let Some(set) = self.sets.get_mut(id) else {
            return;
        };
        let mut said: BTreeSet<_> = mem::take(&mut set.rejected).into_keys().collect();
        said.extend(mem::take(&mut set.twice));
        set.unreadable.clear();
        set.failing = None;
        for key in &said {
            self.report_object(id, key, None);
        }
        self.report_set(id);
    }

    /// `again`: the two places where the set states the object.
    fn report_object(&self, id: &SetId, key: &ObjectKey, again: Option<(Origin, Origin)>) {
        let source = self.source(key);
        let set = self.sets.get(id);
        let rejected = set
            .and_then(|set| set.rejected.get(key))
            .map(|rejection| Rejected {
                at: rejection.at.clone(),
                problems: rejection.problems.clone(),
                earlier_in_force: self.object(id, key).is_some(),
            });
        self.status.rejected(&source, id, rejected);
        let over = Contest::Twice(id.clone());
        match again {
            None => self.status.not_lost(&source, &over),
            Some((first, second)) => {
                let why = format!("{first} declares it, too; the oldest counts, then the first");
                self.status.lost(
                    &source,
                    Lost {
                        over,
                        to: source.clone(),
                        at: Some(second),
                        why: why.into(),
                    },
                );
            }
        }
    }

    fn report_set(&self, id: &SetId) {
        let Some(set) = self.sets.get(id) else { return };
        let unreadable = |rejection: &Rejection| Rejected {
            at: rejection.at.clone(),
            problems: rejection.problems.clone(),
            earlier_in_force: !set.objects.is_empty(),
        };
        let status = SetStatus {
            failing: set.failing.as_ref().map(|failing| Arc::clone(&failing.why)),
            unreadable: set.unreadable.iter().map(unreadable).collect(),
        };
        self.status.set(&self.id, Some(id), status);
    }

    /// Says that a set, or the registry as a whole, cannot be read, or can.
    pub(super) fn set_failing(&mut self, set: Option<&SetId>, failing: Option<(&str, Instant)>) {
        let place = match set {
            None => &mut self.failing,
            Some(id) => match self.sets.get_mut(id) {
                Some(set) => &mut set.failing,
                None => return,
            },
        };
        let earlier = place.take();
        *place = failing.map(|(why, now)| Failing {
            why: why.into(),
            since: earlier.map_or(now, |earlier| earlier.since),
        });
        match set {
            Some(id) => self.report_set(id),
            None => {
                let failing = self
                    .failing
                    .as_ref()
                    .map(|failing| Arc::clone(&failing.why));
                self.status.set(
                    &self.id,
                    None,
                    SetStatus {
                        failing,
                        unreadable: Vec::new(),
                    },
                );
            }
        }
    }

    /// A set of which nothing is left is not listed.
    pub(super) fn drop_if_empty(&mut self, id: &SetId) {
        let is_empty = |set: &Set| {
            set.objects.is_empty()
                && set.rejected.is_empty()
                && set.unreadable.is_empty()
                && set.failing.is_none()
        };
        if self.sets.get(id).is_some_and(is_empty) {
            self.sets.remove(id);
        }
    }
}
