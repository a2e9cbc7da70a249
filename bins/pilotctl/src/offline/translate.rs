//! `translate`: the whole configuration of a proxy, made from files by the code that discovery has.

use std::io::{self, Write};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use pilothouse_core::registry::Severity;
use pilothouse_xds::fanout::Set;
use pilothouse_xds::json::any_to_json;
use pilothouse_xds::snapshot::Snapshot;
use serde_json::{Value, json};

use super::node::NodeArgs;
use super::sources::{SourceArgs, Sources};
use super::{envoy, mesh, print};
use crate::cli::FAILED;

/// Flags of `translate`.
#[derive(Debug, Clone, Args)]
pub struct TranslateArgs {
    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub sources: SourceArgs,

    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub node: NodeArgs,

    /// The name of the cluster that the files belong to, as discovery's --cluster-id.
    #[arg(
        long,
        aliases = ["clusterID", "clusterId"],
        default_value = "default",
        value_name = "NAME",
        help_heading = "Files"
    )]
    pub cluster_id: String,

    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Yaml, value_name = "FORMAT")]
    pub output: Output,
}

/// How to print a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// `clusters`, `endpoints`, `listeners` and `routes` in YAML.
    Yaml,
    /// The same in JSON.
    Json,
    /// A bootstrap with everything in it, for `envoy --mode validate -c`.
    Envoy,
}

/// Prints the configuration to `out` and all that is wrong with the files to `err`.
pub(crate) async fn translate(
    args: TranslateArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<u8> {
    let node = args.node.read()?;
    let mut sources = Sources::read(&args.sources, &mut io::stdin())?;
    let mut messages = sources.messages();
    let config = std::mem::take(&mut sources.mesh_config);
    let published = mesh::snapshot(&sources.files, config, &args.cluster_id, node.proxy);
    let (status, snapshot) = Box::pin(published).await?;
    messages.add_told(&sources.files, &status);
    let messages = messages.sorted();
    for message in &messages {
        print::message(err, message)?;
    }
    let is_error = messages
        .iter()
        .any(|message| message.severity == Severity::Error);
    if is_error {
        writeln!(
            err,
            "{}: what has errors is left out of the configuration",
            print::count(&messages)
        )?;
    }
    match args.output {
        Output::Yaml => {
            let text = serde_saphyr::to_string(&all(&snapshot)?)
                .context("the configuration cannot be written as YAML")?;
            out.write_all(text.as_bytes())?;
        }
        Output::Json => write_json(out, &all(&snapshot)?)?,
        Output::Envoy => write_json(out, &envoy::bootstrap(&node.written, &snapshot)?)?,
    }
    Ok(if is_error { FAILED } else { 0 })
}

/// Everything of a snapshot, by kind and in the order of names.
fn all(snapshot: &Snapshot) -> Result<Value> {
    Ok(json!({
        "clusters": resources(&snapshot.clusters)?,
        "endpoints": resources(&snapshot.assignments.bodies)?,
        "listeners": resources(&snapshot.listeners)?,
        "routes": resources(&snapshot.routes)?,
    }))
}

fn resources(set: &Set) -> Result<Vec<Value>> {
    set.iter()
        .map(|resource| {
            any_to_json(&resource.body)
                .with_context(|| format!("{} has no JSON form", resource.name))
        })
        .collect()
}

/// In one piece: the writer beneath does not buffer.
fn write_json(out: &mut dyn Write, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(writeln!(out, "{text}")?)
}
