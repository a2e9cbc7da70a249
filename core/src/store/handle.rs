//! The store seen from outside: writers open shards, readers take meshes and changes, operators look and confirm.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

use super::join::Work;
use super::view::RegistryView;
use crate::mesh::{Mesh, MeshConfig, Touched};
use crate::readiness::Readiness;
use crate::registry::{Closed, Command, Inlet, Need, Object, RegistryId, Updates};
use crate::status::StatusHandle;

/// The way to a [`Store`](super::Store) that runs elsewhere. Clones lead to the same.
#[derive(Debug, Clone)]
pub struct StoreHandle {
    pub(super) inlet: Inlet,
    pub(super) shared: Arc<Shared>,
    pub(super) readiness: Readiness,
    pub(super) status: StatusHandle,
    pub(super) confirm_after: Duration,
}

impl StoreHandle {
    /// Opens the shard of a registry for a run that begins; one that exists keeps what it has. From here on readiness waits
    /// for the registry, as its need says.
    pub fn updates(&self, id: &RegistryId, need: Need) -> Updates {
        let guard =
            (!self.readiness.is_ready()).then(|| self.readiness.guard(format!("registry {id}")));
        // A store that is gone tells the adapter with its first commit.
        let _ = self.inlet.send(Command::Open(id.clone(), need, guard));
        Updates::new(id.clone(), self.inlet.clone())
    }

    /// Replaces the mesh-wide settings.
    pub fn set_mesh_config(&self, config: Arc<MeshConfig>) {
        let _ = self.inlet.send(Command::Config(config));
    }

    /// The mesh as last published.
    pub fn mesh(&self) -> Arc<Mesh> {
        Arc::clone(&self.shared.published.lock().mesh)
    }

    /// How many values the store has computed so far.
    pub fn work(&self) -> Work {
        self.shared.published.lock().work
    }

    /// Changes from here on.
    pub fn subscribe(&self) -> Changes {
        let mut published = self.shared.published.lock();
        let subscriber = Arc::new(Subscriber::default());
        published.subscribers.push(Arc::downgrade(&subscriber));
        Changes {
            mesh: Arc::clone(&published.mesh),
            subscriber,
            shared: Arc::clone(&self.shared),
        }
    }

    /// Every registry as operators see it, by identity.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn registries(&self) -> Result<Vec<RegistryView>, Closed> {
        self.ask(Command::View).await
    }

    /// The objects in force of every registry: what the mesh is made from, at one moment.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn objects(&self) -> Result<InForce, Closed> {
        self.ask(Command::Objects).await
    }

    /// Agrees with what the guard holds of a registry: it is applied. Answers whether there was anything.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn confirm(&self, id: &RegistryId) -> Result<bool, Closed> {
        self.ask(|answer| Command::Confirm(id.clone(), answer))
            .await
    }

    /// What is to be said about objects.
    pub fn status(&self) -> &StatusHandle {
        &self.status
    }

    /// What is waited for before anything is served.
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Grows whenever the store has applied something, whether or not it changed the mesh.
    pub fn activity(&self) -> watch::Receiver<u64> {
        self.shared.activity.subscribe()
    }

    pub(crate) fn run_ended(&self, id: &RegistryId, why: String) {
        let _ = self.inlet.send(Command::Ended(id.clone(), why));
    }

    /// Since when the guard holds something of which registry.
    pub(crate) fn holds(&self) -> watch::Receiver<BTreeMap<RegistryId, Instant>> {
        self.shared.holds.subscribe()
    }

    /// How long after a loss a second full read is believed.
    pub(crate) fn confirm_after(&self) -> Duration {
        self.confirm_after
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Closed> {
        let (answer, answered) = oneshot::channel();
        self.inlet.send(command(answer))?;
        answered.await.map_err(|_| Closed)
    }
}

/// The objects in force of each registry, by key.
pub type InForce = BTreeMap<RegistryId, Vec<Arc<Object>>>;

/// What a consumer has not seen yet, gathered while it is busy: never more than one change is kept.
#[derive(Debug)]
pub struct Changes {
    mesh: Arc<Mesh>,
    subscriber: Arc<Subscriber>,
    shared: Arc<Shared>,
}

/// The newest mesh, and how it differs from the one that the consumer had.
#[derive(Debug, Clone)]
pub struct Change {
    /// The newest mesh.
    pub mesh: Arc<Mesh>,
    /// What differs, or did in between.
    pub touched: Touched,
    /// When the earliest of it was written to the store.
    pub since: Instant,
}

impl Changes {
    /// The mesh that the consumer has: as of the last change that it took, or of the subscription.
    pub fn mesh(&self) -> &Arc<Mesh> {
        &self.mesh
    }

    /// The change that is there, if there is one.
    pub fn take(&mut self) -> Option<Change> {
        let change = self.subscriber.pending.lock().take()?;
        self.mesh = Arc::clone(&change.mesh);
        Some(change)
    }

    /// Waits for a change. `None`: the store is gone. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Change> {
        loop {
            if let Some(change) = self.take() {
                return Some(change);
            }
            if self.shared.published.lock().closed {
                return None;
            }
            // A notification that has come since is kept.
            self.subscriber.notify.notified().await;
        }
    }
}

/// What the store and its handles share.
#[derive(Debug)]
pub(super) struct Shared {
    published: Mutex<Published>,
    activity: watch::Sender<u64>,
    holds: watch::Sender<Holds>,
}

/// Since when something is held.
type Holds = BTreeMap<RegistryId, Instant>;

#[derive(Debug, Default)]
struct Published {
    mesh: Arc<Mesh>,
    work: Work,
    subscribers: Vec<Weak<Subscriber>>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Subscriber {
    pending: Mutex<Option<Change>>,
    notify: Notify,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            published: Mutex::default(),
            activity: watch::channel(0).0,
            holds: watch::channel(Holds::default()).0,
        }
    }

    /// Publishes a mesh, and wakes everybody if it differs.
    pub(super) fn publish(&self, mesh: Mesh, touched: &Touched, since: Instant, work: Work) {
        let mesh = Arc::new(mesh);
        let mut published = self.published.lock();
        published.work = work;
        published.mesh = Arc::clone(&mesh);
        if touched.is_empty() {
            return;
        }
        published.subscribers.retain(|subscriber| {
            let Some(subscriber) = subscriber.upgrade() else {
                return false;
            };
            subscriber.add(&mesh, touched, since);
            true
        });
    }

    pub(super) fn applied(&self, holds: BTreeMap<RegistryId, Instant>) {
        self.holds.send_if_modified(|before| {
            let changed = *before != holds;
            *before = holds;
            changed
        });
        self.activity.send_modify(|activity| *activity += 1);
    }

    pub(super) fn close(&self) {
        let mut published = self.published.lock();
        published.closed = true;
        for subscriber in published.subscribers.iter().filter_map(Weak::upgrade) {
            subscriber.notify.notify_one();
        }
    }
}

impl Subscriber {
    fn add(&self, mesh: &Arc<Mesh>, touched: &Touched, since: Instant) {
        let mut pending = self.pending.lock();
        match &mut *pending {
            Some(change) => {
                change.mesh = Arc::clone(mesh);
                change.touched.merge(touched.clone());
                change.since = change.since.min(since);
            }
            None => {
                *pending = Some(Change {
                    mesh: Arc::clone(mesh),
                    touched: touched.clone(),
                    since,
                })
            }
        }
        drop(pending);
        self.notify.notify_one();
    }
}
