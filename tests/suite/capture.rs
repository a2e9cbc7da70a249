//! Sidecars as they really run: machines of their own, rules of the kernel that our tool sets, real Envoys behind them, and
//! applications that know nothing of it.
//!
//! Virtual addresses belong to no machine: whoever gets an answer there has been captured.

pub(crate) mod app;
mod consul;
mod inbound;
mod manifests;
pub(crate) mod mesh;
mod names;
mod outbound;
mod resolver;
mod rules;
