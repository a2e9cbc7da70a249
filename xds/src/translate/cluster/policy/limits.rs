//! How many connections and requests there may be, how long they may last, and how HTTP is spoken on them.

use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::thresholds;
use envoy_types::pb::envoy::config::cluster::v3::{Cluster, UpstreamConnectionOptions};
use envoy_types::pb::envoy::config::core::v3::{
    Http1ProtocolOptions, HttpProtocolOptions as CommonOptions, TcpKeepalive,
    UpstreamHttpProtocolOptions,
};
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions, explicit_http_config,
};
use envoy_types::pb::envoy::r#type::v3::Percent;
use pilothouse_core::model::Protocol;
use pilothouse_core::rules::resolve::{Blocks, ConnectionPool, RetryBudget, Tls};

use super::super::super::common::{duration, uint};
use super::super::as_downstream;

pub(super) fn apply(cluster: &mut Cluster, pool: &ConnectionPool) {
    if let Some(timeout) = pool.connect_timeout {
        cluster.connect_timeout = duration(timeout);
    }
    for limits in thresholds(cluster) {
        for (limit, said) in [
            (&mut limits.max_connections, pool.max_connections),
            (&mut limits.max_pending_requests, pool.max_pending_requests),
            (&mut limits.max_requests, pool.max_requests),
            (&mut limits.max_retries, pool.max_retries),
        ] {
            if let Some(said) = said {
                *limit = uint(said);
            }
        }
    }
    if let Some(keepalive) = pool.keepalive {
        let seconds = |time: Option<Duration>| {
            let seconds = u32::try_from(time?.as_secs()).unwrap_or(u32::MAX);
            uint(seconds)
        };
        cluster.upstream_connection_options = Some(UpstreamConnectionOptions {
            tcp_keepalive: Some(TcpKeepalive {
                keepalive_probes: keepalive.probes.and_then(uint),
                keepalive_time: seconds(keepalive.time),
                keepalive_interval: seconds(keepalive.interval),
            }),
            ..Default::default()
        });
    }
}

pub(super) fn retry_budget(cluster: &mut Cluster, budget: RetryBudget) {
    for limits in thresholds(cluster) {
        limits.retry_budget = Some(thresholds::RetryBudget {
            budget_percent: Some(Percent {
                value: budget.percent.get(),
            }),
            min_retry_concurrency: uint(budget.minimum),
            ..Default::default()
        });
    }
}

fn thresholds(
    cluster: &mut Cluster,
) -> impl Iterator<Item = &mut envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::Thresholds>
{
    let breakers = cluster.circuit_breakers.iter_mut();
    breakers.flat_map(|breakers| breakers.thresholds.iter_mut())
}

/// How HTTP is spoken to a port; `None` is Envoy's default, HTTP/1.1.
pub(super) fn protocol_options(protocol: Protocol, blocks: &Blocks) -> Option<HttpProtocolOptions> {
    let pool = blocks.connection_pool.as_deref();
    let speaks_http = protocol.is_http() || protocol.is_auto();
    let upgraded = protocol.is_http() && pool.is_some_and(|pool| pool.upgrade == Some(true));
    let spoken = if speaks_http && pool.is_some_and(|pool| pool.client_protocol) {
        Some(as_downstream())
    } else if upgraded {
        super::super::protocol_options(Protocol::Http2)
    } else {
        super::super::protocol_options(protocol)
    };
    if !speaks_http {
        return spoken;
    }
    let common = pool.and_then(common);
    let names = names(blocks);
    let streams = pool.and_then(|pool| pool.max_concurrent_streams);
    if common.is_none() && names.is_none() && streams.is_none() {
        return spoken;
    }
    let mut options = spoken.unwrap_or_else(http1);
    options.common_http_protocol_options = common;
    options.upstream_http_protocol_options = names;
    if let Some(streams) = streams {
        limit_streams(&mut options, streams);
    }
    Some(options)
}

fn common(pool: &ConnectionPool) -> Option<CommonOptions> {
    let options = CommonOptions {
        idle_timeout: pool.http_idle_timeout.and_then(duration),
        max_connection_duration: pool.max_connection_duration.and_then(duration),
        max_requests_per_connection: pool.max_requests_per_connection.and_then(uint),
        ..Default::default()
    };
    (options != CommonOptions::default()).then_some(options)
}

/// Where no server name is said, it is the host that a request is for, and the certificate has to bear it.
fn names(blocks: &Blocks) -> Option<UpstreamHttpProtocolOptions> {
    match blocks.tls.as_deref() {
        Some(Tls::Files(files)) if files.sni.is_none() => Some(UpstreamHttpProtocolOptions {
            auto_sni: true,
            auto_san_validation: files.verify && files.subject_alt_names.is_empty(),
            ..Default::default()
        }),
        _ => None,
    }
}

fn limit_streams(options: &mut HttpProtocolOptions, streams: u32) {
    use explicit_http_config::ProtocolConfig;
    let http2 = match &mut options.upstream_protocol_options {
        Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)) => {
            match &mut explicit.protocol_config {
                Some(ProtocolConfig::Http2ProtocolOptions(http2)) => Some(http2),
                _ => None,
            }
        }
        Some(UpstreamProtocolOptions::UseDownstreamProtocolConfig(downstream)) => {
            downstream.http2_protocol_options.as_mut()
        }
        _ => None,
    };
    if let Some(http2) = http2 {
        http2.max_concurrent_streams = uint(streams);
    }
}

fn http1() -> HttpProtocolOptions {
    let config =
        explicit_http_config::ProtocolConfig::HttpProtocolOptions(Http1ProtocolOptions::default());
    let explicit = ExplicitHttpConfig {
        protocol_config: Some(config),
    };
    HttpProtocolOptions {
        upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)),
        ..Default::default()
    }
}
