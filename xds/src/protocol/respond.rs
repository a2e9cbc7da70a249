//! From a plan to a response, which is remembered until it is answered.

use std::sync::Arc;

use tokio::time::Instant;

use super::channel::Open;
use super::message::Response;
use super::plan::Plan;
use super::stream::{Mode, Stream};
use super::{delta, sotw};
use crate::fanout::{Content, Segment, Wrap};
use crate::resource::ResourceType;

impl Stream {
    /// Makes a response of a plan, and remembers it.
    pub(super) fn respond(
        &mut self,
        goal: &Content,
        plan: Plan,
        segments: Vec<Arc<Segment>>,
        trial: bool,
        now: Instant,
    ) -> Response {
        let resource_type = goal.resource_type;
        self.last_nonce += 1;
        self.responses += u64::from(self.unsettled.is_some());
        let (number, nonce) = (self.last_nonce, self.nonce_text(self.last_nonce));
        let version = sotw::version(&segments);
        let mut gone = plan.removed.clone();
        gone.extend(plan.absent.iter().cloned());
        let (head, wrap, removed) = match self.mode {
            Mode::Delta => {
                let head = delta::head(resource_type, version, &nonce, &gone);
                (head, Wrap::Delta, gone.len())
            }
            Mode::Sotw => (sotw::head(resource_type, version, &nonce), Wrap::Sotw, 0),
        };
        let parts = self.shared.payload(&segments, wrap);
        let resources = segments.iter().map(|s| s.items().len()).sum();
        let assigned = self.assigned.clone();
        if resource_type == ResourceType::Cluster {
            self.gate.sent(&plan.fresh, number);
            self.assigned = self
                .pass
                .as_ref()
                .map(|pass| pass.target.assignments.clusters.clone());
        }
        if resource_type == ResourceType::Listener
            && let Some(pass) = &mut self.pass
        {
            pass.listeners.push((number, plan.upserts.clone()));
        }
        let channel = self.channel_mut(resource_type);
        channel.asked.clear();
        channel.due.clear();
        channel.answer = false;
        if trial {
            channel.refusals.tried(now);
        }
        let before = std::mem::replace(&mut channel.held, plan.after);
        channel.opened(Open {
            nonce: number,
            at: now,
            version,
            before,
            assigned: (resource_type == ResourceType::Cluster)
                .then_some(assigned)
                .flatten(),
            upserts: plan.upserts,
            carried: segments,
            removed: plan.removed,
            trial,
        });
        Response {
            resource_type,
            nonce,
            head: head.freeze(),
            parts,
            resources,
            removed,
        }
    }
}
