//! Commands that work on files alone.
//!
//! ```text
//! -f ─ sources ─► files (objects, findings) ─ mesh: the store ─► status ─ messages ─► validate
//!                                                └► the publisher ─► snapshot ─► translate
//! ```
//!
//! The store and the publisher are those of discovery, run for a moment, so that what is printed here is what it would send.

mod analyze;
mod envoy;
mod mesh;
mod messages;
mod node;
mod print;
mod published;
mod rehearsed;
mod sources;
mod translate;
mod validate;
mod workload;

pub use analyze::AnalyzeArgs;
pub(crate) use node::{NodeArgs, pair};
pub(crate) use published::published;
pub(crate) use rehearsed::rehearsed;
pub(crate) use sources::SourceArgs;
pub use translate::TranslateArgs;
pub use validate::ValidateArgs;
pub use workload::{ConfigureArgs, WorkloadArgs, WorkloadCommand};

pub(crate) use analyze::analyze;
pub(crate) use translate::translate;
pub(crate) use validate::{good_objects, validate};
pub(crate) use workload::workload;
