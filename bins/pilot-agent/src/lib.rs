//! What runs beside every Envoy: its bootstrap, its life as a process, its way to discovery, names, certificates and
//! captured traffic.
//!
//! Each module is one job with its own settings; [`config`] reads the command line, [`app`] binds and runs the jobs of
//! `pilot-agent proxy`. What Envoy is configured with comes from discovery: nothing here translates.

pub mod app;
pub mod bootstrap;
pub mod config;
pub mod dns;
pub mod envoy;
pub mod fetch;
pub mod iptables;
pub mod relay;
pub mod request;
pub mod sds;
pub mod status;
pub mod template;
pub mod wait;

mod certificates;
mod unix_socket;
