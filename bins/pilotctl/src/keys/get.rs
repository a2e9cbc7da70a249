//! `get`: what is stored.

use std::io::Write;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use super::StoreArgs;
use super::stored::{Stored, document, text};
use crate::cli::FAILED;
use crate::inspect::table::{Cell, Table};

/// Show rules in a store that discovery reads.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  pilotctl get --consul\n  pilotctl get --consul VirtualService reviews -n shop -o json"
)]
pub struct GetArgs {
    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub store: StoreArgs,

    /// Only this kind.
    pub kind: Option<String>,

    /// Only what is called so.
    pub name: Option<String>,

    /// Only this namespace.
    #[arg(short, long)]
    pub namespace: Option<String>,

    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Table, value_name = "FORMAT")]
    pub output: Output,
}

/// How to print objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A line each, with the key it stands in.
    Table,
    /// JSON, one object after another: what `apply -f -` reads.
    Json,
    /// YAML, one document for each: likewise.
    Yaml,
}

/// Prints what fits.
///
/// # Errors
/// The store cannot be read.
pub async fn get(args: GetArgs, out: &mut dyn Write, err: &mut dyn Write) -> Result<u8> {
    let stored = Stored::all(&args.store).await?;
    let fits = |wanted: &Option<String>, text: &str| {
        wanted
            .as_ref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(text))
    };
    let mut table = Table::new(&["KIND", "NAMESPACE", "NAME", "CREATED", "KEY"]);
    let mut found = 0;
    for stored in &stored {
        if stored.objects.is_empty() {
            writeln!(
                err,
                "{}: no object of a known kind can be read from it",
                stored.pair.key
            )?;
        }
        for object in &stored.objects {
            let key = &object.meta.key;
            if !fits(&args.kind, key.kind.as_str())
                || !fits(&args.name, &key.name)
                || !fits(&args.namespace, key.namespace.as_str())
            {
                continue;
            }
            found += 1;
            match args.output {
                Output::Json => write!(out, "{}", text(object)?)?,
                Output::Yaml => {
                    let yaml = serde_saphyr::to_string(&document(object)?);
                    write!(out, "---\n{}", yaml.context("writing YAML")?)?;
                }
                Output::Table => {
                    let created = object.meta.created.map(|at| at.to_string());
                    let created = created.unwrap_or_default();
                    let cells = [
                        key.kind.as_str(),
                        key.namespace.as_str(),
                        &key.name,
                        &created,
                        &stored.pair.key,
                    ];
                    table.row(cells.map(Cell::or_dash));
                }
            }
        }
    }
    if args.output == Output::Table && found > 0 {
        table.write(out)?;
    }
    if found == 0 {
        writeln!(err, "nothing is there")?;
        return Ok(FAILED);
    }
    Ok(0)
}
