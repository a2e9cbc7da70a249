//! The replica that holds the lease writes what is to be said of each object, a few a second, and only what differs.
//!
//! ```text
//! what the server has (known) ─┐
//! core::status, proxies ───────┼─► a pass over all objects ─► what differs and is due ─► PATCH .../status
//! the mesh (addresses) ────────┘
//! ```
//!
//! A write changes nothing that the mesh is made from; the watch hands it over as the new state of what is known, and the next
//! pass finds nothing that differs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pilothouse_core::mesh::{Mesh, Source};
use pilothouse_core::registry::{ObjectKey, RegistryId};
use pilothouse_core::status::{ObjectStatus, Status};
use pilothouse_core::store::{Changes, StoreHandle};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Writes;
use super::addresses::{self, Addresses};
use super::api::{Api, ApiError};
use super::conditions::{self, Condition};
use super::known::{Entry, Known};
use super::lease::Leadership;
use super::pace::{Pace, Part};
use super::patch;
use super::verdicts::{self, Verdict, Verdicts};

/// How long what changes together is waited for.
const TOGETHER: Duration = Duration::from_millis(300);
/// So many objects are written before everything is looked at again.
const BATCH: usize = 20;

/// See the [module](self).
pub(super) struct Writer {
    pub api: Api,
    pub registry: RegistryId,
    pub known: Known,
    pub writes: Writes,
    /// How long a write is followed by none.
    pub pause: Duration,
    pace: Pace,
    /// Addresses that stay as they are, as they are another's: what stands there, and what we would have there.
    left: BTreeMap<ObjectKey, (Addresses, Addresses)>,
    /// Kinds whose status may not be written, and has been said to be so.
    forbidden: BTreeSet<String>,
}

/// What is to be written of one object.
#[derive(Debug)]
struct Todo {
    key: ObjectKey,
    entry: Arc<Entry>,
    what: What,
}

#[derive(Debug)]
enum What {
    Conditions(Vec<Condition>),
    Addresses(Addresses),
}

impl What {
    fn part(&self) -> Part {
        match self {
            Self::Conditions(_) => Part::Conditions,
            Self::Addresses(_) => Part::Addresses,
        }
    }

    /// What somebody waits for comes first: objects that are not accepted, and addresses.
    fn is_urgent(&self) -> bool {
        match self {
            Self::Conditions(all) => all.len() != 1 || all.iter().any(|one| one.status != "True"),
            Self::Addresses(_) => true,
        }
    }
}

impl Writer {
    pub(super) fn new(
        api: Api,
        registry: RegistryId,
        known: Known,
        writes: Writes,
        per_second: u32,
    ) -> Self {
        Self {
            api,
            registry,
            known,
            writes,
            pause: Duration::from_secs(1) / per_second.max(1),
            pace: Pace::default(),
            left: BTreeMap::new(),
            forbidden: BTreeSet::new(),
        }
    }

    /// Writes until `stop`, whenever this replica holds the lease.
    pub(super) async fn run(
        mut self,
        store: StoreHandle,
        mut leading: Leadership,
        mut others: watch::Receiver<BTreeMap<String, Verdicts>>,
        stop: CancellationToken,
    ) {
        while stop.run_until_cancelled(leading.taken()).await.is_some() {
            let mut changes = store.subscribe();
            let mut revisions = store.status().revisions();
            let mut known = self.known.changes();
            while leading.holds() && !stop.is_cancelled() {
                revisions.mark_unchanged();
                known.mark_unchanged();
                changes.take();
                let sum = others.borrow_and_update().clone();
                let Some((todo, next)) = self.pass(&store, &sum).await else {
                    break;
                };
                let more = todo.len() > BATCH;
                for todo in todo.into_iter().take(BATCH) {
                    if !leading.holds() || stop.is_cancelled() {
                        break;
                    }
                    self.write(todo).await;
                    sleep(self.pause).await;
                }
                if more {
                    continue;
                }
                let waiting = async {
                    tokio::select! {
                        () = news(&mut changes) => {}
                        _ = revisions.changed() => {}
                        _ = known.changed() => {}
                        _ = others.changed() => {}
                        () = leading.lost() => {}
                        () = at(next) => {}
                    }
                    sleep(TOGETHER).await;
                };
                stop.run_until_cancelled(waiting).await;
            }
            if stop.is_cancelled() {
                return;
            }
            // What another holder writes is not known here.
            self.pace = Pace::default();
            if leading.holds() {
                sleep(TOGETHER).await;
            }
        }
    }

    /// What differs and is due, and when more of it is. `None`: it cannot be told yet.
    async fn pass(
        &mut self,
        store: &StoreHandle,
        others: &BTreeMap<String, Verdicts>,
    ) -> Option<(Vec<Todo>, Option<Instant>)> {
        let known = self.known.all();
        // The answer comes after everything has been judged that is known so far.
        let registries = store.registries().await.ok()?;
        let is_own = |id: &RegistryId| *id == self.registry;
        let complete = registries
            .iter()
            .all(|view| view.is_synced() || !(view.required || is_own(&view.id)));
        if !complete {
            return Some((Vec::new(), Some(Instant::now() + Duration::from_secs(1))));
        }
        let (status, mesh) = (store.status().get(), store.mesh());
        let own = verdicts::of(&status, &self.registry);
        let verdicts = verdicts::sum(own, others.values());
        self.pace.retain(|key| known.contains_key(key));
        self.left.retain(|key, _| known.contains_key(key));
        let now = Instant::now();
        let (mut todo, mut next) = (Vec::new(), None);
        for (key, entry) in known {
            for what in self.differs(&key, &entry, &status, &mesh, &verdicts) {
                match self.pace.due(&key, what.part(), entry.generation, now) {
                    Some(later) => next = Some(next.map_or(later, |next: Instant| next.min(later))),
                    None => todo.push(Todo {
                        key: key.clone(),
                        entry: Arc::clone(&entry),
                        what,
                    }),
                }
            }
        }
        todo.sort_by_key(|todo| !todo.what.is_urgent());
        Some((todo, next))
    }

    fn differs(
        &self,
        key: &ObjectKey,
        entry: &Entry,
        status: &Status,
        mesh: &Mesh,
        verdicts: &Verdicts,
    ) -> Vec<What> {
        let source = Source {
            registry: self.registry.clone(),
            object: key.clone(),
        };
        let mut all = Vec::new();
        let nothing = (ObjectStatus::default(), Verdict::default());
        let of_object = status.object(&source).map(|status| &**status);
        let in_force = mesh.rule(key).is_some_and(|rule| rule.source == source);
        if in_force || of_object.is_some() {
            let verdict = verdicts.get(key).unwrap_or(&nothing.1);
            let said = if !entry.others.is_empty() && self.writes == Writes::Auto {
                Vec::new()
            } else {
                conditions::said(of_object.unwrap_or(&nothing.0), verdict)
            };
            let news = conditions::news(&said, entry.generation, &entry.ours, Timestamp::now());
            all.extend(news.map(What::Conditions));
        }
        let wanted = addresses::wanted(mesh, &source);
        let left = |wanted: &Addresses| {
            let left = self.left.get(key);
            left.is_some_and(|(there, ours)| (there, ours) == (&entry.addresses, wanted))
        };
        let wanted = wanted.filter(|wanted| *wanted != entry.addresses && !left(wanted));
        all.extend(wanted.map(What::Addresses));
        all
    }

    async fn write(&mut self, todo: Todo) {
        let Todo { key, entry, what } = todo;
        let now = Instant::now();
        self.pace.tried(&key, what.part(), entry.generation, now);
        let written = match what {
            What::Conditions(all) => patch::conditions(&self.api, &entry, &key, &all).await,
            What::Addresses(all) => self.write_addresses(&entry, &key, all).await,
        };
        match written {
            Ok(()) => {}
            // It is gone, and the watch will say so.
            Err(error) if error.code() == 404 => {}
            Err(error) => self.failed(&key, &error),
        }
    }

    async fn write_addresses(
        &mut self,
        entry: &Entry,
        key: &ObjectKey,
        wanted: Addresses,
    ) -> Result<(), ApiError> {
        let written = patch::addresses(&self.api, &entry.place, key, &wanted).await;
        let conflict = matches!(&written, Err(error) if error.code() == 409);
        if conflict || matches!(written, Ok(false)) {
            self.left
                .insert(key.clone(), (entry.addresses.clone(), wanted));
        }
        written.map(drop)
    }

    /// Says it once for each kind of which nothing may be written, and of others whenever it happens, as they are tried ever later.
    fn failed(&mut self, key: &ObjectKey, error: &ApiError) {
        match error.code() {
            403 => {
                if self.forbidden.insert(key.kind.as_str().to_owned()) {
                    tracing::warn!(target: "status", kind = %key.kind, %error, "status cannot be written: grant it, or see --status-writes");
                }
            }
            409 => {
                tracing::debug!(target: "status", object = %key, %error, "the status is another's");
            }
            _ => tracing::warn!(target: "status", object = %key, %error, "status is not written"),
        }
    }
}

/// Waits for a change of what has a status.
async fn news(changes: &mut Changes) {
    loop {
        match changes.next().await {
            None => return std::future::pending().await,
            Some(change) => {
                let touched = change.touched;
                if !touched.rules.is_empty() || !touched.services.is_empty() || touched.config {
                    return;
                }
            }
        }
    }
}

async fn at(next: Option<Instant>) {
    match next {
        Some(next) => tokio::time::sleep_until(next).await,
        None => std::future::pending().await,
    }
}
