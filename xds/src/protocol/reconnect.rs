//! What a client holds that comes back: it says so in its first requests.

use std::sync::Arc;

use super::channel::{Channel, Reported};
use super::due::Due;
use super::held::Held;
use super::sotw;
use super::stream::{Service, Stream};
use crate::fanout::Interest;
use crate::resource::{ResourceType, Version};
use crate::snapshot::Snapshot;

impl Stream {
    /// The types of which this client, should it come back, reports the version of a whole state that it may not have. It
    /// reports what it has accepted last; of a response that it rejects it has applied what was good, removals among it, and a
    /// cut may come before it has accepted the next.
    pub fn in_doubt(&self) -> Vec<ResourceType> {
        let accepted = |channel: &&Channel| match (channel.sent, channel.acked) {
            (None, _) => !channel.doubted,
            (Some(sent), acked) => acked.is_some_and(|acked| acked.nonce >= sent.nonce),
        };
        let whole = self
            .channels
            .iter()
            .filter(|c| self.is_whole(c.resource_type));
        let doubted = whole.filter(|channel| !accepted(channel));
        doubted.map(|channel| channel.resource_type).collect()
    }

    /// The client's last stream ended [in doubt](Self::in_doubt) of these. To be said before its first request.
    pub fn doubt(&mut self, types: &[ResourceType]) {
        for resource_type in types {
            self.channel_mut(*resource_type).doubted = true;
        }
    }

    /// Compares what the client has reported with what it is to have.
    pub(super) fn compare_reported(&mut self, target: &Arc<Snapshot>) {
        for resource_type in ResourceType::ALL {
            let reported = std::mem::take(&mut self.channel_mut(resource_type).reported);
            match reported {
                Reported::Nothing => {}
                Reported::Resources(reported) => {
                    let reported: Vec<_> = reported.iter().map(|(n, v)| (&**n, *v)).collect();
                    self.compare_resources(target, resource_type, &reported);
                }
                Reported::Whole(version) => self.compare_whole(target, resource_type, version),
            }
        }
    }

    pub(super) fn compare_resources(
        &mut self,
        target: &Arc<Snapshot>,
        resource_type: ResourceType,
        reported: &[(&str, Version)],
    ) {
        let newest = self.newest.clone().unwrap_or_else(|| target.clone());
        let goal = self.goal(resource_type, target, &newest);
        let interest = self.channel(resource_type).subscription.interest();
        let mut held = Held::reported(&self.shared, &goal, &interest, reported);
        match resource_type {
            ResourceType::Endpoint => match std::mem::take(&mut self.due) {
                // While a cluster warms, a client that comes back does not ask for clusters. Which versions it has of them is
                // not known, and whatever it has, it waits for this.
                Due::Nothing if self.awaits_clusters() => held = Held::default(),
                Due::Nothing => {}
                Due::Names(names) => held.forget(&names),
                Due::Everything => held = Held::default(),
            },
            ResourceType::Cluster => self.assigned = Some(target.assignments.clusters.clone()),
            ResourceType::Listener | ResourceType::Route | ResourceType::NameTable => {}
        }
        self.channel_mut(resource_type).held = held;
    }

    /// A version of the whole state says only something where everything is asked for.
    pub(super) fn compare_whole(
        &mut self,
        target: &Arc<Snapshot>,
        resource_type: ResourceType,
        version: Version,
    ) {
        let goal = self.goal(resource_type, target, target);
        let held = Held {
            base: Some(goal),
            exceptions: Arc::default(),
        };
        let whole = sotw::whole(&self.shared, &held, &Interest::Wildcard);
        if sotw::version(&whole) == version && !self.channel(resource_type).doubted {
            if resource_type == ResourceType::Cluster {
                self.assigned = Some(target.assignments.clusters.clone());
            }
            let channel = self.channel_mut(resource_type);
            channel.held = held;
            channel.answer = false;
        }
    }

    /// Whether clusters are served and have not been asked for.
    pub(super) fn awaits_clusters(&self) -> bool {
        self.service == Service::Ads && !self.channel(ResourceType::Cluster).subscription.asked()
    }
}
