//! `workload`: what an agent on a machine is started with.

mod files;

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use pilothouse_core::mesh::{Mesh, Rule};
use pilothouse_core::registry::Severity;
use pilothouse_core::rules::RuleSpec;
use pilothouse_core::rules::resolve::proxy_start;
use pilothouse_core::rules::spec::WorkloadGroup;

use super::sources::{SourceArgs, Sources};
use super::{mesh, print};
use crate::cli::FAILED;
use files::Machine;

/// Flags of `workload`.
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true)]
pub struct WorkloadArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: WorkloadCommand,
}

/// What to do for a workload.
#[derive(Debug, Clone, Subcommand)]
pub enum WorkloadCommand {
    /// Write the files with which an agent of a workload of a WorkloadGroup is started.
    #[command(
        after_help = "Example:\n  pilotctl workload configure -f group.yaml -f mesh/ --mesh-config mesh-config.yaml -o web-1/\n  scp -r web-1/ root@web-1: && ssh root@web-1 'set -a; . web-1/cluster.env; pilot-agent proxy sidecar --mesh-config web-1/mesh.yaml'\n\nWhat ProxyConfigs say of the workload is in the files: agents that are started with older ones do not follow.\nExits as `pilotctl validate` does, whose messages go to the standard error."
    )]
    Configure(ConfigureArgs),
}

/// Flags of `workload configure`.
#[derive(Debug, Clone, Args)]
pub struct ConfigureArgs {
    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub sources: SourceArgs,

    /// The WorkloadGroup, where the files have several.
    #[arg(long, value_name = "NAME", help_heading = "Workload")]
    pub name: Option<String>,

    /// Its namespace, where the files have several of that name.
    #[arg(short, long, value_name = "NAMESPACE", help_heading = "Workload")]
    pub namespace: Option<String>,

    /// The name of the cluster that the workload belongs to, as discovery's --cluster-id.
    #[arg(
        long,
        aliases = ["clusterID", "clusterId"],
        default_value = "default",
        value_name = "NAME",
        help_heading = "Workload"
    )]
    pub cluster_id: String,

    /// Where the host of discovery's address is reached: written into `hosts`.
    #[arg(
        long,
        alias = "ingressIP",
        value_name = "IP",
        help_heading = "Workload"
    )]
    pub ingress_ip: Option<IpAddr>,

    /// The address at which others reach the workload, where its machine has several.
    #[arg(
        long,
        alias = "internalIP",
        value_name = "IP",
        help_heading = "Workload"
    )]
    pub internal_ip: Option<IpAddr>,

    /// Whether names are answered by the agent.
    #[arg(long, alias = "captureDns", help_heading = "Workload")]
    pub capture_dns: bool,

    /// The directory for the files, which is made if it is not there; without it they are printed.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// Does what is asked for a workload.
pub(crate) async fn workload(
    args: WorkloadArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<u8> {
    match args.command {
        WorkloadCommand::Configure(args) => configure(args, out, err).await,
    }
}

async fn configure(args: ConfigureArgs, out: &mut dyn Write, err: &mut dyn Write) -> Result<u8> {
    let mut sources = Sources::read(&args.sources, &mut io::stdin())?;
    let mut messages = sources.messages();
    let config = std::mem::take(&mut sources.mesh_config);
    let made = Box::pin(mesh::mesh(&sources.files, config, &args.cluster_id));
    let (status, mesh) = made.await?;
    messages.add_told(&sources.files, &status);
    let messages = messages.sorted();
    let mut is_error = false;
    for message in &messages {
        is_error |= message.severity == Severity::Error;
        print::message(err, message)?;
    }
    let (rule, group) = chosen(&mesh, &args)?;
    let machine = Machine::new(mesh.config(), &rule.meta, &group, &args);
    let start = proxy_start(&mesh, &rule.meta.key.namespace, machine.labels());
    for (name, text) in machine.files(&start)? {
        match &args.output {
            Some(dir) => {
                std::fs::create_dir_all(dir)
                    .with_context(|| format!("cannot make {}", dir.display()))?;
                let path = dir.join(name);
                std::fs::write(&path, text)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                writeln!(out, "{}", path.display())?;
            }
            None => write!(out, "# {name}\n{text}\n")?,
        }
    }
    Ok(if is_error { FAILED } else { 0 })
}

/// The group that is meant.
fn chosen(mesh: &Mesh, args: &ConfigureArgs) -> Result<(Arc<Rule>, Arc<WorkloadGroup>)> {
    let is_meant = |rule: &Rule| {
        let key = &rule.meta.key;
        args.name.as_ref().is_none_or(|name| **name == *key.name)
            && args
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == key.namespace.as_str())
    };
    let mut all = mesh.rules().filter_map(|rule| match &rule.spec {
        RuleSpec::WorkloadGroup(group) if is_meant(rule) => Some((rule.clone(), group.clone())),
        _ => None,
    });
    let Some(first) = all.next() else {
        bail!(
            "no WorkloadGroup is meant: the files have none that can be used, or none of that name and namespace"
        );
    };
    if let Some((other, _)) = all.next() {
        let (one, other) = (&first.0.meta.key, &other.meta.key);
        bail!(
            "several WorkloadGroups could be meant, {one} and {other}: say which with --name and --namespace"
        );
    }
    Ok(first)
}
