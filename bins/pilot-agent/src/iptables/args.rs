//! Flags as they are written. Names, letters and environment variables are those of Istio's tool; what they mean together is
//! decided in [`settings`](super::settings).

use clap::ValueEnum;
use clap::builder::BoolishValueParser;

/// How connections are brought to Envoy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// With the destination rewritten. The application sees Envoy as the client.
    #[value(name = "REDIRECT")]
    Redirect,
    /// Inbound ones unchanged, so that the application sees the client's address.
    #[value(name = "TPROXY")]
    Tproxy,
}

/// Flags of `pilot-agent iptables`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The port of Envoy that outbound connections are brought to
    #[arg(
        short = 'p',
        long,
        env = "ENVOY_PORT",
        default_value_t = 15001,
        value_name = "PORT"
    )]
    pub envoy_port: u16,

    /// The port of Envoy that inbound connections are brought to
    #[arg(
        short = 'z',
        long,
        env = "INBOUND_CAPTURE_PORT",
        default_value_t = 15006,
        value_name = "PORT"
    )]
    pub inbound_capture_port: u16,

    /// The port of tunnels between proxies, which is never captured
    #[arg(
        short = 'e',
        long,
        env = "INBOUND_TUNNEL_PORT",
        default_value_t = 15008,
        value_name = "PORT"
    )]
    pub inbound_tunnel_port: u16,

    /// The users that Envoy and the agent run as, by number or name; by default the user istio-proxy, or 1337 without one
    #[arg(short = 'u', long, env = "PROXY_UID", value_name = "USER,..")]
    pub proxy_uid: Option<String>,

    /// The groups that Envoy and the agent run as; by default the same numbers as --proxy-uid
    #[arg(short = 'g', long, env = "PROXY_GID", value_name = "GROUP,..")]
    pub proxy_gid: Option<String>,

    /// How inbound connections are brought to Envoy
    #[arg(
        short = 'm',
        long,
        env = "ISTIO_INBOUND_INTERCEPTION_MODE",
        value_enum,
        ignore_case = true,
        default_value = "REDIRECT",
        value_name = "MODE"
    )]
    pub istio_inbound_interception_mode: Mode,

    /// The mark of packets that TPROXY brings to this machine
    #[arg(
        short = 't',
        long,
        env = "ISTIO_INBOUND_TPROXY_MARK",
        default_value = "1337",
        value_name = "NUMBER"
    )]
    pub istio_inbound_tproxy_mark: String,

    /// The routing table that TPROXY uses
    #[arg(
        short = 'r',
        long,
        env = "ISTIO_INBOUND_TPROXY_ROUTE_TABLE",
        default_value = "133",
        value_name = "NUMBER"
    )]
    pub istio_inbound_tproxy_route_table: String,

    /// Inbound ports to capture; * for all
    #[arg(
        short = 'b',
        long,
        env = "ISTIO_INBOUND_PORTS",
        default_value = "",
        value_name = "PORT,.."
    )]
    pub istio_inbound_ports: String,

    /// With -b '*', inbound ports to leave alone, besides 15020, 15021 and 15090
    #[arg(
        short = 'd',
        long,
        env = "ISTIO_LOCAL_EXCLUDE_PORTS",
        default_value = "",
        value_name = "PORT,.."
    )]
    pub istio_local_exclude_ports: String,

    /// Ranges whose outbound connections are captured; * for all
    #[arg(
        short = 'i',
        long,
        env = "ISTIO_SERVICE_CIDR",
        default_value = "",
        value_name = "CIDR,.."
    )]
    pub istio_service_cidr: String,

    /// Ranges to leave alone, which beat -i
    #[arg(
        short = 'x',
        long,
        env = "ISTIO_SERVICE_EXCLUDE_CIDR",
        default_value = "",
        value_name = "CIDR,.."
    )]
    pub istio_service_exclude_cidr: String,

    /// Outbound ports to capture wherever they lead
    #[arg(
        short = 'q',
        long,
        env = "ISTIO_OUTBOUND_PORTS",
        default_value = "",
        value_name = "PORT,.."
    )]
    pub istio_outbound_ports: String,

    /// Outbound ports to leave alone
    #[arg(
        short = 'o',
        long,
        env = "ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE",
        default_value = "",
        value_name = "PORT,.."
    )]
    pub istio_local_outbound_ports_exclude: String,

    /// Interfaces to leave alone
    #[arg(
        short = 'c',
        long,
        env = "ISTIO_EXCLUDE_INTERFACES",
        default_value = "",
        value_name = "NAME,.."
    )]
    pub istio_exclude_interfaces: String,

    /// Interfaces behind which there are virtual machines: what comes from them is outbound
    #[arg(
        short = 'k',
        long,
        env = "KUBE_VIRT_INTERFACES",
        default_value = "",
        value_name = "NAME,.."
    )]
    pub kube_virt_interfaces: String,

    /// Groups whose processes are captured; * for all
    #[arg(
        long,
        env = "ISTIO_OUTBOUND_OWNER_GROUPS",
        default_value = "*",
        value_name = "GROUP,.."
    )]
    pub istio_outbound_owner_groups: String,

    /// Groups whose processes are left alone
    #[arg(
        long,
        env = "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE",
        default_value = "",
        value_name = "GROUP,.."
    )]
    pub istio_outbound_owner_groups_exclude: String,

    /// Bring DNS to the agent: what goes to the servers in /etc/resolv.conf
    #[arg(long, env = "ISTIO_META_DNS_CAPTURE", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set, value_name = "BOOL")]
    pub redirect_dns: bool,

    /// With --redirect-dns, what goes to any DNS server
    #[arg(long, env = "CAPTURE_ALL_DNS", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set, value_name = "BOOL")]
    pub capture_all_dns: bool,

    /// Drop packets that belong to no connection, where the kernel would reset one
    #[arg(long, env = "INVALID_DROP", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set, value_name = "BOOL")]
    pub drop_invalid: bool,

    /// Capture IPv6 too, where there is IPv4; a machine with addresses of IPv6 alone needs no asking
    #[arg(long, env = "ISTIO_DUAL_STACK", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set, value_name = "BOOL")]
    pub dual_stack: bool,

    /// Print what would be done, and do nothing
    #[arg(short = 'n', long, env = "DRY_RUN", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set, value_name = "BOOL")]
    pub dry_run: bool,

    /// Change nothing, but see --run-validation
    #[arg(long, env = "SKIP_RULE_APPLY", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set, value_name = "BOOL")]
    pub skip_rule_apply: bool,

    /// See whether a connection to this machine's own address is captured; as the user of --proxy-uid, before Envoy runs
    #[arg(long, env = "RUN_VALIDATION", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set, value_name = "BOOL")]
    pub run_validation: bool,

    /// The port that --run-validation connects to
    #[arg(
        long,
        env = "IPTABLES_PROBE_PORT",
        default_value_t = 15002,
        value_name = "PORT"
    )]
    pub iptables_probe_port: u16,

    /// How long --run-validation may take
    #[arg(long, env = "PROBE_TIMEOUT", default_value = "5s", value_parser = pilothouse_process::value::duration, value_name = "DURATION")]
    pub probe_timeout: std::time::Duration,

    /// The network namespace to work in, which is not possible from outside it
    #[arg(long, env = "NETWORK_NAMESPACE", hide = true, default_value = "")]
    pub network_namespace: String,

    /// Remove what was set up, and set up nothing
    #[arg(long, env = "CLEANUP_ONLY", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set, value_name = "BOOL")]
    pub cleanup_only: bool,

    #[command(flatten)]
    pub(super) inert: Inert,
}

/// Flags that have no effect here.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Inert {
    #[arg(short = 'f', long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    restore_format: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    force_apply: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    reconcile: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    cni_mode: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    iptables_trace_logging: Option<String>,
    #[arg(long, hide = true)]
    output_paths: Option<String>,
    #[arg(long, hide = true)]
    iptables_version: Option<String>,
}

impl Inert {
    /// One line for each that was given.
    pub(super) fn warnings(&self) -> Vec<String> {
        let given = [
            (
                "restore-format",
                &self.restore_format,
                "rules are always applied by iptables-restore",
            ),
            (
                "force-apply",
                &self.force_apply,
                "rules that differ are always replaced",
            ),
            (
                "reconcile",
                &self.reconcile,
                "rules that differ are always replaced",
            ),
            (
                "cni-mode",
                &self.cni_mode,
                "there is no CNI plugin that calls this",
            ),
            (
                "iptables-trace-logging",
                &self.iptables_trace_logging,
                "no rules for tracing are made",
            ),
            (
                "output-paths",
                &self.output_paths,
                "--dry-run prints to standard output",
            ),
            (
                "iptables-version",
                &self.iptables_version,
                "the version is asked of the program",
            ),
        ];
        given
            .iter()
            .filter(|(_, value, _)| value.is_some())
            .map(|(name, _, why)| format!("--{name} has no effect: {why}"))
            .collect()
    }
}

/// Flags of `pilot-agent clean-iptables`. What is there says what is to be removed; those that set it up are accepted.
#[derive(Debug, Clone, clap::Args)]
pub struct CleanArgs {
    /// Print what would be done, and do nothing
    #[arg(short = 'n', long, env = "DRY_RUN", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set, value_name = "BOOL")]
    pub dry_run: bool,

    #[command(flatten)]
    unneeded: Unneeded,
}

/// Flags of Istio's tool that say what was set up, which is read from the kernel here.
#[derive(Debug, Clone, Default, clap::Args)]
struct Unneeded {
    #[arg(short = 'u', long, hide = true)]
    proxy_uid: Option<String>,
    #[arg(short = 'g', long, hide = true)]
    proxy_gid: Option<String>,
    #[arg(short = 'm', long, hide = true)]
    istio_inbound_interception_mode: Option<String>,
    #[arg(short = 't', long, hide = true)]
    istio_inbound_tproxy_mark: Option<String>,
    #[arg(long, hide = true)]
    istio_outbound_owner_groups: Option<String>,
    #[arg(long, hide = true)]
    istio_outbound_owner_groups_exclude: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    redirect_dns: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    capture_all_dns: Option<String>,
}
