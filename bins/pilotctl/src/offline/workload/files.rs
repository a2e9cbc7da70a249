//! The files: `cluster.env`, `mesh.yaml`, and `hosts` where an address is given.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use pilothouse_core::mesh::MeshConfig;
use pilothouse_core::model::Labels;
use pilothouse_core::registry::Meta;
use pilothouse_core::rules::resolve::ProxyStart;
use pilothouse_core::rules::spec::WorkloadGroup;
use serde_json::{Value, json};

use super::ConfigureArgs;

/// Ports that are never captured: SSH, and the agent's and Envoy's own.
const EXCLUDED: &str = "22,15090,15021,15020";

const NAME: &str = "service.istio.io/canonical-name";
const REVISION: &str = "service.istio.io/canonical-revision";

/// A machine that is to run a workload of a group.
pub(super) struct Machine<'a> {
    config: &'a MeshConfig,
    meta: &'a Meta,
    group: &'a WorkloadGroup,
    args: &'a ConfigureArgs,
    labels: Labels,
}

impl<'a> Machine<'a> {
    pub(super) fn new(
        config: &'a MeshConfig,
        meta: &'a Meta,
        group: &'a WorkloadGroup,
        args: &'a ConfigureArgs,
    ) -> Self {
        let of_group = group.metadata.as_ref().map(|of| of.labels.clone());
        let template = group.template.as_ref().map(|of| of.labels.clone());
        let labels = template
            .unwrap_or_default()
            .over(&of_group.unwrap_or_default());
        let first = |keys: &[&str]| keys.iter().find_map(|key| labels.get(key));
        let name = first(&[NAME, "app.kubernetes.io/name", "app"]).unwrap_or(&meta.key.name);
        let revision = first(&[REVISION, "app.kubernetes.io/version", "version"]);
        let canonical: Labels = [(NAME, name), (REVISION, revision.unwrap_or("latest"))]
            .into_iter()
            .collect();
        Self {
            config,
            meta,
            group,
            args,
            labels: labels.over(&canonical),
        }
    }

    /// What its proxy is selected by.
    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The files, by name, in the order of their names.
    pub(super) fn files(&self, start: &ProxyStart) -> Result<Vec<(&'static str, String)>> {
        let mut all = vec![("cluster.env", self.environment()?)];
        if let Some(ip) = self.args.ingress_ip {
            all.push(("hosts", format!("{ip} {}\n", self.discovery_host())));
        }
        all.push(("mesh.yaml", self.mesh(start)?));
        Ok(all)
    }

    fn discovery_host(&self) -> &str {
        let address = &*self.config.default_config.discovery_address;
        address.rsplit_once(':').map_or(address, |(host, _)| host)
    }

    /// `KEY='value'` lines, for a shell and for systemd's EnvironmentFile.
    fn environment(&self) -> Result<String> {
        let key = &self.meta.key;
        let template = self.group.template.as_ref();
        let (namespace, name) = (key.namespace.as_str(), &*key.name);
        let labels: BTreeMap<_, _> = self.labels.iter().collect();
        let text = |read: fn(&pilothouse_core::rules::spec::WorkloadEntry) -> &str| {
            template.map(read).unwrap_or_default().to_owned()
        };
        let account = Some(text(|of| &of.service_account)).filter(|account| !account.is_empty());
        let mut all = BTreeMap::from([
            ("CANONICAL_REVISION", labels[REVISION].to_owned()),
            ("CANONICAL_SERVICE", labels[NAME].to_owned()),
            ("ISTIO_INBOUND_PORTS", self.inbound_ports()),
            ("ISTIO_LOCAL_EXCLUDE_PORTS", EXCLUDED.to_owned()),
            ("ISTIO_METAJSON_LABELS", serde_json::to_string(&labels)?),
            ("ISTIO_META_AUTO_REGISTER_GROUP", name.to_owned()),
            ("ISTIO_META_CLUSTER_ID", self.args.cluster_id.clone()),
            ("ISTIO_META_NETWORK", text(|of| &of.network)),
            ("ISTIO_META_WORKLOAD_NAME", name.to_owned()),
            ("ISTIO_NAMESPACE", namespace.to_owned()),
            ("ISTIO_SERVICE", format!("{name}.{namespace}")),
            ("ISTIO_SERVICE_CIDR", "*".to_owned()),
            ("POD_NAMESPACE", namespace.to_owned()),
            (
                "SERVICE_ACCOUNT",
                account.unwrap_or_else(|| "default".to_owned()),
            ),
            ("TRUST_DOMAIN", self.config.trust_domain.to_string()),
        ]);
        if self.args.capture_dns {
            all.insert("ISTIO_META_DNS_CAPTURE", "true".to_owned());
        }
        if let Some(ip) = self.args.internal_ip {
            all.insert("INSTANCE_IP", ip.to_string());
        }
        let lines = all.iter().map(|(name, value)| {
            let quoted = value.replace('\'', r"'\''");
            format!("{name}='{quoted}'\n")
        });
        Ok(lines.collect())
    }

    /// The ports that the group names, otherwise all.
    fn inbound_ports(&self) -> String {
        let template = self.group.template.as_ref();
        let ports = template.into_iter().flat_map(|of| of.ports.iter());
        let mut ports: Vec<u32> = ports.map(|(_, number)| *number).collect();
        ports.sort_unstable();
        ports.dedup();
        if ports.is_empty() {
            return "*".to_owned();
        }
        let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
        ports.join(",")
    }

    /// What holds for the agent: mesh config, and the `ProxyConfig`s that are for this workload.
    fn mesh(&self, start: &ProxyStart) -> Result<String> {
        let defaults = &self.config.default_config;
        let seconds = |duration: std::time::Duration| format!("{}s", duration.as_secs());
        let mut config = json!({
            "discoveryAddress": &*defaults.discovery_address,
            "drainDuration": seconds(defaults.drain_duration),
            "proxyAdminPort": defaults.proxy_admin_port,
            "statusPort": defaults.status_port,
            "terminationDrainDuration": seconds(defaults.termination_drain_duration),
        });
        if let Some(threads) = start.concurrency {
            config["concurrency"] = json!(threads);
        }
        if !start.environment.is_empty() {
            let variables = start.environment.iter();
            let variables = variables.map(|(name, value)| (name.to_string(), json!(&**value)));
            config["proxyMetadata"] = Value::Object(variables.collect());
        }
        let rules: Vec<_> = start.rules.iter().map(ToString::to_string).collect();
        let head = match rules.is_empty() {
            true => String::new(),
            false => format!("# With what these say: {}\n", rules.join(", ")),
        };
        let text = serde_saphyr::to_string(&json!({ "defaultConfig": config }))
            .context("mesh config cannot be written as YAML")?;
        Ok(head + &text)
    }
}
