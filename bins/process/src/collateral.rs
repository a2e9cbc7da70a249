//! What comes with a command line and is made from its grammar: completion for shells, manual pages, the reference of flags.

mod reference;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Command, ValueEnum};
use clap_complete::aot;

pub use reference::reference;

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
    /// For a file called as the program in ~/.local/share/bash-completion/completions.
    Bash,
    /// For a file called as the program, with an underscore before, in a directory of $fpath.
    Zsh,
    /// For a file called as the program, with .fish after, in ~/.config/fish/completions.
    Fish,
}

/// Flags of `collateral`, a command for those who build packages.
#[derive(Debug, Clone, Args)]
pub struct CollateralArgs {
    /// The directory to write to; it is created.
    pub dir: PathBuf,
}

/// The script that a shell reads.
pub fn completion(shell: Shell, mut grammar: Command) -> Vec<u8> {
    let shell = match shell {
        Shell::Bash => aot::Shell::Bash,
        Shell::Zsh => aot::Shell::Zsh,
        Shell::Fish => aot::Shell::Fish,
    };
    let name = grammar.get_name().to_owned();
    // Not to where it is wanted: the generator panics if it cannot write.
    let mut script = Vec::new();
    aot::generate(shell, &mut grammar, name, &mut script);
    script
}

/// Writes manual pages to `man/`, scripts to `completions/` and the reference of flags to `NAME.md`.
///
/// # Errors
/// A file cannot be written.
pub fn write(args: &CollateralArgs, grammar: &Command) -> Result<()> {
    write_all(&args.dir, grammar).with_context(|| format!("cannot write to {}", args.dir.display()))
}

fn write_all(dir: &Path, grammar: &Command) -> io::Result<()> {
    let (man, completions) = (dir.join("man"), dir.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    clap_mangen::generate_to(grammar.clone(), &man)?;
    let name = grammar.get_name();
    for (shell, file) in [
        (Shell::Bash, name.to_owned()),
        (Shell::Zsh, format!("_{name}")),
        (Shell::Fish, format!("{name}.fish")),
    ] {
        let script = completion(shell, grammar.clone());
        fs::File::create(completions.join(file))?.write_all(&script)?;
    }
    fs::write(dir.join(format!("{name}.md")), reference(grammar))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    fn grammar() -> Command {
        Command::new("prog")
            .subcommand(Command::new("serve").arg(Arg::new("port").long("port")))
            .subcommand(Command::new("secret").hide(true))
    }

    #[test]
    fn everything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let args = CollateralArgs {
            dir: dir.path().join("new"),
        };
        write(&args, &grammar()).unwrap();
        let mut files = Vec::new();
        for part in ["", "man", "completions"] {
            for entry in fs::read_dir(args.dir.join(part)).unwrap() {
                let entry = entry.unwrap();
                if entry.path().is_file() {
                    files.push(format!("{part}/{}", entry.file_name().display()));
                }
            }
        }
        files.sort();
        assert_eq!(
            files,
            [
                "/prog.md",
                "completions/_prog",
                "completions/prog",
                "completions/prog.fish",
                "man/prog-serve.1",
                "man/prog.1",
            ]
        );
    }

    #[test]
    fn every_shell_knows_the_flags() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = String::from_utf8(completion(shell, grammar())).unwrap();
            assert!(
                script.contains("serve") && script.contains("port"),
                "{shell:?}"
            );
        }
    }
}
