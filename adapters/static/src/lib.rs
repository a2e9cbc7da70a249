//! A directory of YAML and JSON as a registry, kept up to date through the platform's file events.
//!
//! ```text
//! file events ──settling──► changed files ──manifests──► objects, findings ──Tx──► store
//! ```
//!
//! - `disk` says which files there are and when one is worth reading; it does not know what is in them.
//! - `files` knows what each file last said, and finds what is different. Each file is a set of the registry.
//!
//! The crate knows nothing of xDS, and it holds no last good version of anything: the store does.

mod config;
mod disk;
mod files;
mod offline;
mod registry;
mod watched_file;

pub use config::{ConfigError, DEFAULT_DOMAIN, StaticConfig};
pub use disk::ReadError;
pub use offline::{
    File, read, read_file, read_manifests, read_mesh_config, read_mesh_config_text, read_text,
    write_files,
};
// What is found in files is shown to people as it is; offline readers say what names are completed with.
pub use pilothouse_manifests::kubernetes::Names;
pub use pilothouse_manifests::{Finding, Unknown};
pub use registry::StaticRegistry;
pub use watched_file::{WatchedFile, watch_file};
