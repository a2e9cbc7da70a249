//! The tree of commands, and what all of them share.
//!
//! A command gets the streams it writes to. It may always write colours: the streams drop them where nobody would see them.
//! What it returns is what the process exits with: 0, [`FAILED`], or [`pilothouse_process::USAGE`] for a wrong command line.

use std::io::Write;

use anyhow::Result;
use clap::{Args, CommandFactory, Parser, Subcommand};

use pilothouse_process::collateral::{self, CollateralArgs, CompletionArgs};

use crate::crds::{self, CrdsArgs};
use crate::diff::{self, DiffArgs};
use crate::explain::{self, ExplainArgs};
use crate::inspect::proxy_config::{self, ProxyConfigArgs};
use crate::inspect::proxy_status::{self, ProxyStatusArgs};
use crate::inspect::version::{self, VersionArgs};
use crate::keys::{self, ApplyArgs, DeleteArgs, GetArgs};
use crate::offline;

/// What the process exits with when the answer is bad, or there is none.
pub const FAILED: u8 = 1;

/// Look into a mesh of Envoys, and check what is to become one.
#[derive(Debug, Parser)]
#[command(
    name = "pilotctl",
    version,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  pilotctl validate -f mesh/\n  pilotctl translate -f mesh/ --proxy 'sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local'"
)]
pub struct CommandLine {
    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Where discovery serves its debug pages: its --debug-addr.
    #[arg(
        long,
        global = true,
        default_value = "127.0.0.1:9876",
        value_name = "ADDR",
        help_heading = "Global options"
    )]
    pub discovery: String,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    #[allow(missing_docs, reason = "documented on its type")]
    #[command(visible_alias = "ps")]
    ProxyStatus(ProxyStatusArgs),

    #[allow(missing_docs, reason = "documented on its type")]
    #[command(visible_alias = "pc")]
    ProxyConfig(ProxyConfigArgs),

    /// Say everything that is wrong with configuration files.
    #[command(
        after_help = "Examples:\n  pilotctl validate -f mesh/ --mesh-config mesh-config.yaml\n  git show HEAD:reviews.yaml | pilotctl validate -f - -o json\n\nExits with 0 if nothing is wrong, 1 if something is, 64 for a wrong command line."
    )]
    Validate(offline::ValidateArgs),

    /// Say what is odd about configuration files together: references to nothing, rules that shadow each other.
    #[command(
        after_help = "Examples:\n  pilotctl analyze -f mesh/ --mesh-config mesh-config.yaml\n  pilotctl analyze -f mesh/ -o json --failure-threshold warning -S 'IST0101=VirtualService *.shop'\n  pilotctl analyze -L\n\nExits with 0 if nothing as bad as the failure threshold is found, 1 if something is, 64 for a wrong command line."
    )]
    Analyze(offline::AnalyzeArgs),

    /// Print the whole Envoy configuration that discovery would send, from files.
    #[command(
        after_help = "Examples:\n  pilotctl translate -f mesh/ --proxy 'sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local'\n  pilotctl translate -f mesh/ --node node.yaml -o envoy > envoy.json && envoy --mode validate -c envoy.json\n\nExits as `pilotctl validate` does, whose messages go to the standard error."
    )]
    Translate(offline::TranslateArgs),

    #[allow(missing_docs, reason = "documented on its type")]
    Diff(DiffArgs),

    #[allow(missing_docs, reason = "documented on its type")]
    Explain(ExplainArgs),

    /// Write what an agent on a machine is started with.
    #[command(after_help = "Example:\n  pilotctl workload configure -f group.yaml -o web-1/")]
    Workload(offline::WorkloadArgs),

    #[allow(missing_docs, reason = "documented on its type")]
    Apply(ApplyArgs),

    #[allow(missing_docs, reason = "documented on its type")]
    Get(GetArgs),

    #[allow(missing_docs, reason = "documented on its type")]
    Delete(DeleteArgs),

    #[allow(missing_docs, reason = "documented on its type")]
    Crds(CrdsArgs),

    #[allow(missing_docs, reason = "documented on its type")]
    Version(VersionArgs),

    /// Print a script with which a shell completes command lines.
    #[command(after_help = "Example:\n  source <(pilotctl completion bash)")]
    Completion(CompletionArgs),

    /// Write what packages have beside the program: manual pages, completion for shells, the reference of flags.
    #[command(hide = true)]
    Collateral(CollateralArgs),
}

/// Does what the command line asks for, and returns what to exit with.
///
/// # Errors
/// It could not be done; the text says what to do about it.
pub async fn run(line: CommandLine, out: &mut dyn Write, err: &mut dyn Write) -> Result<u8> {
    let CommandLine { global, command } = line;
    match command {
        Command::ProxyStatus(args) => {
            let same = proxy_status::run(&args, &global.discovery, out).await?;
            Ok(if same { 0 } else { FAILED })
        }
        Command::ProxyConfig(args) => {
            proxy_config::run(&args, out).await?;
            Ok(0)
        }
        Command::Version(args) => {
            version::run(&args, &global.discovery, out).await?;
            Ok(0)
        }
        Command::Validate(args) => offline::validate(args, out).await,
        Command::Analyze(args) => offline::analyze(args, out).await,
        Command::Translate(args) => offline::translate(args, out, err).await,
        Command::Workload(args) => offline::workload(args, out, err).await,
        Command::Diff(args) => diff::run(args, &global.discovery, out, err).await,
        Command::Explain(args) => explain::run(args, &global.discovery, out, err).await,
        Command::Apply(args) => keys::apply(args, out, err).await,
        Command::Get(args) => keys::get(args, out, err).await,
        Command::Delete(args) => keys::delete(args, out).await,
        Command::Crds(args) => crds::run(&args, out, err),
        Command::Completion(args) => {
            out.write_all(&collateral::completion(args.shell, CommandLine::command()))?;
            Ok(0)
        }
        Command::Collateral(args) => {
            collateral::write(&args, &CommandLine::command())?;
            Ok(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_sound_and_every_command_shows_an_example() {
        let mut tree = CommandLine::command();
        tree.build();
        tree.clone().debug_assert();
        let mut commands: Vec<_> = tree.get_subcommands().collect();
        commands.push(&tree);
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands());
            if command.is_hide_set() {
                continue;
            }
            let help = command.clone().render_help().to_string();
            let example = help
                .split_once("Example")
                .is_some_and(|(_, after)| after.contains("pilotctl "));
            assert!(example, "no example in\n{help}");
        }
    }
}
