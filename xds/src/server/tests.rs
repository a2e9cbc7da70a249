//! The server as clients see it: over TCP on loopback, with a scripted source of snapshots.

mod drain;
mod harness;
mod limits;
mod streams;
