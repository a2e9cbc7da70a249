//! `xdsload`: thousands of simulated Envoys against one xDS server, each with its own TCP connection and stream.
//!
//! A client costs a fraction of what the server spends on it, so that both fit on one small machine: HTTP/2, gRPC and protobuf are read by
//! hand, in place, and only as far as a client needs.

mod client;
mod consul;
mod fleet;
mod grpc;
mod h2;
mod kind;
mod kubernetes;
mod node;
mod process;
mod report;
mod request;
mod scenario;
#[cfg(test)]
mod server;
mod tables;
mod wire;

use std::fmt::Display;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use crate::fleet::Options;
use crate::h2::Windows;
use crate::kind::Mode;
use crate::node::NodeTemplate;

/// Simulates many Envoys and measures the xDS server that configures them.
#[derive(Debug, Parser)]
#[command(name = "xdsload")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes a mesh, starts pilot-discovery on it, and measures: first configuration, changes, reconnection.
    Run {
        #[command(flatten)]
        fleet: FleetArgs,
        /// Services, each a file with one HTTP port and a virtual address of its own.
        #[arg(long, default_value_t = 1000)]
        services: usize,
        /// Endpoints of each service.
        #[arg(long, default_value_t = 10)]
        endpoints: usize,
        /// How often one endpoint's file is edited.
        #[arg(long, default_value_t = 15)]
        rounds: usize,
        /// Milliseconds between two edits.
        #[arg(long, default_value_t = 500)]
        pause_ms: u64,
        /// The pilot-discovery to start; by default this workspace's, built by cargo in this program's profile.
        #[arg(long)]
        server_bin: Option<PathBuf>,
        /// One more flag for it, as --flag=value; may be repeated.
        #[arg(long, allow_hyphen_values = true)]
        server_arg: Vec<String>,
    },
    /// Registers a mesh with a Consul of three servers, starts pilot-discovery on it, and measures: first configuration, memory and
    /// connections, changes by registration.
    Consul {
        #[command(flatten)]
        fleet: FleetArgs,
        /// Services, each with one HTTP port.
        #[arg(long, default_value_t = 1000)]
        services: usize,
        /// Instances of each service.
        #[arg(long, default_value_t = 10)]
        instances: usize,
        /// How often an instance is registered elsewhere, once among services whose query is held open and once among others.
        #[arg(long, default_value_t = 15)]
        rounds: usize,
        /// The pilot-discovery to start; by default this workspace's, built by cargo in this program's profile.
        #[arg(long)]
        server_bin: Option<PathBuf>,
    },
    /// Fills a Kubernetes API server with a mesh, starts pilot-discovery on it, and measures: memory, first configuration, changes of
    /// endpoint slices.
    Kubernetes {
        #[command(flatten)]
        fleet: FleetArgs,
        /// Services, each with one HTTP port.
        #[arg(long, default_value_t = 1000)]
        services: usize,
        /// Endpoints of each service, in one slice.
        #[arg(long, default_value_t = 10)]
        endpoints: usize,
        /// Each endpoint is a pod; otherwise there are slices alone.
        #[arg(long)]
        pods: bool,
        /// How often a slice is written, once while all else is quiet and once while ten others are written each second.
        #[arg(long, default_value_t = 15)]
        rounds: usize,
        /// The pilot-discovery to start; by default this workspace's, built by cargo in this program's profile.
        #[arg(long)]
        server_bin: Option<PathBuf>,
    },
    /// Connects to a server that runs already, and measures: first configuration, reconnection.
    Clients {
        #[command(flatten)]
        fleet: FleetArgs,
        /// Where it serves xDS without TLS.
        #[arg(long)]
        addr: SocketAddr,
        /// A client with fewer load assignments is not complete.
        #[arg(long, default_value_t = 0)]
        assignments: usize,
    },
}

#[derive(Debug, Args)]
struct FleetArgs {
    /// How many clients.
    #[arg(long, default_value_t = 1000)]
    clients: usize,
    /// The variant of the protocol.
    #[arg(long, value_enum, default_value_t = Mode::Delta)]
    mode: Mode,
    /// Threads of the generator.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// HTTP/2 window of a stream; Envoy's default.
    #[arg(long, default_value_t = 16 << 20)]
    stream_window: u32,
    /// HTTP/2 window of a connection; Envoy's default.
    #[arg(long, default_value_t = 24 << 20)]
    connection_window: u32,
    /// The namespace of the clients.
    #[arg(long, default_value = "default")]
    namespace: String,
    /// INTERCEPTION_MODE of the clients.
    #[arg(long, default_value = "REDIRECT")]
    interception_mode: String,
    /// Further node metadata, as KEY=VALUE; may be repeated.
    #[arg(long, value_parser = key_value)]
    metadata: Vec<(String, String)>,
    /// How many extensions each node lists; a stock Envoy has about 400.
    #[arg(long, default_value_t = 0)]
    extensions: usize,
    /// Seconds that any step may take.
    #[arg(long, default_value_t = 120)]
    patience: u64,
    /// Prints JSON in place of the table.
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(std::io::stderr(), "xdsload: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<()> {
    let (json, report) = match cli.command {
        Command::Consul {
            fleet,
            services,
            instances,
            rounds,
            server_bin,
        } => {
            process::check_open_files(fleet.clients)?;
            let mesh = consul::Mesh {
                services,
                instances,
                rounds,
                server: server_bin,
            };
            let report = consul::run(&mesh, |server| fleet.resolve(server, services)).await?;
            return print(fleet.json, &report);
        }
        Command::Kubernetes {
            fleet,
            services,
            endpoints,
            pods,
            rounds,
            server_bin,
        } => {
            process::check_open_files(fleet.clients)?;
            let mesh = kubernetes::Mesh {
                services,
                endpoints,
                pods,
                rounds,
                server: server_bin,
            };
            let report = kubernetes::run(&mesh, |server| fleet.resolve(server, services)).await?;
            return print(fleet.json, &report);
        }
        Command::Run {
            fleet,
            services,
            endpoints,
            rounds,
            pause_ms,
            server_bin,
            server_arg,
        } => {
            let mesh = scenario::Mesh {
                services,
                endpoints,
                rounds,
                pause: Duration::from_millis(pause_ms),
                server: server_bin,
                server_args: server_arg,
            };
            process::check_open_files(fleet.clients)?;
            (
                fleet.json,
                scenario::run(&mesh, |server| fleet.resolve(server, services)).await?,
            )
        }
        Command::Clients {
            fleet,
            addr,
            assignments,
        } => {
            process::check_open_files(fleet.clients)?;
            (
                fleet.json,
                scenario::attach(fleet.resolve(addr, assignments)).await?,
            )
        }
    };
    print(json, &report)
}

fn print(json: bool, report: &(impl Serialize + Display)) -> Result<()> {
    let text = if json {
        serde_json::to_string_pretty(report).context("rendering the report")? + "\n"
    } else {
        report.to_string()
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("printing the report")
}

impl FleetArgs {
    fn resolve(&self, server: SocketAddr, least_assignments: usize) -> Options {
        let mut metadata = vec![(
            "INTERCEPTION_MODE".to_owned(),
            self.interception_mode.clone(),
        )];
        metadata.extend(self.metadata.iter().cloned());
        Options {
            clients: self.clients,
            threads: self.threads.clamp(1, self.clients.max(1)),
            server,
            mode: self.mode,
            windows: Windows {
                stream: self.stream_window,
                connection: self.connection_window,
            },
            node: NodeTemplate {
                namespace: self.namespace.clone(),
                metadata,
                extensions: self.extensions,
            },
            least_assignments,
            patience: Duration::from_secs(self.patience),
        }
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("{text:?} is not of the form KEY=VALUE"))
}
