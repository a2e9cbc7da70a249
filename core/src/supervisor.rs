//! Keeps registries running until they are to stop.
//!
//! A run that ends early, with or without error or by a panic, is started again: soon at first, then after longer and longer
//! pauses. Its shard stays as it was and the reason is visible in the store's view of it. A registry of which the guard
//! holds a loss is started again, too, when the time for a second full read has come: that is how every adapter comes to
//! read once more without knowing of the guard.

use std::any::Any;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::registry::{Need, Registry, RegistryId, RunError, Updates};
use crate::store::StoreHandle;

/// How registries are kept running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The pause after a first early end.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// A run that lasted this long was good: the next pause is the first again.
    pub good_run: Duration,
    /// How long registries may take to stop.
    pub stop_within: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            good_run: Duration::from_secs(60),
            stop_within: Duration::from_secs(5),
        }
    }
}

/// Registries that did not stop when they were asked to, and were stopped by force.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("registries did not stop in time: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
pub struct Overdue(pub Vec<RegistryId>);

/// See the [module](self).
pub struct Supervisor {
    registries: Vec<Supervised>,
    settings: Settings,
}

impl Supervisor {
    /// Opens a shard for each registry, so that readiness waits for it. Nothing runs before [`run`](Self::run).
    pub fn new(
        registries: impl IntoIterator<Item = (Arc<dyn Registry>, Need)>,
        store: &StoreHandle,
        settings: Settings,
    ) -> Self {
        let supervised = |(registry, need): (Arc<dyn Registry>, Need)| {
            let first = store.updates(registry.id(), need);
            Supervised {
                registry,
                need,
                first: Some(first),
                store: store.clone(),
                settings,
            }
        };
        Self {
            registries: registries.into_iter().map(supervised).collect(),
            settings,
        }
    }

    /// Runs the registries until `stop`, then waits for them.
    ///
    /// # Errors
    /// Some did not stop in time.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Overdue> {
        let mut running: BTreeSet<_> = self
            .registries
            .iter()
            .map(|one| one.registry.id().clone())
            .collect();
        let mut tasks = JoinSet::new();
        for supervised in self.registries {
            tasks.spawn(supervised.keep_running(stop.clone()));
        }
        stop.cancelled().await;
        let deadline = Instant::now() + self.settings.stop_within;
        while let Ok(Some(ended)) = timeout_at(deadline, tasks.join_next()).await {
            if let Ok(id) = ended {
                running.remove(&id);
            }
        }
        if running.is_empty() {
            Ok(())
        } else {
            Err(Overdue(running.into_iter().collect()))
        }
    }
}

struct Supervised {
    registry: Arc<dyn Registry>,
    need: Need,
    first: Option<Updates>,
    store: StoreHandle,
    settings: Settings,
}

/// How a run ended.
enum End {
    /// Without having been asked to.
    Early(String),
    /// In order to read everything once more.
    Reread,
}

impl Supervised {
    async fn keep_running(mut self, stop: CancellationToken) -> RegistryId {
        let id = self.registry.id().clone();
        let mut pauses = 0;
        loop {
            let started = Instant::now();
            let end = self.run_once(&stop).await;
            if stop.is_cancelled() {
                return id;
            }
            let why = match end {
                End::Early(why) => why,
                End::Reread => {
                    tracing::info!(target: "model", registry = %id, "reading everything once more: a loss is held");
                    continue;
                }
            };
            if started.elapsed() >= self.settings.good_run {
                pauses = 0;
            }
            let pause = self.pause(pauses);
            pauses += 1;
            tracing::warn!(target: "model", registry = %id, %why, ?pause, "registry ended; it will be started again");
            self.store.run_ended(&id, why);
            tokio::select! {
                // Stopping first: a registry that is not running needs no time for it.
                biased;
                () = stop.cancelled() => return id,
                () = sleep(pause) => {}
            }
        }
    }

    async fn run_once(&mut self, stop: &CancellationToken) -> End {
        let updates = self
            .first
            .take()
            .unwrap_or_else(|| self.store.updates(self.registry.id(), self.need));
        let started = Instant::now();
        let stop_run = stop.child_token();
        let mut run = JoinSet::new();
        let registry = Arc::clone(&self.registry);
        let stop_registry = stop_run.clone();
        run.spawn(async move { registry.run(updates, stop_registry).await });
        tokio::select! {
            // The end first: a run that has ended need not be stopped.
            biased;
            Some(ended) = run.join_next() => End::Early(reason(ended)),
            () = self.reread_is_due(started) => {
                stop_run.cancel();
                let deadline = Instant::now() + self.settings.stop_within;
                if timeout_at(deadline, run.join_next()).await.is_err() {
                    run.shutdown().await;
                }
                End::Reread
            }
        }
    }

    /// Returns when what the guard holds of this registry may be confirmed by reading again.
    async fn reread_is_due(&self, started: Instant) {
        let mut holds = self.store.holds();
        loop {
            let since = holds.borrow_and_update().get(self.registry.id()).copied();
            let due = since.map(|since| since.max(started) + self.store.confirm_after());
            tokio::select! {
                changed = holds.changed() => {
                    if changed.is_err() {
                        // The store is gone, and the registry will notice.
                        std::future::pending::<()>().await;
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => return,
            }
        }
    }

    /// Doubles with every pause, and differs by chance so that what failed together does not come back together.
    fn pause(&self, pauses: u32) -> Duration {
        let Settings {
            first_pause,
            longest_pause,
            ..
        } = self.settings;
        let pause = first_pause
            .saturating_mul(2_u32.saturating_pow(pauses))
            .min(longest_pause);
        let chance = RandomState::new().hash_one(pauses) % 1000;
        pause.mul_f64(0.75 + 0.25 * chance as f64 / 1000.0)
    }
}

fn reason(ended: Result<Result<(), RunError>, JoinError>) -> String {
    match ended {
        Ok(Ok(())) => "it ended without having been asked to".to_owned(),
        Ok(Err(error)) => {
            let error: &(dyn std::error::Error + 'static) = &*error;
            let causes = std::iter::successors(Some(error), |error| error.source());
            causes
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(": ")
        }
        Err(error) => match error.try_into_panic() {
            Ok(panic) => format!("it panicked: {}", message(&*panic)),
            Err(error) => error.to_string(),
        },
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use parking_lot::Mutex;

    use super::*;
    use crate::registry::SetId;
    use crate::store::tests::build::{part, service};
    use crate::store::{self, Store};

    /// What a run of the scripted registry does.
    #[derive(Clone, Copy)]
    enum Run {
        Fail,
        Return,
        Panic,
        /// Writes as many services, and ends with an error.
        WriteAndFail(usize),
        /// Writes as many services, and stays.
        Stay(usize),
        /// Does not stop when asked to.
        Deaf,
    }

    struct Scripted {
        id: RegistryId,
        runs: Mutex<Vec<Run>>,
        last: Run,
    }

    #[async_trait]
    impl Registry for Scripted {
        fn id(&self) -> &RegistryId {
            &self.id
        }

        async fn run(&self, updates: Updates, stop: CancellationToken) -> Result<(), RunError> {
            let run = {
                let mut runs = self.runs.lock();
                if runs.is_empty() {
                    self.last
                } else {
                    runs.remove(0)
                }
            };
            match run {
                Run::Fail => return Err("the link is down".into()),
                Run::Return => return Ok(()),
                Run::Panic => panic!("for the test"),
                Run::Deaf => std::future::pending().await,
                Run::Stay(count) | Run::WriteAndFail(count) => {
                    let mut tx = updates.begin();
                    let names = (0..count).map(|n| format!("s{n}"));
                    tx.replace(
                        SetId::new("all"),
                        names
                            .flat_map(|n| [service(&n), part(&n, "1", &["10.0.0.1"])])
                            .collect(),
                    );
                    tx.commit().await?;
                    updates.synced().await?;
                    if let Run::WriteAndFail(_) = run {
                        return Err("the link is down".into());
                    }
                    stop.cancelled().await;
                }
            }
            Ok(())
        }
    }

    struct World {
        store: StoreHandle,
        stop: CancellationToken,
        tasks: JoinSet<Result<(), Overdue>>,
    }

    fn start(runs: &[Run], last: Run) -> World {
        let (store, handle) = Store::new(store::Settings::default());
        let id = RegistryId::new("Test", "a");
        let registry: Arc<dyn Registry> = Arc::new(Scripted {
            id,
            runs: Mutex::new(runs.to_vec()),
            last,
        });
        let supervisor =
            Supervisor::new([(registry, Need::Required)], &handle, Settings::default());
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let stop_store = CancellationToken::new();
        tasks.spawn(async move {
            store.run(stop_store).await;
            Ok(())
        });
        tasks.spawn(supervisor.run(stop.clone()));
        World {
            store: handle,
            stop,
            tasks,
        }
    }

    async fn why(world: &World) -> Option<(String, u64)> {
        let view = world.store.registries().await.unwrap().remove(0);
        view.ended.map(|ended| (ended.why.to_string(), ended.times))
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_that_ends_is_started_again_and_says_why() {
        for (run, reason) in [
            (Run::Fail, "the link is down"),
            (Run::Return, "it ended without having been asked to"),
            (Run::Panic, "it panicked: for the test"),
        ] {
            let world = start(&[run, run], Run::Stay(1));
            world.store.readiness().ready().await;
            assert_eq!(world.store.mesh().service_count(), 1);
            assert_eq!(why(&world).await, Some((reason.to_owned(), 2)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_up_to_a_limit() {
        let begin = Instant::now();
        let world = start(&[Run::Fail; 10], Run::Stay(1));
        world.store.readiness().ready().await;
        // 0.5 + 1 + 2 + 4 + 8 + 16 + 4 × 30 s, less a quarter at most.
        let took = begin.elapsed().as_secs_f64();
        assert!((0.75 * 151.5..=151.5).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_waits_and_names_who_does_not() {
        let mut world = start(&[], Run::Stay(1));
        world.store.readiness().ready().await;
        world.stop.cancel();
        assert_eq!(world.tasks.join_next().await.unwrap().unwrap(), Ok(()));

        let mut world = start(&[], Run::Deaf);
        world.stop.cancel();
        let overdue = Overdue(vec![RegistryId::new("Test", "a")]);
        assert_eq!(
            world.tasks.join_next().await.unwrap().unwrap(),
            Err(overdue)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_held_loss_is_read_a_second_time() {
        let world = start(&[Run::WriteAndFail(20)], Run::Stay(0));
        let mut changes = world.store.subscribe();
        let begin = Instant::now();
        assert_eq!(changes.next().await.unwrap().mesh.service_count(), 20);
        assert_eq!(changes.next().await.unwrap().mesh.service_count(), 0);
        assert!(
            (30..32).contains(&begin.elapsed().as_secs()),
            "{:?}",
            begin.elapsed()
        );
        let view = world.store.registries().await.unwrap().remove(0);
        assert_eq!((view.runs, view.is_impaired()), (3, false));
    }
}
