//! What operators see of each registry.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::guard::Tally;
use crate::registry::{RegistryId, SetId};

/// One registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegistryView {
    /// Which one.
    pub id: RegistryId,
    /// Whether readiness waits for it without end.
    pub required: bool,
    /// How often it has been started.
    pub runs: u64,
    /// The last run that has written all its sets; 0: none has.
    pub synced_runs: u64,
    /// What it has.
    pub total: Tally,
    /// Since it last wrote anything.
    pub age: Option<Duration>,
    /// Why it cannot be read.
    pub failing: Option<FailingView>,
    /// How its last run ended that was not asked to.
    pub ended: Option<EndedView>,
    /// Its sets by name.
    pub sets: Vec<SetView>,
}

impl RegistryView {
    /// Whether its first full sets are there.
    pub fn is_synced(&self) -> bool {
        self.synced_runs > 0
    }

    /// Whether something of it cannot be read, or is held.
    pub fn is_impaired(&self) -> bool {
        let set = |set: &SetView| set.failing.is_some() || set.held.is_some();
        self.failing.is_some() || self.sets.iter().any(set)
    }
}

/// One set of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetView {
    /// Which one.
    pub id: SetId,
    /// How many objects it has in their last good version.
    pub objects: usize,
    /// How many it has whose text is rejected.
    pub rejected: usize,
    /// Since a transaction last spoke of it.
    pub age: Option<Duration>,
    /// Why it cannot be read.
    pub failing: Option<FailingView>,
    /// What the guard holds.
    pub held: Option<HeldView>,
}

/// Something that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailingView {
    /// Why.
    pub why: Arc<str>,
    /// For how long.
    pub since: Duration,
}

/// A run that ended without having been asked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndedView {
    /// Why.
    pub why: Arc<str>,
    /// How long ago.
    pub ago: Duration,
    /// How many runs have ended so.
    pub times: u64,
}

/// A loss that the guard holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldView {
    /// How many objects would change or go.
    pub objects: usize,
    /// For how long.
    pub since: Duration,
    /// Why it is held.
    pub why: Arc<str>,
}
