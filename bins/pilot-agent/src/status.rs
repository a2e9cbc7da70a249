//! The agent's pages on port 15020: whether this proxy is ready, the application's own probes, everybody's metrics, and for
//! this machine alone what ends or drains Envoy.
//!
//! ```text
//! kubelet ────► /healthz/ready, /app-health/…, /app-lifecycle/… ─► Envoy's admin page, the application
//! Prometheus ─► /stats/prometheus, /metrics ─────────────────────► application + Envoy + agent
//! loopback ───► POST /drain, POST /quitquitquit, /debug/ndsz
//! ```

mod local;
mod probe;
mod readiness;
mod scrape;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Result;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router, middleware};
use pilothouse_process::http::serve;
use pilothouse_process::listen;
use pilothouse_process::value::ListenAddr;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::envoy::Control;
use probe::Application;
pub use probe::{Probers, SpecError};
use readiness::Readiness;
use scrape::Merge;
pub use scrape::Scrape;

/// What the pages show, and what they may do.
pub struct Settings {
    /// Where they are, by default `:15020`.
    pub listen: ListenAddr,
    /// The Envoy that runs here, if one does.
    pub envoy: Option<EnvoyPages>,
    /// What else must hold before this proxy is ready; the error says what is missing.
    pub conditions: Vec<Condition>,
    /// What may explain why this proxy is not ready, such as what became of the last attempt to reach discovery.
    pub notes: Vec<Note>,
    /// The application's probes, which come here because its own ports take mutual TLS only.
    pub probers: Probers,
    /// Where the application is, as probes see it.
    pub application: IpAddr,
    /// Where the application has metrics.
    pub scrape: Option<Scrape>,
    /// What the agent counts.
    pub metrics: Registry,
    /// The names that the DNS proxy answers, for `/debug/ndsz`.
    pub names: Option<Names>,
    /// Ends the agent; cancelled by `/quitquitquit`. Once it is cancelled, this proxy is not ready.
    pub stop: CancellationToken,
}

/// Something that must hold before this proxy is ready.
pub type Condition = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;
/// Something that may explain why this proxy is not ready.
pub type Note = Arc<dyn Fn() -> Option<String> + Send + Sync>;
/// A page of JSON.
pub type Names = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

/// Envoy, as its own pages show it.
#[derive(Debug, Clone)]
pub struct EnvoyPages {
    /// Its admin page.
    pub admin: SocketAddr,
    /// Where it serves `/stats/prometheus`: its admin page, or a listener for that.
    pub stats: SocketAddr,
    /// Whether clusters and listeners come from discovery, so that it is not ready before they do.
    pub discovery: bool,
    /// What drains and ends it.
    pub control: Control,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("listen", &self.listen)
            .field("envoy", &self.envoy)
            .field("probers", &self.probers)
            .field("application", &self.application)
            .field("scrape", &self.scrape)
            .finish_non_exhaustive()
    }
}

/// The pages, bound and not served.
#[derive(Debug)]
pub struct Status {
    listener: TcpListener,
    router: Router,
}

impl Status {
    /// Binds the port.
    ///
    /// # Errors
    /// It cannot be bound.
    pub async fn bind(settings: Settings) -> Result<Self> {
        let listener = listen::bind("--status-port", &settings.listen).await?;
        let own = listener.local_addr()?.port();
        Ok(Self {
            listener,
            router: router(settings, own)?,
        })
    }

    /// Where it serves.
    ///
    /// # Errors
    /// The socket has no address any more.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, which should come after Envoy has ended: while it drains, probes and scrapes go on.
    pub async fn run(self, stop: CancellationToken) {
        serve(self.listener, self.router, stop).await;
    }
}

struct Pages {
    readiness: Readiness,
    application: Application,
    merge: Merge,
    names: Option<Names>,
    control: Option<Control>,
    stop: CancellationToken,
}

fn router(settings: Settings, own_port: u16) -> Result<Router> {
    let control = settings.envoy.as_ref().map(|envoy| envoy.control.clone());
    let stats = settings.envoy.as_ref().map(|envoy| envoy.stats);
    let application = Application::new(settings.probers, settings.application, own_port)?;
    let pages = Arc::new(Pages {
        merge: Merge::new(
            settings.scrape.filter(|scrape| scrape.is_not(own_port)),
            settings.application,
            stats,
            settings.metrics,
        ),
        readiness: Readiness::new(
            settings.envoy,
            settings.conditions,
            settings.notes,
            settings.stop.clone(),
        ),
        application,
        names: settings.names,
        control,
        stop: settings.stop,
    });
    let for_this_machine = Router::new()
        .route("/quitquitquit", post(quit))
        .route("/drain", post(drain))
        .route("/debug/ndsz", get(names))
        .layer(middleware::from_fn(local::only_this_machine));
    Ok(Router::new()
        .route("/healthz/ready", get(ready))
        .route("/app-health/{*probe}", any(probe))
        .route("/app-lifecycle/{*hook}", any(probe))
        .route("/stats/prometheus", get(metrics))
        .route("/metrics", get(metrics))
        .merge(for_this_machine)
        .with_state(pages))
}

async fn ready(State(pages): State<Arc<Pages>>) -> Response {
    match pages.readiness.check().await {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {why}\n"),
        )
            .into_response(),
    }
}

async fn probe(
    State(pages): State<Arc<Pages>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    pages.application.probe(&method, uri.path(), &headers).await
}

async fn metrics(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Response {
    pages.merge.scrape(&headers).await
}

async fn quit(State(pages): State<Arc<Pages>>) -> &'static str {
    tracing::info!("asked to end over /quitquitquit");
    // In this order: what stops the agent would otherwise let Envoy drain.
    if let Some(control) = &pages.control {
        control.quit();
    }
    pages.stop.cancel();
    "ok\n"
}

async fn drain(State(pages): State<Arc<Pages>>) -> Response {
    match &pages.control {
        None => "no Envoy runs here\n".into_response(),
        Some(control) => match control.drain().await {
            Ok(_) => "draining\n".into_response(),
            Err(error) => (StatusCode::BAD_GATEWAY, format!("{error}\n")).into_response(),
        },
    }
}

async fn names(State(pages): State<Arc<Pages>>) -> Response {
    match &pages.names {
        None => (
            StatusCode::NOT_FOUND,
            "the DNS proxy is off: see --dns-capture\n",
        )
            .into_response(),
        Some(names) => Json(names()).into_response(),
    }
}

#[cfg(test)]
mod tests;
