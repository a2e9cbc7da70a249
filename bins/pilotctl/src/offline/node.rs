//! Who asks: a node id alone, or a whole node from a file.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use pilothouse_core::model::{NodeId, Proxy};
use pilothouse_xds::{json, server};
use serde_json::{Map, Value, json};

/// Which proxy.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Proxy")]
pub struct NodeArgs {
    /// Its node id, TYPE~IP~NAME.NAMESPACE~DOMAIN: the namespace of the domain decides what it sees.
    #[arg(
        long,
        value_name = "NODE_ID",
        required_unless_present = "node",
        conflicts_with = "node",
        value_parser = str::parse::<NodeId>
    )]
    pub proxy: Option<NodeId>,

    /// A file with its node, JSON or YAML: id, metadata, locality; or with a whole bootstrap of Envoy's.
    #[arg(long, value_name = "FILE")]
    pub node: Option<PathBuf>,

    /// Metadata of the node, such as INTERCEPTION_MODE=NONE. May be given several times.
    #[arg(long = "metadata", value_name = "KEY=VALUE", value_parser = pair)]
    pub metadata: Vec<(String, String)>,

    /// A label of the proxy, such as istio=ingressgateway. May be given several times.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    pub labels: Vec<(String, String)>,
}

/// A node as it is written, and what discovery makes of it.
#[derive(Debug)]
pub(super) struct Node {
    /// In Envoy's JSON.
    pub(super) written: Value,
    pub(super) proxy: Proxy,
}

impl NodeArgs {
    /// Reads it.
    ///
    /// # Errors
    /// It does not say whose configuration is wanted.
    pub(super) fn read(&self) -> Result<Node> {
        let mut node = match (&self.proxy, &self.node) {
            (Some(id), _) => json!({ "id": id.to_string() }),
            (None, Some(path)) => {
                let text = fs::read_to_string(path)
                    .with_context(|| format!("--node: cannot read {}", path.display()))?;
                from_text(&text).with_context(|| format!("--node {}", path.display()))?
            }
            (None, None) => bail!("say which proxy by --proxy or --node"),
        };
        self.add_metadata(&mut node)?;
        let bytes = json::from_json(NODE, &node).context(
            "the node is not one of Envoy's: it has `id`, and may have `cluster`, `metadata` and `locality`",
        )?;
        let proxy = server::proxy(&bytes).context("discovery would refuse this proxy")?;
        Ok(Node {
            written: node,
            proxy,
        })
    }

    fn add_metadata(&self, node: &mut Value) -> Result<()> {
        if self.metadata.is_empty() && self.labels.is_empty() {
            return Ok(());
        }
        let Value::Object(fields) = node else {
            bail!("the node is no object");
        };
        let metadata = fields
            .entry("metadata")
            .or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(metadata) = metadata else {
            bail!("the node's metadata is no object");
        };
        for (key, value) in &self.metadata {
            metadata.insert(key.clone(), Value::String(value.clone()));
        }
        if self.labels.is_empty() {
            return Ok(());
        }
        let labels = metadata
            .entry(LABELS)
            .or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(labels) = labels else {
            bail!("the node's metadata {LABELS} is no object");
        };
        for (key, value) in &self.labels {
            labels.insert(key.clone(), Value::String(value.clone()));
        }
        Ok(())
    }
}

const NODE: &str = "envoy.config.core.v3.Node";
/// Where a node says its labels.
const LABELS: &str = "LABELS";

fn from_text(text: &str) -> Result<Value> {
    let mut value: Value = serde_saphyr::from_str(text).context("not valid JSON or YAML")?;
    let Value::Object(fields) = &mut value else {
        bail!("it holds no object");
    };
    // A bootstrap has the node in a field, and an id of its own nowhere.
    Ok(match fields.remove("node") {
        Some(node) if !fields.contains_key("id") => node,
        _ => value,
    })
}

/// `KEY=VALUE` of a command line.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}
