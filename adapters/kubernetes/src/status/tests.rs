//! A server that holds objects, to write to: it counts versions, and refuses what is written for an old one.

mod fake;
mod writing;

pub(super) use fake::Fake;
