//! The one owner of everything that registries have written.
//!
//! ```text
//! Tx ──► shard (sets, last good versions) ──► guard ──► join (indices, merge) ──► Mesh + touched keys ──► Changes
//! ```
//!
//! One task runs the [`Store`]. Whoever writes, reads or asks does so through a [`StoreHandle`]. Transactions that wait
//! together are published together; each is in force as a whole or not at all. A mesh that is equal wakes nobody.

mod by_label;
mod dual_stack;
mod few;
mod guard;
mod handle;
mod join;
mod merge;
mod shard;
#[cfg(test)]
pub(crate) mod tests;
mod view;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::readiness::{Guard, Readiness};
use crate::registry::{Command, Envelope, Inlet, Need, RegistryId};
use crate::rules::RuleCheck;
use crate::status::StatusHandle;
pub use guard::{GuardSettings, Tally};
use handle::Shared;
pub use handle::{Change, Changes, InForce, StoreHandle};
use join::Join;
pub use join::Work;
use shard::Shard;
pub use view::{EndedView, FailingView, HeldView, RegistryView, SetView};

/// How many commands are applied before what they changed is published.
const BATCH: usize = 256;

/// How a store behaves.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The guard against losing much at once.
    pub guard: GuardSettings,
    /// What the store holds up until registries have delivered.
    pub readiness: Readiness,
    /// Checks of rules beyond [`check`](crate::rules::check()).
    pub checks: Vec<RuleCheck>,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Store {
    settings: Settings,
    commands: UnboundedReceiver<Envelope>,
    shards: BTreeMap<RegistryId, Shard>,
    waits: BTreeMap<RegistryId, Wait>,
    join: Join,
    shared: Arc<Shared>,
    status: StatusHandle,
}

/// Readiness waits for the first full sets of a registry.
#[derive(Debug)]
struct Wait {
    guard: Option<Guard>,
    until: Option<Instant>,
}

/// Who is told when a batch has been published: only then is it true.
#[derive(Default)]
struct Waiting {
    /// First full sets: readiness may say that they are there.
    delivered: Vec<Wait>,
    confirmed: Vec<(oneshot::Sender<bool>, bool)>,
    views: Vec<oneshot::Sender<Vec<RegistryView>>>,
    objects: Vec<oneshot::Sender<InForce>>,
}

impl Store {
    /// An empty store, and the way to it. Nothing happens before [`run`](Self::run).
    pub fn new(settings: Settings) -> (Self, StoreHandle) {
        let (inlet, commands) = Inlet::new();
        let shared = Arc::new(Shared::new());
        let status = StatusHandle::new();
        let handle = StoreHandle {
            inlet,
            shared: Arc::clone(&shared),
            readiness: settings.readiness.clone(),
            status: status.clone(),
            confirm_after: settings.guard.confirm_after,
        };
        let join = Join::new(status.clone());
        let (shards, waits) = (BTreeMap::new(), BTreeMap::new());
        (
            Self {
                settings,
                commands,
                shards,
                waits,
                join,
                shared,
                status,
            },
            handle,
        )
    }

    /// Applies what is written until `stop`, or until nobody is left who could write.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let deadline = self.waits.values().filter_map(|wait| wait.until).min();
            tokio::select! {
                // Stopping first: what is still queued is of use to nobody.
                biased;
                () = stop.cancelled() => return,
                received = self.commands.recv_many(&mut batch, BATCH) => {
                    if received == 0 {
                        return;
                    }
                    self.apply(&mut batch);
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => self.stop_waiting(),
            }
        }
    }

    /// Applies commands, publishes the result, and only then tells those who wait for it.
    fn apply(&mut self, batch: &mut Vec<Envelope>) {
        let mut since: Option<Instant> = None;
        let mut waiting = Waiting::default();
        let asked_only = batch
            .iter()
            .all(|envelope| matches!(envelope.command, Command::View(_) | Command::Objects(_)));
        for Envelope { command, at, .. } in batch.drain(..) {
            if self.apply_one(command, at, &mut waiting) {
                since = Some(since.map_or(at, |since| since.min(at)));
            }
        }
        if self.has_all() && self.join.complete() {
            since.get_or_insert_with(Instant::now);
        }
        if let Some(since) = since {
            self.publish(since);
        }
        let Waiting {
            delivered,
            confirmed,
            views,
            objects,
        } = waiting;
        drop(delivered);
        // Who asked may have gone, and then nobody misses the answer.
        for (answer, any) in confirmed {
            let _ = answer.send(any);
        }
        for answer in views {
            let now = Instant::now();
            let _ = answer.send(self.shards.values().map(|shard| shard.view(now)).collect());
        }
        for answer in objects {
            let _ = answer.send(self.in_force());
        }
        if !asked_only {
            let held =
                |(id, shard): (&RegistryId, &mut Shard)| Some((id.clone(), shard.held_since()?));
            self.shared
                .applied(self.shards.iter_mut().filter_map(held).collect());
        }
    }

    /// The objects that the mesh is made from.
    fn in_force(&self) -> InForce {
        let of = |(id, shard): (&RegistryId, &Shard)| {
            let objects = shard.in_force().into_iter().cloned();
            (id.clone(), objects.collect())
        };
        self.shards.iter().map(of).collect()
    }

    fn publish(&mut self, since: Instant) {
        let touched = self.join.settle();
        let mesh = self.join.mesh().clone();
        self.shared.publish(mesh, &touched, since, self.join.work());
    }

    /// Whether nothing is waited for any longer.
    fn has_all(&self) -> bool {
        self.waits.is_empty() && !self.shards.is_empty()
    }

    /// Whether the mesh is to be looked at again. A shard that was closed takes nothing: a handle to it may outlive it.
    fn apply_one(&mut self, command: Command, at: Instant, waiting: &mut Waiting) -> bool {
        let guard = &self.settings.guard;
        let (id, effects) = match command {
            Command::Commit(id, transaction) => {
                let shard = self.shards.get_mut(&id);
                let effects = shard.map(|shard| shard.commit(transaction, at, &self.settings));
                (id, effects)
            }
            Command::Synced(id) => {
                let effects = self
                    .shards
                    .get_mut(&id)
                    .map(|shard| shard.synced(at, guard));
                waiting.delivered.extend(self.waits.remove(&id));
                (id, effects)
            }
            Command::Close(id) => {
                let effects = self.shards.remove(&id).map(Shard::close);
                waiting.delivered.extend(self.waits.remove(&id));
                (id, effects)
            }
            Command::Confirm(id, answer) => {
                let effects = self.shards.get_mut(&id).and_then(Shard::confirm);
                waiting.confirmed.push((answer, effects.is_some()));
                (id, effects)
            }
            Command::Config(config) => {
                self.join.configure(config);
                return true;
            }
            Command::Open(id, need, guard) => {
                self.open(id, need, guard);
                return false;
            }
            Command::Failing(id, set, why) => {
                if let Some(shard) = self.shards.get_mut(&id) {
                    shard.failing(set.as_ref(), &why, at);
                }
                return false;
            }
            Command::Ended(id, why) => {
                if let Some(shard) = self.shards.get_mut(&id) {
                    shard.ended(&why, at);
                }
                return false;
            }
            Command::View(answer) => {
                waiting.views.push(answer);
                return false;
            }
            Command::Objects(answer) => {
                waiting.objects.push(answer);
                return false;
            }
        };
        let effects = effects.unwrap_or_default();
        let any = !effects.is_empty();
        for effect in effects {
            self.join.apply(&id, effect);
        }
        any
    }

    fn open(&mut self, id: RegistryId, need: Need, guard: Option<Guard>) {
        let shard = match self.shards.entry(id.clone()) {
            Entry::Occupied(entry) => {
                // The first run's guard waits for this one, too.
                guard.into_iter().for_each(Guard::withdraw);
                entry.into_mut()
            }
            Entry::Vacant(entry) => {
                let readiness = &self.settings.readiness;
                let guard = guard.or_else(|| {
                    (!readiness.is_ready()).then(|| readiness.guard(format!("registry {id}")))
                });
                let until = match need {
                    Need::Required => None,
                    Need::Optional(time) => Some(Instant::now() + time),
                };
                self.waits.insert(id.clone(), Wait { guard, until });
                entry.insert(Shard::new(id, need, self.status.clone()))
            }
        };
        shard.begin_run();
    }

    /// Gives up on optional registries whose time is over.
    fn stop_waiting(&mut self) {
        let now = Instant::now();
        let over = |wait: &Wait| wait.until.is_some_and(|until| until <= now);
        let late: Vec<_> = self
            .waits
            .iter()
            .filter(|(_, wait)| over(wait))
            .map(|(id, _)| id.clone())
            .collect();
        let given_up: Vec<_> = late
            .into_iter()
            .filter_map(|id| Some((self.waits.remove(&id)?, id)))
            .collect();
        if self.has_all() && self.join.complete() {
            // Before anybody is told that the mesh is there.
            self.publish(now);
        }
        for (wait, id) in given_up {
            tracing::warn!(target: "model", registry = %id, "optional registry has not delivered in time: started without it");
            if let Some(guard) = wait.guard {
                guard.give_up("started without it");
            }
        }
    }
}

impl Drop for Store {
    /// What has not been delivered by the end will not be: nothing becomes ready by stopping.
    fn drop(&mut self) {
        for (_, wait) in std::mem::take(&mut self.waits) {
            wait.guard.into_iter().for_each(Guard::abandon);
        }
        self.commands.close();
        while let Ok(envelope) = self.commands.try_recv() {
            envelope.abandon();
        }
        self.shared.close();
    }
}
