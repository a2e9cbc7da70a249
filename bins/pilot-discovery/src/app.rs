//! The process: every socket bound and nothing running, then everything running, then drained.
//!
//! ```text
//! Config ─► App::bind (errors name the flag, ports are known) ─► App::run (until a stop, or until something ends)
//! ```
//!
//! Every long-lived task is owned here. One that ends by itself ends the process with its reason.

mod awaited;
mod home;
mod unenforced;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pilothouse_consul::ConsulRegistry;
use pilothouse_consul::client::Client;
use pilothouse_core::mesh::MeshConfig;
use pilothouse_core::readiness::{Guard, Readiness};
use pilothouse_core::registry::{Need, Registry};
use pilothouse_core::store::{self, Store, StoreHandle};
use pilothouse_core::supervisor::{self, Supervisor};
use pilothouse_kubernetes::StatusWriter;
use pilothouse_static::{StaticConfig, StaticRegistry};
use pilothouse_xds::metrics::Metrics;
use pilothouse_xds::publisher::Publisher;
use pilothouse_xds::refusals::Refusals;
use pilothouse_xds::server::{self, Server};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use awaited::Awaited;
use home::Home;

use crate::config::{Config, Source};
use crate::debug::{self, Debug};
use crate::http::{self, Public};
use crate::mesh_config::{self, MeshConfigSource};
use pilothouse_process::http::serve;
use pilothouse_process::listen;
use pilothouse_process::logging::Control;
use pilothouse_process::tasks::Tasks;
use pilothouse_process::value::ListenAddr;
use pilothouse_process::version::VERSION;

/// What ends after the last proxy has gone may take so long.
const LAST_STEPS: Duration = Duration::from_secs(2);

/// Bound, and not running.
pub struct App {
    config: Config,
    log: Control,
    registries: Vec<Arc<dyn Registry>>,
    /// The cluster of Kubernetes that has the rules, if there is one.
    home: Option<Home>,
    /// Who writes the status of its rules.
    status: Option<StatusWriter>,
    /// Tells registries the settings of the mesh, once they are known.
    meshes: watch::Sender<Option<Arc<MeshConfig>>>,
    store: Store,
    handle: StoreHandle,
    starting: Guard,
    publisher: Publisher,
    serving: watch::Receiver<bool>,
    metrics: Metrics,
    exposition: Arc<prometheus_client::registry::Registry>,
    server: Server,
    grpc: SocketAddr,
    http: Vec<TcpListener>,
    debug: Option<TcpListener>,
}

/// Where an [`App`] serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Discovery.
    pub grpc: SocketAddr,
    /// The public pages, on each of their listeners.
    pub http: Vec<SocketAddr>,
    /// The debug pages.
    pub debug: Option<SocketAddr>,
}

impl App {
    /// Binds every socket and makes everything that can be wrong about the configuration known.
    ///
    /// # Errors
    /// A socket cannot be bound, or a source cannot be read at all.
    pub async fn bind(config: Config, log: Control) -> Result<Self> {
        let meshes = watch::Sender::default();
        let home = Home::find(&config.sources).await?;
        let mut registries: Vec<Arc<dyn Registry>> = Vec::new();
        let mut status = None;
        for source in &config.sources {
            registries.push(match (source, &home) {
                (Source::Kubernetes { .. }, Some(home)) => {
                    let registry = home.registry(meshes.subscribe());
                    status = Some(registry.status_writer(config.status.clone()));
                    registry
                }
                _ => registry(source, &config)?,
            });
        }
        let readiness = Readiness::new();
        let starting = readiness.guard("start");
        let settings = store::Settings {
            guard: config.guard.clone(),
            readiness,
            checks: vec![pilothouse_xds::patch::check],
        };
        let (store, handle) = Store::new(settings);
        let mut registry = prometheus_client::registry::Registry::default();
        let metrics = Metrics::new(&mut registry, VERSION.version);
        let (publisher, hub) = Publisher::new(&handle, config.debounce, metrics.clone());
        let mut server = Server::new(server::Context {
            source: Arc::new(hub.clone()),
            observer: Arc::new(Refusals::new(handle.clone())),
            fanout: Arc::default(),
            metrics: Arc::new(metrics.clone()),
            limits: config.limits.clone(),
            settings: config.protocol,
        });
        let grpc = bind_grpc(&mut server, &config.grpc_addr).await?;
        let mut http = vec![listen::bind("--http-addr", &config.http_addr).await?];
        if let Some(addr) = &config.monitoring_addr {
            http.push(listen::bind("--monitoring-addr", addr).await?);
        }
        let debug = match &config.debug_addr {
            Some(addr) => Some(listen::bind("--debug-addr", addr).await?),
            None => None,
        };
        Ok(Self {
            config,
            log,
            registries,
            home,
            status,
            meshes,
            store,
            handle,
            starting,
            publisher,
            serving: hub.readiness(),
            metrics,
            exposition: Arc::new(registry),
            server,
            grpc,
            http,
            debug,
        })
    }

    /// Where it serves once it runs.
    ///
    /// # Errors
    /// A socket has no address any more.
    pub fn addresses(&self) -> std::io::Result<Addresses> {
        Ok(Addresses {
            grpc: self.grpc,
            http: self
                .http
                .iter()
                .map(TcpListener::local_addr)
                .collect::<Result<_, _>>()?,
            debug: self
                .debug
                .as_ref()
                .map(TcpListener::local_addr)
                .transpose()?,
        })
    }

    /// Runs until `stop`, then lets proxies go within the time of `--shutdown-duration`.
    ///
    /// # Errors
    /// A part ended that should not have.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        self.announce()?;
        let Self {
            config,
            log,
            handle,
            ..
        } = self;
        let readiness = handle.readiness().clone();
        // The parts outlive the stop, so that proxies that are still there get what changes meanwhile.
        let end = CancellationToken::new();
        let mut tasks = Tasks::default();

        let store = self.store;
        let ending = end.clone();
        tasks.spawn("store", async move {
            store.run(ending).await;
            Ok(())
        });
        let merge = config.virtual_service_merge;
        let scope_gateways = config.scope_gateways;
        let settings = move |config| {
            Arc::new(MeshConfig {
                virtual_service_merge: merge,
                scope_gateways,
                ..config
            })
        };
        let default = settings(MeshConfig::default());
        handle.set_mesh_config(Arc::clone(&default));
        let meshes = self.meshes;
        let mesh_config = config.mesh_config.as_ref().map(|place| {
            let source = MeshConfigSource::new(place);
            let waiting = readiness.guard(format!("mesh config {}", source.name()));
            let (told, handle) = (meshes.clone(), handle.clone());
            let apply = move |config| {
                let config = settings(config);
                told.send_replace(Some(Arc::clone(&config)));
                handle.set_mesh_config(config);
            };
            let news = mesh_config::news(place, self.home.as_ref().map(Home::client));
            let following = source.clone().follow(news, waiting, apply, end.clone());
            tasks.spawn("mesh config", async move {
                following.await;
                Ok(())
            });
            source
        });
        if mesh_config.is_none() {
            meshes.send_replace(Some(default));
        }
        if let Some(home) = self.home {
            let waiting = readiness.guard("secrets of further clusters");
            let settings = config.clusters.clone();
            let running = home.run_clusters(
                settings,
                meshes.subscribe(),
                handle.clone(),
                waiting,
                end.clone(),
            );
            tasks.spawn("clusters", async move {
                running.await;
                Ok(())
            });
        }
        let registries = self
            .registries
            .into_iter()
            .map(|registry| (registry, Need::Required));
        let supervisor = Supervisor::new(
            registries,
            &handle,
            supervisor::Settings {
                stop_within: LAST_STEPS / 2,
                ..supervisor::Settings::default()
            },
        );
        let ending = end.clone();
        tasks.spawn(
            "registries",
            async move { Ok(supervisor.run(ending).await?) },
        );
        if let Some(writer) = self.status {
            // It stops first, so that another replica may begin.
            let writing = writer.run(handle.clone(), stop.clone());
            tasks.spawn("status", async move {
                writing.await;
                Ok(())
            });
        }
        let (publisher, ending) = (self.publisher, end.clone());
        tasks.spawn("publisher", async move { Ok(publisher.run(ending).await?) });
        if !config.allow_unenforced_security {
            let guard = readiness.guard_at_last("security policies that are not enforced");
            let (news, ending) = (handle.clone(), end.clone());
            tasks.spawn("security", async move {
                unenforced::hold(guard, news, ending.clone()).await;
                ending.cancelled().await;
                Ok(())
            });
        }
        let following = self.metrics.follow(handle.clone(), end.clone());
        tasks.spawn("metrics", async move {
            following.await;
            Ok(())
        });
        let (news, ending) = (handle.clone(), end.clone());
        tasks.spawn("readiness", async move {
            ending.run_until_cancelled(tell_ready(&news)).await;
            ending.cancelled().await;
            Ok(())
        });

        let public = http::router(Public {
            readiness: readiness.clone(),
            serving: self.serving,
            metrics: self.exposition,
            stopping: stop.clone(),
        });
        for listener in self.http {
            let serving = serve(listener, public.clone(), end.clone());
            tasks.spawn("http", async move {
                serving.await;
                Ok(())
            });
        }
        if let Some(listener) = self.debug {
            let debug = Debug {
                store: handle,
                connections: self.server.connections(),
                mesh_config,
                log,
            };
            let serving = serve(listener, debug::router(debug, public), end.clone());
            tasks.spawn("debug", async move {
                serving.await;
                Ok(())
            });
        }
        let (server, stopping) = (self.server, stop.clone());
        let mut serving = Tasks::default();
        serving.spawn("discovery", async move {
            server.run(stopping, config.shutdown).await;
            Ok(())
        });

        drop(self.starting);
        let waiting_for = waiting_for(&readiness);
        tracing::info!(
            waiting_for,
            "proxies get their answers as soon as this is there"
        );
        tokio::select! {
            // A stop comes first: parts that end because of it are no failure.
            biased;
            () = stop.cancelled() => {}
            ended = tasks.first() => return ended,
            ended = serving.first() => return ended,
        }
        tracing::info!(within = ?config.shutdown, "stopping: proxies are let go one after the other");
        serving.all_within(config.shutdown + LAST_STEPS).await;
        end.cancel();
        tasks.all_within(LAST_STEPS).await;
        tracing::info!("stopped");
        Ok(())
    }

    /// Says what is watched, what is waited for and where things are.
    fn announce(&self) -> Result<()> {
        for warning in &self.config.warnings {
            tracing::warn!("{warning}");
        }
        for source in &self.config.sources {
            match source {
                Source::Static { dir, .. } => {
                    tracing::info!(registry = %format!("Static/{}", self.config.cluster_id), dir = %absolute(dir), "watching");
                }
                Source::Kubernetes { config, .. } => {
                    let namespace = config.namespace.as_ref().map(ToString::to_string);
                    tracing::info!(registry = %config.id(), namespace, "watching");
                }
                Source::Consul { config, client } => {
                    tracing::info!(registry = %config.id(), address = %client.address, datacenter = config.datacenter, "watching");
                }
            }
        }
        if let Some(place) = &self.config.mesh_config {
            tracing::info!(%place, "watching mesh config");
        }
        let Addresses { grpc, http, debug } = self.addresses()?;
        let http: Vec<_> = http.iter().map(ToString::to_string).collect();
        let debug_pages = debug.map_or("off".to_owned(), |addr| addr.to_string());
        tracing::info!(version = VERSION.version, discovery = %grpc, http = %http.join(","), debug = debug_pages, "serving");
        Ok(())
    }
}

fn registry(source: &Source, config: &Config) -> Result<Arc<dyn Registry>> {
    let (dir, awaited) = match source {
        Source::Static { dir, awaited } => (dir, awaited),
        Source::Kubernetes { .. } => {
            bail!("a second cluster is described by a secret in the first")
        }
        Source::Consul { config, client } => {
            let client = Arc::new(Client::new((**client).clone()));
            return Ok(Arc::new(ConsulRegistry::new((**config).clone(), client)));
        }
    };
    let settings = StaticConfig::new(dir, &config.cluster_id).with_domain(&config.domain);
    if *awaited {
        return Ok(Arc::new(Awaited::new(settings)));
    }
    let registry = StaticRegistry::new(settings).context("--config-dir")?;
    Ok(Arc::new(registry))
}

async fn bind_grpc(server: &mut Server, addr: &ListenAddr) -> Result<SocketAddr> {
    let server = std::sync::Mutex::new(server);
    listen::first(addr, |address| {
        let mut server = server
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        std::future::ready(server.listen(address))
    })
    .await
    .with_context(|| listen::unbindable("--grpc-addr", addr))
}

/// Says what is waited for while it is, and once when all is there.
async fn tell_ready(store: &StoreHandle) {
    let readiness = store.readiness();
    let mut patience = Duration::from_secs(5);
    while tokio::time::timeout(patience, readiness.ready())
        .await
        .is_err()
    {
        tracing::warn!(
            waiting_for = waiting_for(readiness),
            "not ready yet: proxies get no answer before this is there"
        );
        patience = (patience * 2).min(Duration::from_secs(60));
    }
    let mesh = store.mesh();
    tracing::info!(
        services = mesh.service_count(),
        rules = mesh.rules().count(),
        "ready"
    );
}

fn waiting_for(readiness: &Readiness) -> String {
    let names: Vec<_> = readiness
        .pending()
        .into_iter()
        .map(|step| step.name.to_string())
        .collect();
    names.join(", ")
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}
