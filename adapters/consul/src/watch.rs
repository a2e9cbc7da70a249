//! Watching a catalog: loops of blocking queries that write what changed to the store.
//!
//! ```text
//! catalog ── names ──► one service loop each ──┐
//!   pulse ── something changed ──► those that   ├── Tx ──► store
//!            hold no query open                 │
//!   rules ── keys below a prefix ──────────────┘
//! ```
//!
//! Every loop asks, judges whether the answer is the truth ([`trust`], [`rights`]), states it, and asks again no sooner than its pace
//! allows ([`pace`]). What is not believed, or fails, leaves everything as it is and is reported with its set.

mod catalog;
mod first;
mod follow;
mod pace;
mod rights;
mod rules;
mod service;
mod slots;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::registry::{Closed, SetId, Updates};
use thiserror::Error;

use crate::client::{self, Block, ConsulApi, Index, Query};
use crate::config::ConsulConfig;
use crate::map::Naming;
use slots::Slots;

pub(crate) use catalog::watch;

/// What all loops of a run share.
#[derive(Debug, Clone)]
struct Shared {
    api: Arc<dyn ConsulApi>,
    config: Arc<ConsulConfig>,
    naming: Arc<Naming>,
    updates: Updates,
    slots: Slots,
}

impl Shared {
    /// A question to the datacenter that is read; with an index it is held open until there is something newer.
    fn query(&self, newer: Option<(Index, Duration)>) -> Query {
        Query {
            datacenter: self.config.datacenter.clone(),
            namespace: self.config.consul_namespace.clone(),
            partition: self.config.partition.clone(),
            filter: String::new(),
            consistency: self.config.consistency,
            block: newer.map(|(index, wait)| Block { index, wait }),
        }
    }

    /// Says of a set that it cannot be read, and why.
    fn failing(&self, set: &SetId, why: &Unreadable) {
        self.updates.failing(Some(set), why);
    }
}

/// Why what is known stays as it is.
#[derive(Debug, Error)]
enum Unreadable {
    /// There is no answer.
    #[error("what was read before stays")]
    Failed(#[from] client::Error),
    /// There is an answer, and it is not believed.
    #[error("what was read before stays: {0}")]
    Untrue(String),
}

/// Why a loop ends by itself.
#[derive(Debug, Clone, Copy, Error)]
#[error(transparent)]
pub(crate) struct Ended(#[from] Closed);
