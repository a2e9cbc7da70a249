//! The adapter's end of the store: one shard, written in transactions.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::{Object, ObjectKey, Origin, Problem, RegistryId, SetId};
use crate::mesh::MeshConfig;
use crate::readiness::Guard;
use crate::store::{InForce, RegistryView};

/// The store has gone; there is nobody left to write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the store is closed")]
pub struct Closed;

/// Whether readiness waits for a registry's first full sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing is served before they are there.
    Required,
    /// Served without them after this time.
    Optional(Duration),
}

/// A handle to one shard of the store. Clones write to the same shard.
#[derive(Debug, Clone)]
pub struct Updates {
    id: RegistryId,
    store: Inlet,
}

impl Updates {
    pub(crate) fn new(id: RegistryId, store: Inlet) -> Self {
        Self { id, store }
    }

    /// Whose shard this is.
    pub fn id(&self) -> &RegistryId {
        &self.id
    }

    /// Begins a transaction. Nothing happens before [`Tx::commit`].
    pub fn begin(&self) -> Tx {
        Tx {
            updates: self.clone(),
            transaction: Transaction::default(),
        }
    }

    /// States that every set of this run has been replaced once. Sets that an earlier run left and this one has not
    /// replaced are removed.
    ///
    /// # Errors
    /// The store is gone: stop.
    pub async fn synced(&self) -> Result<(), Closed> {
        self.store
            .send_when_ready(Command::Synced(self.id.clone()))
            .await
    }

    /// States that `set`, or the whole registry, cannot be read and why. It stays as it was; the next commit that touches it
    /// clears the failure. Never waits.
    pub fn failing(&self, set: Option<&SetId>, why: &dyn std::error::Error) {
        let mut text = why.to_string();
        let mut source = why.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        // A store that is gone has nobody left to tell.
        let _ = self
            .store
            .send(Command::Failing(self.id.clone(), set.cloned(), text));
    }

    /// Opens a further shard, for a cluster that was added while running. Opening one that exists returns it.
    pub async fn open(&self, id: RegistryId, need: Need) -> Result<Updates, Closed> {
        self.store
            .send_when_ready(Command::Open(id.clone(), need, None))
            .await?;
        Ok(Updates {
            id,
            store: self.store.clone(),
        })
    }

    /// Removes this shard with all it holds. Dropping the handle keeps it.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn close(self) -> Result<(), Closed> {
        self.store
            .send_when_ready(Command::Close(self.id.clone()))
            .await
    }
}

/// A transaction on one shard. Dropped without [`commit`](Tx::commit), nothing happened.
#[derive(Debug)]
#[must_use = "a transaction that is dropped does nothing"]
pub struct Tx {
    updates: Updates,
    transaction: Transaction,
}

impl Tx {
    /// States `set` as a whole: what is not in `all`, and not [rejected](Tx::reject) in this transaction, is gone.
    pub fn replace<O: Into<Arc<Object>>>(&mut self, set: SetId, all: Vec<O>) {
        let all = all.into_iter().map(Into::into).collect();
        self.transaction.ops.push(Op::Replace(set, all));
    }

    /// States that `set` is empty.
    pub fn clear(&mut self, set: SetId) {
        self.transaction.ops.push(Op::Replace(set, Vec::new()));
    }

    /// Adds `object` to `set`, or changes it there.
    pub fn put(&mut self, set: &SetId, object: impl Into<Arc<Object>>) {
        self.transaction
            .ops
            .push(Op::Put(set.clone(), object.into()));
    }

    /// Removes the object from `set`.
    pub fn delete(&mut self, set: &SetId, key: &ObjectKey) {
        self.transaction
            .ops
            .push(Op::Delete(set.clone(), key.clone()));
    }

    /// States that `set` can be read, and is as it was: it is [failing](Updates::failing) no more.
    pub fn readable(&mut self, set: &SetId) {
        self.transaction.ops.push(Op::Readable(set.clone()));
    }

    /// States that an object of `set` is there and cannot be read. Its last good version stays. Without `key` it is not
    /// known which object it is; then everything of the set that this transaction does not name stays.
    ///
    /// Problems that are all warnings reject nothing: they are noted with the version that this transaction brings.
    pub fn reject(&mut self, set: &SetId, key: Option<ObjectKey>, at: Origin, why: Vec<Problem>) {
        self.transaction
            .ops
            .push(Op::Reject(set.clone(), key, at, why));
    }

    /// States that what this transaction removes may be a fault of the platform: it is held until a second full read agrees.
    pub fn doubtful(&mut self, why: String) {
        self.doubt(why, false);
    }

    /// The same, where reading again proves nothing, such as a token that has lost rights: what this transaction removes is held
    /// until a person confirms it, or a later transaction states the set without doubt.
    pub fn doubtful_until_confirmed(&mut self, why: String) {
        self.doubt(why, true);
    }

    /// States that what waits for a person's word may be there still: of the sets that this transaction replaces, what is held
    /// until it is confirmed stays held. Once it has been confirmed this says nothing.
    pub fn still_doubtful(&mut self) {
        self.transaction.still_doubtful = true;
    }

    fn doubt(&mut self, why: String, only_by_person: bool) {
        self.transaction.doubtful = Some(Doubt {
            why,
            only_by_person,
        });
    }

    /// Applies the transaction as a whole, after all earlier ones of this shard. Returns when the store has taken it; waits
    /// while the store is busy.
    ///
    /// # Errors
    /// The store is gone: stop.
    pub async fn commit(self) -> Result<(), Closed> {
        let Self {
            updates,
            transaction,
        } = self;
        updates
            .store
            .send_when_ready(Command::Commit(updates.id.clone(), transaction))
            .await
    }
}

/// How many commands may wait for the store before writers do.
const WAITING: usize = 1024;

/// The way into the store: one queue, so that the order of sending is the order of applying. Writers wait while it is
/// long; reports and orders of operators do not.
#[derive(Debug, Clone)]
pub(crate) struct Inlet {
    queue: mpsc::UnboundedSender<Envelope>,
    room: Arc<Semaphore>,
}

impl Inlet {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Envelope>) {
        let (queue, outlet) = mpsc::unbounded_channel();
        (
            Self {
                queue,
                room: Arc::new(Semaphore::new(WAITING)),
            },
            outlet,
        )
    }

    /// Sends at once.
    pub(crate) fn send(&self, command: Command) -> Result<(), Closed> {
        self.put(command, None)
    }

    /// Sends when the store has room.
    pub(crate) async fn send_when_ready(&self, command: Command) -> Result<(), Closed> {
        let permit = Arc::clone(&self.room)
            .acquire_owned()
            .await
            .map_err(|_| Closed)?;
        self.put(command, Some(permit))
    }

    fn put(&self, command: Command, permit: Option<OwnedSemaphorePermit>) -> Result<(), Closed> {
        let envelope = Envelope {
            command,
            at: Instant::now(),
            _permit: permit,
        };
        self.queue.send(envelope).map_err(|unsent| {
            unsent.0.abandon();
            Closed
        })
    }
}

/// A command on its way.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) command: Command,
    /// When it was sent.
    pub(crate) at: Instant,
    /// Its place in the queue, free again when it has been applied.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Envelope {
    /// Drops a command that will not be applied, without making anything ready.
    pub(crate) fn abandon(self) {
        if let Command::Open(_, _, Some(guard)) = self.command {
            guard.abandon();
        }
    }
}

/// What the store is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// A run begins; the guard, if there is one, holds up readiness.
    Open(RegistryId, Need, Option<Guard>),
    Close(RegistryId),
    Synced(RegistryId),
    Failing(RegistryId, Option<SetId>, String),
    Commit(RegistryId, Transaction),
    /// A run ended without having been asked to, and why.
    Ended(RegistryId, String),
    Config(Arc<MeshConfig>),
    /// A person agrees with what the guard holds. Answers whether it held anything.
    Confirm(RegistryId, oneshot::Sender<bool>),
    View(oneshot::Sender<Vec<RegistryView>>),
    Objects(oneshot::Sender<InForce>),
}

/// A transaction's operations, in order.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) ops: Vec<Op>,
    pub(crate) doubtful: Option<Doubt>,
    pub(crate) still_doubtful: bool,
}

/// Why what a transaction removes may not be gone.
#[derive(Debug)]
pub(crate) struct Doubt {
    pub(crate) why: String,
    /// A second reading that agrees proves nothing.
    pub(crate) only_by_person: bool,
}

/// One operation on a set.
#[derive(Debug)]
pub(crate) enum Op {
    Replace(SetId, Vec<Arc<Object>>),
    Put(SetId, Arc<Object>),
    Delete(SetId, ObjectKey),
    Readable(SetId),
    Reject(SetId, Option<ObjectKey>, Origin, Vec<Problem>),
}
