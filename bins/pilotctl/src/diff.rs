//! `diff`: what proxies would get if files were applied. Applies nothing.
//!
//! ```text
//! -f ─ validate ─► objects ─┬─ POST /debug/diff ─► discovery ─┐
//!                  --from ──┴─ offline::rehearsed ────────────┴─► answer ─► fields, words ─► tell
//! ```
//!
//! The answer has both versions of each resource that differs, and which proxies see it; here it is told.

mod fields;
mod tell;
mod words;

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use pilothouse_core::mesh::VirtualServiceMerge;
use pilothouse_core::model::NodeId;
use pilothouse_core::registry::{Kind, Object, ObjectKey};
use pilothouse_core::rules;
use pilothouse_static::DEFAULT_DOMAIN;
use serde_json::Value;

use crate::cli::FAILED;
use crate::inspect::{Peer, encoded};
use crate::keys;
use crate::offline::{self, NodeArgs, SourceArgs};

pub use fields::{Field, fields};
pub use words::words;

/// What `--exit-code` exits with if something differs.
pub const DIFFERS: u8 = 2;

/// Say what connected Envoys would get if files were applied, without applying them.
///
/// For each group of proxies that would see the same changes: what it means in words, and every field that differs in Envoy's
/// terms. Objects of the files take the place of those of the same kind, namespace and name. Discovery computes it with a copy of
/// its mesh; nothing is changed. With --from, files are the mesh as it is and no discovery is asked.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  pilotctl diff -f reviews.yaml\n  pilotctl diff -f mesh/ --delete VirtualService reviews-canary -n shop --exit-code\n  pilotctl diff --from mesh/ -f reviews.yaml --proxy 'sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local' -o json\n\nExits with 0, with --exit-code 2 if something differs; 1 if something is wrong, 64 for a wrong command line."
)]
pub struct DiffArgs {
    /// A file with the change, or a directory with all its files; `-` for the standard input. May be given several times.
    #[arg(short, long = "filename", num_args = 1.., required_unless_present = "delete", value_name = "FILE|DIR")]
    pub filenames: Vec<PathBuf>,

    /// An object that would be deleted. May be given several times.
    #[arg(long, num_args = 2, value_names = ["KIND", "NAME"])]
    pub delete: Vec<String>,

    /// The namespace of what would be deleted.
    #[arg(short, long, default_value = "default")]
    pub namespace: String,

    /// Exit with 2 if something differs.
    #[arg(long)]
    pub exit_code: bool,

    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub output: Output,

    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub from: FromArgs,
}

/// The mesh as it is, where no discovery is asked.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Without discovery")]
pub struct FromArgs {
    /// A file of the mesh as it is, or a directory with all its files. May be given several times.
    #[arg(long, num_args = 1.., requires = "proxy", value_name = "FILE|DIR")]
    pub from: Vec<PathBuf>,

    /// The node id of a proxy, TYPE~IP~NAME.NAMESPACE~DOMAIN. May be given several times.
    #[arg(long, num_args = 1.., requires = "from", value_name = "NODE_ID", value_parser = str::parse::<NodeId>)]
    pub proxy: Vec<NodeId>,

    /// Metadata of each proxy, such as INTERCEPTION_MODE=NONE. May be given several times.
    #[arg(long = "metadata", value_name = "KEY=VALUE", requires = "from", value_parser = offline::pair)]
    pub metadata: Vec<(String, String)>,

    /// A label of each proxy, such as istio=ingressgateway. May be given several times.
    #[arg(long = "label", value_name = "KEY=VALUE", requires = "from", value_parser = offline::pair)]
    pub labels: Vec<(String, String)>,

    /// What names of services end with, NAME.NAMESPACE.svc.DOMAIN, as discovery's --domain.
    #[arg(long, default_value = DEFAULT_DOMAIN, value_name = "DOMAIN")]
    pub domain: String,

    /// The file of mesh-wide settings, as discovery's --mesh-config.
    #[arg(long, alias = "meshConfig", value_name = "FILE", requires = "from")]
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

    /// The name of the cluster that the files belong to, as discovery's --cluster-id.
    #[arg(long, aliases = ["clusterID", "clusterId"], default_value = "default", value_name = "NAME")]
    pub cluster_id: String,
}

/// How to print what differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// Both versions of each resource, the fields, the words, and who gets it.
    Json,
}

/// Says what would differ. Returns what to exit with.
///
/// # Errors
/// Nobody could say what would differ; the text says what to do.
pub(crate) async fn run(
    args: DiffArgs,
    discovery: &str,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<u8> {
    let sources = SourceArgs {
        filenames: args.filenames.clone(),
        domain: args.from.domain.clone(),
        mesh_config: None,
        virtual_service_merge: args.from.virtual_service_merge,
    };
    let mut input = io::stdin();
    let objects = offline::good_objects(&sources, &mut input, err);
    let Some(objects) = Box::pin(objects).await? else {
        return Ok(FAILED);
    };
    let delete = deleted(&args);
    let answer = if args.from.from.is_empty() {
        ask(discovery, &objects, &delete).await?
    } else {
        Box::pin(compute(&args.from, objects, &delete)).await?
    };
    let told =
        tell::Told::of(&answer).context("this is no answer of discovery's page /debug/diff")?;
    match args.output {
        Output::Text => told.text(out)?,
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&told.json())?)?,
    }
    Ok(if args.exit_code && told.differs() {
        DIFFERS
    } else {
        0
    })
}

/// Asks discovery.
async fn ask(discovery: &str, objects: &[Object], delete: &[ObjectKey]) -> Result<Value> {
    let mut documents = Vec::with_capacity(objects.len());
    for object in objects {
        documents.push(keys::text(object)?);
    }
    let names = delete
        .iter()
        .map(|key| format!("{}/{}/{}", key.kind, key.namespace, key.name));
    let names: Vec<_> = names.collect();
    let path = format!("/debug/diff?delete={}", encoded(&names.join(",")));
    let peer = Peer::discovery(discovery);
    let answer = peer.post_text(&path, documents.join("---\n")).await?;
    serde_json::from_slice(&answer).with_context(|| format!("what {discovery} answers is no JSON"))
}

/// Makes the answer of files.
async fn compute(from: &FromArgs, objects: Vec<Object>, delete: &[ObjectKey]) -> Result<Value> {
    let sources = SourceArgs {
        filenames: from.from.clone(),
        domain: from.domain.clone(),
        mesh_config: from.mesh_config.clone(),
        virtual_service_merge: from.virtual_service_merge,
    };
    let nodes: Vec<_> = from
        .proxy
        .iter()
        .map(|id| NodeArgs {
            proxy: Some(id.clone()),
            node: None,
            metadata: from.metadata.clone(),
            labels: from.labels.clone(),
        })
        .collect();
    offline::rehearsed(&sources, &from.cluster_id, &nodes, objects, delete).await
}

fn deleted(args: &DiffArgs) -> Vec<ObjectKey> {
    let pairs = args.delete.chunks_exact(2);
    pairs
        .filter_map(|pair| {
            let [kind, name] = pair else { return None };
            let known = rules::kinds().iter().map(|known| known.name);
            let known = known
                .into_iter()
                .find(|known| known.eq_ignore_ascii_case(kind));
            Some(ObjectKey::new(
                Kind::new(known.unwrap_or(kind)),
                args.namespace.as_str().into(),
                name.as_str(),
            ))
        })
        .collect()
}
