//! An adapter under a supervisor, on a store of its own.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Broken, Fixture, PATIENCE, PROMPT, World};
use crate::mesh::Mesh;
use crate::registry::{Need, RegistryId};
use crate::store::{self, Changes, RegistryView, Store, StoreHandle};
use crate::supervisor::{self, Supervisor};

/// A store, and whether the adapter runs on it.
pub(super) struct Running {
    check: &'static str,
    store: StoreHandle,
    id: RegistryId,
    adapter: Option<(CancellationToken, JoinSet<Result<(), supervisor::Overdue>>)>,
    _tasks: JoinSet<()>,
    _stop: DropGuard,
}

impl Running {
    /// A store on which the adapter of `fixture` runs.
    pub(super) fn start(check: &'static str, fixture: &dyn Fixture) -> Self {
        let (store, handle) = Store::new(store::Settings::default());
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(store.run(stop.clone()));
        let id = fixture.registry().id().clone();
        let mut running = Self {
            check,
            store: handle,
            id,
            adapter: None,
            _tasks: tasks,
            _stop: stop.drop_guard(),
        };
        running.start_adapter(fixture);
        running
    }

    pub(super) fn start_adapter(&mut self, fixture: &dyn Fixture) {
        let settings = supervisor::Settings {
            first_pause: PROMPT / 30,
            longest_pause: PROMPT / 3,
            stop_within: PROMPT,
            ..supervisor::Settings::default()
        };
        let supervisor = Supervisor::new(
            [(fixture.registry(), Need::Required)],
            &self.store,
            settings,
        );
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(supervisor.run(stop.clone()));
        self.adapter = Some((stop, tasks));
    }

    /// Asks the adapter to stop, and waits until it has.
    pub(super) async fn stop_adapter(&mut self, when: &str) -> Result<(), Broken> {
        let Some((stop, mut tasks)) = self.adapter.take() else {
            return Ok(());
        };
        stop.cancel();
        match tasks.join_next().await {
            Some(Ok(Ok(()))) => Ok(()),
            ended => Err(self.broken(
                &format!("stops {when}"),
                &format!("an end within {PROMPT:?}"),
                &format!("{ended:?}"),
            )),
        }
    }

    pub(super) fn mesh(&self) -> Arc<Mesh> {
        self.store.mesh()
    }

    pub(super) fn changes(&self) -> Changes {
        self.store.subscribe()
    }

    /// Waits until the mesh has `world`.
    pub(super) async fn shows(
        &self,
        fixture: &dyn Fixture,
        what: &str,
        world: &World,
    ) -> Result<(), Broken> {
        self.until(what, &format!("{world:?}"), |mesh, _| {
            let seen = World::seen(mesh, fixture);
            if seen == *world {
                Ok(true)
            } else {
                Err(format!("{seen:?}"))
            }
        })
        .await
    }

    /// Waits until `there` says that something is there. It is asked about every state that can be seen, and tells with an
    /// error what there is instead, or with `Ok(false)` that what it saw must never be.
    pub(super) async fn until(
        &self,
        what: &str,
        expected: &str,
        mut there: impl FnMut(&Mesh, &RegistryView) -> Result<bool, String>,
    ) -> Result<(), Broken> {
        let deadline = Instant::now() + PATIENCE;
        let mut activity = self.store.activity();
        loop {
            activity.borrow_and_update();
            let mesh = self.store.mesh();
            let views = self.store.registries().await.unwrap_or_default();
            let Some(view) = views.iter().find(|view| view.id == self.id) else {
                return Err(self.broken(what, "an open shard", "none"));
            };
            let found = match there(&mesh, view) {
                Ok(true) => return Ok(()),
                Ok(false) => {
                    return Err(self.broken(what, expected, "a state that must not be seen"));
                }
                Err(found) => found,
            };
            if timeout_at(deadline, activity.changed()).await.is_err() {
                return Err(self.broken(what, expected, &format!("{found} after {PATIENCE:?}")));
            }
        }
    }

    /// Waits until the store says that every set of the current run is there.
    pub(super) async fn ready(&self) -> Result<(), Broken> {
        let ready = self.store.readiness().ready();
        match timeout_at(Instant::now() + PATIENCE, ready).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.broken(
                "calls synced",
                "readiness",
                &format!("nothing after {PATIENCE:?}"),
            )),
        }
    }

    pub(super) fn broken(&self, what: &str, expected: &str, found: &str) -> Broken {
        Broken {
            check: self.check,
            what: what.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }
}
