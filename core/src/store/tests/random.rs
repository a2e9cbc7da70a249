//! Random writing.
