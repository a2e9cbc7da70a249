//! The steps of a transaction: what changes, what of it is held, and what comes into force.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use tokio::time::Instant;

use super::staged::Staged;
use super::{Effect, Held, Shard};
use crate::mesh::Source;
use crate::model::Endpoint;
use crate::registry::{Doubt, Object, ObjectKey, SetId, Value};
use crate::status::{Contest, Lost};
use crate::store::few::Few;
use crate::store::guard::{Balance, GuardSettings, Tally};

/// What a transaction does to one object of one set.
pub(super) struct Change {
    set: SetId,
    key: ObjectKey,
    next: Option<Arc<Object>>,
    /// Comes from stating the set as a whole, so the guard looks at it.
    replaced: bool,
}

impl Shard {
    /// What `staged` changes in `set`.
    pub(super) fn changes(&self, set: &SetId, staged: &Staged, changes: &mut Vec<Change>) {
        let mut change = |key: &ObjectKey, next, replaced| {
            changes.push(Change {
                set: set.clone(),
                key: key.clone(),
                next,
                replaced,
            });
        };
        if staged.replaced && staged.unreadable.is_empty() {
            let before = self
                .sets
                .get(set)
                .into_iter()
                .flat_map(|set| set.objects.keys());
            before
                .filter(|key| !staged.entries.contains_key(key))
                .for_each(|key| change(key, None, true));
        }
        for (key, entry) in &staged.entries {
            if let Some(good) = &entry.good {
                let unchanged = self
                    .object(set, key)
                    .is_some_and(|before| **before == *good.object);
                if unchanged && staged.replaced {
                    continue;
                }
                change(key, Some(Arc::clone(&good.object)), staged.replaced);
            } else if entry.deleted {
                change(key, None, false);
            }
        }
    }

    /// The changes that may be applied; what they lose too much of is held.
    pub(super) fn guarded<'a>(
        &mut self,
        replaced: impl IntoIterator<Item = &'a SetId>,
        changes: Vec<Change>,
        doubt: Option<Doubt>,
        still: bool,
        now: Instant,
        guard: &GuardSettings,
    ) -> Vec<Change> {
        // Whatever is said about an object takes the place of what was held.
        let mut earlier = BTreeMap::new();
        for id in replaced {
            if let Some(set) = self.sets.get_mut(id) {
                let held = mem::take(&mut set.held).into_iter();
                let since = |held: Held| (held.since, held.only_by_person.then_some(held.why));
                earlier.extend(held.map(|(key, held)| ((id.clone(), key), since(held))));
            }
        }
        for change in changes.iter().filter(|change| !change.replaced) {
            if let Some(set) = self.sets.get_mut(&change.set) {
                set.held.remove(&change.key);
            }
        }
        let is_doubted = doubt.is_some();
        let doubt = doubt.filter(|_| guard.enabled).or_else(|| {
            let why = self.mass_loss(&changes, guard)?;
            Some(Doubt {
                why,
                only_by_person: false,
            })
        });
        let still = still && guard.enabled;
        if doubt.is_none() && !(still && earlier.values().any(|(_, why)| why.is_some())) {
            return changes;
        }
        let doubt = doubt.map(|doubt| (Arc::<str>::from(doubt.why), doubt.only_by_person));
        let moved: BTreeSet<_> = changes
            .iter()
            .filter(|change| change.next.is_some())
            .map(|change| change.key.clone())
            .collect();
        let (mut allowed, mut held, mut is_new) = (Vec::new(), 0, false);
        for change in changes {
            let earlier = earlier.remove(&(change.set.clone(), change.key.clone()));
            let since = earlier.as_ref().map(|(since, _)| *since);
            let (why, only_by_person) = match (earlier.and_then(|(_, why)| why), &doubt) {
                (Some(why), _) if still => (why, true),
                (_, Some((why, only_by_person))) => (Arc::clone(why), *only_by_person),
                (_, None) => {
                    allowed.push(change);
                    continue;
                }
            };
            let in_doubt = is_doubted || only_by_person;
            let agreed =
                !only_by_person && since.is_some_and(|since| now - since >= guard.confirm_after);
            let is_move = change.next.is_none() && moved.contains(&change.key);
            if agreed || is_move || !self.loses(&change, in_doubt) {
                allowed.push(change);
            } else if let Some(set) = self.sets.get_mut(&change.set) {
                held += 1;
                is_new |= since.is_none();
                let held = Held {
                    since: since.unwrap_or(now),
                    why,
                    only_by_person,
                    next: change.next,
                };
                set.held.insert(change.key, held);
            }
        }
        if held > 0 {
            self.may_hold = true;
        }
        let Some((why, only_by_person)) = doubt.filter(|_| is_new) else {
            return allowed;
        };
        if only_by_person {
            tracing::error!(
                target: "model",
                registry = %self.id,
                objects = held,
                %why,
                "loss held: what was known stays until an operator confirms that it has gone, or it is seen again",
            );
        } else {
            tracing::error!(
                target: "model",
                registry = %self.id,
                objects = held,
                %why,
                confirm_after = ?guard.confirm_after,
                "loss held: what was known stays until a second full read agrees or an operator confirms",
            );
        }
        allowed
    }

    fn mass_loss(&self, changes: &[Change], guard: &GuardSettings) -> Option<String> {
        if !guard.enabled || !changes.iter().any(|change| change.replaced) {
            return None;
        }
        let mut balance = Balance::default();
        for change in changes {
            match (self.object(&change.set, &change.key), &change.next) {
                (Some(before), _) if change.replaced => {
                    balance.lose(before);
                    change.next.iter().for_each(|after| balance.gain(after));
                }
                (None, Some(after)) => balance.gain(after),
                _ => {}
            }
        }
        balance.mass_loss(self.total, guard)
    }

    /// Whether a replacement takes this object away, or something from it. In doubt, an endpoint that takes another's place is no
    /// sign that the other has gone.
    fn loses(&self, change: &Change, in_doubt: bool) -> bool {
        let Some(before) = self.object(&change.set, &change.key) else {
            return false;
        };
        let Some(after) = &change.next else {
            return change.replaced;
        };
        if let (true, Value::Endpoints(before), Value::Endpoints(after)) =
            (in_doubt, &before.value, &after.value)
        {
            let stays = |old: &Endpoint| {
                let mut all = after.endpoints.iter();
                all.any(|new| new.addresses == old.addresses)
            };
            return change.replaced && !before.endpoints.iter().all(stays);
        }
        let mut balance = Balance::default();
        balance.lose(before);
        balance.gain(after);
        change.replaced && balance.loss() != Tally::default()
    }

    pub(super) fn object(&self, set: &SetId, key: &ObjectKey) -> Option<&Arc<Object>> {
        self.sets.get(set)?.objects.get(key)
    }

    /// The version of an object that is in force, and the set that holds it.
    pub(super) fn winner(&self, key: &ObjectKey) -> Option<(&SetId, &Arc<Object>)> {
        let places = self.places.get(key)?.keys();
        let candidates = places.filter_map(|set| Some((set, self.object(set, key)?)));
        candidates.min_by_key(|(set, object)| (object.meta.created, *set))
    }

    /// Applies changes; what comes into force or goes out of it is the result.
    pub(super) fn apply(&mut self, changes: Vec<Change>) -> Vec<Effect> {
        let keys: BTreeSet<_> = changes.iter().map(|change| change.key.clone()).collect();
        let in_force = |shard: &Self, key| shard.winner(key).map(|(_, object)| Arc::clone(object));
        let before: Vec<_> = keys.iter().map(|key| in_force(self, key)).collect();
        let mut shared: BTreeMap<ObjectKey, BTreeSet<SetId>> = BTreeMap::new();
        let mut balance = Balance::default();
        // A set of which nothing was left is created afresh; one that is only emptied on the way is not.
        for change in &changes {
            let set = self.sets.entry(change.set.clone()).or_default();
            if set.objects.is_empty() {
                set.run = self.run;
            }
        }
        for Change {
            set: id, key, next, ..
        } in changes
        {
            let set = self.sets.entry(id.clone()).or_default();
            let places = self.places.entry(key.clone()).or_default();
            if places.len() > 1 || (places.len() == 1 && !places.contains_key(&id)) {
                shared
                    .entry(key.clone())
                    .or_default()
                    .extend(places.keys().cloned());
            }
            let old = match next {
                Some(next) => {
                    balance.gain(&next);
                    places.insert(id, ());
                    set.objects.insert(key, next)
                }
                None => {
                    places.remove(&id);
                    if places.is_empty() {
                        self.places.remove(&key);
                    }
                    set.objects.remove(&key)
                }
            };
            old.iter().for_each(|old| balance.lose(old));
        }
        self.total = balance.applied_to(self.total);
        shared
            .iter()
            .for_each(|(key, before)| self.report_copies(key, before));

        let mut effects = Vec::new();
        for (key, before) in keys.iter().zip(before) {
            let after = in_force(self, key);
            if after.is_none() {
                self.status.warnings(&self.source(key), BTreeSet::new());
            }
            if before.as_ref().map(Arc::as_ptr) != after.as_ref().map(Arc::as_ptr) {
                effects.push(Effect { before, after });
            }
        }
        effects
    }

    /// Tells which copies of an object are not used; `before` are sets that held one.
    fn report_copies(&self, key: &ObjectKey, before: &BTreeSet<SetId>) {
        let source = self.source(key);
        let now = self.places.get(key).into_iter().flat_map(Few::keys);
        let now: BTreeSet<_> = now.cloned().collect();
        for gone in before.difference(&now) {
            self.status.not_lost(&source, &Contest::Copy(gone.clone()));
        }
        let Some((winner, in_force)) = self.winner(key) else {
            return;
        };
        for set in &now {
            if set == winner {
                self.status.not_lost(&source, &Contest::Copy(set.clone()));
                continue;
            }
            let why = format!(
                "{} declares it, too; the oldest counts, then the first set by name",
                in_force.origin
            );
            let lost = Lost {
                over: Contest::Copy(set.clone()),
                to: source.clone(),
                at: self.object(set, key).map(|object| object.origin.clone()),
                why: why.into(),
            };
            self.status.lost(&source, lost);
        }
    }

    pub(super) fn source(&self, object: &ObjectKey) -> Source {
        Source {
            registry: self.id.clone(),
            object: object.clone(),
        }
    }

    /// Lists the removal of a set.
    pub(super) fn removal(&self, id: &SetId) -> Vec<Change> {
        let gone = self
            .sets
            .get(id)
            .into_iter()
            .flat_map(|set| set.objects.keys());
        let change = |key: &ObjectKey| Change {
            set: id.clone(),
            key: key.clone(),
            next: None,
            replaced: true,
        };
        gone.map(change).collect()
    }

    /// Takes what the guard holds, in order to apply it.
    pub(super) fn take_all_held(&mut self) -> Vec<Change> {
        let held = self.sets.iter_mut().flat_map(|(id, set)| {
            let held = mem::take(&mut set.held).into_iter();
            held.map(|(key, held)| Change {
                set: id.clone(),
                key,
                next: held.next,
                replaced: true,
            })
        });
        held.collect()
    }
}
