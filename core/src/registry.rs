//! The contract between a platform and the mesh.
//!
//! An adapter implements [`Registry`]: an identity, and *run until told to stop, writing values*. It keeps no state that
//! others read; the store does. What it writes goes through [`Updates`], in transactions:
//!
//! - A **set** is the adapter's own unit of replacement: a kind, a file, a query. [`Tx::replace`] states a set as a whole,
//!   and what is not in it is gone; [`Tx::put`] and [`Tx::delete`] change single objects.
//! - A transaction is applied as a whole or, when dropped, not at all. Transactions of one registry are applied in the
//!   order of their commits. Moving an object between sets within one transaction is no removal.
//! - After every (re)start of `run` the adapter replaces each of its sets once and then calls [`Updates::synced`]. Until
//!   then the store keeps what an earlier run wrote: a lost connection changes nothing. Sets of an earlier run that
//!   this run has not replaced by then are removed by `synced`.
//! - A set that cannot be read is reported by [`Updates::failing`] and stays as it was. An object that cannot be read is
//!   reported by [`Tx::reject`] and keeps its last good version, if the replaced set had one.
//! - `run` returns `Ok` only after `stop`; returning early, with or without error, makes the supervisor run it again with
//!   back-off. Dropping the future at any await point is safe: what was committed stays, what was not is not there.
//!
//! The suite in [`contract`] checks all of this and is meant to be run by every adapter's tests.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod object;
mod updates;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use object::{
    EndpointPart, Kind, Meta, Object, ObjectKey, ObjectKeyParts, Origin, Problem, RegistryId,
    RegistryIdParts, SetId, Severity, Value, is_fatal,
};
pub use updates::{Closed, Need, Tx, Updates};
pub(crate) use updates::{Command, Doubt, Envelope, Inlet, Op, Transaction};

/// Why a run ended. It is shown to operators: say what failed, on what, and what to do.
pub type RunError = Box<dyn std::error::Error + Send + Sync>;

/// A source of services, endpoints, workloads and rules. See the [module](self) for the contract.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Who this is. It does not change.
    fn id(&self) -> &RegistryId;

    /// Writes to `updates` what the platform holds, and every change of it, until `stop` is cancelled.
    ///
    /// Stopping is prompt: within a second or so, whatever the platform is doing. Called again after it has returned early.
    async fn run(&self, updates: Updates, stop: CancellationToken) -> Result<(), RunError>;
}
