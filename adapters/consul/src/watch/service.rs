//! The loop of one service: its instances and their health.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::registry::{Closed, SetId};
use tokio::sync::Notify;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::first::Pending;
use super::follow::{Follow, Verdict};
use super::slots::{AT_LEAST, Held};
use super::{Shared, Unreadable, rights};
use crate::client::{Answer, Error, Instance, Readable};
use crate::map;

/// The wait of a question that is to be answered at once.
const AT_ONCE: Duration = Duration::from_millis(1);

/// What the set of a service is called.
pub(super) fn set_of(service: &str) -> SetId {
    SetId::new(format!("service/{service}"))
}

/// What is known of a service.
struct Known {
    /// The last answer that was stated.
    answer: Vec<Instance>,
    /// What the token may not see, although it could.
    hidden: Vec<Instance>,
}

/// A service being watched.
pub(super) struct Watch {
    pub(super) shared: Shared,
    pub(super) name: String,
    /// Dropped with the first word about it.
    pub(super) pending: Option<Pending>,
    /// The service is in the list no more.
    pub(super) gone: CancellationToken,
    /// There is reason to ask at once.
    pub(super) wake: Arc<Notify>,
}

impl Watch {
    /// Follows the service until it is gone, or the store is.
    pub(super) async fn run(mut self) -> Result<(), Closed> {
        let gone = self.gone.clone();
        tokio::select! {
            biased;
            () = gone.cancelled() => Ok(()),
            ended = self.follow() => ended,
        }
    }

    async fn follow(&mut self) -> Result<(), Closed> {
        let set = set_of(&self.name);
        let mut follow = Follow::new(self.shared.config.max_stale);
        let mut known: Option<Known> = None;
        let mut place: Option<Held> = None;
        let mut beats = None;
        loop {
            place = place.or_else(|| self.shared.slots.hold());
            let answer = match &place {
                Some(_) => {
                    beats = None;
                    let asked = tokio::select! {
                        biased;
                        () = self.wake.notified() => None,
                        answer = self.ask(&follow, self.shared.config.wait) => Some(answer),
                    };
                    let Some(answer) = asked else {
                        follow.anew();
                        continue;
                    };
                    answer
                }
                None => {
                    let beats = beats.get_or_insert_with(|| self.shared.slots.listen());
                    if let Some((_, patience)) = follow.index(AT_LEAST) {
                        // What has changed since the last question counts, too.
                        let patience = patience / 2 + follow.pace.part_of(patience / 2);
                        tokio::select! {
                            _ = timeout(patience, beats.changed()) => {}
                            () = self.wake.notified() => {}
                        }
                    }
                    let _turn = self.shared.slots.quick().await;
                    self.ask(&follow, AT_ONCE).await
                }
            };
            let next = match self
                .state(&set, answer, known.as_ref(), &mut follow)
                .await?
            {
                Ok(Some(stated)) => {
                    known = Some(stated);
                    follow.worked()
                }
                Ok(None) => follow.worked(),
                Err(why) => {
                    self.shared.failing(&set, &why);
                    follow.failed()
                }
            };
            self.pending = None;
            sleep_until(next).await;
        }
    }

    async fn ask(&self, follow: &Follow, wait: Duration) -> Result<Answer<Vec<Instance>>, Error> {
        let query = self.shared.query(follow.index(wait));
        self.shared.api.health(&self.name, &query).await
    }

    /// States an answer if it is the truth and says something new; returns what is known then.
    async fn state(
        &self,
        set: &SetId,
        answer: Result<Answer<Vec<Instance>>, Error>,
        known: Option<&Known>,
        follow: &mut Follow,
    ) -> Result<Result<Option<Known>, Unreadable>, Closed> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error.into())),
        };
        let is_there = |old: &&Instance| answer.value.iter().any(|new| is_same(old, new));
        let lost = known.map_or(&[][..], |known| &known.answer).iter();
        let lost: Vec<&Instance> = lost.filter(|old| !is_there(old)).collect();
        let unseen = known.map_or(&[][..], |known| &known.hidden).iter();
        let unseen: Vec<&Instance> = unseen.filter(|old| !is_there(old)).collect();
        let same = known.is_some_and(|known| known.answer == answer.value);
        let loses = known.is_none() || !lost.is_empty();
        let doubt = match follow.judge(&answer, same, loses) {
            Verdict::Known => return Ok(Ok(None)),
            Verdict::Untrue(why) => return Ok(Err(Unreadable::Untrue(why))),
            Verdict::State(doubt) => doubt,
        };
        let asked = lost.iter().chain(&unseen).copied();
        let hidden = match self.hidden(asked, answer.filtered).await {
            Ok(hidden) => hidden,
            Err(error) => return Ok(Err(error.into())),
        };
        let is_hidden = |old: &&Instance| {
            let node = Readable::Node(old.node.node.clone());
            hidden.contains(&node) || hidden.contains(&Readable::Service(self.name.clone()))
        };
        let is_new = lost.iter().any(&is_hidden);
        if answer.value.is_empty() && hidden.is_empty() {
            // Where it has really gone, the list of services says so within a moment.
            let why = "no instances are shown of a service that is in the list: the token may not see its nodes";
            return Ok(Err(Unreadable::Untrue(why.into())));
        }
        let mapped = map::service(&self.name, &answer.value, &self.shared.naming);
        let mut tx = self.shared.updates.begin();
        tx.replace(set.clone(), mapped.objects);
        for (key, at, problems) in mapped.problems {
            tx.reject(set, Some(key), at, problems);
        }
        if is_new {
            tx.doubtful_until_confirmed(rights::why(&hidden));
        } else if let Some(why) = doubt {
            tx.doubtful(why);
        }
        if !hidden.is_empty() {
            tx.still_doubtful();
            follow.look_again();
        }
        tx.commit().await?;
        let hidden = lost.into_iter().chain(unseen).filter(is_hidden).cloned();
        let hidden = hidden.collect();
        Ok(Ok(Some(Known {
            answer: answer.value,
            hidden,
        })))
    }

    /// What keeps lost instances from being seen: the service, or their nodes.
    async fn hidden<'a>(
        &self,
        lost: impl Iterator<Item = &'a Instance>,
        filtered: bool,
    ) -> Result<BTreeSet<Readable>, Error> {
        let nodes = lost.map(|old| Readable::Node(old.node.node.clone()));
        let mut asked: BTreeSet<_> = nodes.collect();
        if !asked.is_empty() {
            asked.insert(Readable::Service(self.name.clone()));
        }
        self.shared.hidden(asked, filtered).await
    }
}

fn is_same(a: &Instance, b: &Instance) -> bool {
    (&a.node.node, &a.service.id) == (&b.node.node, &b.service.id)
}
