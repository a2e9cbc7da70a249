//! `proxy-config bootstrap`: what an Envoy started with.

use std::io::Write;

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value};

use super::super::Output;
use super::super::dump::{Dump, Section};
use super::super::json::{address, joined, list, text};
use super::super::table::{Cell, Table};
use super::Source;

/// Show what an Envoy started with: who it is, where its configuration comes from.
///
/// The table has what people look for; `-o json` has everything, also the list of all extensions that it was built with.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  pilotctl proxy-config bootstrap\n  pilotctl proxy-config bootstrap -f dump.json -o yaml"
)]
pub struct BootstrapArgs {
    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub source: Source,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

pub(super) async fn run(args: &BootstrapArgs, out: &mut dyn Write) -> Result<()> {
    let dump = args.source.dump(&[Section::Bootstrap]).await?;
    if !args.output.data(&data(&dump), out)? {
        print(&dump, out)?;
    }
    Ok(())
}

/// The bootstrap as Envoy has it.
pub(super) fn data(dump: &Dump) -> &Value {
    match dump.parts(Section::Bootstrap) {
        [part, ..] => &part["bootstrap"],
        [] => &Value::Null,
    }
}

/// The table.
pub(super) fn print(dump: &Dump, out: &mut dyn Write) -> Result<()> {
    let bootstrap = data(dump);
    let node = &bootstrap["node"];
    let mut table = Table::new(&["FIELD", "VALUE"]);
    let mut row = |field: &str, value: String| {
        if !value.is_empty() {
            table.row([Cell::from(field), Cell::from(value)]);
        }
    };
    row("node id", text(&node["id"]).to_owned());
    row("node cluster", text(&node["cluster"]).to_owned());
    row("locality", locality(&node["locality"]));
    row("Envoy", version(&node["user_agent_build_version"]));
    let (ip, port) = address(&bootstrap["admin"]["address"]);
    row("admin", joined(&ip, port));
    for (field, value) in ways(&bootstrap["dynamic_resources"]) {
        row(field, value);
    }
    let servers = list(&bootstrap["static_resources"]["clusters"]).iter();
    for cluster in servers {
        let addresses = addresses(&cluster["load_assignment"]);
        row(
            "static cluster",
            format!("{} {addresses}", text(&cluster["name"])),
        );
    }
    for listener in list(&bootstrap["static_resources"]["listeners"]) {
        let (ip, port) = address(&listener["address"]);
        let at = joined(&ip, port);
        row(
            "static listener",
            format!("{} {at}", text(&listener["name"])),
        );
    }
    for (key, value) in metadata(node) {
        let shown = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        row(&format!("metadata {key}"), shown);
    }
    table.write(out)?;
    Ok(())
}

/// How configuration comes: ADS by its variant and through which cluster, and a path where that is what is followed.
fn ways(dynamic: &Value) -> Vec<(&'static str, String)> {
    let ads = &dynamic["ads_config"];
    let mut ways = Vec::new();
    if ads.is_object() {
        let services = list(&ads["grpc_services"]).iter();
        let clusters: Vec<_> = services
            .map(|service| {
                let google = text(&service["google_grpc"]["target_uri"]);
                let envoy = text(&service["envoy_grpc"]["cluster_name"]);
                if envoy.is_empty() { google } else { envoy }
            })
            .collect();
        ways.push((
            "ADS",
            format!("{} through {}", text(&ads["api_type"]), clusters.join(", ")),
        ));
    }
    for (field, key) in [("CDS", "cds_config"), ("LDS", "lds_config")] {
        let config = &dynamic[key];
        let path = match text(&config["path_config_source"]["path"]) {
            "" => text(&config["path"]),
            path => path,
        };
        if !path.is_empty() {
            ways.push((field, path.to_owned()));
        }
    }
    ways
}

fn metadata(node: &Value) -> impl Iterator<Item = (&String, &Value)> {
    node["metadata"].as_object().into_iter().flat_map(Map::iter)
}

fn locality(of: &Value) -> String {
    let parts = ["region", "zone", "sub_zone"].map(|part| text(&of[part]));
    parts.join("/").trim_end_matches('/').to_owned()
}

fn version(build: &Value) -> String {
    let version = &build["version"];
    if !version.is_object() {
        return String::new();
    }
    // Protobuf leaves out what is 0.
    let [major, minor, patch] = ["major_number", "minor_number", "patch"]
        .map(|part| version[part].as_u64().unwrap_or_default());
    format!("{major}.{minor}.{patch}")
}

fn addresses(assignment: &Value) -> String {
    let endpoints = list(&assignment["endpoints"])
        .iter()
        .flat_map(|locality| list(&locality["lb_endpoints"]));
    let addresses: Vec<_> = endpoints
        .map(|endpoint| {
            let (ip, port) = address(&endpoint["endpoint"]["address"]);
            joined(&ip, port)
        })
        .collect();
    addresses.join(", ")
}
