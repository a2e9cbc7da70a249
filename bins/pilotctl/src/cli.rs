//! The tree of commands, and what all of them share.
//!
//! A command gets the streams it writes to. It may always write colours: the streams drop them where nobody would see them.
//! What it returns is what the process exits with: 0, [`FAILED`], or [`pilothouse_process::USAGE`] for a wrong command line.

use std::io::Write;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

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
pub enum Command {}

/// Does what the command line asks for, and returns what to exit with.
///
/// # Errors
/// It could not be done; the text says what to do about it.
pub async fn run(line: CommandLine, _out: &mut dyn Write, _err: &mut dyn Write) -> Result<u8> {
    match line.command {}
}
