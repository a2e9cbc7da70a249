//! `pilot-agent proxy`: every socket bound and nothing running, then everything running, then let go.
//!
//! ```text
//! Config ─► App::bind (errors name the flag) ─► App::run ─┬─ Envoy ends ─────────────► its exit code
//!                                                         ├─ stop ─► Envoy is let go ─► its exit code
//!                                                         └─ a job ends by itself ───► its reason
//! ```
//!
//! The jobs outlive Envoy: while it drains it is configured, probed and scraped as before.

mod jobs;
mod metrics;

use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use pilothouse_core::model::ProxyKind;
use pilothouse_process::tasks::Tasks;
use pilothouse_process::version::VERSION;
use rustix::process::Signal;
use tokio_util::sync::CancellationToken;

use crate::bootstrap;
use crate::config::{Client, Config, EnvoyConfig};
use crate::dns::Dns;
use crate::envoy::{
    self, Arguments, Control, Drain, DrainScope, Envoy, ExitReason, IpVersion, Through,
};
use crate::relay::Relay;
use crate::sds::Sds;
use crate::status::Status;

/// After SIGTERM Envoy may take so long.
const KILL_AFTER: Duration = Duration::from_secs(5);
/// What ends after Envoy may take so long.
const LAST_STEPS: Duration = Duration::from_secs(2);

/// Bound, and not running.
#[derive(Debug)]
pub struct App {
    envoy: envoy::Settings,
    control: Control,
    relay: Option<Relay>,
    sds: Option<Sds>,
    dns: Option<Dns>,
    status: Option<Status>,
    stop: CancellationToken,
}

impl App {
    /// Binds every socket and writes Envoy's configuration. To be called within a runtime. `stop` lets Envoy go.
    ///
    /// # Errors
    /// A socket cannot be bound, or a file cannot be read or written.
    pub async fn bind(config: Config, stop: CancellationToken) -> Result<Self> {
        config.warn();
        let control = Control::new(config.ports.admin, drain(&config));
        let text = bootstrap::text(&config, Client::Envoy)?;
        let relay = if bootstrap::uses_relay(&config, &text) {
            Some(jobs::relay(&config).await?)
        } else {
            None
        };
        let sds = jobs::sds(&config).await?;
        let dns = jobs::dns(&config, relay.as_ref()).await?;
        let status = jobs::status(&config, relay.as_ref(), dns.as_ref(), &control, &stop).await?;
        let bootstrap = bootstrap::write(&config, &text)?;
        tracing::info!(
            version = VERSION.version,
            node = %config.identity.node,
            discovery = %config.discovery.first().map(ToString::to_string).unwrap_or_default(),
            config = %bootstrap.display(),
            "bound"
        );
        Ok(Self {
            envoy: envoy::Settings {
                binary: config.envoy.binary.clone(),
                arguments: arguments(&config.envoy, bootstrap, config.identity.node.ip),
                through: Through::Exec,
                kill_after: KILL_AFTER,
            },
            control,
            relay,
            sds,
            dns,
            status,
            stop,
        })
    }

    /// Where the agent's pages are.
    pub fn status_address(&self) -> Option<SocketAddr> {
        self.status
            .as_ref()
            .and_then(|status| status.address().ok())
    }

    /// Runs until Envoy has ended, by itself or because it was let go, and says what to exit with.
    ///
    /// # Errors
    /// Envoy does not start, or a job has ended that should not have.
    pub async fn run(self) -> Result<u8> {
        let end = CancellationToken::new();
        let mut tasks = Tasks::default();
        if let Some(relay) = self.relay {
            let ending = end.clone();
            tasks.spawn("the relay to discovery", async move {
                relay.run(ending).await;
                Ok(())
            });
        }
        if let Some(sds) = self.sds {
            tasks.spawn("the server of secrets", sds.run(end.clone()));
        }
        if let Some(dns) = self.dns {
            let ending = end.clone();
            tasks.spawn("DNS", async move { Ok(dns.run(ending).await?) });
        }
        if let Some(status) = self.status {
            let ending = end.clone();
            tasks.spawn("the agent's pages", async move {
                status.run(ending).await;
                Ok(())
            });
        }
        let envoy = Envoy::start(&self.envoy)?;
        let mut running = Box::pin(envoy.run(self.control.clone(), self.stop));
        let reason = tokio::select! {
            // Envoy's end comes first: jobs may end because of it.
            biased;
            reason = &mut running => reason?,
            failed = tasks.first() => {
                self.control.quit();
                running.await?;
                return failed.map(|()| 1);
            }
        };
        end.cancel();
        tasks.all_within(LAST_STEPS).await;
        Ok(exit_code(reason))
    }
}

/// Envoy's own code. That a signal has ended which the agent sent is no failure.
fn exit_code(reason: ExitReason) -> u8 {
    if reason.asked && reason.status.signal() == Some(Signal::TERM.as_raw()) {
        0
    } else {
        reason.code()
    }
}

fn drain(config: &Config) -> Drain {
    Drain {
        scope: match config.identity.node.kind {
            ProxyKind::Sidecar => DrainScope::Inbound,
            ProxyKind::Router => DrainScope::All,
        },
        at_least: config.drain.at_least,
        at_most: config.drain.at_most,
        uncounted_ports: vec![config.ports.readiness, config.ports.prometheus],
    }
}

fn arguments(config: &EnvoyConfig, bootstrap: PathBuf, ip: IpAddr) -> Arguments {
    Arguments {
        config_override: config.overlay.clone(),
        drain_time: config.drain_duration,
        ip_version: match ip {
            IpAddr::V4(_) => IpVersion::V4,
            IpAddr::V6(_) => IpVersion::V6,
        },
        log_level: config.log_level.clone(),
        component_log_level: config.component_log_level.clone(),
        concurrency: config.concurrency,
        ..Arguments::new(bootstrap)
    }
}
