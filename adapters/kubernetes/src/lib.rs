//! The registry Kubernetes: what the API server of a cluster holds, as values of the mesh, for as long as it runs.
