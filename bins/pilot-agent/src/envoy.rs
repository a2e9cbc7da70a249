//! Envoy as a child process: started with the right arguments, let go gracefully, and never restarted.
//!
//! ```text
//! Settings ─► Envoy::start ─► Envoy::run ─┬─ it ends by itself ───────────────────────────► ExitReason
//!                                         ├─ stop: drain, wait for connections, SIGTERM ──► ExitReason
//!                                         └─ Control::quit: SIGTERM ──────────────────────► ExitReason
//! ```
//!
//! An Envoy that ends is the end of the agent, which whatever supervises it sees: restarting here would hide crashes. The
//! other way round no Envoy outlives its agent, however that ends: see [`Exec`].

mod arguments;
mod control;
mod exec;
mod exit;
mod keeper;
mod stats;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use arguments::{Arguments, IpVersion};
pub use control::{Control, Drain, DrainError, DrainScope};
pub use exec::Exec;
pub use exit::ExitReason;
use keeper::Keeper;
pub(crate) use stats::{stat, stats};

/// How often connections are counted while they are waited for.
const COUNT_EVERY: Duration = Duration::from_millis(200);

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Envoy's binary; a name without a slash is looked for in `PATH`.
    pub binary: PathBuf,
    /// What it is started with.
    pub arguments: Arguments,
    /// Who starts it.
    pub through: Through,
    /// After SIGTERM it may take so long until SIGKILL follows.
    pub kill_after: Duration,
}

/// Who starts Envoy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Through {
    /// This program, by its subcommand [`Exec::NAME`], so that Envoy ends with the agent even if that is killed.
    #[default]
    Exec,
    /// Nobody: for programs that lack the subcommand.
    Nobody,
}

/// Why Envoy does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its binary is not there.
    #[error("there is no Envoy at {}; say where it is with --binary-path", .0.display())]
    Missing(PathBuf, #[source] io::Error),
    /// The system does not start it.
    #[error("cannot start Envoy ({})", .0.display())]
    Spawn(PathBuf, #[source] io::Error),
    /// The system has lost it.
    #[error("cannot wait for Envoy")]
    Wait(#[source] io::Error),
}

/// A running Envoy. Dropping it ends it at once.
#[derive(Debug)]
pub struct Envoy {
    keeper: Keeper,
    kill_after: Duration,
}

impl Envoy {
    /// Starts it. What it writes goes where this process writes; signals from a terminal reach the agent only.
    ///
    /// # Errors
    /// It cannot be started at all. What is wrong with its configuration it says itself, and ends.
    pub fn start(settings: &Settings) -> Result<Self, StartError> {
        let binary = &settings.binary;
        if binary.components().count() > 1 {
            std::fs::metadata(binary)
                .map_err(|error| StartError::Missing(binary.clone(), error))?;
        }
        let arguments = settings.arguments.list();
        let command = match settings.through {
            Through::Exec => exec::command(binary, &arguments),
            Through::Nobody => {
                let mut command = std::process::Command::new(binary);
                command.args(&arguments);
                command
            }
        };
        let keeper =
            Keeper::spawn(command).map_err(|error| StartError::Spawn(binary.clone(), error))?;
        tracing::info!(pid = keeper.id(), binary = %binary.display(), "Envoy started");
        Ok(Self {
            keeper,
            kill_after: settings.kill_after,
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.keeper.id()
    }

    /// Runs it until it has ended: by itself, or because `stop` or `control` asked.
    ///
    /// # Errors
    /// The system does not tell what became of it.
    pub async fn run(
        mut self,
        control: Control,
        stop: CancellationToken,
    ) -> Result<ExitReason, StartError> {
        let reason = tokio::select! {
            // An end that nobody asked for comes first: its reason must not be taken for an answer to the stop.
            biased;
            status = self.keeper.ended() => ExitReason::unasked(status.map_err(StartError::Wait)?),
            () = control.quit_asked() => self.end().await?,
            () = stop.cancelled() => {
                let left = tokio::select! {
                    biased;
                    status = self.keeper.ended() => Some(status.map_err(StartError::Wait)?),
                    () = control.quit_asked() => None,
                    () = let_go(&control) => None,
                };
                match left {
                    Some(status) => ExitReason::unasked(status),
                    None => self.end().await?,
                }
            }
        };
        match reason.asked {
            true => tracing::info!(%reason, "Envoy has ended"),
            false => tracing::error!(%reason, "Envoy has ended, and nobody asked it to"),
        }
        Ok(reason)
    }

    /// SIGTERM, and SIGKILL if it does not heed that.
    async fn end(&mut self) -> Result<ExitReason, StartError> {
        self.keeper.signal(Signal::TERM);
        let status = match timeout(self.kill_after, self.keeper.ended()).await {
            Ok(status) => status,
            Err(_) => {
                tracing::warn!(after = ?self.kill_after, "Envoy does not heed SIGTERM and is killed");
                self.keeper.signal(Signal::KILL);
                self.keeper.ended().await
            }
        };
        Ok(ExitReason::asked(status.map_err(StartError::Wait)?))
    }
}

/// Drains, and returns when Envoy can be ended: as soon as no connection is left, within the bounds of [`Drain`].
async fn let_go(control: &Control) {
    let Drain {
        at_least, at_most, ..
    } = *control.settings();
    let began = match control.drain().await {
        Ok(began) => began,
        Err(error) if error.is_absent() => {
            tracing::warn!(%error, "Envoy does not serve, so nothing is to be drained");
            return;
        }
        Err(error) => {
            tracing::warn!(%error, "Envoy cannot be asked to drain; waiting all the same");
            Instant::now()
        }
    };
    tokio::time::sleep_until(began + at_least).await;
    let deadline = began + at_most.max(at_least);
    while Instant::now() < deadline {
        match control.active_connections().await {
            Ok(0) => {
                tracing::info!(after = ?began.elapsed(), "drained: no connection is left");
                return;
            }
            Ok(count) => tracing::debug!(count, "connections are left"),
            Err(error) => tracing::debug!(%error, "connections cannot be counted"),
        }
        sleep(COUNT_EVERY.min(deadline.saturating_duration_since(Instant::now()))).await;
    }
    tracing::info!(after = ?began.elapsed(), "drained for as long as is allowed");
}

#[cfg(test)]
mod tests;
