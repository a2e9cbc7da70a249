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
    /// Those whose load assignments have yet to be asked for and sent; all, until that has been looked at.
    unsent: Option<Arc<Fresh>>,
    /// Those whose load assignments have been sent, by the response that had the last of them.
    sent: Vec<(u64, Arc<Fresh>)>,
}

impl Gate {
    /// New clusters have been sent.
    pub(super) fn sent(&mut self, fresh: &Arc<Fresh>, nonce: u64) {
        if !fresh.is_empty() {
            self.warming.push(Warming {
                fresh: fresh.clone(),
                clusters: Some(nonce),
                unsent: Some(fresh.clone()),
                sent: Vec::new(),
            });
        }
    }

    /// A response has been acknowledged, and with it all of its type before it.
    pub(super) fn acknowledged(&mut self, resource_type: ResourceType, nonce: u64) {
        for warming in &mut self.warming {
            match resource_type {
                ResourceType::Cluster => warming.clusters = warming.clusters.filter(|n| *n > nonce),
                ResourceType::Endpoint => warming.sent.retain(|(sent, _)| *sent > nonce),
                ResourceType::Listener | ResourceType::Route | ResourceType::NameTable => {}
            }
        }
    }

    /// A response has been rejected, and all before it that have not been answered: what was good in them is sent again.
    pub(super) fn rejected(&mut self, resource_type: ResourceType, nonce: u64) {
        match resource_type {
            ResourceType::Cluster => self
                .warming
                .retain(|w| w.clusters.is_none_or(|n| n > nonce)),
            ResourceType::Endpoint => {
                for warming in &mut self.warming {
                    if warming.sent.iter().any(|(sent, _)| *sent <= nonce) {
                        warming.unsent = Some(warming.fresh.clone());
                        warming.sent.retain(|(sent, _)| *sent > nonce);
                    }
                }
            }
            ResourceType::Listener | ResourceType::Route | ResourceType::NameTable => {}
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
            let Some(unsent) = warming.unsent.take() else {
                continue;
            };
            let Coverage { asked, unasked } = coverage(&unsent);
            warming.unsent = (!unasked.is_empty()).then_some(unasked);
            if let Some(nonce) = open.filter(|_| !asked.is_empty()) {
                warming.sent.push((nonce, asked));
            }
        }
    }

    /// The clusters that are not ready; `assignments` says whether the client asks for any.
    pub(super) fn unready(&mut self, assignments: bool) -> Vec<Arc<Fresh>> {
        self.warming.retain(|w| {
            let assigned = w.unsent.is_none() && w.sent.is_empty();
            w.clusters.is_some() || assignments && !assigned
        });
        let mut unready = Vec::new();
        for warming in &self.warming {
            if warming.clusters.is_some() {
                unready.push(warming.fresh.clone());
            } else {
                unready.extend(warming.unsent.iter().cloned());
                unready.extend(warming.sent.iter().map(|(_, fresh)| fresh.clone()));
            }
        }
        unready
    }

    /// Nothing waits for these any longer.
    pub(super) fn waive(&mut self) {
        self.warming.clear();
    }
}
