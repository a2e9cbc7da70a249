//! An Envoy control plane for a platform of one's own: a registry that reads a CSV file, and the crates around it.
//!
//! [`CsvRegistry`] is all that is specific; [`ControlPlane`] is what every embedding looks like. Run it with
//!
//! ```text
//! cargo run -p custom-adapter -- examples/custom-adapter/services.csv 127.0.0.1:15010
//! ```

mod adapter;
mod control_plane;
mod csv;

pub use adapter::CsvRegistry;
pub use control_plane::ControlPlane;
