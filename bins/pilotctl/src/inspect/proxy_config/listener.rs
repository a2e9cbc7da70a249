//! `proxy-config listener`: a line for each filter chain.

mod chain;

use std::io::Write;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::super::Output;
use super::super::dump::{Dump, Section};
use super::super::json::{address, list, text};
use super::super::table::{Cell, Table};
use super::{Source, in_use, passes, write_notes};
use chain::Chain;

/// Show the listeners of an Envoy: which connections it takes, and where each leads.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  pilotctl proxy-config listener --port 15006\n  pilotctl proxy-config listener --address 0.0.0.0 --type HTTP -o json\n  pilotctl proxy-config listener -f dump.json"
)]
pub struct ListenerArgs {
    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub source: Source,
    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub filter: Filter,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Which listeners.
#[derive(Debug, Clone, Default, Args)]
pub struct Filter {
    /// Only those of this address.
    #[arg(long)]
    pub address: Option<String>,
    /// Only those of this port.
    #[arg(long)]
    pub port: Option<u16>,
    /// Only those whose chains are of this type.
    #[arg(long = "type", value_enum, ignore_case = true)]
    pub kind: Option<Kind>,
}

/// What the chains of a listener make of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Requests.
    #[value(name = "HTTP")]
    Http,
    /// Bytes.
    #[value(name = "TCP")]
    Tcp,
    /// Either, by what matches.
    #[value(name = "HTTP+TCP")]
    Both,
    /// Something else.
    #[value(name = "UNKNOWN")]
    Unknown,
}

pub(super) async fn run(args: &ListenerArgs, out: &mut dyn Write) -> Result<()> {
    let dump = args.source.dump(&[Section::Listeners]).await?;
    if !args.output.data(&data(&dump, &args.filter), out)? {
        print(&dump, &args.filter, out)?;
    }
    Ok(())
}

/// The listeners as Envoy has them.
pub(super) fn data<'a>(dump: &'a Dump, filter: &Filter) -> Vec<&'a Value> {
    let rows = rows(dump, filter);
    rows.into_iter().map(|row| row.listener).collect()
}

/// The table.
pub(super) fn print(dump: &Dump, filter: &Filter, out: &mut dyn Write) -> Result<()> {
    let mut table = Table::new(&["ADDRESSES", "PORT", "MATCH", "DESTINATION"]);
    for row in rows(dump, filter) {
        // What no socket leads to is reached by its name.
        let addresses = match row.addresses.as_slice() {
            [] => text(&row.listener["name"]).to_owned(),
            addresses => addresses.join(","),
        };
        for chain in row.chains {
            table.row([
                Cell::or_dash(&addresses),
                row.port.into(),
                chain.matches.into(),
                chain.destination.into(),
            ]);
        }
    }
    table.write(out)?;
    write_notes(dump, Section::Listeners, out)?;
    Ok(())
}

struct Row<'a> {
    port: Option<u16>,
    addresses: Vec<String>,
    chains: Vec<Chain>,
    listener: &'a Value,
}

/// By port and address.
fn rows<'a>(dump: &'a Dump, filter: &Filter) -> Vec<Row<'a>> {
    let held = dump.held(Section::Listeners).into_iter();
    let mut rows: Vec<_> = held
        .filter(|held| in_use(held.state))
        .map(|held| Row::of(held.resource))
        .filter(|row| filter.passes(row))
        .collect();
    rows.sort_by(|a, b| (a.port, &a.addresses).cmp(&(b.port, &b.addresses)));
    rows
}

impl<'a> Row<'a> {
    fn of(listener: &'a Value) -> Self {
        let (first, port) = address(&listener["address"]);
        let more = list(&listener["additional_addresses"]).iter();
        let more = more.map(|entry| address(&entry["address"]).0);
        let mut chains: Vec<_> = list(&listener["filter_chains"])
            .iter()
            .map(Chain::of)
            .collect();
        if listener["default_filter_chain"].is_object() {
            chains.push(Chain::of(&listener["default_filter_chain"]));
        }
        // What a gRPC client takes: it has no address and no chain.
        if chains.is_empty() && listener["api_listener"].is_object() {
            chains.push(Chain::of_api(&listener["api_listener"]["api_listener"]));
        }
        Self {
            port,
            addresses: std::iter::once(first)
                .chain(more)
                .filter(|address| !address.is_empty())
                .collect(),
            chains,
            listener,
        }
    }

    fn kind(&self) -> Kind {
        let any = |kind| self.chains.iter().any(|chain| chain.kind == kind);
        match (any(Kind::Http), any(Kind::Tcp)) {
            (true, true) => Kind::Both,
            (true, false) => Kind::Http,
            (false, true) => Kind::Tcp,
            (false, false) => Kind::Unknown,
        }
    }
}

impl Filter {
    fn passes(&self, row: &Row<'_>) -> bool {
        let mut addresses = row.addresses.iter();
        (self.address.is_none()
            || addresses.any(|address| passes(self.address.as_ref(), address.as_str())))
            && self.port.is_none_or(|port| row.port == Some(port))
            && self.kind.is_none_or(|kind| row.kind() == kind)
    }
}
