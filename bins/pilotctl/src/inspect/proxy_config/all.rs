//! `proxy-config all`: every table, or everything as data.

use std::io::Write;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::super::Output;
use super::super::dump::{Dump, Section};
use super::super::table::Tone;
use super::{Source, bootstrap, cluster, endpoint, listener, route};

/// Show everything that an Envoy has: clusters, listeners, routes and endpoints.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  pilotctl proxy-config all\n  pilotctl proxy-config all 127.0.0.1:15000 -o json > everything.json"
)]
pub struct AllArgs {
    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub source: Source,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

pub(super) async fn run(args: &AllArgs, out: &mut dyn Write) -> Result<()> {
    let mut wanted = Section::RESOURCES.to_vec();
    wanted.push(Section::Bootstrap);
    let dump = args.source.dump(&wanted).await?;
    if args.output == Output::Short {
        return print(&dump, out);
    }
    let everything = json!({
        "bootstrap": bootstrap::data(&dump),
        "clusters": cluster::data(&dump, &Default::default()),
        "listeners": listener::data(&dump, &Default::default()),
        "routes": route::data(&dump, &Default::default()),
        "endpoints": endpoint::filtered(endpoint::of_dump(&dump), &Default::default()),
    });
    args.output.data(&everything, out)?;
    Ok(())
}

fn print(dump: &Dump, out: &mut dyn Write) -> Result<()> {
    for section in Section::RESOURCES {
        if section != Section::Clusters {
            writeln!(out)?;
        }
        writeln!(
            out,
            "{}",
            Tone::Heading.paint(&section.noun().to_uppercase())
        )?;
        if !dump.has(section) {
            writeln!(out, "the dump has none")?;
            continue;
        }
        match section {
            Section::Clusters => cluster::print(dump, &Default::default(), out)?,
            Section::Listeners => listener::print(dump, &Default::default(), out)?,
            Section::Routes => route::print(dump, &Default::default(), out)?,
            Section::Endpoints => endpoint::print(
                &endpoint::filtered(endpoint::of_dump(dump), &Default::default()),
                out,
            )?,
            Section::Bootstrap => bootstrap::print(dump, out)?,
        }
    }
    Ok(())
}
