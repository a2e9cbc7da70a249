//! Discovery on a real Kubernetes API server.

mod clusters;
mod consul;
mod contract;
mod crds;
mod ground;
mod import;
mod platform;
mod rbac;
mod registry;
mod same_mesh;
mod setting;
mod status;
mod traffic;
mod watch;
