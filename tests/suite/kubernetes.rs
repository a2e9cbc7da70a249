//! Discovery on a real Kubernetes API server.

mod clusters;
mod crds;
mod import;
mod platform;
mod rbac;
mod status;
mod setting;
mod watch;
