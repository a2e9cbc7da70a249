//! The command line: as written, and resolved.
