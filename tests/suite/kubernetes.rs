//! Discovery on a real Kubernetes API server.

mod platform;
