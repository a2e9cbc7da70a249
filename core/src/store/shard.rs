//! What one registry has written: its sets, with the last good version of every object.
//!
//! A transaction is first staged (what each set would hold), then weighed by the guard, then applied; what comes out is the
//! list of objects whose version in force within this registry has changed.

mod apply;
mod notes;
mod staged;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::Settings;
use super::few::Few;
use super::guard::{GuardSettings, Tally};
use super::view::{EndedView, FailingView, HeldView, RegistryView, SetView};
use crate::registry::{Need, Object, ObjectKey, Origin, Problem, RegistryId, SetId, Transaction};
use crate::status::StatusHandle;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Shard {
    id: RegistryId,
    need: Need,
    sets: BTreeMap<SetId, Set>,
    /// The sets that hold an object; nearly always one.
    places: HashMap<ObjectKey, Few<SetId, ()>, RandomState>,
    total: Tally,
    run: u64,
    synced_runs: u64,
    committed: Option<Instant>,
    failing: Option<Failing>,
    ended: Option<Ended>,
    /// Whether to look for something that the guard holds.
    may_hold: bool,
    status: StatusHandle,
}

/// An object whose version in force has changed; equal values with another origin count, too.
#[derive(Debug)]
pub(super) struct Effect {
    pub(super) before: Option<Arc<Object>>,
    pub(super) after: Option<Arc<Object>>,
}

#[derive(Debug, Default)]
struct Set {
    /// The last run that replaced it, reported it as failing, or created it.
    run: u64,
    objects: Few<ObjectKey, Arc<Object>>,
    rejected: BTreeMap<ObjectKey, Rejection>,
    unreadable: Vec<Rejection>,
    /// Objects that it states twice.
    twice: BTreeSet<ObjectKey>,
    failing: Option<Failing>,
    committed: Option<Instant>,
    /// What a replacement would have done, held by the guard.
    held: BTreeMap<ObjectKey, Held>,
}

#[derive(Debug, Clone, PartialEq)]
struct Rejection {
    at: Origin,
    problems: Vec<Problem>,
}

#[derive(Debug, Clone)]
struct Failing {
    why: Arc<str>,
    since: Instant,
}

#[derive(Debug)]
struct Ended {
    why: Arc<str>,
    at: Instant,
    times: u64,
}

#[derive(Debug)]
struct Held {
    since: Instant,
    why: Arc<str>,
    /// Reading it again proves nothing.
    only_by_person: bool,
    next: Option<Arc<Object>>,
}

impl Shard {
    pub(super) fn new(id: RegistryId, need: Need, status: StatusHandle) -> Self {
        Self {
            id,
            need,
            sets: BTreeMap::new(),
            places: HashMap::default(),
            total: Tally::default(),
            run: 0,
            synced_runs: 0,
            committed: None,
            failing: None,
            ended: None,
            may_hold: false,
            status,
        }
    }

    /// A run begins: it is to replace every set once.
    pub(super) fn begin_run(&mut self) {
        self.run += 1;
    }

    /// Applies a transaction.
    pub(super) fn commit(
        &mut self,
        mut transaction: Transaction,
        now: Instant,
        settings: &Settings,
    ) -> Vec<Effect> {
        let (doubt, still) = (transaction.doubtful.take(), transaction.still_doubtful);
        let staged = staged::stage(transaction, &settings.checks);
        self.committed = Some(now);
        self.set_failing(None, None);
        let mut changes = Vec::new();
        for (id, staged) in &staged {
            self.changes(id, staged, &mut changes);
        }
        let replaced = staged
            .iter()
            .filter(|(_, staged)| staged.replaced)
            .map(|(id, _)| id);
        let changes = self.guarded(replaced, changes, doubt, still, now, &settings.guard);
        let effects = self.apply(changes);
        for (id, staged) in staged {
            self.note(&id, staged, now);
        }
        effects
    }

    /// Every set of this run has been replaced: those of earlier runs go.
    pub(super) fn synced(&mut self, now: Instant, guard: &GuardSettings) -> Vec<Effect> {
        self.synced_runs = self.run;
        let old = self.sets.iter().filter(|(_, set)| set.run < self.run);
        let old: Vec<_> = old.map(|(id, _)| id.clone()).collect();
        let mut changes = Vec::new();
        for id in &old {
            self.forget_notes(id);
            changes.extend(self.removal(id));
        }
        let changes = self.guarded(&old, changes, None, false, now, guard);
        let effects = self.apply(changes);
        old.iter().for_each(|id| self.drop_if_empty(id));
        effects
    }

    /// Applies what the guard holds. `None`: it holds nothing.
    pub(super) fn confirm(&mut self) -> Option<Vec<Effect>> {
        let changes = self.take_all_held();
        if changes.is_empty() {
            return None;
        }
        let effects = self.apply(changes);
        let sets: Vec<_> = self.sets.keys().cloned().collect();
        sets.iter().for_each(|id| self.drop_if_empty(id));
        Some(effects)
    }

    /// Removes everything.
    pub(super) fn close(mut self) -> Vec<Effect> {
        let mut changes = Vec::new();
        let sets: Vec<_> = self.sets.keys().cloned().collect();
        for id in &sets {
            self.forget_notes(id);
            changes.extend(self.removal(id));
        }
        self.set_failing(None, None);
        self.apply(changes)
    }

    /// The registry, or one of its sets, cannot be read.
    pub(super) fn failing(&mut self, set: Option<&SetId>, why: &str, now: Instant) {
        if let Some(id) = set {
            // A set that cannot be read stays, although this run does not replace it.
            self.sets.entry(id.clone()).or_default().run = self.run;
        }
        self.set_failing(set, Some((why, now)));
    }

    /// A run ended without having been asked to.
    pub(super) fn ended(&mut self, why: &str, now: Instant) {
        let times = self.ended.as_ref().map_or(0, |ended| ended.times) + 1;
        self.ended = Some(Ended {
            why: why.into(),
            at: now,
            times,
        });
    }

    /// Since when the guard holds something.
    pub(super) fn held_since(&mut self) -> Option<Instant> {
        if !self.may_hold {
            return None;
        }
        let held = self.sets.values().flat_map(|set| set.held.values());
        let since = held.map(|held| held.since).min();
        self.may_hold = since.is_some();
        since
    }

    /// All objects in force, by key.
    pub(super) fn in_force(&self) -> Vec<&Arc<Object>> {
        let keys: BTreeSet<_> = self
            .sets
            .values()
            .flat_map(|set| set.objects.keys())
            .collect();
        keys.into_iter()
            .filter_map(|key| self.winner(key))
            .map(|(_, object)| object)
            .collect()
    }

    /// For people.
    pub(super) fn view(&self, now: Instant) -> RegistryView {
        RegistryView {
            id: self.id.clone(),
            required: self.need == Need::Required,
            runs: self.run,
            synced_runs: self.synced_runs,
            total: self.total,
            age: self.committed.map(|at| now - at),
            failing: self.failing.as_ref().map(|failing| failing.view(now)),
            ended: self.ended.as_ref().map(|ended| EndedView {
                why: Arc::clone(&ended.why),
                ago: now - ended.at,
                times: ended.times,
            }),
            sets: self
                .sets
                .iter()
                .map(|(id, set)| set.view(id, now))
                .collect(),
        }
    }
}

impl Set {
    fn view(&self, id: &SetId, now: Instant) -> SetView {
        let first = self.held.values().min_by_key(|held| held.since);
        SetView {
            id: id.clone(),
            objects: self.objects.len(),
            rejected: self.rejected.len() + self.unreadable.len(),
            age: self.committed.map(|at| now - at),
            failing: self.failing.as_ref().map(|failing| failing.view(now)),
            held: first.map(|first| HeldView {
                objects: self.held.len(),
                since: now - first.since,
                why: Arc::clone(&first.why),
            }),
        }
    }
}

impl Failing {
    fn view(&self, now: Instant) -> FailingView {
        FailingView {
            why: Arc::clone(&self.why),
            since: now - self.since,
        }
    }
}
