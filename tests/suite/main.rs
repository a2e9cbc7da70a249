//! The suites that cross crates, one module each.

mod envoy_static;
