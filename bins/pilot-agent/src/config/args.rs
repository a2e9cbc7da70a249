//! The command line as it is written. Every spelling of Istio's is an alias here; what values mean together, and with the
//! environment and mesh config, is decided in [`config`](super).

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pilothouse_process::collateral::{CollateralArgs, CompletionArgs};
use pilothouse_process::logging::LogArgs;
use pilothouse_process::value::{ListenAddr, duration, listen_addr};
use pilothouse_process::version::VersionArgs;

use super::discovery_address::{DiscoveryAddresses, addresses};
use crate::envoy::Exec;
use crate::iptables;
use crate::request::RequestArgs;
use crate::wait::WaitArgs;

/// Runs beside every Envoy: makes its bootstrap, runs it, relays its configuration, answers its host's DNS.
#[derive(Debug, Parser)]
#[command(name = "pilot-agent", version, disable_help_subcommand = true)]
pub(super) struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Subcommands,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Subcommands {
    /// Run Envoy and what it needs on its machine.
    #[command(after_help = PROXY_EXAMPLE)]
    Proxy(Box<ProxyArgs>),
    /// Print the bootstrap that `proxy` would give to Envoy with the same flags and environment.
    #[command(after_help = BOOTSTRAP_EXAMPLE)]
    Bootstrap(Box<BootstrapArgs>),
    /// Bring the machine's traffic to Envoy by rules of the kernel.
    #[command(alias = "istio-iptables", after_help = IPTABLES_EXAMPLE)]
    Iptables(Box<iptables::Args>),
    /// Take back what `iptables` has done.
    #[command(alias = "istio-clean-iptables", after_help = CLEAN_EXAMPLE)]
    CleanIptables(iptables::CleanArgs),
    /// Ask Envoy's admin page, or the agent's own pages.
    #[command(after_help = REQUEST_EXAMPLE)]
    Request(RequestArgs),
    /// Wait until the proxy is ready.
    #[command(after_help = WAIT_EXAMPLE)]
    Wait(WaitArgs),
    /// Print the script by which a shell completes command lines.
    Completion(CompletionArgs),
    /// Write manual pages, completion scripts and the reference of flags.
    #[command(hide = true)]
    Collateral(CollateralArgs),
    /// Become Envoy, and end with the agent.
    #[command(name = Exec::NAME, hide = true)]
    Exec(Exec),
    /// Print the version.
    Version(VersionArgs),
}

const PROXY_EXAMPLE: &str = "\
Example: a sidecar on a machine without a platform
  pilot-agent proxy sidecar --discovery-address discovery.example:15010 --id web-1.shop --domain shop.svc.cluster.local";

const BOOTSTRAP_EXAMPLE: &str = "\
Example: for a gRPC client without a proxy
  pilot-agent bootstrap --grpc --discovery-address discovery.example:15010 > bootstrap.json";

const IPTABLES_EXAMPLE: &str = "\
Example: show what would be done to capture all TCP but port 22
  pilot-agent iptables -i '*' -b '*' -d 22 --dry-run";

const CLEAN_EXAMPLE: &str = "\
Example:
  pilot-agent clean-iptables --dry-run";

const REQUEST_EXAMPLE: &str = "\
Example: Envoy's clusters
  pilot-agent request GET clusters";

const WAIT_EXAMPLE: &str = "\
Example: start the application after its proxy
  pilot-agent wait --timeout-seconds 30 && exec server";

/// What an Envoy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Role {
    /// It stands beside one application.
    Sidecar,
    /// It stands alone, as a gateway.
    Router,
    /// The old name of a router at the mesh's edge.
    #[value(hide = true)]
    Ingress,
}

/// Where names and domains come from if no flag says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ServiceRegistry {
    /// The id is POD_NAME.POD_NAMESPACE, the domain POD_NAMESPACE.svc.cluster.local.
    #[value(name = "Kubernetes")]
    Kubernetes,
    /// The id is IP.service.consul, the domain service.consul.
    #[value(name = "Consul")]
    Consul,
    /// The id is the IP address.
    #[value(name = "Static", aliases = ["Mock", "Config", "MCP", "Other"])]
    Static,
}

/// Whether discovery is reached over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum AuthPolicy {
    /// In plaintext.
    #[value(name = "NONE")]
    None,
    /// Both sides show certificates.
    #[value(name = "MUTUAL_TLS")]
    MutualTls,
}

/// How the application's traffic gets to Envoy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Capture {
    /// By iptables' REDIRECT.
    #[value(name = "REDIRECT")]
    Redirect,
    /// By iptables' TPROXY.
    #[value(name = "TPROXY")]
    Tproxy,
    /// Not at all: the application asks Envoy's own ports.
    #[value(name = "NONE")]
    None,
}

/// Flags of `proxy`, most of which `bootstrap` has as well.
#[derive(Debug, Args)]
pub(super) struct ProxyArgs {
    /// What the Envoy is for.
    #[arg(value_enum, default_value = "sidecar", value_name = "ROLE")]
    pub role: Role,

    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub identity: IdentityArgs,

    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub discovery: DiscoveryArgs,

    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub envoy: EnvoyArgs,

    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub jobs: JobArgs,

    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub log: LogArgs,
}

/// Flags of `bootstrap`.
#[derive(Debug, Args)]
pub(super) struct BootstrapArgs {
    /// For a gRPC client without a proxy instead of Envoy.
    #[arg(long)]
    pub grpc: bool,

    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub proxy: ProxyArgs,
}

/// Who the proxy is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Identity")]
pub(super) struct IdentityArgs {
    /// The platform whose habits give what is not said: Kubernetes where POD_NAME is set, else Static.
    #[arg(
        long = "service-registry",
        aliases = ["serviceregistry", "serviceRegistry"],
        value_enum,
        ignore_case = true,
        value_name = "PLATFORM"
    )]
    pub service_registry: Option<ServiceRegistry>,

    /// The proxy's address. Default: INSTANCE_IP, else the machine's first global address.
    #[arg(long, value_name = "IP")]
    pub ip: Option<IpAddr>,

    /// The proxy's name, by convention NAME.NAMESPACE.
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,

    /// The proxy's namespace. Default: POD_NAMESPACE, else what --id or --domain says, else default.
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,

    /// The DNS domain that completes short names.
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,

    /// The name of the group that the proxy belongs to. Default: the label app and the namespace, else istio-proxy.
    #[arg(
        long = "service-cluster",
        alias = "serviceCluster",
        value_name = "NAME"
    )]
    pub service_cluster: Option<String>,

    /// Where it runs: REGION/ZONE/SUBZONE, or a zone alone.
    #[arg(
        long = "availability-zone",
        aliases = ["availabilityZone", "locality"],
        value_name = "LOCALITY"
    )]
    pub availability_zone: Option<String>,

    /// Labels of the workload, a file with a line `key="value"` or `key=value` for each.
    #[arg(
        long,
        alias = "labelsFile",
        default_value = "/etc/istio/pod/labels",
        value_name = "FILE"
    )]
    pub labels_file: PathBuf,

    /// A label of the workload; may be repeated, and is stronger than the file.
    #[arg(long = "label", value_parser = key_value, value_name = "KEY=VALUE")]
    pub labels: Vec<(String, String)>,

    /// How the application's traffic gets to Envoy. Default: REDIRECT.
    #[arg(
        long,
        alias = "interceptionMode",
        value_enum,
        ignore_case = true,
        value_name = "MODE"
    )]
    pub interception_mode: Option<Capture>,
}

/// How discovery is reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Discovery")]
pub(super) struct DiscoveryArgs {
    /// Where discovery is, HOST:PORT; of several, the next is asked when one fails. Default: this machine, in a pod
    /// istiod.istio-system.svc; port 15010, with MUTUAL_TLS 15012.
    #[arg(
        long = "discovery-address",
        alias = "discoveryAddress",
        value_parser = addresses,
        value_name = "ADDR,.."
    )]
    pub discovery_address: Option<DiscoveryAddresses>,

    /// Whether it is reached over mutual TLS. Default: NONE.
    #[arg(
        long = "control-plane-auth-policy",
        alias = "controlPlaneAuthPolicy",
        value_enum,
        ignore_case = true,
        value_name = "POLICY"
    )]
    pub control_plane_auth_policy: Option<AuthPolicy>,

    /// Envoy asks discovery itself, and the agent relays nothing.
    #[arg(long, alias = "directXds")]
    pub direct_xds: bool,

    /// The mesh config file, of which defaultConfig is read.
    #[arg(long = "mesh-config", alias = "meshConfig", value_name = "FILE")]
    pub mesh_config: Option<PathBuf>,
}

/// How Envoy runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Envoy")]
pub(super) struct EnvoyArgs {
    /// The directory of what the agent writes: bootstrap and sockets. Default: /etc/istio/proxy.
    #[arg(long = "config-path", alias = "configPath", value_name = "DIR")]
    pub config_path: Option<PathBuf>,

    /// Envoy. Default: /usr/local/bin/envoy if it is there, else `envoy` on the PATH.
    #[arg(long = "binary-path", alias = "binaryPath", value_name = "FILE")]
    pub binary_path: Option<PathBuf>,

    /// A Go text/template of Envoy's whole configuration, in place of the agent's own bootstrap.
    #[arg(
        long = "template-file",
        alias = "templateFile",
        conflicts_with = "custom_config_file",
        value_name = "FILE"
    )]
    pub template_file: Option<PathBuf>,

    /// Envoy's whole configuration, used as it is.
    #[arg(
        long = "custom-config-file",
        alias = "customConfigFile",
        value_name = "FILE"
    )]
    pub custom_config_file: Option<PathBuf>,

    /// Tells templates to leave telemetry out (DisableReportCalls).
    #[arg(
        long = "disable-internal-telemetry",
        alias = "disableInternalTelemetry",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    pub disable_internal_telemetry: bool,

    /// The port of Envoy's admin page on loopback. Default: 15000.
    #[arg(
        long = "proxy-admin-port",
        alias = "proxyAdminPort",
        value_name = "PORT"
    )]
    pub proxy_admin_port: Option<u16>,

    /// Worker threads, 0 for one per core. Default: what the cgroup's limit of CPU lets run.
    #[arg(long, value_name = "N")]
    pub concurrency: Option<u32>,

    /// Envoy's log level.
    #[arg(
        long = "proxy-log-level",
        alias = "proxyLogLevel",
        default_value = "warning",
        value_name = "LEVEL"
    )]
    pub proxy_log_level: String,

    /// Envoy's log levels by component.
    #[arg(
        long = "proxy-component-log-level",
        alias = "proxyComponentLogLevel",
        default_value = "misc:error",
        value_name = "NAME:LEVEL,.."
    )]
    pub proxy_component_log_level: String,

    /// Where Envoy notes which endpoints it ejects.
    #[arg(
        long = "outlier-log-path",
        alias = "outlierLogPath",
        value_name = "FILE"
    )]
    pub outlier_log_path: Option<PathBuf>,

    /// How long Envoy drains a listener that is gone. Default: 45s.
    #[arg(
        long = "drain-duration",
        alias = "drainDuration",
        value_parser = duration,
        value_name = "TIME"
    )]
    pub drain_duration: Option<Duration>,

    /// How long Envoy drains at most before it is ended. Default: as --drain-duration. It ends earlier when no connection is left.
    #[arg(
        long = "termination-drain-duration",
        alias = "terminationDrainDuration",
        value_parser = duration,
        value_name = "TIME"
    )]
    pub termination_drain_duration: Option<Duration>,
}

/// What the agent does beside that.
#[derive(Debug, Args)]
#[command(next_help_heading = "Beside Envoy")]
pub(super) struct JobArgs {
    /// The port of the agent's own pages: readiness, probes, metrics, quitquitquit. Default: 15020; 0 for none.
    #[arg(long = "status-port", alias = "statusPort", value_name = "PORT")]
    pub status_port: Option<u16>,

    /// Answer DNS for names of the mesh. Default: ISTIO_META_DNS_CAPTURE, else false.
    #[arg(
        long,
        alias = "dnsCapture",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    pub dns_capture: Option<bool>,

    /// Where it is answered. Default: DNS_PROXY_ADDR, else localhost:15053.
    #[arg(long, alias = "dnsAddr", value_parser = listen_addr, value_name = "ADDR")]
    pub dns_addr: Option<ListenAddr>,

    /// The directory of mounted certificates: cert-chain.pem, key.pem, root-cert.pem.
    #[arg(
        long,
        alias = "certDir",
        default_value = "/etc/certs",
        value_name = "DIR"
    )]
    pub cert_dir: PathBuf,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "write it as KEY=VALUE".to_owned())
}
