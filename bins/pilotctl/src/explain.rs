//! `explain`: the way of one request through a proxy, with the rule behind each step.
//!
//! ```text
//! files ─ offline ─┐
//! dump ─ inspect ──┴─► source (resources) ─► address (host → IP) ─► pilothouse_xds::evaluate ─► rules ─► tell
//! ```
//!
//! What happens to the request is what the evaluator says; here it is asked and its answer is told.

mod address;
mod request;
mod rules;
mod running;
mod source;
mod tell;

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use pilothouse_core::mesh::VirtualServiceMerge;
use pilothouse_static::DEFAULT_DOMAIN;
use pilothouse_xds::evaluate::{Call, Entrance, Outcome, evaluate};
use serde_json::json;

use crate::cli::FAILED;

/// Say what would become of a request at a proxy, and which rules make it so.
///
/// Tells the listener, filter chain, route, cluster and endpoints that the request takes, with the rule and field behind each,
/// and what was considered and not taken. Nothing is sent. The proxy's configuration is made from files (-f with --proxy or
/// --node), or it is what discovery holds for a connected proxy (--proxy), what an Envoy has (--proxy-admin), or a dump (--dump).
///
/// The URL's scheme says what the client speaks: http, https (TLS with that server name), grpc, tcp or tls.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  pilotctl explain -f mesh/ --proxy 'sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local' http://reviews/api\n  pilotctl explain -f mesh/ --node node.yaml POST http://reviews:9080/api -H 'end-user: jason'\n  pilotctl explain --proxy web-1.shop https://api.example.com\n  pilotctl explain --proxy-admin 127.0.0.1:15000 tcp://db.shop:5432\n\nExits with 0 if the request gets to an endpoint or a rule answers it, 1 if it fails, 64 for a wrong command line."
)]
pub struct ExplainArgs {
    /// The method, if it is not GET, and the URL.
    #[arg(required = true, num_args = 1..=2, value_name = "[METHOD] URL")]
    pub request: Vec<String>,

    /// A header of the request: `name: value`. May be given several times.
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = request::header)]
    pub headers: Vec<(String, String)>,

    /// The server name that the client asks for in TLS, if it is not the URL's host.
    #[arg(long, value_name = "NAME")]
    pub sni: Option<String>,

    /// The client speaks HTTP/2.
    #[arg(long)]
    pub http2: bool,

    /// The request comes to the workload rather than from it.
    #[arg(long)]
    pub inbound: bool,

    /// The address that the client connects to, if it is not the URL's host's.
    #[arg(long, value_name = "IP")]
    pub address: Option<IpAddr>,

    /// The port that the client connects to, if it is not the URL's.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,

    /// The client's address.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub source: IpAddr,

    /// What chance gives: decides between weights and for fractions.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub random: u64,

    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub from: SourceArgs,

    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub output: Output,
}

/// Where the proxy's configuration comes from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Proxy")]
pub struct SourceArgs {
    /// A file of rules, or a directory with all its files; `-` for the standard input. May be given several times.
    #[arg(short, long = "filename", alias = "from-file", value_name = "FILE|DIR")]
    pub filenames: Vec<PathBuf>,

    /// What names of services end with, NAME.NAMESPACE.svc.DOMAIN, as discovery's --domain.
    #[arg(long, default_value = DEFAULT_DOMAIN, value_name = "DOMAIN")]
    pub domain: String,

    /// The file of mesh-wide settings, as discovery's --mesh-config.
    #[arg(
        long,
        alias = "meshConfig",
        value_name = "FILE",
        requires = "filenames"
    )]
    pub mesh_config: Option<PathBuf>,

    /// Which VirtualServices for one host merge on sidecars, as discovery's --virtual-service-merge.
    #[arg(
        long,
        default_value = "off",
        value_name = "SCOPE",
        value_parser = PossibleValuesParser::new(VirtualServiceMerge::NAMES)
            .try_map(|name| VirtualServiceMerge::named(&name).ok_or("is not known"))
    )]
    pub virtual_service_merge: VirtualServiceMerge,

    /// With files, its node id, TYPE~IP~NAME.NAMESPACE~DOMAIN; otherwise NAME.NAMESPACE or the node id of a connected proxy.
    #[arg(long, value_name = "PROXY", conflicts_with_all = ["node", "proxy_admin", "dump"])]
    pub proxy: Option<String>,

    /// A file with its node, JSON or YAML, or with a whole bootstrap of Envoy's.
    #[arg(long, value_name = "FILE", requires = "filenames")]
    pub node: Option<PathBuf>,

    /// Metadata of the node, such as INTERCEPTION_MODE=NONE. May be given several times.
    #[arg(long = "metadata", value_name = "KEY=VALUE", requires = "filenames", value_parser = crate::offline::pair)]
    pub metadata: Vec<(String, String)>,

    /// A label of the proxy, such as istio=ingressgateway. May be given several times.
    #[arg(long = "label", value_name = "KEY=VALUE", requires = "filenames", value_parser = crate::offline::pair)]
    pub labels: Vec<(String, String)>,

    /// The name of the cluster that the files belong to, as discovery's --cluster-id.
    #[arg(long, aliases = ["clusterID", "clusterId"], default_value = "default", value_name = "NAME")]
    pub cluster_id: String,

    /// The admin page of its Envoy.
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["filenames", "dump"])]
    pub proxy_admin: Option<String>,

    /// What its Envoy's /config_dump?include_eds answered; - is the standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "filenames")]
    pub dump: Option<PathBuf>,
}

/// How to print what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// The whole walk.
    Json,
}

/// Explains. Returns what to exit with.
///
/// # Errors
/// There is no configuration to look at, or the request cannot be understood.
pub(crate) async fn run(
    args: ExplainArgs,
    discovery: &str,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<u8> {
    let request = request::Parsed::read(&args)?;
    let found = Box::pin(source::read(&args.from, discovery, err)).await?;
    let destination = address::destination(&found, &args, &request);
    let to = destination.address;
    let call = Call {
        entrance: if args.inbound {
            Entrance::Inbound(to)
        } else {
            Entrance::Outbound(to)
        },
        source: (args.source, 40000).into(),
        tls: request.tls.clone(),
        payload: request.payload.clone(),
        random: args.random,
    };
    let walk = evaluate(&found.configuration, &call);
    let rules = rules::Rules::of(&found, &walk, &request.host);
    match args.output {
        Output::Text => tell::text(out, &request, &destination, &walk, &rules)?,
        Output::Json => {
            let all = json!({
                "request": request.line,
                "destination": destination,
                "walk": walk,
                "rules": rules.used,
                "otherRules": rules.others,
            });
            writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?;
        }
    }
    Ok(match &walk.outcome {
        Outcome::Forwarded { .. } => 0,
        Outcome::Answered { flag, .. } if matches!(flag.as_str(), "-" | "FI") => 0,
        _ => FAILED,
    })
}
