//! The blocks of a policy: defaults filled in, old forms replaced.

use std::sync::Arc;
use std::time::Duration;

use super::policy::{
    Algorithm, Area, Blocks, ConnectionPool, FileTls, HashBy, Keepalive, LoadBalancer, LocalityLb,
    OutlierDetection, Policy, ProxyProtocol, RetryBudget, Table, Tls, Tunnel, Warmup,
};
use crate::rules::spec::Double;
use crate::rules::spec::destination_rule::{self as spec, SimpleLb};

/// A ring has at least so many places where nothing is said.
const RING: u32 = 1024;

pub(super) fn policy(written: &spec::TrafficPolicy) -> Arc<Policy> {
    let general = Blocks {
        load_balancer: shared(&written.load_balancer, load_balancer),
        connection_pool: shared(&written.connection_pool, connection_pool),
        outlier_detection: shared(&written.outlier_detection, outlier_detection),
        tls: shared(&written.tls, tls),
        tunnel: shared(&written.tunnel, tunnel),
        proxy_protocol: written.proxy_protocol.map(proxy_protocol),
        retry_budget: written.retry_budget.map(retry_budget),
    };
    // What a port cannot say for itself stays what it is for all.
    let of_port = |port: &spec::PortPolicy| Blocks {
        load_balancer: shared(&port.load_balancer, load_balancer),
        connection_pool: shared(&port.connection_pool, connection_pool),
        outlier_detection: shared(&port.outlier_detection, outlier_detection),
        tls: shared(&port.tls, tls),
        ..general.clone()
    };
    let ports = written.port_level_settings.iter().filter_map(|port| {
        let number = u16::try_from(port.port?.number).ok()?;
        Some((number, of_port(port)))
    });
    Arc::new(Policy {
        ports: ports.collect(),
        general: general.clone(),
    })
}

fn shared<T, U>(written: &Option<T>, read: impl FnOnce(&T) -> U) -> Option<Arc<U>> {
    written.as_ref().map(|written| Arc::new(read(written)))
}

fn text(written: &str) -> Option<Arc<str>> {
    (!written.is_empty()).then(|| written.into())
}

fn number(written: u32) -> Option<u32> {
    (written != 0).then_some(written)
}

fn double(written: Option<Double>, default: f64) -> Double {
    written.or(Double::new(default)).unwrap_or_default()
}

fn load_balancer(written: &spec::LoadBalancer) -> LoadBalancer {
    let hash = written.consistent_hash.as_ref().and_then(hash);
    let algorithm = hash.unwrap_or_else(|| match written.simple.unwrap_or_default() {
        SimpleLb::Unspecified | SimpleLb::LeastConn | SimpleLb::LeastRequest => {
            Algorithm::LeastRequest
        }
        SimpleLb::Random => Algorithm::Random,
        SimpleLb::Passthrough => Algorithm::Passthrough,
        SimpleLb::RoundRobin => Algorithm::RoundRobin,
    });
    LoadBalancer {
        algorithm,
        locality: written.locality_lb_setting.as_ref().map(locality),
        warmup: warmup(written),
    }
}

fn hash(written: &spec::ConsistentHash) -> Option<Algorithm> {
    let by = if let Some(name) = text(&written.http_header_name) {
        HashBy::Header(name)
    } else if let Some(cookie) = &written.http_cookie {
        HashBy::Cookie {
            name: cookie.name.as_str().into(),
            path: cookie.path.as_str().into(),
            ttl: cookie.ttl,
        }
    } else if written.use_source_ip {
        HashBy::SourceIp
    } else {
        HashBy::Query(text(&written.http_query_parameter_name)?)
    };
    let ring = written
        .ring_hash
        .map(|ring| ring.minimum_ring_size)
        .filter(|size| *size != 0)
        .or(written.minimum_ring_size.filter(|size| *size != 0));
    let table = match written.maglev {
        Some(maglev) => Table::Maglev(number(maglev.table_size)),
        None => Table::Ring(ring.unwrap_or(RING)),
    };
    Some(Algorithm::Hash(by, table))
}

fn warmup(written: &spec::LoadBalancer) -> Option<Warmup> {
    let new = written.warmup.unwrap_or_default();
    Some(Warmup {
        duration: new
            .duration
            .or(written.warmup_duration_secs)
            .filter(|duration| !duration.is_zero())?,
        minimum_percent: double(new.minimum_percent, 10.0),
        aggression: double(new.aggression, 1.0),
    })
}

fn locality(written: &spec::LocalityLb) -> LocalityLb {
    if written.enabled == Some(false) {
        LocalityLb::Off
    } else if !written.distribute.is_empty() {
        let one = |distribute: &spec::Distribute| {
            let to = distribute.to.iter();
            (
                area(&distribute.from),
                to.map(|(to, percent)| (area(to), *percent)).collect(),
            )
        };
        LocalityLb::Distribute(written.distribute.iter().map(one).collect())
    } else if !written.failover_priority.is_empty() {
        let one = |label: &String| match label.split_once('=') {
            Some((key, value)) => (key.into(), Some(value.into())),
            None => (label.as_str().into(), None),
        };
        LocalityLb::Priority(written.failover_priority.iter().map(one).collect())
    } else {
        let one = |failover: &spec::Failover| {
            (failover.from.as_str().into(), failover.to.as_str().into())
        };
        LocalityLb::Failover(written.failover.iter().map(one).collect())
    }
}

fn area(written: &str) -> Area {
    let mut parts = written
        .splitn(3, '/')
        .map(|part| (part != "*").then(|| part.into()));
    let mut next = || parts.next().flatten();
    Area {
        region: next(),
        zone: next(),
        sub_zone: next(),
    }
}

pub(in crate::rules::resolve) fn connection_pool(written: &spec::ConnectionPool) -> ConnectionPool {
    let tcp = written.tcp.clone().unwrap_or_default();
    let http = written.http.clone().unwrap_or_default();
    ConnectionPool {
        max_connections: number(tcp.max_connections),
        connect_timeout: tcp.connect_timeout.filter(|time| !time.is_zero()),
        keepalive: tcp.tcp_keepalive.map(|keepalive| Keepalive {
            probes: number(keepalive.probes),
            time: keepalive.time,
            interval: keepalive.interval,
        }),
        max_connection_duration: tcp.max_connection_duration,
        tcp_idle_timeout: tcp.idle_timeout,
        max_pending_requests: number(http.http1_max_pending_requests),
        max_requests: number(http.http2_max_requests),
        max_requests_per_connection: number(http.max_requests_per_connection),
        max_retries: number(http.max_retries),
        http_idle_timeout: http.idle_timeout,
        upgrade: match http.h2_upgrade_policy {
            spec::H2Upgrade::Default => None,
            spec::H2Upgrade::DoNotUpgrade => Some(false),
            spec::H2Upgrade::Upgrade => Some(true),
        },
        client_protocol: http.use_client_protocol,
        max_concurrent_streams: number(http.max_concurrent_streams),
    }
}

fn outlier_detection(written: &spec::OutlierDetection) -> OutlierDetection {
    let nonzero = |time: Option<Duration>| time.filter(|time| !time.is_zero());
    OutlierDetection {
        split_local: written.split_external_local_origin_errors,
        local_failures: written.consecutive_local_origin_failures,
        gateway_errors: written
            .consecutive_gateway_errors
            .or(written.consecutive_errors.filter(|count| *count != 0)),
        server_errors: written.consecutive_5xx_errors,
        interval: nonzero(written.interval),
        base_ejection_time: nonzero(written.base_ejection_time),
        max_ejection_percent: number(written.max_ejection_percent),
        min_health_percent: written.min_health_percent,
    }
}

fn tls(written: &spec::ClientTls) -> Tls {
    let sni = text(&written.sni);
    let subject_alt_names = written.subject_alt_names.iter();
    let subject_alt_names = subject_alt_names.map(|name| name.as_str().into()).collect();
    let own = || {
        let (certificate, key) = (
            text(&written.client_certificate)?,
            text(&written.private_key)?,
        );
        Some((certificate, key))
    };
    match written.mode {
        spec::TlsMode::Disable => Tls::Disable,
        spec::TlsMode::IstioMutual => Tls::IstioMutual {
            sni,
            subject_alt_names,
        },
        spec::TlsMode::Simple | spec::TlsMode::Mutual if !written.credential_name.is_empty() => {
            Tls::Unserved
        }
        mode => Tls::Files(FileTls {
            own: (mode == spec::TlsMode::Mutual).then(own).flatten(),
            authorities: text(&written.ca_certificates),
            sni,
            subject_alt_names,
            verify: written.insecure_skip_verify != Some(true),
        }),
    }
}

fn tunnel(written: &spec::Tunnel) -> Tunnel {
    let host = &written.target_host;
    let target = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{}", written.target_port)
    } else {
        format!("{host}:{}", written.target_port)
    };
    Tunnel {
        post: written.protocol.eq_ignore_ascii_case("POST"),
        target: target.into(),
    }
}

fn proxy_protocol(written: spec::ProxyProtocol) -> ProxyProtocol {
    match written.version {
        spec::ProxyProtocolVersion::V1 => ProxyProtocol::V1,
        spec::ProxyProtocolVersion::V2 => ProxyProtocol::V2,
    }
}

fn retry_budget(written: spec::RetryBudget) -> RetryBudget {
    RetryBudget {
        percent: double(written.percent, 20.0),
        minimum: number(written.min_retry_concurrency).unwrap_or(3),
    }
}
