//! Traffic policies with everything said: defaults filled in, old forms of fields replaced by their new ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::rules::spec::Double;

/// What holds for all ports, and what holds for some.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Policy {
    /// What holds for a port that has nothing of its own.
    pub general: Blocks,
    /// What holds for single ports, in place of all of it.
    pub ports: BTreeMap<u16, Blocks>,
}

impl Policy {
    /// What holds for a port.
    pub fn of_port(&self, port: u16) -> &Blocks {
        self.ports.get(&port).unwrap_or(&self.general)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Blocks> {
        std::iter::once(&self.general).chain(self.ports.values())
    }
}

/// The parts of a policy that are overridden as wholes; `None`: the mesh's default.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Blocks {
    /// How an endpoint is chosen.
    pub load_balancer: Option<Arc<LoadBalancer>>,
    /// How many connections and requests there may be.
    pub connection_pool: Option<Arc<ConnectionPool>>,
    /// When an endpoint is left out for a while.
    pub outlier_detection: Option<Arc<OutlierDetection>>,
    /// How TLS is begun.
    pub tls: Option<Arc<Tls>>,
    /// That connections go through an HTTP proxy.
    pub tunnel: Option<Arc<Tunnel>>,
    /// That connections begin with a PROXY header, of which version.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// How many of all requests may be retries.
    pub retry_budget: Option<RetryBudget>,
}

impl Blocks {
    /// These, and those of `under` where nothing is said here.
    #[must_use]
    pub fn over(&self, under: &Self) -> Self {
        Self {
            load_balancer: or(&self.load_balancer, &under.load_balancer),
            connection_pool: or(&self.connection_pool, &under.connection_pool),
            outlier_detection: or(&self.outlier_detection, &under.outlier_detection),
            tls: or(&self.tls, &under.tls),
            tunnel: or(&self.tunnel, &under.tunnel),
            proxy_protocol: self.proxy_protocol.or(under.proxy_protocol),
            retry_budget: self.retry_budget.or(under.retry_budget),
        }
    }

    /// How localities are chosen: only with outlier detection does anybody find out that an endpoint fails.
    pub fn locality(&self) -> Option<LocalityLb> {
        let said = self
            .load_balancer
            .as_ref()
            .and_then(|balancer| balancer.locality.clone());
        match said {
            Some(said) if !said.needs_outlier_detection() => Some(said),
            _ if self.outlier_detection.is_none() => None,
            said => Some(said.unwrap_or_default()),
        }
    }
}

fn or<T>(a: &Option<Arc<T>>, b: &Option<Arc<T>>) -> Option<Arc<T>> {
    a.as_ref().or(b.as_ref()).cloned()
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct LoadBalancer {
    /// By what.
    pub algorithm: Algorithm,
    /// How localities are chosen; `None`: nothing is said.
    pub locality: Option<LocalityLb>,
    /// That new endpoints get their full share only after a while.
    pub warmup: Option<Warmup>,
}

/// By what an endpoint is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Algorithm {
    /// Of two at random, the one that has less to do.
    #[default]
    LeastRequest,
    /// One after the other.
    RoundRobin,
    /// Any.
    Random,
    /// The address that the client dialled.
    Passthrough,
    /// The same endpoint for what is alike.
    Hash(HashBy, Table),
}

/// In what requests are alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HashBy {
    /// A request header.
    Header(Arc<str>),
    /// A cookie.
    Cookie {
        /// Its name.
        name: Arc<str>,
        /// The path that it is made for.
        path: Arc<str>,
        /// How long it lasts; `None`: none is made.
        ttl: Option<Duration>,
    },
    /// The client's address.
    SourceIp,
    /// A parameter in the path's query.
    Query(Arc<str>),
}

/// Where endpoints stand that are chosen by a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// On a ring of at least so many places.
    Ring(u32),
    /// In a table of so many places; `None` is Envoy's default.
    Maglev(Option<u32>),
}

/// That new endpoints get their full share only after a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Warmup {
    /// After how long.
    pub duration: Duration,
    /// The share at the beginning, in percent.
    pub minimum_percent: Double,
    /// How the share grows; 1: evenly.
    pub aggression: Double,
}

/// How localities are chosen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LocalityLb {
    /// The client's locality does not count.
    Off,
    /// The client's own goes first, then the wider ones; when a region fails, those that stand here.
    Failover(BTreeMap<Arc<str>, Arc<str>>),
    /// What part of the traffic from a locality goes where.
    Distribute(Vec<(Area, Vec<(Area, u32)>)>),
    /// Endpoints that have more of the client's labels go first: keys, each optionally `=VALUE`.
    Priority(Vec<(Arc<str>, Option<Arc<str>>)>),
}

impl Default for LocalityLb {
    fn default() -> Self {
        Self::Failover(BTreeMap::new())
    }
}

impl LocalityLb {
    fn needs_outlier_detection(&self) -> bool {
        matches!(self, Self::Failover(_) | Self::Priority(_))
    }
}

/// A locality, or all of a region or zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Area {
    /// The region; `None`: any.
    pub region: Option<Arc<str>>,
    /// The zone; `None`: any.
    pub zone: Option<Arc<str>>,
    /// The sub-zone; `None`: any.
    pub sub_zone: Option<Arc<str>>,
}

/// How many connections and requests there may be. `None` is no limit, and Envoy's default for times.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ConnectionPool {
    /// Connections to all endpoints together.
    pub max_connections: Option<u32>,
    /// How long connecting may take.
    pub connect_timeout: Option<Duration>,
    /// That the kernel probes idle connections.
    pub keepalive: Option<Keepalive>,
    /// How long a connection may last.
    pub max_connection_duration: Option<Duration>,
    /// How long a TCP connection may be idle.
    pub tcp_idle_timeout: Option<Duration>,
    /// Requests that wait for a connection.
    pub max_pending_requests: Option<u32>,
    /// Requests at once.
    pub max_requests: Option<u32>,
    /// Requests on one connection.
    pub max_requests_per_connection: Option<u32>,
    /// Retries at once.
    pub max_retries: Option<u32>,
    /// How long a connection may be without requests.
    pub http_idle_timeout: Option<Duration>,
    /// Whether HTTP/1.1 becomes HTTP/2; `None`: as the mesh says.
    pub upgrade: Option<bool>,
    /// Whether the version of HTTP is the client's.
    pub client_protocol: bool,
    /// Requests that an HTTP/2 connection carries at once.
    pub max_concurrent_streams: Option<u32>,
}

/// How the kernel probes idle connections; `None` is the kernel's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keepalive {
    /// How many probes may fail.
    pub probes: Option<u32>,
    /// How long a connection is idle before the first probe.
    pub time: Option<Duration>,
    /// How long it is between probes.
    pub interval: Option<Duration>,
}

/// When an endpoint is left out. `None` is Envoy's default, 0 errors switch a reason off.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OutlierDetection {
    /// Whether failures to connect are counted apart.
    pub split_local: bool,
    /// Failures to connect in a row.
    pub local_failures: Option<u32>,
    /// Answers 502, 503 and 504 in a row.
    pub gateway_errors: Option<u32>,
    /// Answers 5xx in a row.
    pub server_errors: Option<u32>,
    /// How often it is looked at who may come back.
    pub interval: Option<Duration>,
    /// How long an endpoint is left out the first time.
    pub base_ejection_time: Option<Duration>,
    /// How many endpoints may be left out, in percent.
    pub max_ejection_percent: Option<u32>,
    /// Below how many healthy endpoints, in percent, all are used.
    pub min_health_percent: u32,
}

/// How TLS is begun.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Tls {
    /// It is not.
    Disable,
    /// It is, with files.
    Files(FileTls),
    /// With the workload's own certificate, as it was issued for the mesh.
    IstioMutual {
        /// The server name that is asked for; `None`: what stands for the cluster.
        sni: Option<Arc<str>>,
        /// The names of which the server's certificate has to bear one; empty: those of the service.
        subject_alt_names: Arc<[Arc<str>]>,
    },
    /// With a secret that nobody serves: no connection comes about.
    Unserved,
}

/// TLS with files on the proxy's machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileTls {
    /// The client's own certificate and its key.
    pub own: Option<(Arc<str>, Arc<str>)>,
    /// The authorities that are believed; `None`: the server's certificate is believed.
    pub authorities: Option<Arc<str>>,
    /// The server name that is asked for.
    pub sni: Option<Arc<str>>,
    /// The names of which the server's certificate has to bear one.
    pub subject_alt_names: Arc<[Arc<str>]>,
    /// Whether the server's certificate is looked at.
    pub verify: bool,
}

/// Connections through an HTTP proxy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// Whether they are asked for by POST instead of CONNECT.
    pub post: bool,
    /// Where the proxy is to connect to, `HOST:PORT`.
    pub target: Arc<str>,
}

/// The versions of the PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyProtocol {
    /// As text.
    V1,
    /// As bytes.
    V2,
}

/// How many of all requests may be retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RetryBudget {
    /// In percent of the requests that there are at once.
    pub percent: Double,
    /// How many there may be whatever the percentage.
    pub minimum: u32,
}
