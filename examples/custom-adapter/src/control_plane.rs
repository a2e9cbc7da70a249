//! A registry, a store, a publisher and a server, put together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pilothouse_core::debounce;
use pilothouse_core::registry::{Need, Registry};
use pilothouse_core::store::{self, Store};
use pilothouse_core::supervisor::{self, Supervisor};
use pilothouse_xds::metrics::Metrics;
use pilothouse_xds::patch;
use pilothouse_xds::publisher::Publisher;
use pilothouse_xds::refusals::Refusals;
use pilothouse_xds::server::{self, Server};
use tokio_util::sync::CancellationToken;

/// How long proxies have to go when the process stops.
const GRACE: Duration = Duration::from_secs(2);

/// Bound and not yet running.
pub struct ControlPlane {
    store: Store,
    supervisor: Supervisor,
    publisher: Publisher,
    server: Server,
    address: SocketAddr,
}

impl ControlPlane {
    /// Serves what `registry` writes on `address`, as soon as its first full set is there.
    pub fn bind(registry: Arc<dyn Registry>, address: SocketAddr) -> Result<Self> {
        let settings = store::Settings {
            checks: vec![patch::check],
            ..store::Settings::default()
        };
        let (store, handle) = Store::new(settings);
        let supervisor = Supervisor::new(
            [(registry, Need::Required)],
            &handle,
            supervisor::Settings::default(),
        );
        // The registry of metrics can be served with `prometheus_client::encoding`; this example has no page for it.
        let metrics = Metrics::new(&mut Default::default(), env!("CARGO_PKG_VERSION"));
        let (publisher, hub) =
            Publisher::new(&handle, debounce::Settings::default(), metrics.clone());
        let mut server = Server::new(server::Context {
            source: Arc::new(hub),
            observer: Arc::new(Refusals::new(handle)),
            fanout: Arc::default(),
            metrics: Arc::new(metrics),
            limits: Default::default(),
            settings: Default::default(),
        });
        let address = server
            .listen(address)
            .with_context(|| format!("listening on {address}"))?;
        Ok(Self {
            store,
            supervisor,
            publisher,
            server,
            address,
        })
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs until `stop`, then lets the proxies go.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        let end = CancellationToken::new();
        tokio::select! {
            () = self.store.run(end.clone()) => bail!("the store has ended"),
            ended = self.supervisor.run(end.clone()) => ended.context("the registry's supervisor has ended"),
            ended = self.publisher.run(end.clone()) => ended.context("the publisher has ended"),
            () = self.server.run(stop, GRACE) => Ok(()),
        }
    }
}
