//! What comes with a command line: completion for shells, and manual pages.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Command, ValueEnum};
use clap_complete::aot;

/// Flags of `completion`.
#[derive(Debug, Clone, Args)]
pub struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// A shell that completes command lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// For `~/.local/share/bash-completion/completions/pilotctl`.
    Bash,
    /// For a file `_pilotctl` in a directory of `$fpath`.
    Zsh,
    /// For `~/.config/fish/completions/pilotctl.fish`.
    Fish,
}

/// Flags of `man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// The directory to write the pages to; it is created.
    pub dir: PathBuf,
}

/// Prints the script that a shell reads.
pub(crate) fn completion(
    args: &CompletionArgs,
    mut tree: Command,
    out: &mut dyn Write,
) -> io::Result<()> {
    let shell = match args.shell {
        Shell::Bash => aot::Shell::Bash,
        Shell::Zsh => aot::Shell::Zsh,
        Shell::Fish => aot::Shell::Fish,
    };
    let name = tree.get_name().to_owned();
    // The generator panics if it cannot write.
    let mut script = Vec::new();
    aot::generate(shell, &mut tree, name, &mut script);
    out.write_all(&script)
}

/// Writes a page for the program and one for each of its commands.
pub(crate) fn man(args: &ManArgs, tree: Command) -> Result<()> {
    let dir = args.dir.display();
    fs::create_dir_all(&args.dir).with_context(|| format!("cannot create {dir}"))?;
    clap_mangen::generate_to(tree, &args.dir).with_context(|| format!("cannot write to {dir}"))
}
