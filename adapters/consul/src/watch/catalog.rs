//! The list of services: each that appears gets a loop of its own, and what one that vanishes has stated goes.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;

use pilothouse_core::registry::{Closed, SetId, Updates};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::first::{First, Pending};
use super::follow::{Follow, Verdict};
use super::service::{Watch, set_of};
use super::slots::Slots;
use super::{Ended, Shared, Unreadable, rules};
use crate::client::{Answer, ConsulApi, Error, Readable};
use crate::config::ConsulConfig;
use crate::map::Naming;

/// The names of services with their tags.
type Names = BTreeMap<String, Vec<String>>;

/// The service that a catalog always has: its own servers.
const SERVERS: &str = "consul";
/// What failures of the list are reported with.
const LIST: &str = "services";

/// Follows a datacenter until `stop`, or until the store is gone.
pub(crate) async fn watch(
    api: Arc<dyn ConsulApi>,
    config: Arc<ConsulConfig>,
    naming: Arc<Naming>,
    updates: Updates,
    stop: CancellationToken,
) -> Result<(), Ended> {
    let shared = Shared {
        api,
        slots: Slots::new(config.held),
        config,
        naming,
        updates,
    };
    let first = First::new();
    let mut loops = JoinSet::new();
    let listed = first.expect();
    if let Some(prefix) = shared.config.rules.clone() {
        let watch = rules::Watch::new(shared.clone(), prefix, first.expect());
        loops.spawn(watch.run());
    }
    loops.spawn(pulse(shared.clone()));
    let catalog = Catalog {
        shared: shared.clone(),
        first: first.clone(),
        watched: BTreeMap::new(),
        loops: JoinSet::new(),
        removed: BTreeSet::new(),
        hidden: BTreeSet::new(),
        has_servers: false,
    };
    loops.spawn(catalog.run(listed));
    loops.spawn(async move {
        first.done().await;
        shared.updates.synced().await?;
        std::future::pending().await
    });
    let ended = tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        Some(ended) = loops.join_next() => outcome(ended),
    };
    Ok(ended?)
}

/// Tells those that hold no query open when a check has changed.
async fn pulse(shared: Shared) -> Result<(), Closed> {
    let mut follow = Follow::new(shared.config.max_stale);
    loop {
        shared.slots.wanted().await;
        let query = shared.query(follow.index(shared.config.wait));
        let next = match shared.api.pulse(&query).await {
            Ok(answer) => {
                follow.judge(&answer, true, false);
                shared.slots.beat();
                follow.worked()
            }
            // The list of services, which is asked just so, reports it.
            Err(_) => follow.failed(),
        };
        sleep_until(next).await;
    }
}

/// The list, and who follows what is in it.
struct Catalog {
    shared: Shared,
    first: First,
    watched: BTreeMap<String, Watched>,
    loops: JoinSet<Result<(), Closed>>,
    /// The services that the last list lacked, until that is confirmed.
    removed: BTreeSet<String>,
    /// The services that the list lacks because the token may not see them. They are followed all the same: what is lost with
    /// that is seen there.
    hidden: BTreeSet<Readable>,
    /// The catalog's own servers have been seen in the list.
    has_servers: bool,
}

/// A service that has a loop.
struct Watched {
    gone: CancellationToken,
    ended: CancellationToken,
    wake: Arc<Notify>,
}

impl Catalog {
    async fn run(mut self, listed: Pending) -> Result<(), Closed> {
        let mut listed = Some(listed);
        let mut follow = Follow::new(self.shared.config.max_stale);
        let set = SetId::new(LIST);
        let mut last = None;
        loop {
            let answer = self.ask(&follow).await?;
            // The list may be as it was: then something else about services has changed.
            let index = answer.as_ref().ok().and_then(|answer| answer.index);
            if index.is_some() && index != last {
                last = index;
                self.shared.slots.beat();
            }
            let next = match self.state(answer, &set, &mut follow).await? {
                Ok(()) => {
                    drop(listed.take());
                    follow.worked()
                }
                Err(why) => {
                    self.shared.failing(&set, &why);
                    follow.failed()
                }
            };
            sleep_until(next).await;
        }
    }

    async fn ask(&mut self, follow: &Follow) -> Result<Result<Answer<Names>, Error>, Closed> {
        let query = self.shared.query(follow.index(self.shared.config.wait));
        let api = self.shared.api.clone();
        let mut answer = pin!(api.services(&query));
        loop {
            tokio::select! {
                answer = &mut answer => return Ok(answer),
                Some(ended) = self.loops.join_next() => outcome(ended)?,
            }
        }
    }

    /// Follows a list if it is the truth.
    async fn state(
        &mut self,
        answer: Result<Answer<Names>, Error>,
        set: &SetId,
        follow: &mut Follow,
    ) -> Result<Result<(), Unreadable>, Closed> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error.into())),
        };
        let names = &answer.value;
        let lost = self
            .watched
            .keys()
            .filter(|name| !names.contains_key(*name));
        let lost: BTreeSet<String> = lost.cloned().collect();
        let hidden = lost.iter().cloned().map(Readable::Service).collect();
        let hidden = match self.shared.hidden(hidden, answer.filtered).await {
            Ok(hidden) => hidden,
            Err(error) => return Ok(Err(error.into())),
        };
        let is_hidden = |name: &str| hidden.contains(&Readable::Service(name.into()));
        let is_partial = self.has_servers && !names.contains_key(SERVERS) && !is_hidden(SERVERS);
        let lost: BTreeSet<String> = lost.into_iter().filter(|name| !is_hidden(name)).collect();
        self.look_at(hidden);
        let same = lost.is_empty() && names.keys().all(|name| self.watched.contains_key(name));
        let doubt = match follow.judge(&answer, same, !lost.is_empty() || is_partial) {
            Verdict::Known => return Ok(Ok(())),
            Verdict::Untrue(why) => return Ok(Err(Unreadable::Untrue(why))),
            Verdict::State(_) if is_partial => {
                let why = "the list lacks Consul's own servers, which it had: the token sees less than before";
                return Ok(Err(Unreadable::Untrue(why.into())));
            }
            Verdict::State(doubt) => doubt,
        };
        self.has_servers |= names.contains_key(SERVERS);
        for name in names.keys() {
            self.follow(name);
        }
        self.forget(&lost).await;
        self.removed.retain(|name| !names.contains_key(name));
        self.removed.extend(lost);
        let mut tx = self.shared.updates.begin();
        tx.clear(set.clone());
        for name in &self.removed {
            tx.clear(set_of(name));
        }
        if let Some(why) = doubt {
            tx.doubtful(why);
        }
        tx.commit().await?;
        if !follow.is_confirming() {
            self.removed.clear();
        }
        Ok(Ok(()))
    }

    /// Begins a loop for a service that has none.
    fn follow(&mut self, name: &str) {
        if self.watched.contains_key(name) {
            return;
        }
        let (gone, ended) = (CancellationToken::new(), CancellationToken::new());
        let wake = Arc::new(Notify::new());
        let watch = Watch {
            shared: self.shared.clone(),
            name: name.into(),
            pending: Some(self.first.expect()),
            gone: gone.clone(),
            wake: wake.clone(),
        };
        let end = ended.clone().drop_guard();
        self.loops.spawn(async move {
            let _end = end;
            watch.run().await
        });
        let watched = Watched { gone, ended, wake };
        self.watched.insert(name.into(), watched);
    }

    /// Lets the loops of services find out that the token may not see them, or may again: Consul tells nobody of that.
    fn look_at(&mut self, hidden: BTreeSet<Readable>) {
        for what in hidden.symmetric_difference(&self.hidden) {
            if let Readable::Service(name) = what
                && let Some(watched) = self.watched.get(name)
            {
                watched.wake.notify_one();
            }
        }
        self.hidden = hidden;
    }

    /// Ends the loops of services. When it returns, they write nothing more.
    async fn forget(&mut self, names: &BTreeSet<String>) {
        let gone: Vec<_> = names
            .iter()
            .filter_map(|name| self.watched.remove(name))
            .collect();
        for watched in &gone {
            watched.gone.cancel();
        }
        for watched in &gone {
            watched.ended.cancelled().await;
        }
    }
}

fn outcome(ended: Result<Result<(), Closed>, JoinError>) -> Result<(), Closed> {
    match ended {
        Ok(ended) => ended,
        Err(died) if died.is_panic() => std::panic::resume_unwind(died.into_panic()),
        // It was ended from here.
        Err(_) => Ok(()),
    }
}
