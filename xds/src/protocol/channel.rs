//! The state of one type on a stream: what is asked for, what is held, what waits for an answer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::held::Held;
use super::refusal::Refusals;
use super::subscription::{Subscription, Turn};
use crate::fanout::{Item, NameSet, Segment, Set};
use crate::resource::{Name, ResourceType, Version};

/// Responses of one type whose answers are awaited at the same time, each sent when the one before it was overdue.
const OPEN: usize = 8;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) resource_type: ResourceType,
    pub(super) subscription: Subscription,
    pub(super) held: Held,
    pub(super) reported: Reported,
    /// What the client reports of a whole state is not believed.
    pub(super) doubted: bool,
    /// Responses without an answer, the oldest first.
    pub(super) open: VecDeque<Open>,
    /// Responses whose answers are not awaited any longer, the latest first.
    given_up: VecDeque<u64>,
    /// Names that are to be answered whether they exist or not.
    pub(super) asked: Vec<Arc<NameSet>>,
    /// Load assignments that the client waits for, whether there are any or not.
    pub(super) due: Vec<Arc<NameSet>>,
    /// The client waits for a response even if there is nothing in it.
    pub(super) answer: bool,
    /// The client has rejected the first whole state of this stream. What it has from another stream is not known, and a
    /// whole state has to replace it as soon as one holds nothing that it refuses.
    pub(super) owed: bool,
    /// There is something to send that is not sent.
    pub(super) pending: bool,
    pub(super) refusals: Refusals,
    pub(super) sent: Option<Sent>,
    pub(super) acked: Option<Sent>,
    pub(super) error: Option<(Arc<str>, Instant)>,
    pub(super) nacks: u64,
}

/// What a client has said to hold when it asked first, until that can be compared.
#[derive(Debug, Default)]
pub(super) enum Reported {
    #[default]
    Nothing,
    /// Names with versions.
    Resources(Vec<(Box<str>, Version)>),
    /// The version of a whole state.
    Whole(Version),
}

/// A response without an answer. It remembers what it carried by pointers.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) nonce: u64,
    pub(super) at: Instant,
    pub(super) version: Version,
    /// What the client held before it.
    pub(super) before: Held,
    /// The clusters that load assignments were sent under before it.
    pub(super) assigned: Option<Arc<Set>>,
    /// What it changed. If it is a whole state, also what it repeats of those before it that had no answer then.
    pub(super) upserts: Vec<Arc<Segment>>,
    /// Everything that was in it, which is more if it is a whole state.
    pub(super) carried: Vec<Arc<Segment>>,
    pub(super) removed: Vec<Name>,
    /// Whether it carried what is suspected.
    pub(super) trial: bool,
}

/// A response that was sent or acknowledged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) nonce: u64,
    pub(super) version: Version,
    pub(super) at: Instant,
}

impl Channel {
    pub(super) fn new(resource_type: ResourceType) -> Self {
        Self {
            resource_type,
            subscription: Subscription::default(),
            held: Held::default(),
            reported: Reported::Nothing,
            doubted: false,
            open: VecDeque::new(),
            given_up: VecDeque::new(),
            asked: Vec::new(),
            due: Vec::new(),
            answer: false,
            owed: false,
            pending: false,
            refusals: Refusals::default(),
            sent: None,
            acked: None,
            error: None,
            nacks: 0,
        }
    }

    /// Applies what a request has changed in the subscription.
    pub(super) fn turn(&mut self, turn: &Turn) {
        if turn.everything && !turn.first {
            let names = self.subscription.names().cloned();
            let named = || names.iter().flat_map(|names| names.iter());
            self.held_ever(|held| held.keep_only(named()));
        }
        if let Some(added) = &turn.added {
            if !turn.first {
                self.forget(added.iter());
            }
            self.asked.push(added.clone());
        }
        if turn.changed {
            let interest = self.subscription.interest();
            if self.subscription.active() {
                self.held.restrict(&interest);
            } else {
                self.held_ever(|held| *held = Held::default());
                self.asked.clear();
                self.due.clear();
                self.answer = false;
                self.pending = false;
            }
        }
    }

    /// What the client has of these names does not count, whatever becomes of the responses that are under way.
    pub(super) fn forget<'a>(&mut self, names: impl Iterator<Item = &'a Name> + Clone) {
        self.held_ever(|held| held.forget(names.clone()));
    }

    /// Changes what is held, and what is held again when an open response is rejected.
    pub(super) fn held_ever(&mut self, mut change: impl FnMut(&mut Held)) {
        change(&mut self.held);
        for open in &mut self.open {
            change(&mut open.before);
        }
    }

    /// Whether another response may be sent; otherwise when.
    pub(super) fn window(&self, now: Instant, ack_timeout: Duration) -> Result<(), Instant> {
        match self.open.back() {
            Some(open) if now < open.at + ack_timeout => Err(open.at + ack_timeout),
            _ => Ok(()),
        }
    }

    /// A response has been sent. What is long overdue is given up.
    pub(super) fn opened(&mut self, open: Open) {
        self.sent = Some(Sent {
            nonce: open.nonce,
            version: open.version,
            at: open.at,
        });
        if self.open.len() >= OPEN
            && let Some(given_up) = self.open.pop_front()
        {
            self.given_up.truncate(OPEN);
            self.given_up.push_front(given_up.nonce);
        }
        self.open.push_back(open);
    }

    /// The open response with this nonce has been accepted, and all before it: clients answer in order, and may leave out
    /// answers when they have a later one.
    pub(super) fn acknowledge(&mut self, nonce: u64, now: Instant) {
        self.given_up.retain(|given_up| *given_up > nonce);
        while let Some(open) = self.open.pop_front_if(|open| open.nonce <= nonce) {
            if open.trial {
                self.refusals.clear_trial();
            }
            self.acked = Some(Sent {
                nonce: open.nonce,
                version: open.version,
                at: now,
            });
        }
    }

    /// The open response with this nonce has been rejected: nothing in it counts as held. Returns what was rejected.
    pub(super) fn reject(
        &mut self,
        nonce: u64,
        whole: bool,
        message: &str,
        now: Instant,
    ) -> Option<Open> {
        if let Some(at) = self.given_up.iter().position(|given_up| *given_up == nonce) {
            // What it carried is forgotten, and it is not known what the client has.
            self.given_up.remove(at);
            self.held_ever(Held::doubt);
            self.rejected(message, now);
            return None;
        }
        if self.open.iter().all(|open| open.nonce != nonce) {
            return None;
        }
        if !whole && let Some(before) = nonce.checked_sub(1) {
            self.acknowledge(before, now);
        }
        let mut rejected = self.open.pop_front()?;
        while rejected.nonce < nonce
            && let Some(next) = self.open.pop_front()
        {
            rejected.followed_by(next);
        }
        self.rejected(message, now);
        let (suspects, unaccepted) = (rejected.suspects(), rejected.unaccepted());
        if unaccepted.is_empty() {
            // A removal cannot be done differently.
            return Some(rejected);
        }
        // A whole state may repeat what the one before it was rejected for.
        let explained = !rejected.trial && self.refusals.explain(&unaccepted);
        self.refusals.reject(
            self.resource_type,
            &suspects,
            &unaccepted,
            explained,
            rejected.trial,
            message,
        );
        self.take_back(&rejected);
        Some(rejected)
    }

    fn rejected(&mut self, message: &str, now: Instant) {
        self.nacks += 1;
        self.error = Some((message.into(), now));
    }

    /// The client holds what it held before, as far as it did not apply what was good of the response.
    fn take_back(&mut self, rejected: &Open) {
        // What it removed may be gone, whatever else it did to it.
        let mut back = Vec::new();
        for name in &rejected.removed {
            let before = rejected.before.has(name.as_str());
            back.push((name.clone(), before.perhaps()));
        }
        for item in rejected.upserts.iter().flat_map(|s| s.items()) {
            let before = rejected.before.has(item.name().as_str());
            let sure = rejected.accepted_before(item) || self.refusals.refuses(item);
            let has = if sure { before } else { before.unsure() };
            back.push((item.name().clone(), has));
        }
        if self.open.is_empty() {
            self.held = rejected.before.clone();
        }
        for open in &mut self.open {
            open.before.set(back.iter().cloned());
            // What it carried does not depend on what was held before.
            back.retain(|(name, _)| !open.concerns(name));
        }
        self.held.set(back);
    }
}

impl Open {
    /// Whether it changes what the client has of this name.
    fn concerns(&self, name: &Name) -> bool {
        self.upserts.iter().any(|s| s.get(name.as_str()).is_some()) || self.removed.contains(name)
    }

    /// Makes one of two whole states of which only the second is answered.
    fn followed_by(&mut self, next: Self) {
        self.nonce = next.nonce;
        self.version = next.version;
        self.at = next.at;
        self.carried = next.carried;
        self.upserts.extend(next.upserts);
        self.removed.extend(next.removed);
        self.trial |= next.trial;
    }

    /// What it changed and still carried: why it was rejected, unless that was the case before it.
    fn suspects(&self) -> Vec<&Item> {
        let mut suspects = self.unaccepted();
        suspects.retain(|item| {
            let mut upserts = self.upserts.iter();
            upserts.any(|s| {
                s.get(item.name().as_str())
                    .is_some_and(|i| i.version == item.version)
            })
        });
        suspects
    }

    /// What is in it and the client is not known to have accepted: what it may name.
    fn unaccepted(&self) -> Vec<&Item> {
        let items = self.carried.iter().flat_map(|s| s.items());
        sorted(items.filter(|item| !self.accepted_before(item)))
    }

    /// Whether the client is known to have had this when it came.
    fn accepted_before(&self, item: &Item) -> bool {
        self.before.has(item.name().as_str()).version() == Some(item.version)
    }
}

fn sorted<'a>(items: impl Iterator<Item = &'a Item>) -> Vec<&'a Item> {
    let mut items: Vec<_> = items.collect();
    items.sort_by(|a, b| a.name().cmp(b.name()));
    items.dedup_by(|a, b| a.name() == b.name());
    items
}
