//! What follows from the answer to a response.

use std::sync::Arc;

use tokio::time::Instant;

use super::channel::Open;
use super::message::Rejection;
use super::stream::Stream;
use crate::fanout::Fresh;
use crate::resource::{Name, ResourceType};

impl Stream {
    /// The nonce, if it is one of this stream.
    pub(super) fn own_nonce(&self, text: &str) -> Option<u64> {
        let (id, nonce) = text.split_once('.')?;
        let id = u64::from_str_radix(id, 16).ok()?;
        let nonce = nonce.parse().ok()?;
        (id == self.id && nonce <= self.last_nonce).then_some(nonce)
    }

    pub(super) fn nonce_text(&self, nonce: u64) -> String {
        format!("{:x}.{nonce}", self.id)
    }

    /// A response has been acknowledged or rejected.
    pub(super) fn answered(
        &mut self,
        resource_type: ResourceType,
        nonce: u64,
        error: Option<Rejection>,
        now: Instant,
    ) {
        let Some(error) = error else {
            self.channel_mut(resource_type).acknowledge(nonce, now);
            self.gate.acknowledged(resource_type, nonce);
            return;
        };
        let whole = self.is_whole(resource_type);
        let channel = self.channel_mut(resource_type);
        let Some(rejected) = channel.reject(nonce, whole, &error.message, now) else {
            return;
        };
        channel.owed = whole && channel.acked.is_none();
        if !whole && let Some(before) = nonce.checked_sub(1) {
            self.gate.acknowledged(resource_type, before);
        }
        if rejected.upserts.is_empty() {
            self.gate.acknowledged(resource_type, nonce);
            return;
        }
        self.gate.rejected(resource_type, nonce);
        if resource_type == ResourceType::Cluster {
            self.still_fresh(&rejected);
            // A later response does not depend on what was taken back.
            match self.channel_mut(resource_type).open.front_mut() {
                Some(next) => next.assigned = rejected.assigned,
                None => self.assigned = rejected.assigned,
            }
        }
        if let Some(pass) = &mut self.pass {
            pass.listeners.retain(|(sent, _)| *sent != nonce);
        }
    }

    /// What a rejected response had first, later ones may have again, and the client has it from them alone.
    pub(super) fn still_fresh(&mut self, rejected: &Open) {
        let items = rejected.upserts.iter().flat_map(|s| s.items());
        let names = items.map(|item| item.name());
        let fresh: Vec<&Name> = names
            .filter(|name| rejected.before.has(name.as_str()).may_be_nothing())
            .collect();
        let [clusters, ..] = &self.channels;
        for later in &clusters.open {
            let again = fresh.iter().filter(|name| {
                let mut segments = later.upserts.iter();
                segments.any(|s| s.get(name.as_str()).is_some())
            });
            let mut again: Vec<Name> = again.map(|name| (*name).clone()).collect();
            again.sort_unstable();
            self.gate.sent(&Arc::new(Fresh::new(again)), later.nonce);
        }
    }
}
