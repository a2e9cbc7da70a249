//! From checked rules to services, endpoints and workloads.
