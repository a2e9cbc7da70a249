//! Answers DNS for names of the mesh and forwards the rest.
//!
//! ```text
//! query ─► handler ─┬─ a name of the table ─► answer (addresses, rotating)
//!                   └─ any other name ──────► forward ─► the servers of resolv.conf
//! ```
//!
//! The table comes from discovery; as long as there is none, a name that may be one of the mesh is answered by SERVFAIL, so
//! that nobody is told that it does not exist. This is no cache and no recursive resolver: who is asked is what the machine
//! asks otherwise.

mod answer;
mod forward;
mod handler;
pub mod resolv_conf;
pub mod table;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hickory_server::Server;
use thiserror::Error;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use handler::Handler;
use resolv_conf::Followed;
use table::NameTable;

/// The port that captured queries are sent to.
pub const PORT: u16 = 15053;

/// How long a client may keep a connection open without asking anything.
const IDLE: Duration = Duration::from_secs(10);

/// Responses that wait to be written to one connection.
const WAITING: usize = 32;

/// What the DNS proxy does.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens, by UDP and TCP.
    pub addresses: Vec<SocketAddr>,
    /// The namespace whose services are found by their names alone; empty for none.
    pub namespace: String,
    /// Names that are forwarded whatever the table says, such as that of discovery: until it is found there is no table.
    pub outside: Vec<String>,
    /// Who is asked about names that are not the mesh's; followed as it changes.
    pub resolv_conf: PathBuf,
    /// How long all of them together have for an answer.
    pub forward_timeout: Duration,
    /// How many queries may wait for an answer of theirs at the same time.
    pub in_flight: usize,
    /// How long clients may remember addresses of the mesh.
    pub ttl: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            addresses: vec![(Ipv4Addr::LOCALHOST, PORT).into()],
            namespace: String::new(),
            outside: Vec::new(),
            resolv_conf: "/etc/resolv.conf".into(),
            forward_timeout: Duration::from_secs(5),
            in_flight: 512,
            ttl: Duration::from_secs(30),
        }
    }
}

/// Why there is no DNS proxy.
#[derive(Debug, Error)]
pub enum DnsError {
    /// An address cannot be listened on.
    #[error("DNS cannot listen on {address} by {protocol}: is another resolver running there?")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        protocol: &'static str,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// It has ended before it was told to.
    #[error("the DNS proxy has ended: {0}")]
    Ended(String),
}

/// What has been asked, since the start.
#[derive(Debug, Default)]
pub struct Counters {
    requests: AtomicU64,
    upstream_requests: AtomicU64,
    failures: AtomicU64,
}

impl Counters {
    /// Queries that were taken.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Those that were forwarded.
    pub fn upstream_requests(&self) -> u64 {
        self.upstream_requests.load(Ordering::Relaxed)
    }

    /// Those that were answered by SERVFAIL: because nobody answered, or because there is no table.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// A DNS proxy: bound, and not running. See the [module](self).
#[derive(Debug)]
pub struct Dns {
    sockets: Vec<(UdpSocket, TcpListener)>,
    addresses: Vec<SocketAddr>,
    handler: Handler,
    resolv_conf: Followed,
}

impl Dns {
    /// Binds all addresses. Of port 0, UDP and TCP get the same port.
    ///
    /// # Errors
    /// One cannot be bound.
    pub async fn bind(
        settings: Settings,
        names: watch::Receiver<Option<Arc<NameTable>>>,
    ) -> Result<Self, DnsError> {
        let (mut sockets, mut addresses) = (Vec::new(), Vec::new());
        for address in &settings.addresses {
            let (udp, tcp, address) = bind(*address).await?;
            sockets.push((udp, tcp));
            addresses.push(address);
        }
        let path = settings.resolv_conf.clone();
        let resolv_conf = Followed::read(path, addresses.clone()).await;
        let handler = Handler::new(settings, names, resolv_conf.subscribe());
        Ok(Self {
            sockets,
            addresses,
            handler,
            resolv_conf,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What will have been asked.
    pub fn counters(&self) -> Arc<Counters> {
        self.handler.counters()
    }

    /// Answers until `stop`.
    ///
    /// # Errors
    /// A socket has failed.
    pub async fn run(self, stop: CancellationToken) -> Result<(), DnsError> {
        let mut server = Server::new(self.handler);
        for (udp, tcp) in self.sockets {
            server.register_socket(udp);
            server.register_listener(tcp, IDLE, WAITING);
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            ended = server.block_until_done() => {
                let why = ended.map_or_else(|error| error.to_string(), |()| "no socket is left".into());
                return Err(DnsError::Ended(why));
            }
            () = self.resolv_conf.follow() => {}
        }
        server
            .shutdown_gracefully()
            .await
            .map_err(|error| DnsError::Ended(error.to_string()))
    }
}

async fn bind(address: SocketAddr) -> Result<(UdpSocket, TcpListener, SocketAddr), DnsError> {
    let failed = |protocol| {
        move |error| DnsError::Bind {
            address,
            protocol,
            error,
        }
    };
    let mut attempts = if address.port() == 0 { 8 } else { 1 };
    loop {
        attempts -= 1;
        let tcp = TcpListener::bind(address).await.map_err(failed("TCP"))?;
        let bound = tcp.local_addr().map_err(failed("TCP"))?;
        match UdpSocket::bind(bound).await {
            Ok(udp) => return Ok((udp, tcp, bound)),
            // Somebody else has this port by UDP.
            Err(_) if attempts > 0 => {}
            Err(error) => return Err(failed("UDP")(error)),
        }
    }
}
