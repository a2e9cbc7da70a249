//! The state of one type on a stream: what is asked for, what is held, what waits for an answer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::held::Held;
use super::refusal::Refusals;
use super::subscription::{Subscription, Turn};
use crate::fanout::{NameSet, Segment, Set};
use crate::resource::{Name, ResourceType, Version};

/// Responses of one type that may wait for an answer at the same time, once the earlier is overdue.
const OPEN: usize = 2;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) resource_type: ResourceType,
    pub(super) subscription: Subscription,
    pub(super) held: Held,
    pub(super) reported: Reported,
    /// Responses without an answer, the oldest first.
    pub(super) open: VecDeque<Open>,
    /// Names that are to be answered whether they exist or not.
    pub(super) asked: Vec<Arc<NameSet>>,
    /// The client waits for a response even if there is nothing in it.
    pub(super) answer: bool,
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
    pub(super) upserts: Vec<Arc<Segment>>,
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
            open: VecDeque::new(),
            asked: Vec::new(),
            answer: false,
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

    /// A response has been sent. What is long overdue is given up: its answer will mean nothing.
    pub(super) fn opened(&mut self, open: Open) {
        self.sent = Some(Sent {
            nonce: open.nonce,
            version: open.version,
            at: open.at,
        });
        if self.open.len() >= OPEN {
            self.open.pop_front();
        }
        self.open.push_back(open);
    }

    /// The open response with this nonce has been accepted, and all before it: clients answer in order, and may leave out
    /// answers when they have a later one.
    pub(super) fn acknowledge(&mut self, nonce: u64, now: Instant) {
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

    /// The open response with this nonce has been rejected: nothing in it counts as held.
    pub(super) fn reject(&mut self, nonce: u64, message: &str, now: Instant) -> Option<Open> {
        while let Some(earlier) = self.open.pop_front_if(|open| open.nonce < nonce) {
            if earlier.trial {
                self.refusals.clear_trial();
            }
        }
        let rejected = self.open.pop_front_if(|open| open.nonce == nonce)?;
        self.nacks += 1;
        self.error = Some((message.into(), now));
        if rejected.upserts.is_empty() {
            // A removal cannot be done differently.
            return Some(rejected);
        }
        let refusals = &mut self.refusals;
        refusals.reject(
            self.resource_type,
            &rejected.upserts,
            rejected.trial,
            message,
        );
        let later = |name: &Name| {
            let carried = |open: &Open| {
                open.upserts.iter().any(|s| s.get(name.as_str()).is_some())
                    || open.removed.contains(name)
            };
            self.open.iter().any(carried)
        };
        // The client may have applied what was good of it, or not.
        let back = |name: &Name, refused: bool| {
            let before = rejected.before.has(name.as_str());
            let has = if refused { before } else { before.unsure() };
            (name.clone(), has)
        };
        let items = rejected.upserts.iter().flat_map(|s| s.items());
        let upserts = items.map(|item| (item.name(), self.refusals.refuses(item)));
        let removed = rejected.removed.iter().map(|name| (name, false));
        let back: Vec<_> = upserts
            .chain(removed)
            .filter(|(name, _)| !later(name))
            .map(|(name, refused)| back(name, refused))
            .collect();
        if self.open.is_empty() {
            self.held = rejected.before.clone();
        }
        self.held_ever(|held| held.set(back.iter().cloned()));
        Some(rejected)
    }
}
