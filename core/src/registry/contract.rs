//! The suite that every adapter is tested with, ours and others' (feature `contract`).
//!
//! An adapter's tests implement [`Fixture`]: a source of their own, such as a directory, a server or a scripted fake, that
//! can be brought to state a small [`World`], broken and healed. [`every_check`] then runs the adapter on a real store
//! and holds it to what the [registry module](super) says:
//!
//! ```text
//! contract::every_check(async || MyFixture::new()).await.unwrap();
//! ```
//!
//! Conditions are awaited, in real time, up to [`PATIENCE`]; nothing is slept for.

mod checks;
mod running;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use super::Registry;
use crate::mesh::Mesh;
use crate::model::ServiceKey;

pub use checks::{
    changes_arrive_in_order, every_check, first_full_sets_before_synced,
    lost_source_changes_nothing, partial_failure_stays_partial, restart_publishes_nothing,
    run_twice_gives_the_same, stopping_is_prompt,
};

/// How long the suite waits for an adapter to notice something.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long an adapter may take to stop.
pub const PROMPT: Duration = Duration::from_millis(1500);

/// The port of every service and endpoint of a [`World`]; HTTP is spoken on it.
pub const PORT: u16 = 8080;

/// The names of services that a [`World`] may have.
pub const SERVICES: [&str; 3] = ["alpha", "beta", "gamma"];

/// What a source states: services by name, with the addresses of their endpoints. It is small enough for every platform.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct World {
    /// Names are among [`SERVICES`]; each has at least one endpoint, and all listen on [`PORT`].
    pub services: BTreeMap<&'static str, BTreeSet<Ipv4Addr>>,
}

/// A source that an adapter reads, in the hands of the suite.
#[async_trait]
pub trait Fixture: Send {
    /// A fresh adapter on this source, always of the same identity.
    fn registry(&self) -> Arc<dyn Registry>;

    /// What the adapter makes of a service of this name.
    fn key(&self, service: &str) -> ServiceKey;

    /// Makes the source state exactly `world`. While the source is broken this may show only after it is healed.
    async fn apply(&mut self, world: &World);

    /// Makes the source unreadable: a connection cut, a directory gone, a permission lost. What it states stays the same.
    async fn break_source(&mut self);

    /// Makes the source readable again.
    async fn heal_source(&mut self);

    /// Makes the source state `world`, but what it says of `spoilt` unreadable: a syntax error, one query that fails.
    /// Returns false, and does nothing, if there is no such thing on this platform.
    async fn apply_spoilt(&mut self, world: &World, spoilt: &str) -> bool;
}

/// How an adapter breaks the contract.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{check}: {what}; expected {expected}, found {found}")]
pub struct Broken {
    /// The check that found it.
    pub check: &'static str,
    /// What was to happen.
    pub what: String,
    /// What ought to be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl World {
    /// A world of services by name, each with endpoints in `10.0.0.0/24` by their last number.
    pub fn of(services: &[(&'static str, &[u8])]) -> Self {
        let ips = |last: &[u8]| {
            last.iter()
                .map(|last| Ipv4Addr::new(10, 0, 0, *last))
                .collect()
        };
        Self {
            services: services
                .iter()
                .map(|(name, last)| (*name, ips(last)))
                .collect(),
        }
    }

    /// What a mesh has of the services that the suite uses.
    fn seen(mesh: &Mesh, fixture: &dyn Fixture) -> Self {
        let seen = |name: &'static str| {
            let key = fixture.key(name);
            mesh.service(&key)?;
            let endpoints = mesh.endpoints(&key).into_iter().flat_map(|all| all.iter());
            let ips = endpoints
                .flat_map(|endpoint| &endpoint.addresses)
                .filter_map(|address| match address.ip() {
                    Some(std::net::IpAddr::V4(ip)) => Some(ip),
                    _ => None,
                });
            Some((name, ips.collect()))
        };
        Self {
            services: SERVICES.into_iter().filter_map(seen).collect(),
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.services).finish()
    }
}
