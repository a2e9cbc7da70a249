//! The command line as it is written. Every spelling of Istio's is an alias here; what values mean together is decided in
//! [`config`](super).

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use pilothouse_core::mesh::VirtualServiceMerge;
use pilothouse_process::collateral::{CollateralArgs, CompletionArgs};
use pilothouse_process::logging::LogArgs;
use pilothouse_process::value::{
    ListenAddr, duration, fraction, listen_addr, optional_listen_addr,
};
use pilothouse_process::version::VersionArgs;

/// A control plane for Envoy: services, endpoints and rules from any platform, served over xDS.
#[derive(Debug, Parser)]
#[command(name = "pilot-discovery", version, disable_help_subcommand = true)]
pub(super) struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Subcommands,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Subcommands {
    /// Serve discovery to proxies.
    Discovery(Box<DiscoveryArgs>),
    /// Print the version.
    Version(VersionArgs),
    /// Print a script with which a shell completes command lines.
    Completion(CompletionArgs),
    /// Write what packages have beside the program: manual pages, completion for shells, the reference of flags.
    #[command(hide = true)]
    Collateral(CollateralArgs),
}

/// A platform that this binary has an adapter for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Platform {
    /// A directory of YAML.
    #[value(name = "Static")]
    Static,
    /// The API server of a cluster.
    #[value(name = "Kubernetes")]
    Kubernetes,
    /// The catalog and the key-value store of a Consul.
    #[value(name = "Consul")]
    Consul,
}

/// Flags of `discovery`.
#[derive(Debug, Args)]
pub(super) struct DiscoveryArgs {
    /// Where to learn of services: a list of platforms.
    #[arg(
        long,
        value_enum,
        ignore_case = true,
        value_delimiter = ',',
        default_value = "Static",
        value_name = "PLATFORM,..",
        help_heading = "Sources"
    )]
    pub registries: Vec<Platform>,

    /// The directory of YAML and JSON that the registry Static reads and watches. Default: /etc/istio/config, which is waited for if
    /// it is not there.
    #[arg(
        long,
        alias = "configDir",
        value_name = "DIR",
        help_heading = "Sources"
    )]
    pub config_dir: Option<PathBuf>,

    /// A file with settings of the whole mesh, read again when it changes. Default: /etc/istio/config/mesh if it is there.
    #[arg(
        long,
        alias = "meshConfig",
        value_name = "FILE",
        help_heading = "Sources"
    )]
    pub mesh_config: Option<PathBuf>,

    /// Which VirtualServices for one host merge on sidecars: none, so that the oldest counts; or those of one namespace, by age and
    /// then name.
    #[arg(
        long,
        default_value = "off",
        value_name = "SCOPE",
        value_parser = PossibleValuesParser::new(VirtualServiceMerge::NAMES)
            .try_map(|name| VirtualServiceMerge::named(&name).ok_or("is not known")),
        help_heading = "Sources"
    )]
    pub virtual_service_merge: VirtualServiceMerge,

    /// Let Gateways select routers of their own namespace only, as PILOT_SCOPE_GATEWAY_TO_NAMESPACE in the environment does.
    #[arg(
        long,
        env = "PILOT_SCOPE_GATEWAY_TO_NAMESPACE",
        help_heading = "Sources"
    )]
    pub scope_gateway_to_namespace: bool,

    /// What names of services end with on the registries Static and Kubernetes: NAME.NAMESPACE.svc.DOMAIN. Short names of hosts in
    /// their rules are completed alike.
    #[arg(
        long,
        default_value = "cluster.local",
        value_name = "DOMAIN",
        help_heading = "Sources"
    )]
    pub domain: String,

    /// The name of the cluster that the registries belong to, as CLUSTER_ID in the environment says it.
    #[arg(
        long,
        aliases = ["clusterID", "clusterId"],
        env = "CLUSTER_ID",
        default_value = "default",
        value_name = "NAME",
        help_heading = "Sources"
    )]
    pub cluster_id: String,

    #[command(flatten)]
    pub kubernetes: super::kubernetes::KubernetesArgs,

    #[command(flatten)]
    pub consul: super::consul::ConsulArgs,

    /// Become ready although there are objects of security.istio.io, which this version does not enforce.
    #[arg(long, help_heading = "Sources")]
    pub allow_unenforced_security: bool,

    /// Discovery for proxies over gRPC, in plaintext.
    #[arg(long, alias = "grpcAddr", default_value = ":15010", value_parser = listen_addr, value_name = "ADDR", help_heading = "Listeners")]
    pub grpc_addr: ListenAddr,

    /// Readiness, health, version and metrics over HTTP.
    #[arg(long, aliases = ["httpAddr", "port"], default_value = ":8080", value_parser = listen_addr, value_name = "ADDR", help_heading = "Listeners")]
    pub http_addr: ListenAddr,

    /// The same for monitoring; `off` for none.
    #[arg(long, aliases = ["monitoringAddr", "monitoringPort"], default_value = ":15014", value_parser = maybe_addr, value_name = "ADDR", help_heading = "Listeners")]
    pub monitoring_addr: MaybeAddr,

    /// Debug pages and changes of log levels, for this machine only; `off` for none.
    #[arg(long, alias = "debugAddr", default_value = "127.0.0.1:9876", value_parser = maybe_addr, value_name = "ADDR", help_heading = "Listeners")]
    pub debug_addr: MaybeAddr,

    /// The host of --debug-addr, as Istio's ControlZ has it.
    #[arg(
        long = "ctrlz_address",
        alias = "ctrlz-address",
        hide = true,
        conflicts_with = "debug_addr"
    )]
    pub ctrlz_address: Option<String>,

    /// The port of --debug-addr, as Istio's ControlZ has it.
    #[arg(
        long = "ctrlz_port",
        alias = "ctrlz-port",
        hide = true,
        conflicts_with = "debug_addr"
    )]
    pub ctrlz_port: Option<u16>,

    /// How long a stop may take while streams are closed one after the other.
    #[arg(long, alias = "shutdownDuration", default_value = "10s", value_parser = duration, value_name = "TIME", help_heading = "Listeners")]
    pub shutdown_duration: Duration,

    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub push: PushArgs,

    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub guard: GuardArgs,

    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub log: LogArgs,
}

/// When changes go out and how long proxies may take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Proxies")]
pub(super) struct PushArgs {
    /// How long changes must be quiet before they go out, while an earlier push is still being computed.
    #[arg(long, default_value = "100ms", value_parser = duration, value_name = "TIME")]
    pub debounce_after: Duration,

    /// How long changes that never get quiet are held up at most.
    #[arg(long, default_value = "1s", value_parser = duration, value_name = "TIME")]
    pub debounce_max: Duration,

    /// How long listeners and routes wait for a proxy to acknowledge the clusters they need.
    #[arg(long, default_value = "5s", value_parser = duration, value_name = "TIME")]
    pub gate_timeout: Duration,

    /// How long to wait for an acknowledgement before the next response of that type is sent all the same.
    #[arg(long, default_value = "5s", value_parser = duration, value_name = "TIME")]
    pub ack_timeout: Duration,

    /// A proxy that takes nothing for this long is disconnected.
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "TIME")]
    pub send_timeout: Duration,

    /// The most connections of proxies at a time.
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    pub max_connections: usize,

    /// The most proxies that are given their first configuration at a time; further ones wait for their turn.
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub max_initial_transfers: usize,

    /// The most requests in a second that a proxy may send for long.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub max_requests_per_second: u32,

    /// The most bytes of one request.
    #[arg(long, default_value_t = 4 << 20, value_name = "BYTES")]
    pub max_request_bytes: usize,

    /// The most names that a request may have.
    #[arg(long, default_value_t = 50_000, value_name = "N")]
    pub max_request_names: usize,

    /// How long a connection may be silent before it is asked for a sign of life.
    #[arg(long, alias = "keepaliveInterval", default_value = "30s", value_parser = duration, value_name = "TIME")]
    pub keepalive_interval: Duration,

    /// How long that sign may take.
    #[arg(long, alias = "keepaliveTimeout", default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub keepalive_timeout: Duration,

    /// A connection older than this is asked to come again, so that proxies spread over replicas; 0 for never.
    #[arg(long, alias = "keepaliveMaxServerConnectionAge", default_value = "30m", value_parser = duration, value_name = "TIME")]
    pub max_connection_age: Duration,
}

/// When a sudden loss is held until it is confirmed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Guard against mass loss")]
pub(super) struct GuardArgs {
    /// The share of a registry's endpoints or services whose loss is held.
    #[arg(long, default_value = "50%", value_parser = fraction, value_name = "SHARE")]
    pub guard_fraction: f64,

    /// A loss of no more than this many is never held.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub guard_count: usize,

    /// How much later a second read must agree with the loss.
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "TIME")]
    pub guard_confirm_after: Duration,

    /// Hold no loss.
    #[arg(long)]
    pub guard_off: bool,
}

/// An address that may be absent. A type of its own because an `Option` is something else to the parser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MaybeAddr(pub Option<ListenAddr>);

fn maybe_addr(text: &str) -> Result<MaybeAddr, String> {
    optional_listen_addr(text).map(MaybeAddr)
}
