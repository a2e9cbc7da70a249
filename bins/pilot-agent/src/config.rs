//! The command line: as written in `args`, resolved in [`Config`] together with the environment and mesh config. Everything
//! after takes the second, in which nothing is left to default later.
//!
//! Flags are stronger than environment variables, those than PROXY_CONFIG, that than `defaultConfig` in mesh config.

mod args;
mod discovery_address;
mod identity;
mod inert;
mod machine;
mod metadata;
mod proxy_config;
mod resolve;
mod surroundings;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use args::{CommandLine, Subcommands};
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
pub use identity::Identity;
pub use inert::INERT;
use pilothouse_process::collateral::{CollateralArgs, CompletionArgs};
use pilothouse_process::value::ListenAddr;
use pilothouse_process::version::VersionArgs;
use pilothouse_process::{inert as flags, logging};
pub use surroundings::Surroundings;

use crate::envoy::Exec;
use crate::iptables;
use crate::relay::Address;
use crate::request::RequestArgs;
use crate::status::{Probers, Scrape};
use crate::wait::WaitArgs;

/// The subcommands that take Istio's flags without meaning here.
const OF_ISTIO: [&str; 2] = ["proxy", "bootstrap"];

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Run Envoy and what it needs.
    Proxy(Box<Config>),
    /// Print a bootstrap.
    Bootstrap(Box<Config>, Client),
    /// Capture traffic.
    Iptables(Box<iptables::Args>),
    /// Undo that.
    CleanIptables(iptables::CleanArgs),
    /// Ask a page on this machine.
    Request(RequestArgs),
    /// Wait until the proxy is ready.
    Wait(WaitArgs),
    /// Become Envoy.
    Exec(Exec),
    /// Print a shell's script.
    Completion(CompletionArgs),
    /// Write what is made from the command line's grammar.
    Collateral(CollateralArgs),
    /// Print the version.
    Version(VersionArgs),
}

/// Whom a bootstrap is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Envoy.
    Envoy,
    /// A gRPC library within an application.
    Grpc,
}

/// How to run Envoy, and what beside it.
#[derive(Debug)]
pub struct Config {
    /// Who the proxy is.
    pub identity: Identity,
    /// Where discovery is, the preferred address first.
    pub discovery: Vec<Address>,
    /// Whether it is reached over mutual TLS, and whether a template has Envoy serve so.
    pub control_plane_tls: bool,
    /// The trust domain of discovery's identity.
    pub trust_domain: String,
    /// Whether Envoy asks discovery itself.
    pub direct_xds: bool,
    /// Where the agent writes.
    pub config_path: PathBuf,
    /// How Envoy runs.
    pub envoy: EnvoyConfig,
    /// The ports on this machine.
    pub ports: Ports,
    /// How Envoy is let go.
    pub drain: DrainConfig,
    /// How DNS is answered; `None` leaves it to the machine.
    pub dns: Option<DnsConfig>,
    /// Where certificates come from.
    pub certificates: Certificates,
    /// The application's probes, which the agent's pages pass on.
    pub probers: Probers,
    /// Where the application has metrics of its own.
    pub scrape: Option<Scrape>,
    /// The address of the machine's host, where a platform tells it.
    pub host_ip: Option<String>,
    /// How the process logs.
    pub log: logging::Options,
    /// What the operator should know about flags and files, for the log.
    pub warnings: Vec<String>,
}

impl Config {
    /// Says in the log what the operator should know.
    pub fn warn(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
    }
}

/// How Envoy runs.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvoyConfig {
    /// Its binary.
    pub binary: PathBuf,
    /// What it is configured with at start.
    pub source: Source,
    /// Worker threads; `None` for one per core.
    pub concurrency: Option<u32>,
    /// Its log level.
    pub log_level: String,
    /// Its log levels by component.
    pub component_log_level: String,
    /// How long it drains a listener.
    pub drain_duration: Duration,
    /// Where it notes ejected endpoints.
    pub outlier_log: Option<PathBuf>,
    /// YAML that is merged over its configuration.
    pub overlay: Option<String>,
}

/// What Envoy is configured with at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The agent's own bootstrap.
    Own,
    /// A template.
    Template {
        /// Its file.
        file: PathBuf,
        /// Whether it is told to leave telemetry out.
        without_telemetry: bool,
    },
    /// A file, as it is.
    File(PathBuf),
}

/// The ports on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Envoy's admin page, on loopback.
    pub admin: SocketAddr,
    /// The agent's pages.
    pub status: Option<u16>,
    /// Envoy's readiness, for everybody.
    pub readiness: u16,
    /// Envoy's metrics, for everybody.
    pub prometheus: u16,
}

/// How Envoy is let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainConfig {
    /// It drains so long in any case.
    pub at_least: Duration,
    /// And so long as there are connections, up to this.
    pub at_most: Duration,
}

/// How DNS is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsConfig {
    /// Where.
    pub listen: ListenAddr,
    /// How long another server may take that is asked for other names.
    pub forward_timeout: Duration,
}

/// Where certificates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificates {
    /// The socket that Envoy asks.
    pub socket: PathBuf,
    /// Whether another process serves that socket.
    pub external: bool,
    /// The directory of mounted certificates.
    pub dir: PathBuf,
}

/// Why there is no [`Command`].
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong, or asks for help; it prints itself, and [`pilothouse_process::exit_code`] knows what to exit
    /// with.
    Usage(clap::Error),
    /// A file or a variable is wrong.
    Source(String),
}

/// What can be said on the command line.
pub fn grammar() -> clap::Command {
    CommandLine::command()
}

/// Reads a command line, the program's name first.
///
/// # Errors
/// See [`Failure`].
pub fn parse<T: Into<OsString> + Clone>(
    line: impl IntoIterator<Item = T>,
    around: &Surroundings,
) -> Result<Command, Failure> {
    let mut grammar = CommandLine::command();
    for name in OF_ISTIO {
        grammar = grammar.mut_subcommand(name, |command| {
            // As in the original, a flag that is given twice has its last value.
            command
                .args_override_self(true)
                .args(flags::arguments(INERT))
        });
    }
    let matches = grammar
        .try_get_matches_from_mut(line)
        .map_err(Failure::Usage)?;
    let line = CommandLine::from_arg_matches(&matches).map_err(Failure::Usage)?;
    let warnings = matches
        .subcommand()
        .filter(|(name, _)| OF_ISTIO.contains(name))
        .map(|(_, matches)| flags::warnings(INERT, matches))
        .unwrap_or_default();
    // A complaint shows how that subcommand is used.
    let command = matches
        .subcommand_name()
        .and_then(|name| grammar.find_subcommand(name))
        .cloned();
    let mut command = command.unwrap_or(grammar);
    let resolve = |args| {
        resolve::config(args, warnings, around)
            .map(Box::new)
            .map_err(|problem| match problem {
                resolve::Problem::Flag(text) => {
                    Failure::Usage(command.error(ErrorKind::ValueValidation, text))
                }
                resolve::Problem::Source(text) => Failure::Source(text),
            })
    };
    match line.command {
        Subcommands::Version(args) => Ok(Command::Version(args)),
        Subcommands::Iptables(args) => Ok(Command::Iptables(args)),
        Subcommands::CleanIptables(args) => Ok(Command::CleanIptables(args)),
        Subcommands::Request(args) => Ok(Command::Request(args)),
        Subcommands::Wait(args) => Ok(Command::Wait(args)),
        Subcommands::Exec(args) => Ok(Command::Exec(args)),
        Subcommands::Completion(args) => Ok(Command::Completion(args)),
        Subcommands::Collateral(args) => Ok(Command::Collateral(args)),
        Subcommands::Proxy(args) => resolve(*args).map(Command::Proxy),
        Subcommands::Bootstrap(args) => {
            let client = if args.grpc {
                Client::Grpc
            } else {
                Client::Envoy
            };
            resolve(args.proxy).map(|config| Command::Bootstrap(config, client))
        }
    }
}

#[cfg(test)]
mod tests;
