//! What is due because something else has been sent, whatever the client has: Envoy waits for it.

use std::sync::Arc;

use super::held::Held;
use super::plan::Plan;
use super::stream::{Mode, Stream};
use crate::fanout::Has;
use crate::resource::{Name, ResourceType};

/// Load assignments that are due whatever the client reports to have.
#[derive(Debug, Default)]
pub(super) enum Due {
    #[default]
    Nothing,
    Names(Vec<Name>),
    Everything,
}

impl Stream {
    /// Every cluster that is sent makes its load assignment due after it, as Envoy waits for one.
    pub(super) fn assignments_are_due(&mut self, plan: &Plan) {
        let Some(target) = self.pass.as_ref().map(|pass| pass.target.clone()) else {
            return;
        };
        let under = target.assignments.clusters.clone();
        let everything = plan.shared && self.channel(ResourceType::Cluster).held.base.is_none();
        let upserts = plan.upserts.iter().flat_map(|s| s.items());
        // A whole state also takes clusters back to what they were before a rejected response.
        let mode = self.mode;
        let taken_back = plan.after.exceptions.iter().filter(|e| {
            mode == Mode::Sotw && matches!(e.has, Has::Unsure(Some(_)) | Has::Perhaps(_))
        });
        let names = upserts
            .map(|item| item.name())
            .chain(taken_back.map(|e| &e.name));
        let assignments = self.channel(ResourceType::Endpoint);
        if !assignments.subscription.asked() {
            match &mut self.due {
                Due::Everything => {}
                due if everything => *due = Due::Everything,
                Due::Names(due) => due.extend(names.cloned()),
                due @ Due::Nothing => *due = Due::Names(names.cloned().collect()),
            }
            return;
        }
        if everything {
            let assignments = self.channel_mut(ResourceType::Endpoint);
            assignments.held_ever(|held| *held = Held::default());
            assignments.due = assignments
                .subscription
                .names()
                .cloned()
                .into_iter()
                .collect();
            return;
        }
        let interest = assignments.subscription.interest();
        let names: Vec<&str> = names
            .map(Name::as_str)
            .filter(|name| interest.contains(name))
            .collect();
        if names.is_empty() {
            return;
        }
        // Versions of assignments cover those of their clusters: what was sent under the clusters before these differs.
        let held = &assignments.held;
        let before = held.base.as_ref().and_then(|base| base.clusters.as_ref());
        let in_step = plan.shared
            && held.exceptions.is_empty()
            && before
                .zip(self.assigned.as_ref())
                .is_some_and(|(a, b)| Arc::ptr_eq(a, b) && !Arc::ptr_eq(b, &under));
        let names = self.shared.names(names);
        let assignments = self.channel_mut(ResourceType::Endpoint);
        if !in_step {
            assignments.forget(names.iter());
        }
        assignments.due.push(names);
    }

    /// A state-of-the-world request that came too late is ignored: that a client has given up routes and asks for them again,
    /// because listeners come and go, may not be seen in its subscription.
    pub(super) fn routes_are_due(&mut self, plan: &Plan) {
        let mode = self.mode;
        let routes = self.channel_mut(ResourceType::Route);
        if mode == Mode::Sotw && routes.subscription.active() {
            let interest = routes.subscription.interest();
            let named = plan.upserts.iter().flat_map(|segment| segment.routes());
            let asked = named.filter(|name| interest.contains(name.as_str()));
            routes.forget(asked);
        }
    }
}
