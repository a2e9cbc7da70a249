//! Types of which a proxy's report of a whole state is not to be believed, until it has accepted another one.
//!
//! See [`Stream::in_doubt`](crate::protocol::Stream::in_doubt). What is remembered is bounded, and of this process: the oldest
//! is forgotten first.

use parking_lot::Mutex;
use pilothouse_core::model::NodeId;

use crate::resource::ResourceType;
use std::collections::{BTreeMap, VecDeque};

/// Beyond this many the oldest is forgotten.
const MOST: usize = 4_096;

/// What is in doubt, by node id.
#[derive(Debug, Default)]
pub(super) struct Doubts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    of: BTreeMap<NodeId, Vec<ResourceType>>,
    order: VecDeque<NodeId>,
}

impl Doubts {
    /// Remembers what is in doubt of a proxy whose stream has ended.
    pub(super) fn add(&self, id: &NodeId, types: Vec<ResourceType>) {
        let mut state = self.0.lock();
        if types.is_empty() || state.of.insert(id.clone(), types).is_some() {
            return;
        }
        state.order.push_back(id.clone());
        if state.order.len() > MOST
            && let Some(oldest) = state.order.pop_front()
        {
            state.of.remove(&oldest);
        }
    }

    /// What is in doubt of the proxy. It is forgotten: the stream that asks carries the doubt on.
    pub(super) fn take(&self, id: &NodeId) -> Vec<ResourceType> {
        let mut state = self.0.lock();
        let Some(types) = state.of.remove(id) else {
            return Vec::new();
        };
        state.order.retain(|other| other != id);
        types
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> NodeId {
        format!("sidecar~10.0.0.1~web-{n}.shop~shop.svc.cluster.local")
            .parse()
            .unwrap()
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let doubts = Doubts::default();
        let types = vec![ResourceType::Listener];
        for n in 0..=MOST {
            doubts.add(&id(n), types.clone());
            doubts.add(&id(n), types.clone());
        }
        assert_eq!(doubts.take(&id(0)), []);
        assert_eq!(doubts.take(&id(1)), types);
        assert_eq!(doubts.take(&id(1)), []);
        assert_eq!(doubts.take(&id(MOST)), types);
    }
}
