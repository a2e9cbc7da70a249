//! What others may ask of a running Envoy: that it drains, that it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::stats::stats;
use crate::fetch::{self, FetchError};

/// How long Envoy's admin page may take to answer.
const ADMIN_WITHIN: Duration = Duration::from_secs(5);

/// How Envoy is let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// Which of its listeners are drained.
    pub scope: DrainScope,
    /// So long it is waited in any case, so that clients hear that they should go elsewhere.
    pub at_least: Duration,
    /// So long at most. In between, Envoy ends as soon as no connection is left.
    pub at_most: Duration,
    /// Ports of listeners whose connections do not count: probes and scrapes go on until the end.
    pub uncounted_ports: Vec<u16>,
}

/// Which listeners are drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainScope {
    /// Those that take requests for the application: what it asks others meanwhile still works. For sidecars.
    Inbound,
    /// All. For routers.
    All,
}

/// Why Envoy does not drain.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// Its admin page does not answer.
    #[error("Envoy's admin page: {0}")]
    Unanswered(FetchError),
    /// Its admin page refuses.
    #[error("Envoy's admin page answers {0} to {1}: {2}")]
    Refused(StatusCode, &'static str, String),
}

impl DrainError {
    /// Whether there is nobody who could drain.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Unanswered(FetchError::Connect(..)))
    }
}

/// Asks things of one Envoy. Clones ask the same.
#[derive(Debug, Clone)]
pub struct Control(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    admin: SocketAddr,
    drain: Drain,
    /// Since when it drains.
    draining: OnceCell<Instant>,
    quit: CancellationToken,
}

impl Control {
    /// Of the Envoy whose admin page is at `admin`.
    pub fn new(admin: SocketAddr, drain: Drain) -> Self {
        Self(Arc::new(Inner {
            admin,
            drain,
            draining: OnceCell::new(),
            quit: CancellationToken::new(),
        }))
    }

    /// Lets it drain, if it does not already, and says since when it does. It goes on serving and does not end.
    ///
    /// # Errors
    /// It could not be asked, or refused; then it can be asked again.
    pub async fn drain(&self) -> Result<Instant, DrainError> {
        let path = match self.0.drain.scope {
            DrainScope::Inbound => "/drain_listeners?inboundonly&graceful",
            DrainScope::All => "/drain_listeners?graceful",
        };
        let begin = async || {
            let answer = self.ask(Method::POST, path).await?;
            if answer.status != StatusCode::OK {
                return Err(DrainError::Refused(answer.status, path, answer.body));
            }
            tracing::info!(listeners = ?self.0.drain.scope, "Envoy drains");
            Ok(Instant::now())
        };
        self.0.draining.get_or_try_init(begin).await.copied()
    }

    /// Lets it end without draining.
    pub fn quit(&self) {
        self.0.quit.cancel();
    }

    /// Whether it has been asked to drain or to end.
    pub fn is_leaving(&self) -> bool {
        self.0.draining.initialized() || self.0.quit.is_cancelled()
    }

    pub(super) fn settings(&self) -> &Drain {
        &self.0.drain
    }

    pub(super) async fn quit_asked(&self) {
        self.0.quit.cancelled().await;
    }

    /// How many connections its listeners have.
    pub(super) async fn active_connections(&self) -> Result<u64, DrainError> {
        let path = "/stats?usedonly&filter=^listener\\..*\\.downstream_cx_active$";
        let answer = self.ask(Method::GET, path).await?;
        Ok(stats(&answer.body)
            .filter(|(name, _)| counts(name, &self.0.drain.uncounted_ports))
            .map(|(_, value)| value)
            .sum())
    }

    async fn ask(&self, method: Method, path: &'static str) -> Result<fetch::Answer, DrainError> {
        let request = fetch::request(method, "localhost", path).map_err(|error| {
            DrainError::Refused(StatusCode::BAD_REQUEST, path, error.to_string())
        })?;
        fetch::send(self.0.admin, request, ADMIN_WITHIN)
            .await
            .map_err(DrainError::Unanswered)
    }
}

/// Whether the gauge `listener.ADDRESS.downstream_cx_active` is one of a listener whose clients are waited for: not the
/// admin page's, not one for probes, and not a worker's share of another.
fn counts(name: &str, uncounted: &[u16]) -> bool {
    let Some(listener) = name
        .strip_prefix("listener.")
        .and_then(|rest| rest.strip_suffix(".downstream_cx_active"))
    else {
        return false;
    };
    let port = listener
        .rsplit_once('_')
        .and_then(|(_, port)| port.parse::<u16>().ok());
    let of_admin = listener == "admin" || listener.starts_with("admin.");
    !of_admin
        && !listener.contains(".worker_")
        && !port.is_some_and(|port| uncounted.contains(&port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_connections_are_waited_for() {
        for (name, expected) in [
            ("listener.0.0.0.0_15006.downstream_cx_active", true),
            ("listener.127.0.0.1_8080.downstream_cx_active", true),
            ("listener.[__]_15006.downstream_cx_active", true),
            ("listener.named.downstream_cx_active", true),
            ("listener.0.0.0.0_15021.downstream_cx_active", false),
            ("listener.[__]_15090.downstream_cx_active", false),
            ("listener.admin.downstream_cx_active", false),
            (
                "listener.0.0.0.0_15006.worker_0.downstream_cx_active",
                false,
            ),
            ("listener.admin.main_thread.downstream_cx_active", false),
            ("http.admin.downstream_cx_active", false),
        ] {
            assert_eq!(counts(name, &[15021, 15090]), expected, "{name}");
        }
    }
}
