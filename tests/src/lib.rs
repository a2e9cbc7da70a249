//! The harness of the suites that cross crates: real processes, real sockets, real Envoys.
//!
//! A test puts together what it needs: a [`mesh_dir::MeshDir`] that it edits, a [`discovery::Discovery`] that watches it, [`envoy::Envoy`]s or [`ads`]
//! clients that are configured by it, [`backend::Backend`]s that answer their name, and [`traffic::Traffic`] between them. Every handle
//! ends what it started when it is dropped. Nothing here knows how configuration is made.

pub mod ads;
pub mod agent;
pub mod backend;
pub mod collector;
pub mod consul;
pub mod demo;
pub mod discovery;
pub mod echo;
pub mod envoy;
pub mod fuzz;
pub mod grpc;
pub mod http;
pub mod kube;
pub mod made;
pub mod mesh_dir;
pub mod netns;
pub mod ports;
pub mod process;
pub mod relay;
pub mod sidecar;
pub mod traffic;
pub mod wait;
