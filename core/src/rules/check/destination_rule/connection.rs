//! Limits, time-outs and tunnels.

use std::time::Duration;

use crate::rules::at::At;
use crate::rules::check::name::{is_fqdn, port_number};
use crate::rules::spec::destination_rule::{ConnectionPool, H2Upgrade, RetryBudget, Tunnel};
use crate::rules::spec::excerpt;

/// Envoy reads signed numbers in some of these places.
const MAX: u32 = i32::MAX as u32;

pub(in crate::rules::check) fn pool(at: &At<'_>, pool: &ConnectionPool) {
    if pool.tcp.is_none() && pool.http.is_none() {
        at.error_hint("says nothing", "give tcp, http or both");
    }
    if let Some(tcp) = &pool.tcp {
        let here = at.field("tcp");
        not_too_many(&here.field("maxConnections"), tcp.max_connections);
        for (name, time) in [
            ("connectTimeout", tcp.connect_timeout),
            ("maxConnectionDuration", tcp.max_connection_duration),
        ] {
            not_too_short(&here.field(name), time);
        }
        if let Some(keepalive) = &tcp.tcp_keepalive {
            let here = here.field("tcpKeepalive");
            for (name, time) in [("time", keepalive.time), ("interval", keepalive.interval)] {
                if time.is_some_and(|time| time < Duration::from_secs(1)) {
                    here.field(name).error("is less than a second");
                }
            }
        }
    }
    if let Some(http) = &pool.http {
        let here = at.field("http");
        for (name, count) in [
            ("http1MaxPendingRequests", http.http1_max_pending_requests),
            ("http2MaxRequests", http.http2_max_requests),
            ("maxRequestsPerConnection", http.max_requests_per_connection),
            ("maxRetries", http.max_retries),
            ("maxConcurrentStreams", http.max_concurrent_streams),
        ] {
            not_too_many(&here.field(name), count);
        }
        not_too_short(&here.field("idleTimeout"), http.idle_timeout);
        if http.use_client_protocol && http.h2_upgrade_policy == H2Upgrade::Upgrade {
            here.field("useClientProtocol")
                .error_hint("contradicts h2UpgradePolicy: UPGRADE", "use one of them");
        }
    }
}

fn not_too_many(at: &At<'_>, count: u32) {
    if count > MAX {
        at.error(format!("{count} is more than {MAX}"));
    }
}

/// A time that has no meaning below a millisecond.
pub(super) fn not_too_short(at: &At<'_>, time: Option<Duration>) {
    if time.is_some_and(|time| time < Duration::from_millis(1)) {
        at.error("is less than a millisecond");
    }
}

pub(super) fn tunnel(at: &At<'_>, tunnel: &Tunnel) {
    if !["", "CONNECT", "POST"]
        .iter()
        .any(|known| tunnel.protocol.eq_ignore_ascii_case(known))
    {
        at.field("protocol").error_hint(
            format!("{:?} is not a way to tunnel", excerpt(&tunnel.protocol)),
            "CONNECT or POST",
        );
    }
    let host = &tunnel.target_host;
    if !is_fqdn(host) && host.parse::<std::net::IpAddr>().is_err() {
        at.field("targetHost").error(format!(
            "{:?} is neither a name nor an address",
            excerpt(host)
        ));
    }
    port_number(&at.field("targetPort"), tunnel.target_port);
}

pub(super) fn retry_budget(at: &At<'_>, budget: &RetryBudget) {
    if budget
        .percent
        .is_some_and(|percent| !(0.0..=100.0).contains(&percent.get()))
    {
        at.field("percent")
            .error("is not a percentage: from 0 to 100");
    }
}
