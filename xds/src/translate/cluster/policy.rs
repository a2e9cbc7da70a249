//! What `DestinationRule`s change in a cluster.

mod balancing;
mod limits;
mod outlier;
#[cfg(test)]
mod tests;
mod tls;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use pilothouse_core::model::Protocol;
use pilothouse_core::rules::resolve::{Blocks, ConnectionPool};

use crate::inputs::clusters::{Discovery, OutboundCluster};

/// Changes a cluster as its rules say.
pub(super) fn apply(cluster: &mut Cluster, input: &OutboundCluster) {
    let blocks = &input.governed.blocks;
    if let Some(pool) = &blocks.connection_pool {
        limits::apply(cluster, pool);
    }
    if let Some(budget) = blocks.retry_budget {
        limits::retry_budget(cluster, budget);
    }
    // Where clients dial endpoints themselves, nobody chooses among them.
    let chooses = !matches!(
        input.discovery,
        Discovery::OriginalDestination | Discovery::ByRequest(_)
    );
    if chooses && let Some(balancer) = &blocks.load_balancer {
        balancing::apply(cluster, balancer);
    }
    if let Some(detection) = &blocks.outlier_detection {
        outlier::apply(cluster, detection);
    }
    cluster.transport_socket = tls::socket(input);
}

/// Changes a cluster as what is said of connections to it.
pub(super) fn pool(cluster: &mut Cluster, pool: &ConnectionPool) {
    limits::apply(cluster, pool);
}

/// How HTTP is spoken to a port.
pub(super) fn protocol_options(protocol: Protocol, blocks: &Blocks) -> Option<HttpProtocolOptions> {
    limits::protocol_options(protocol, blocks)
}
