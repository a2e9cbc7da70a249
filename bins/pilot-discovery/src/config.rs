//! The command line: as written in `args`, resolved in [`Config`]. Everything after takes the second, in which nothing is
//! left to default later.

mod args;
mod consul;
mod inert;
mod kubernetes;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use args::{CommandLine, DiscoveryArgs, GuardArgs, Platform, PushArgs, Subcommands};
use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
pub use inert::INERT;
use pilothouse_consul::{ConsulConfig, client};
use pilothouse_core::debounce;
use pilothouse_core::mesh::VirtualServiceMerge;
use pilothouse_core::store::GuardSettings;
use pilothouse_kubernetes::{Access, KubernetesConfig, MeshConfigMap, StatusSettings};
use pilothouse_process::collateral::{CollateralArgs, CompletionArgs};
use pilothouse_process::value::ListenAddr;
use pilothouse_process::version::VersionArgs;
use pilothouse_process::{inert as flags, logging};
use pilothouse_xds::protocol;
use pilothouse_xds::server::Limits;

/// Where Istio's images have configuration, and its file of mesh config, which has no extension and is thus no object.
const CONFIG_DIR: &str = "/etc/istio/config";
const MESH_CONFIG: &str = "/etc/istio/config/mesh";

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Serve.
    Discovery(Box<Config>),
    /// Print the version.
    Version(VersionArgs),
    /// Print a script for a shell.
    Completion(CompletionArgs),
    /// Write what packages have beside the program.
    Collateral(CollateralArgs),
}

/// How to serve.
#[derive(Debug)]
pub struct Config {
    /// Where services come from.
    pub sources: Vec<Source>,
    /// Where mesh-wide settings stand.
    pub mesh_config: Option<MeshConfigPlace>,
    /// Where further clusters of Kubernetes are described.
    pub clusters: Clusters,
    /// What is written to the status of rule objects in Kubernetes.
    pub status: StatusSettings,
    /// Which `VirtualService`s for one host merge on sidecars.
    pub virtual_service_merge: VirtualServiceMerge,
    /// Whether `Gateway`s select routers of their own namespace only.
    pub scope_gateways: bool,
    /// The name of the cluster that the sources belong to.
    pub cluster_id: String,
    /// The namespace of the control plane itself, on platforms that have some.
    pub namespace: String,
    /// What names of services end with, where the platform's are `NAME.NAMESPACE.svc.DOMAIN`.
    pub domain: String,
    /// Whether to become ready although there are policies that nothing enforces.
    pub allow_unenforced_security: bool,
    /// Where discovery is served.
    pub grpc_addr: ListenAddr,
    /// Where readiness, health, version and metrics are served.
    pub http_addr: ListenAddr,
    /// Where they are served a second time.
    pub monitoring_addr: Option<ListenAddr>,
    /// Where debug pages are served.
    pub debug_addr: Option<ListenAddr>,
    /// How long a stop may take.
    pub shutdown: Duration,
    /// When changes go out.
    pub debounce: debounce::Settings,
    /// When a sudden loss is held.
    pub guard: GuardSettings,
    /// What proxies may do.
    pub limits: Limits,
    /// How long proxies may take.
    pub protocol: protocol::Settings,
    /// How the process logs.
    pub log: logging::Options,
    /// What the operator should know about the flags, for the log.
    pub warnings: Vec<String>,
}

/// Where mesh-wide settings stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeshConfigPlace {
    /// In a file.
    File(PathBuf),
    /// In a ConfigMap of the cluster.
    ConfigMap {
        /// Which one.
        map: MeshConfigMap,
        /// Whether it is waited for; defaults hold without it otherwise.
        needed: bool,
    },
}

impl fmt::Display for MeshConfigPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                write!(f, "{}", path.display())
            }
            Self::ConfigMap { map, .. } => write!(f, "{map}"),
        }
    }
}

/// Where clusters beside the first are described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clusters {
    /// The namespace of their secrets.
    pub namespace: String,
    /// For how long readiness waits for one.
    pub patience: Duration,
}

/// A registry to run.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A directory of YAML.
    Static {
        /// The directory.
        dir: PathBuf,
        /// Whether it may be absent at start, and is waited for then.
        awaited: bool,
    },
    /// What the API server of a cluster holds.
    Kubernetes {
        /// What is read.
        config: Box<KubernetesConfig>,
        /// Whom to ask.
        access: Box<Access>,
    },
    /// One datacenter of a Consul.
    Consul {
        /// What is read.
        config: Box<ConsulConfig>,
        /// Whom to ask.
        client: Box<client::Settings>,
    },
}

/// What can be said on the command line.
pub fn grammar() -> clap::Command {
    CommandLine::command()
}

/// Reads a command line, the program's name first.
///
/// # Errors
/// It is wrong, or it asks for help: the error prints itself, and [`pilothouse_process::exit_code`] knows what to exit with.
pub fn parse<T: Into<OsString> + Clone>(
    line: impl IntoIterator<Item = T>,
) -> Result<Command, clap::Error> {
    let mut grammar = grammar().mut_subcommand("discovery", |discovery| {
        // As in the original, a flag that is given twice has its last value.
        discovery
            .args_override_self(true)
            .args(flags::arguments(INERT))
    });
    let matches = grammar.try_get_matches_from_mut(line)?;
    let line = CommandLine::from_arg_matches(&matches)?;
    match line.command {
        Subcommands::Version(args) => Ok(Command::Version(args)),
        Subcommands::Completion(args) => Ok(Command::Completion(args)),
        Subcommands::Collateral(args) => Ok(Command::Collateral(args)),
        Subcommands::Discovery(args) => {
            let matches = matches.subcommand_matches("discovery");
            resolve(*args, matches)
                .map(|config| Command::Discovery(Box::new(config)))
                .map_err(|problem| grammar.error(ErrorKind::ValueValidation, problem))
        }
    }
}

fn resolve(args: DiscoveryArgs, matches: Option<&ArgMatches>) -> Result<Config, String> {
    let mut warnings = matches
        .map(|matches| flags::warnings(INERT, matches))
        .unwrap_or_default();
    let mut sources = Vec::new();
    for platform in &args.registries {
        let of_platform = match platform {
            Platform::Static => vec![Source::Static {
                dir: args.config_dir.clone().unwrap_or_else(|| CONFIG_DIR.into()),
                awaited: args.config_dir.is_none(),
            }],
            Platform::Kubernetes => vec![args.kubernetes.source(&args.cluster_id, &args.domain)],
            Platform::Consul => args.consul.sources(&args.cluster_id)?,
        };
        for source in of_platform {
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
    }
    if args.push.debounce_max < args.push.debounce_after {
        return Err("--debounce-max is shorter than --debounce-after".into());
    }
    let mesh_config = mesh_config(&args)?;
    let debug_addr = match (args.ctrlz_address, args.ctrlz_port) {
        (None, None) => args.debug_addr.0,
        (host, port) => Some(ListenAddr {
            host: Some(host.unwrap_or_else(|| "127.0.0.1".to_owned())).filter(|host| host != "*"),
            port: port.unwrap_or(9876),
        }),
    };
    if let Some(addr) = debug_addr.as_ref().filter(|addr| !addr.is_loopback()) {
        warnings.push(format!(
            "the debug listener on {addr} is open to other machines: its pages show the whole mesh, and it changes log levels"
        ));
    }
    Ok(Config {
        sources,
        mesh_config,
        clusters: args.kubernetes.clusters(),
        status: args.kubernetes.status(),
        cluster_id: args.cluster_id,
        namespace: args.kubernetes.namespace(),
        domain: args.domain,
        virtual_service_merge: args.virtual_service_merge,
        scope_gateways: args.scope_gateway_to_namespace,
        allow_unenforced_security: args.allow_unenforced_security,
        grpc_addr: args.grpc_addr,
        http_addr: args.http_addr,
        monitoring_addr: args.monitoring_addr.0,
        debug_addr,
        shutdown: args.shutdown_duration,
        debounce: debounce(&args.push),
        guard: guard(&args.guard),
        protocol: protocol(&args.push),
        limits: limits(&args.push),
        log: args.log.options()?,
        warnings,
    })
}

/// The file that is named; or else the one that Istio's images have, or the ConfigMap.
fn mesh_config(args: &DiscoveryArgs) -> Result<Option<MeshConfigPlace>, String> {
    let map_is_named = args.kubernetes.mesh_config_map.is_some();
    let of_kubernetes = args.registries.contains(&Platform::Kubernetes);
    if map_is_named && (args.mesh_config.is_some() || !of_kubernetes) {
        return Err(
            "--mesh-config-map goes with --registries Kubernetes and without --mesh-config".into(),
        );
    }
    let usual = || (!map_is_named && Path::new(MESH_CONFIG).exists()).then(|| MESH_CONFIG.into());
    let file = args.mesh_config.clone().or_else(usual);
    let map = || of_kubernetes.then(|| args.kubernetes.mesh_config());
    Ok(file.map(MeshConfigPlace::File).or_else(map))
}

fn debounce(args: &PushArgs) -> debounce::Settings {
    debounce::Settings {
        quiet: args.debounce_after,
        cap: args.debounce_max,
        ..debounce::Settings::default()
    }
}

fn guard(args: &GuardArgs) -> GuardSettings {
    GuardSettings {
        enabled: !args.guard_off,
        fraction: args.guard_fraction,
        count: args.guard_count,
        confirm_after: args.guard_confirm_after,
    }
}

fn limits(args: &PushArgs) -> Limits {
    let rate = f64::from(args.max_requests_per_second);
    Limits {
        connections: args.max_connections,
        send: args.send_timeout,
        message: args.max_request_bytes,
        rate,
        // A proxy that has just connected asks for all its types at once.
        burst: rate * 5.0,
        initial_transfers: args.max_initial_transfers,
        keepalive: args.keepalive_interval,
        keepalive_timeout: args.keepalive_timeout,
        age: Some(args.max_connection_age).filter(|age| !age.is_zero()),
        ..Limits::default()
    }
}

fn protocol(args: &PushArgs) -> protocol::Settings {
    let default = protocol::Settings::default();
    protocol::Settings {
        ack_timeout: args.ack_timeout,
        gate: args.gate_timeout,
        limits: protocol::Limits {
            names: args.max_request_names,
            ..default.limits
        },
        ..default
    }
}

#[cfg(test)]
mod tests;
