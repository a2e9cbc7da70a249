//! Commands that ask what runs: discovery through its debug pages, Envoy through its admin page, or a dump of it in a file.
//!
//! ```text
//! peer ─ bytes ─► dump, pages ─► rows of one command ─► table | JSON | YAML
//! ```
//!
//! Envoy's JSON is read as plain JSON and never through its protos, which would refuse what another version or build of
//! Envoy has. What a page lacks is left out, and what it has beside is passed over. Nothing here decides what a proxy gets.

mod dump;
mod json;
mod names;
mod output;
mod peer;
pub mod proxy_config;
pub mod proxy_status;
pub(crate) mod table;
pub mod version;

pub(crate) use dump::{Dump, Section};
pub use output::Output;
pub(crate) use peer::{Peer, encoded};
pub(crate) use proxy_config::dump_of;
