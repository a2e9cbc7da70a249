//! The suites that cross crates, one module each.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "suites state what must hold, in helpers as well as in tests"
)]

mod acceptance;
mod agent_faults;
mod architecture;
mod bootstrap;
mod capture;
mod churn;
mod consul;
mod custom_adapter;
mod deploy;
mod destination_rule;
mod discovery;
mod docs;
mod dynamic_dns;
mod envoy_filter;
mod envoy_static;
mod every_envoy;
mod files;
mod fuzz_corpus;
mod gateway;
mod grpc_proxyless;
mod ingress;
mod kubernetes;
mod manifests;
mod names;
mod pilotctl_diff;
mod pilotctl_explain;
mod pilotctl_inspect;
mod pilotctl_offline;
mod properties;
mod protocol;
mod received;
mod refusal;
mod relay;
mod requests;
mod rule_rounds;
mod sds;
mod serving;
mod sidecar_scope;
mod telemetry;
mod template;
mod virtual_service;
mod warming;
mod workload;
mod world;
