//! The registry: waits for changes, has them looked at, and tells the store.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pilothouse_core::registry::{Closed, Registry, RegistryId, RunError, SetId, Updates};
use pilothouse_manifests::kubernetes::Names;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::{ConfigError, StaticConfig};
use crate::disk::{Batch, Settling, Watches};
use crate::files::{Files, Outcome, Stopped};

/// A disk that does not answer is not waited for any longer when stopping.
const STOPPING: Duration = Duration::from_millis(500);

/// A directory of YAML and JSON files. Each file is a set, called by its path from the root.
#[derive(Debug)]
pub struct StaticRegistry {
    id: RegistryId,
    root: PathBuf,
    names: Names,
    /// The sets that the store has something of, for a further run.
    stated: Mutex<BTreeSet<String>>,
}

impl StaticRegistry {
    /// A registry `Static/<cluster>`.
    ///
    /// # Errors
    /// The directory cannot be read. One that vanishes later is only reported as failing, and waited for.
    pub fn new(config: StaticConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            root: config.checked_root()?,
            names: config.names(),
            id: RegistryId::new("Static", &config.cluster),
            stated: Mutex::default(),
        })
    }
}

#[async_trait]
impl Registry for StaticRegistry {
    fn id(&self) -> &RegistryId {
        &self.id
    }

    async fn run(&self, updates: Updates, stop: CancellationToken) -> Result<(), RunError> {
        let (watches, mut signals) = Watches::new();
        let mut state = State {
            files: Files::new(&self.root, self.names.clone(), lock(&self.stated).clone()),
            watches: Some(watches),
        };
        let mut settling = Settling::default();
        settling.rescan(Instant::now());
        let mut teller = Teller {
            updates,
            stated: &self.stated,
            failing: false,
        };
        loop {
            let due = settling.due();
            tokio::select! {
                // Stopping comes before work, and work that is due before news that may never end.
                biased;
                () = stop.cancelled() => return Ok(()),
                () = sleep(due), if due.is_some() => {
                    let batch = settling.take(Instant::now());
                    let Some((next, outcome)) = state.look(batch, &stop).await? else { return Ok(()) };
                    state = next;
                    schedule(&mut settling, &outcome);
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return Ok(()),
                        told = teller.tell(outcome) => told?,
                    }
                }
                () = signals.collect(&mut settling) => {}
            }
        }
    }
}

/// What is lent to a thread that may block.
struct State {
    files: Files,
    watches: Option<Watches>,
}

impl State {
    /// `None` if stopped meanwhile.
    async fn look(
        mut self,
        batch: Batch,
        stop: &CancellationToken,
    ) -> Result<Option<(Self, Outcome)>, JoinError> {
        // Cancelled as well when this future is dropped.
        let stopping = stop.child_token();
        let guard = stopping.clone().drop_guard();
        let mut task = spawn_blocking(move || {
            let outcome = self.files.look(batch, &mut self.watches, &stopping);
            outcome.map(|outcome| (self, outcome))
        });
        let looked = tokio::select! {
            biased;
            () = stop.cancelled() => match timeout(STOPPING, task).await {
                Ok(_) | Err(_) => return Ok(None),
            },
            looked = &mut task => looked?,
        };
        drop(guard);
        match looked {
            Ok(looked) => Ok(Some(looked)),
            Err(Stopped) => Ok(None),
        }
    }
}

async fn sleep(until: Option<Instant>) {
    if let Some(until) = until {
        sleep_until(until).await;
    }
}

fn schedule(settling: &mut Settling, outcome: &Outcome) {
    for (file, due) in &outcome.look_again {
        settling.again(file.clone(), *due);
    }
    if let Some(due) = outcome.rescan_at {
        settling.rescan(due);
    }
}

fn lock(stated: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    // Nothing that is done under the lock can leave the set half changed.
    stated.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the store.
struct Teller<'a> {
    updates: Updates,
    stated: &'a Mutex<BTreeSet<String>>,
    /// The registry as a whole has been reported as failing.
    failing: bool,
}

impl Teller<'_> {
    async fn tell(&mut self, outcome: Outcome) -> Result<(), Closed> {
        if let Some(error) = outcome.root {
            self.failing = true;
            self.updates.failing(None, &error);
            return Ok(());
        }
        // An empty transaction says that the registry can be read again.
        if !outcome.statements.is_empty() || self.failing {
            let mut tx = self.updates.begin();
            for (name, said) in outcome.statements {
                // What is doubtful may stay in the store.
                if !said.objects.is_empty() {
                    lock(self.stated).insert(name.clone());
                } else if outcome.doubtful.is_none() {
                    lock(self.stated).remove(&name);
                }
                let set = SetId::new(name);
                tx.replace(set.clone(), said.objects);
                for finding in said.findings {
                    tx.reject(&set, finding.key, finding.at, finding.problems);
                }
            }
            if let Some(why) = outcome.doubtful {
                tx.doubtful(why);
            }
            tx.commit().await?;
            self.failing = false;
        }
        for (name, error) in &outcome.failing {
            self.updates
                .failing(Some(&SetId::new(name.as_str())), error);
        }
        if outcome.complete {
            self.updates.synced().await?;
        }
        Ok(())
    }
}
