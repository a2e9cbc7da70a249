//! The loop of one service: its instances and their health.

use std::time::Duration;

use pilothouse_core::registry::{Closed, SetId};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::first::Pending;
use super::follow::{Follow, Verdict};
use super::slots::{AT_LEAST, Held};
use super::{Shared, Unreadable};
use crate::client::{Answer, Error, Instance};
use crate::map;

/// The wait of a question that is to be answered at once.
const AT_ONCE: Duration = Duration::from_millis(1);

/// What the set of a service is called.
pub(super) fn set_of(service: &str) -> SetId {
    SetId::new(format!("service/{service}"))
}

/// A service being watched.
pub(super) struct Watch {
    pub(super) shared: Shared,
    pub(super) name: String,
    /// Dropped with the first word about it.
    pub(super) pending: Option<Pending>,
    /// The service is in the list no more.
    pub(super) gone: CancellationToken,
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
        let mut known: Option<Vec<Instance>> = None;
        let mut place: Option<Held> = None;
        let mut beats = None;
        loop {
            place = place.or_else(|| self.shared.slots.hold());
            let answer = match &place {
                Some(_) => {
                    beats = None;
                    self.ask(&follow, self.shared.config.wait).await
                }
                None => {
                    let beats = beats.get_or_insert_with(|| self.shared.slots.listen());
                    if let Some((_, patience)) = follow.index(AT_LEAST) {
                        // What has changed since the last question counts, too.
                        let patience = patience / 2 + follow.pace.part_of(patience / 2);
                        let _ = timeout(patience, beats.changed()).await;
                    }
                    let _turn = self.shared.slots.quick().await;
                    self.ask(&follow, AT_ONCE).await
                }
            };
            let next = match self
                .state(&set, answer, known.as_deref(), &mut follow)
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

    /// States an answer if it is the truth and says something new; returns what it says then.
    async fn state(
        &self,
        set: &SetId,
        answer: Result<Answer<Vec<Instance>>, Error>,
        known: Option<&[Instance]>,
        follow: &mut Follow,
    ) -> Result<Result<Option<Vec<Instance>>, Unreadable>, Closed> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error.into())),
        };
        let loses = known.is_none_or(|known| {
            known
                .iter()
                .any(|old| !answer.value.iter().any(|new| is_same(old, new)))
        });
        let doubt = match follow.judge(&answer, known == Some(&answer.value), loses) {
            Verdict::Known => return Ok(Ok(None)),
            Verdict::Untrue(why) => return Ok(Err(Unreadable::Untrue(why))),
            Verdict::State(doubt) => doubt,
        };
        if answer.value.is_empty() {
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
        if let Some(why) = doubt {
            tx.doubtful(why);
        }
        tx.commit().await?;
        Ok(Ok(Some(answer.value)))
    }
}

fn is_same(a: &Instance, b: &Instance) -> bool {
    (&a.node.node, &a.service.id) == (&b.node.node, &b.service.id)
}
