//! What a client holds that comes back: it says so in its first requests.

use std::sync::Arc;

use super::channel::Reported;
use super::due::Due;
use super::held::Held;
use super::sotw;
use super::stream::{Service, Stream};
use crate::fanout::Interest;
use crate::resource::{ResourceType, Version};
use crate::snapshot::Snapshot;

impl Stream {
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
            ResourceType::Listener | ResourceType::Route => {}
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
        if sotw::version(&whole) == version {
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
