//! Resources of routers.
