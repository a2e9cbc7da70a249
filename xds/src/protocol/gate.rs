//! Clusters that a client does not have yet, and that listeners and routes have to wait for.
//!
//! Envoy acknowledges clusters only when they are warm, and they are warm when their load assignments have come. Load
//! assignments therefore never wait; what uses the clusters waits for both acknowledgements.

use std::sync::Arc;

use crate::fanout::{Coverage, Fresh};
use crate::resource::ResourceType;

/// The clusters that were sent and are not ready.
#[derive(Debug, Default)]
pub(super) struct Gate {
    warming: Vec<Warming>,
}

/// The new clusters of one response.
#[derive(Debug)]
struct Warming {
    fresh: Arc<Fresh>,
    /// The response that carried them, until it is acknowledged.
    clusters: Option<u64>,
    assignments: Assignments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Assignments {
    Unsent,
    /// The last of them were in this response.
    Sent(u64),
    Acknowledged,
}

impl Gate {
    /// New clusters have been sent.
    pub(super) fn sent(&mut self, fresh: &Arc<Fresh>, nonce: u64) {
        if !fresh.is_empty() {
            self.warming.push(Warming {
                fresh: fresh.clone(),
                clusters: Some(nonce),
                assignments: Assignments::Unsent,
            });
        }
    }

    /// A response has been acknowledged, and with it all of its type before it.
    pub(super) fn acknowledged(&mut self, resource_type: ResourceType, nonce: u64) {
        for warming in &mut self.warming {
            match resource_type {
                ResourceType::Cluster => warming.clusters = warming.clusters.filter(|n| *n > nonce),
                ResourceType::Endpoint => {
                    if matches!(warming.assignments, Assignments::Sent(n) if n <= nonce) {
                        warming.assignments = Assignments::Acknowledged;
                    }
                }
                ResourceType::Listener | ResourceType::Route => {}
            }
        }
    }

    /// A response has been rejected: what was good in it is sent again.
    pub(super) fn rejected(&mut self, resource_type: ResourceType, nonce: u64) {
        match resource_type {
            ResourceType::Cluster => self.warming.retain(|w| w.clusters != Some(nonce)),
            ResourceType::Endpoint => {
                for warming in &mut self.warming {
                    if warming.assignments == Assignments::Sent(nonce) {
                        warming.assignments = Assignments::Unsent;
                    }
                }
            }
            ResourceType::Listener | ResourceType::Route => {}
        }
    }

    /// All load assignments that are asked for have been sent, the last of them in the response `open` if it is not
    /// acknowledged.
    pub(super) fn assignments_sent(
        &mut self,
        open: Option<u64>,
        coverage: impl Fn(&Arc<Fresh>) -> Coverage,
    ) {
        for warming in &mut self.warming {
            if warming.assignments == Assignments::Unsent {
                warming.assignments = match (coverage(&warming.fresh), open) {
                    (Coverage::Missing, _) => Assignments::Unsent,
                    (Coverage::NotNeeded, _) | (Coverage::Complete, None) => {
                        Assignments::Acknowledged
                    }
                    (Coverage::Complete, Some(nonce)) => Assignments::Sent(nonce),
                };
            }
        }
    }

    /// The clusters that are not ready; `assignments` says whether the client asks for any.
    pub(super) fn unready(&mut self, assignments: bool) -> Vec<Arc<Fresh>> {
        self.warming.retain(|w| {
            let assigned = !assignments || w.assignments == Assignments::Acknowledged;
            w.clusters.is_some() || !assigned
        });
        self.warming.iter().map(|w| w.fresh.clone()).collect()
    }

    /// Nothing waits for these any longer.
    pub(super) fn waive(&mut self) {
        self.warming.clear();
    }
}
