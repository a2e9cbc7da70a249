//! Rules as written: the public API, one file per kind.

mod service_entry;
mod workload_entry;

pub use service_entry::ServiceEntry;
pub use workload_entry::WorkloadEntry;
