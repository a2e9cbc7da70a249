//! How an endpoint is chosen.

use envoy_types::pb::envoy::config::cluster::v3::{Cluster, cluster};
use envoy_types::pb::envoy::config::core::v3::RuntimeDouble;
use envoy_types::pb::envoy::r#type::v3::Percent;
use envoy_types::pb::google::protobuf::UInt64Value;
use pilothouse_core::rules::resolve::{Algorithm, LoadBalancer, Table, Warmup};

use super::super::super::common::duration;

/// Envoy's limit of the places of a ring.
const MAX_RING: u64 = 8 * 1024 * 1024;

pub(super) fn apply(cluster: &mut Cluster, balancer: &LoadBalancer) {
    use cluster::{LbConfig, LbPolicy};
    let slow_start = balancer.warmup.map(slow_start);
    let (policy, config) = match &balancer.algorithm {
        Algorithm::LeastRequest => {
            let config = slow_start.map(|slow_start| {
                LbConfig::LeastRequestLbConfig(cluster::LeastRequestLbConfig {
                    slow_start_config: Some(slow_start),
                    ..Default::default()
                })
            });
            (LbPolicy::LeastRequest, config)
        }
        Algorithm::RoundRobin => {
            let config = slow_start.map(|slow_start| {
                LbConfig::RoundRobinLbConfig(cluster::RoundRobinLbConfig {
                    slow_start_config: Some(slow_start),
                })
            });
            (LbPolicy::RoundRobin, config)
        }
        Algorithm::Random => (LbPolicy::Random, None),
        Algorithm::Passthrough => return,
        Algorithm::Hash(_, Table::Ring(size)) => {
            let config = cluster::RingHashLbConfig {
                minimum_ring_size: wide(u64::from(*size).min(MAX_RING)),
                ..Default::default()
            };
            (LbPolicy::RingHash, Some(LbConfig::RingHashLbConfig(config)))
        }
        Algorithm::Hash(_, Table::Maglev(size)) => {
            let config = cluster::MaglevLbConfig {
                table_size: size.and_then(|size| wide(size.into())),
            };
            (LbPolicy::Maglev, Some(LbConfig::MaglevLbConfig(config)))
        }
    };
    cluster.lb_policy = policy.into();
    cluster.lb_config = config;
}

fn slow_start(warmup: Warmup) -> cluster::SlowStartConfig {
    cluster::SlowStartConfig {
        slow_start_window: duration(warmup.duration),
        aggression: Some(RuntimeDouble {
            default_value: warmup.aggression.get(),
            // Envoy wants a key by which an operator could change it.
            runtime_key: "upstream.slow_start.aggression".into(),
        }),
        min_weight_percent: Some(Percent {
            value: warmup.minimum_percent.get(),
        }),
    }
}

fn wide(value: u64) -> Option<UInt64Value> {
    Some(UInt64Value { value })
}
