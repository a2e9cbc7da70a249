//! Manifests, YAML and JSON in the shape of Kubernetes' objects, as objects of the mesh: what adapters share that read them from
//! files, keys or a server. Without I/O.
//!
//! - `text` turns text into objects as written, each with its place, and explains what is wrong with a snippet.
//! - `reading` turns those into objects of the mesh. It is the one place that knows kinds.
//! - `crds` (a feature of its own) defines the kinds of rules to API servers.
//! - [`kubernetes`] turns Kubernetes' own objects into values.

#[cfg(feature = "crds")]
pub mod crds;
pub mod kubernetes;
mod reading;
mod text;

pub use reading::{Finding, Reading, Unknown, check_value};
pub use text::Format;
