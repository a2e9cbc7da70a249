//! `analyze`: what is odd about files together, and everything that `validate` says, each with its code.

mod lines;
mod suppress;

use std::io::{self, Write};

use anyhow::Result;
use clap::{Args, ValueEnum};
use pilothouse_core::analysis::{Code, Level};
use serde_json::json;

use super::mesh;
use super::sources::{SourceArgs, Sources};
use crate::cli::FAILED;
use lines::Line;
use suppress::Suppression;

/// Flags of `analyze`.
#[derive(Debug, Clone, Args)]
pub struct AnalyzeArgs {
    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub sources: SourceArgs,

    /// How to print what is found.
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub output: Output,

    /// Fail for findings that are at least as bad.
    #[arg(long, value_enum, ignore_case = true, default_value_t = Threshold::Error, value_name = "LEVEL")]
    pub failure_threshold: Threshold,

    /// Print findings that are at least as bad.
    #[arg(long, value_enum, ignore_case = true, default_value_t = Threshold::Info, value_name = "LEVEL")]
    pub output_threshold: Threshold,

    /// Leave out a code for an object: CODE=KIND NAME.NAMESPACE, where * stands for any text.
    #[arg(short = 'S', long = "suppress", value_parser = Suppression::parse, value_name = "CODE=OBJECT")]
    pub suppress: Vec<Suppression>,

    /// Print all codes and what they say.
    #[arg(short = 'L', long = "list-analyzers", alias = "list", exclusive = true)]
    pub list: bool,
}

/// How to print findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[value(alias = "log")]
    Text,
    /// An object with a list of findings.
    Json,
    /// The same in YAML.
    Yaml,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Threshold {
    /// Something does not work.
    Error,
    /// Something does probably not do what its author means.
    Warning,
    /// Something is worth knowing.
    Info,
}

impl Threshold {
    /// Whether a finding is at least as bad.
    fn takes(self, level: Level) -> bool {
        let level = match level {
            Level::Error => Self::Error,
            Level::Warning => Self::Warning,
            Level::Info => Self::Info,
        };
        level <= self
    }
}

/// Prints all that is found.
pub(crate) async fn analyze(args: AnalyzeArgs, out: &mut dyn Write) -> Result<u8> {
    if args.list {
        return list(out).map(|()| 0);
    }
    let mut sources = Sources::read(&args.sources, &mut io::stdin())?;
    let config = std::mem::take(&mut sources.mesh_config);
    let (status, mesh) = Box::pin(mesh::mesh(&sources.files, config, "")).await?;
    let mut lines = lines::all(&sources, &status, &mesh);
    lines.retain(|line| !args.suppress.iter().any(|one| one.is_for(line)));
    let fails = lines
        .iter()
        .any(|line| args.failure_threshold.takes(line.code.level()));
    lines.retain(|line| args.output_threshold.takes(line.code.level()));
    let found = || {
        json!({
            "files": sources.files.len(),
            "objects": sources.objects(),
            "findings": lines,
        })
    };
    match args.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&found())?)?,
        Output::Yaml => write!(out, "{}", serde_saphyr::to_string(&found())?)?,
        Output::Text => {
            for line in &lines {
                line.print(out)?;
            }
            writeln!(out, "{}", summary(&sources, &lines))?;
        }
    }
    Ok(if fails { FAILED } else { 0 })
}

fn summary(sources: &Sources, lines: &[Line]) -> String {
    let number = super::print::number;
    let within = format!(
        "{} in {}",
        number(sources.objects(), "object"),
        number(sources.files.len(), "file")
    );
    let count = |level: Level, word: &str| {
        let found = lines.iter().filter(|line| line.code.level() == level);
        let found = found.count();
        (found > 0).then(|| number(found, word))
    };
    let counts = [
        count(Level::Error, "error"),
        count(Level::Warning, "warning"),
        count(Level::Info, "note"),
    ];
    let counts: Vec<_> = counts.into_iter().flatten().collect();
    if counts.is_empty() {
        format!("{within}: nothing is found")
    } else {
        format!("{within}: {}", counts.join(", "))
    }
}

fn list(out: &mut dyn Write) -> Result<()> {
    for code in Code::ALL {
        writeln!(
            out,
            "{}  {:<7}  {}: {}",
            code.id(),
            lines::word(code.level()),
            code.name(),
            code.about()
        )?;
    }
    Ok(())
}
