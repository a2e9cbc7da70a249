//! How a workload is reached.

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::Protocol;
use crate::registry::{Meta, ObjectKey};
use crate::rules::resolve::destination_rule::connection_pool;
use crate::rules::resolve::gateway::security;
use crate::rules::resolve::{ConnectionPool, Security, Termination};
use crate::rules::spec::sidecar::{self as spec, CaptureMode};

/// How a workload is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ingress {
    /// The rule that says it.
    pub rule: ObjectKey,
    /// The ports in place of those of the workload's services; none: those.
    pub listeners: Vec<Arc<IngressListener>>,
    /// How many connections and requests the workload gets on each port; `None`: any number.
    pub pool: Option<Arc<ConnectionPool>>,
}

/// A port at which a workload is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IngressListener {
    /// The number.
    pub port: u16,
    /// What its author calls it.
    pub name: Arc<str>,
    /// What is spoken there.
    pub protocol: Protocol,
    /// The address; `None`: all.
    pub bind: Option<IpAddr>,
    /// Whether the proxy binds it itself; otherwise connections are captured.
    pub bound: bool,
    /// Where the workload listens; `None`: at the address and port that were dialled.
    pub endpoint: Option<DefaultEndpoint>,
    /// The TLS that ends here.
    pub tls: Option<Arc<Termination>>,
    /// How many connections and requests the workload gets.
    pub pool: Option<Arc<ConnectionPool>>,
}

/// Where a workload listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DefaultEndpoint {
    /// At this port of the loopback address.
    Loopback(IpAddr, u16),
    /// At this port of the address that was dialled.
    Instance(u16),
    /// At a socket in the file system.
    Unix(Arc<str>),
}

/// What a rule says; `None` where it says nothing.
pub(super) fn ingress(meta: &Meta, written: &crate::rules::spec::Sidecar) -> Option<Ingress> {
    let pool = written.inbound_connection_pool.as_ref();
    let pool = pool.map(connection_pool).map(Arc::new);
    let mut listeners: Vec<_> = written
        .ingress
        .iter()
        .filter_map(|one| listener(one, pool.as_ref()))
        .map(Arc::new)
        .collect();
    listeners.sort_by_key(|one| one.port);
    listeners.dedup_by_key(|one| one.port);
    let is_nothing = listeners.is_empty() && pool.is_none();
    (!is_nothing).then(|| Ingress {
        rule: meta.key.clone(),
        listeners,
        pool,
    })
}

fn listener(
    written: &spec::IngressListener,
    general: Option<&Arc<ConnectionPool>>,
) -> Option<IngressListener> {
    let port = written.port.as_ref()?;
    let number = u16::try_from(port.number).ok().filter(|port| *port != 0)?;
    let protocol = Protocol::parse(&port.protocol)
        .unwrap_or_else(|| Protocol::select(None, &port.name, number));
    let pool = written.connection_pool.as_ref();
    Some(IngressListener {
        port: number,
        name: port.name.as_str().into(),
        protocol,
        bind: written.bind.parse().ok(),
        bound: written.capture_mode == CaptureMode::None,
        endpoint: endpoint(&written.default_endpoint),
        tls: match security(protocol, written.tls.as_ref()) {
            Some(Security::Terminate(tls)) => Some(tls),
            _ => None,
        },
        pool: pool
            .map(connection_pool)
            .map(Arc::new)
            .or_else(|| general.cloned()),
    })
}

/// `127.0.0.1:PORT` and the like, or `unix://PATH`.
fn endpoint(written: &str) -> Option<DefaultEndpoint> {
    if let Some(path) = written.strip_prefix("unix://") {
        return Some(DefaultEndpoint::Unix(path.into()));
    }
    let (host, port) = written.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_loopback() => Some(DefaultEndpoint::Loopback(ip, port)),
        // Nothing, or all addresses: the workload's own.
        _ => Some(DefaultEndpoint::Instance(port)),
    }
}
