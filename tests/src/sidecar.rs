//! An Envoy as a sidecar: who it says it is, how it is configured, and what its admin pages say about that.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use envoy_types::pb::envoy::config::core::v3::Node;
use pilothouse_core::model::{Locality, NodeId};
use pilothouse_xds::bootstrap::{
    Beside, BootstrapParams, DiscoveryAddress, Variant, bootstrap, bootstrap_json,
};
use serde_json::{Map, Value, json};

use crate::envoy::{Binary, Envoy};

/// How soon an Envoy whose stream has ended comes back; by default it takes up to half a minute.
const RECONNECT: [&str; 2] = ["0.05s", "0.2s"];

/// A sidecar that is to be started.
#[derive(Debug, Clone)]
pub struct Sidecar {
    name: String,
    namespace: String,
    ip: IpAddr,
    metadata: Map<String, Value>,
    variant: Variant,
    kind: &'static str,
}

impl Sidecar {
    /// One whose traffic is not captured, without a workload, which speaks the incremental protocol.
    pub fn new(name: &str, namespace: &str) -> Self {
        let this = Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            ip: IpAddr::from([127, 0, 0, 1]),
            metadata: Map::new(),
            variant: Variant::Delta,
            kind: "sidecar",
        };
        this.interception("NONE").with("NAMESPACE", namespace)
    }

    /// The same under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// At this address, which is also where its workload is.
    #[must_use]
    pub fn at(mut self, ip: IpAddr) -> Self {
        self.ip = ip;
        self
    }

    /// `REDIRECT`, `TPROXY` or `NONE`.
    #[must_use]
    pub fn interception(self, mode: &str) -> Self {
        self.with("INTERCEPTION_MODE", mode)
    }

    /// Speaks this variant of the protocol.
    #[must_use]
    pub fn variant(mut self, variant: Variant) -> Self {
        self.variant = variant;
        self
    }

    /// Stands alone: a router.
    #[must_use]
    pub fn router(mut self) -> Self {
        self.kind = "router";
        self
    }

    /// With one more key in its metadata.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// What debug pages call it.
    pub fn id(&self) -> String {
        format!("{}.{}", self.name, self.namespace)
    }

    /// What it starts with.
    pub fn bootstrap(&self, discovery: SocketAddr) -> Result<Value> {
        let mut bootstrap =
            bootstrap_json(&self.params(discovery)?).context("writing a bootstrap")?;
        let ads = "/dynamic_resources/ads_config/grpc_services/0/envoy_grpc";
        let [base, max] = RECONNECT;
        bootstrap
            .pointer_mut(ads)
            .context("the bootstrap says nothing of ADS")?["retry_policy"] =
            json!({ "retry_back_off": { "base_interval": base, "max_interval": max } });
        Ok(bootstrap)
    }

    /// How it announces itself.
    pub fn node(&self) -> Result<Node> {
        let params = self.params(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        bootstrap(&params).node.context("the bootstrap has no node")
    }

    fn params(&self, discovery: SocketAddr) -> Result<BootstrapParams> {
        let node: NodeId = format!(
            "{}~{}~{}~{}.svc.cluster.local",
            self.kind,
            self.ip,
            self.id(),
            self.namespace
        )
        .parse()
        .context("the node id of a sidecar")?;
        Ok(BootstrapParams {
            node,
            cluster: self.id(),
            metadata: self.metadata.clone(),
            locality: Locality::default(),
            admin: SocketAddr::from(([127, 0, 0, 1], 0)),
            discovery: DiscoveryAddress::Ip(discovery),
            variant: self.variant,
            beside: Beside::default(),
        })
    }

    /// Starts it; its files go to `dir`.
    pub async fn start(&self, binary: &Binary, discovery: SocketAddr, dir: &Path) -> Result<Envoy> {
        Envoy::start(binary, &self.id(), &self.bootstrap(discovery)?, dir).await
    }
}

/// What an Envoy holds: the version of each resource by its name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holds {
    /// Clusters that are in use.
    pub clusters: BTreeMap<String, String>,
    /// Clusters, and listeners, that wait for what they need.
    pub warming: Vec<String>,
    /// Listeners that are in use.
    pub listeners: BTreeMap<String, String>,
    /// Route tables.
    pub routes: BTreeMap<String, String>,
    /// Load assignments that came over EDS, with the addresses in each.
    pub assignments: BTreeMap<String, Vec<String>>,
    /// What the last refused update of a listener or cluster said.
    pub errors: Vec<String>,
}

impl Envoy {
    /// What it holds of what discovery sends.
    pub async fn holds(&self) -> Result<Holds> {
        Holds::read(&self.get_json("/config_dump?include_eds").await?)
    }

    /// The counters that say that something was refused, without those that are 0.
    pub async fn refusals(&self) -> Result<BTreeMap<String, u64>> {
        let all = self
            .stats(r"(update_rejected|listener_create_failure)$")
            .await?;
        Ok(all.into_iter().filter(|(_, count)| *count > 0).collect())
    }

    /// Waits until nothing warms, and fails if anything has been refused or was called deprecated.
    pub async fn wait_settled(&self, within: Duration) -> Result<()> {
        for gauge in [
            "cluster_manager.warming_clusters",
            "listener_manager.total_listeners_warming",
        ] {
            self.wait_stat(gauge, within, |count| count == 0).await?;
        }
        let refused = self.refusals().await?;
        ensure!(
            refused.is_empty(),
            "it has refused: {refused:?}; it holds {:?}",
            self.holds().await?.errors
        );
        let deprecated = self.deprecations()?;
        ensure!(deprecated.is_empty(), "deprecated: {deprecated:#?}");
        Ok(())
    }
}

impl Holds {
    /// Reads a page `/config_dump`, of Envoy or of discovery.
    pub fn read(dump: &Value) -> Result<Self> {
        let mut holds = Self::default();
        for part in list(&dump["configs"]) {
            for entry in list(&part["dynamic_active_clusters"]) {
                holds
                    .clusters
                    .insert(text(&entry["cluster"]["name"])?, version(entry));
            }
            for entry in list(&part["dynamic_warming_clusters"]) {
                holds.warming.push(text(&entry["cluster"]["name"])?);
            }
            for entry in list(&part["dynamic_listeners"]) {
                let name = text(&entry["name"])?;
                if entry["active_state"].is_object() {
                    holds
                        .listeners
                        .insert(name.clone(), version(&entry["active_state"]));
                }
                if entry["warming_state"].is_object() {
                    holds.warming.push(name.clone());
                }
                if entry["error_state"].is_object() {
                    holds
                        .errors
                        .push(entry["error_state"]["details"].to_string());
                }
            }
            for entry in list(&part["dynamic_route_configs"]) {
                holds
                    .routes
                    .insert(text(&entry["route_config"]["name"])?, version(entry));
            }
            for entry in list(&part["dynamic_endpoint_configs"]) {
                let assignment = &entry["endpoint_config"];
                let endpoints = list(&assignment["endpoints"])
                    .iter()
                    .flat_map(|locality| list(&locality["lb_endpoints"]));
                let addresses = endpoints
                    .map(|endpoint| address(&endpoint["endpoint"]["address"]))
                    .collect();
                holds
                    .assignments
                    .insert(text(&assignment["cluster_name"])?, addresses);
            }
        }
        Ok(holds)
    }
}

fn version(entry: &Value) -> String {
    entry["version_info"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// `IP:PORT`, or the path of a socket.
fn address(address: &Value) -> String {
    let socket = &address["socket_address"];
    match socket["address"].as_str() {
        Some(ip) => format!("{ip}:{}", socket["port_value"]),
        None => address["pipe"]["path"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    }
}

fn text(value: &Value) -> Result<String> {
    Ok(value
        .as_str()
        .context("an entry without a name")?
        .to_owned())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
