//! The control plane as a process: flags, logs, HTTP pages, and the composition of registries, store and xDS server.
//!
//! [`config`] reads the command line, [`app`] binds every socket and then runs everything, `main` waits for signals.
//! What the mesh means is in `pilothouse-core`, what proxies get in `pilothouse-xds`.

pub mod app;
pub mod config;
pub mod debug;
pub mod http;
pub mod mesh_config;
