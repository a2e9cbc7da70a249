//! The relay between a scripted Envoy and a scripted discovery.

mod carrying;
mod discovery;
mod envoy;
mod failing;
mod flow;
mod naming;
mod secure;

use std::net::SocketAddr;

use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;
use envoy::Envoy;

const SOON: Duration = Duration::from_secs(20);

/// A relay that runs.
struct World {
    dir: TempDir,
    status: watch::Receiver<Status>,
    names: watch::Receiver<Option<Arc<NameTable>>>,
    counters: Arc<Counters>,
    stop: CancellationToken,
    running: JoinSet<()>,
}

impl World {
    async fn start(discovery: &[SocketAddr]) -> Self {
        Self::start_with(discovery, |_| {}).await
    }

    async fn start_with(discovery: &[SocketAddr], change: impl FnOnce(&mut Settings)) -> Self {
        let dir = TempDir::new().unwrap();
        let address = |socket: &SocketAddr| Address {
            host: socket.ip().to_string(),
            port: socket.port(),
        };
        let mut settings = Settings {
            socket: dir.path().join("XDS"),
            mode: 0o600,
            discovery: discovery.iter().map(address).collect(),
            tls: None,
            names: false,
            limits: Limits {
                backoff: Duration::from_millis(20),
                longest_backoff: Duration::from_millis(200),
                ..Limits::default()
            },
        };
        change(&mut settings);
        let relay = Relay::bind(settings).await.unwrap();
        let stop = CancellationToken::new();
        let (status, names, counters) = (relay.status(), relay.names(), relay.counters());
        let mut running = JoinSet::new();
        running.spawn(relay.run(stop.clone()));
        Self {
            dir,
            status,
            names,
            counters,
            stop,
            running,
        }
    }

    async fn envoy(&self) -> Envoy {
        Envoy::connect(&self.dir.path().join("XDS")).await
    }

    /// Waits until the status is as wanted.
    async fn status(&mut self, wanted: impl FnMut(&Status) -> bool) -> Status {
        let found = timeout(SOON, self.status.wait_for(wanted)).await;
        found.unwrap().unwrap().clone()
    }

    async fn end(mut self) {
        self.stop.cancel();
        timeout(SOON, self.running.join_next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert!(!self.dir.path().join("XDS").exists());
    }
}

/// A message as gRPC sends it.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    bytes.extend(message);
    bytes
}
