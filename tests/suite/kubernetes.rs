//! Discovery on a real Kubernetes API server.

mod crds;
mod platform;
