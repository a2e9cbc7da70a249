//! The caches that all streams of a process share.

use std::sync::Arc;

use super::names::{NameSet, NameSets};

/// What streams share: interned names, differences of sets, encoded payloads.
#[derive(Default)]
pub struct Fanout {
    names: NameSets,
}

impl Fanout {
    /// The set of these names, in any order and with repetitions.
    pub fn names(&self, names: Vec<&str>) -> Arc<NameSet> {
        self.names.intern(names)
    }

    /// `old` with `added` and without `removed`.
    pub(crate) fn step(
        &self,
        old: &Arc<NameSet>,
        added: &Arc<NameSet>,
        removed: &Arc<NameSet>,
    ) -> Arc<NameSet> {
        self.names.step(old, added, removed)
    }
}
