//! `validate`: everything that is wrong with files, before anybody serves them.

use std::io::{self, Write};

use anyhow::Result;
use clap::{Args, ValueEnum};
use pilothouse_core::registry::{Object, Severity};
use serde_json::json;

use super::messages::Message;
use super::sources::{SourceArgs, Sources};
use super::{mesh, print};
use crate::cli::FAILED;

/// Flags of `validate`.
#[derive(Debug, Clone, Args)]
pub struct ValidateArgs {
    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub sources: SourceArgs,

    /// Fail for warnings, too.
    #[arg(long)]
    pub strict: bool,

    /// How to print what is found.
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub output: Output,
}

/// How to print messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// An object with a list of messages.
    Json,
}

/// Prints all that is wrong.
pub(crate) async fn validate(args: ValidateArgs, out: &mut dyn Write) -> Result<u8> {
    let mut sources = Sources::read(&args.sources, &mut io::stdin())?;
    let mut messages = sources.messages();
    let config = std::mem::take(&mut sources.mesh_config);
    let (status, _) = Box::pin(mesh::mesh(&sources.files, config, "")).await?;
    messages.add_told(&sources.files, &status);
    let messages = messages.sorted();
    match args.output {
        Output::Json => {
            let found = json!({
                "files": sources.files.len(),
                "objects": sources.objects(),
                "messages": messages,
            });
            writeln!(out, "{}", serde_json::to_string_pretty(&found)?)?;
        }
        Output::Text => {
            for message in &messages {
                print::message(out, message)?;
            }
            writeln!(out, "{}", summary(&sources, &messages))?;
        }
    }
    Ok(code(&messages, args.strict))
}

/// The objects of the files, unless something is wrong with any; prints all that is wrong, warnings among it.
pub(crate) async fn good_objects(
    args: &SourceArgs,
    input: &mut dyn io::Read,
    err: &mut dyn Write,
) -> Result<Option<Vec<Object>>> {
    let mut sources = Sources::read(args, input)?;
    let mut messages = sources.messages();
    let config = std::mem::take(&mut sources.mesh_config);
    let (status, _) = Box::pin(mesh::mesh(&sources.files, config, "")).await?;
    messages.add_told(&sources.files, &status);
    let messages = messages.sorted();
    for message in &messages {
        print::message(err, message)?;
    }
    let is_good = code(&messages, false) == 0;
    Ok(is_good.then(|| {
        sources
            .files
            .into_iter()
            .flat_map(|file| file.objects)
            .collect()
    }))
}

/// What to exit with.
fn code(messages: &[Message], strict: bool) -> u8 {
    let fails = |message: &Message| strict || message.severity == Severity::Error;
    if messages.iter().any(fails) {
        FAILED
    } else {
        0
    }
}

fn summary(sources: &Sources, messages: &[Message]) -> String {
    let within = format!(
        "{} in {}",
        print::number(sources.objects(), "object"),
        print::number(sources.files.len(), "file")
    );
    match &*print::count(messages) {
        "" => format!("{within}: nothing is wrong"),
        count => format!("{within}: {count}"),
    }
}
