//! `proxy-config cluster`.

use std::io::Write;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::super::Output;
use super::super::dump::{Dump, Section};
use super::super::json::{list, managed_by, text};
use super::super::names::ClusterName;
use super::super::table::{Cell, Table};
use super::{Source, in_use, passes, write_notes};

/// Show the clusters of an Envoy: where it can send requests to.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  pilotctl proxy-config cluster --port 80 --direction outbound\n  pilotctl proxy-config cluster --fqdn web.shop.svc.cluster.local -o yaml\n  pilotctl proxy-config cluster -f dump.json"
)]
pub struct ClusterArgs {
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

/// Which clusters.
#[derive(Debug, Clone, Default, Args)]
pub struct Filter {
    /// Only those of this host.
    #[arg(long, value_name = "HOST")]
    pub fqdn: Option<String>,
    /// Only those of this port.
    #[arg(long)]
    pub port: Option<u16>,
    /// Only those of this subset.
    #[arg(long)]
    pub subset: Option<String>,
    /// Only those of this direction: inbound or outbound.
    #[arg(long)]
    pub direction: Option<String>,
}

pub(super) async fn run(args: &ClusterArgs, out: &mut dyn Write) -> Result<()> {
    let dump = args.source.dump(&[Section::Clusters]).await?;
    if !args.output.data(&data(&dump, &args.filter), out)? {
        print(&dump, &args.filter, out)?;
    }
    Ok(())
}

/// The clusters as Envoy has them.
pub(super) fn data<'a>(dump: &'a Dump, filter: &Filter) -> Vec<&'a Value> {
    let rows = rows(dump, filter);
    rows.into_iter().map(|row| row.cluster).collect()
}

/// The table.
pub(super) fn print(dump: &Dump, filter: &Filter, out: &mut dyn Write) -> Result<()> {
    let mut table = Table::new(&[
        "SERVICE FQDN",
        "PORT",
        "SUBSET",
        "DIRECTION",
        "TYPE",
        "DESTINATION RULE",
    ]);
    for row in rows(dump, filter) {
        table.row([
            Cell::from(row.fqdn),
            row.name.port.into(),
            Cell::or_dash(row.name.subset),
            Cell::or_dash(row.name.direction),
            kind(row.cluster).into(),
            managed_by(row.cluster).into(),
        ]);
    }
    table.write(out)?;
    write_notes(dump, Section::Clusters, out)?;
    Ok(())
}

struct Row<'a> {
    name: ClusterName<'a>,
    fqdn: String,
    cluster: &'a Value,
}

/// By direction, subset, host and port.
fn rows<'a>(dump: &'a Dump, filter: &Filter) -> Vec<Row<'a>> {
    let held = dump.held(Section::Clusters).into_iter();
    let mut rows: Vec<_> = held
        .filter(|held| in_use(held.state))
        .map(|held| Row::of(held.resource))
        .filter(|row| filter.passes(row))
        .collect();
    rows.sort_by(|a, b| {
        (a.name.direction, a.name.subset, &a.fqdn, a.name.port).cmp(&(
            b.name.direction,
            b.name.subset,
            &b.fqdn,
            b.name.port,
        ))
    });
    rows
}

impl<'a> Row<'a> {
    fn of(cluster: &'a Value) -> Self {
        let name = ClusterName::parse(text(&cluster["name"]));
        let fqdn = match name.host {
            "" => services(cluster),
            host => host.to_owned(),
        };
        Self {
            name,
            fqdn,
            cluster,
        }
    }
}

impl Filter {
    fn passes(&self, row: &Row<'_>) -> bool {
        let direction = |wanted: &String| wanted.eq_ignore_ascii_case(row.name.direction);
        passes(self.fqdn.as_ref(), row.fqdn.as_str())
            && passes(self.subset.as_ref(), row.name.subset)
            && self.port.is_none_or(|port| row.name.port == Some(port))
            && self.direction.as_ref().is_none_or(direction)
    }
}

/// The hosts behind a cluster whose name has none, as one for inbound requests.
fn services(cluster: &Value) -> String {
    let services = list(&cluster["metadata"]["filter_metadata"]["istio"]["services"]);
    let mut hosts: Vec<_> = services
        .iter()
        .map(|service| text(&service["host"]))
        .filter(|host| !host.is_empty())
        .collect();
    hosts.dedup();
    hosts.join(",")
}

/// How Envoy finds its endpoints. DNS may be written in two ways, which mean the same.
fn kind(cluster: &Value) -> &str {
    let custom = &cluster["cluster_type"];
    if custom.is_object() {
        let one = custom["typed_config"]["all_addresses_in_single_endpoint"] == true;
        return match text(&custom["name"]) {
            "envoy.clusters.dns" | "envoy.cluster.dns" if one => "LOGICAL_DNS",
            "envoy.clusters.dns" | "envoy.cluster.dns" => "STRICT_DNS",
            other => other,
        };
    }
    match text(&cluster["type"]) {
        "" => "STATIC",
        named => named,
    }
}
