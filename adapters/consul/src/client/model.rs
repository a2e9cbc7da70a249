//! What Consul answers with, as far as a reader of the catalog needs it. What is absent or `null` is empty.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};

/// An instance of a service, with its node and what checks say of both.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Instance {
    /// The node that it runs on.
    #[serde(deserialize_with = "nullable")]
    pub node: Node,
    /// The instance.
    #[serde(deserialize_with = "nullable")]
    pub service: Service,
    /// The checks of the instance and of its node.
    #[serde(deserialize_with = "nullable")]
    pub checks: Vec<Check>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Node {
    /// Its name.
    #[serde(deserialize_with = "nullable")]
    pub node: String,
    /// Its address, which counts for instances without one of their own.
    #[serde(deserialize_with = "nullable")]
    pub address: String,
    /// Its datacenter.
    #[serde(deserialize_with = "nullable")]
    pub datacenter: String,
    /// Its addresses by what they are for: `lan`, `wan`, `lan_ipv4` and so on.
    #[serde(deserialize_with = "nullable")]
    pub tagged_addresses: BTreeMap<String, String>,
    /// Its metadata.
    #[serde(deserialize_with = "nullable")]
    pub meta: BTreeMap<String, String>,
    /// Its admin partition (Enterprise).
    #[serde(deserialize_with = "nullable")]
    pub partition: String,
    /// Where it is (1.17).
    #[serde(deserialize_with = "nullable")]
    pub locality: Option<Locality>,
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Service {
    /// What it is; empty for a plain service, otherwise a proxy or gateway of Consul's own mesh.
    #[serde(deserialize_with = "nullable")]
    pub kind: String,
    /// Unique on its node.
    #[serde(rename = "ID", deserialize_with = "nullable")]
    pub id: String,
    /// The service's name.
    #[serde(deserialize_with = "nullable")]
    pub service: String,
    /// Its tags.
    #[serde(deserialize_with = "nullable")]
    pub tags: Vec<String>,
    /// Its metadata.
    #[serde(deserialize_with = "nullable")]
    pub meta: BTreeMap<String, String>,
    /// Its address; the node's counts where it is empty.
    #[serde(deserialize_with = "nullable")]
    pub address: String,
    /// Its addresses by what they are for (1.6).
    #[serde(deserialize_with = "nullable")]
    pub tagged_addresses: BTreeMap<String, TaggedAddress>,
    /// Its port; 0 for none.
    #[serde(deserialize_with = "nullable")]
    pub port: u16,
    /// Its ports by name, where it has several (1.22).
    #[serde(deserialize_with = "nullable")]
    pub ports: Vec<Port>,
    /// Its share of the load.
    #[serde(deserialize_with = "nullable")]
    pub weights: Option<Weights>,
    /// Its namespace (Enterprise).
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
    /// Its admin partition (Enterprise).
    #[serde(deserialize_with = "nullable")]
    pub partition: String,
    /// Where it is (1.17).
    #[serde(deserialize_with = "nullable")]
    pub locality: Option<Locality>,
}

/// An address with a port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaggedAddress {
    /// The address.
    #[serde(deserialize_with = "nullable")]
    pub address: String,
    /// The port; 0 for the instance's.
    #[serde(deserialize_with = "nullable")]
    pub port: u16,
}

/// A port of an instance that has several.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Port {
    /// Its name.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Its number.
    #[serde(deserialize_with = "nullable")]
    pub port: u16,
    /// Whether it is the one that is meant where none is named.
    #[serde(rename = "Default", deserialize_with = "nullable")]
    pub is_default: bool,
}

/// Shares of the load, by health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Weights {
    /// While all checks pass.
    pub passing: u32,
    /// While some check warns.
    pub warning: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            passing: 1,
            warning: 1,
        }
    }
}

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Locality {
    /// The region.
    #[serde(deserialize_with = "nullable")]
    pub region: String,
    /// The zone.
    #[serde(deserialize_with = "nullable")]
    pub zone: String,
}

/// What a check says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Check {
    /// Unique on its node.
    #[serde(rename = "CheckID", deserialize_with = "nullable")]
    pub id: String,
    /// `passing`, `warning` or `critical`.
    #[serde(deserialize_with = "nullable")]
    pub status: String,
    /// The instance that it is about; empty for the whole node.
    #[serde(rename = "ServiceID", deserialize_with = "nullable")]
    pub service_id: String,
}

/// A key of the key-value store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct KvPair {
    /// The whole key.
    #[serde(deserialize_with = "nullable")]
    pub key: String,
    /// When it was written last.
    #[serde(deserialize_with = "nullable")]
    pub modify_index: u64,
    /// Its value.
    #[serde(deserialize_with = "base64ed")]
    pub value: Vec<u8>,
}

fn nullable<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn base64ed<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text: String = nullable(from)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_null_or_absent_is_empty() {
        let read = |text: &str| serde_json::from_str::<Instance>(text).unwrap();
        assert_eq!(read("{}"), Instance::default());
        assert_eq!(
            read(r#"{"Node": null, "Service": null, "Checks": null}"#),
            Instance::default()
        );
        let sparse = read(
            r#"{"Service": {"ID": "web-1", "Tags": null, "Meta": null, "TaggedAddresses": null, "Weights": null, "Port": null},
                "Checks": [{"CheckID": "serfHealth", "ServiceID": null}]}"#,
        );
        assert_eq!(sparse.service.id, "web-1");
        assert_eq!(sparse.checks.len(), 1);
        assert!(serde_json::from_str::<KvPair>(r#"{"Value": "?"}"#).is_err());
        let pair: KvPair =
            serde_json::from_str(r#"{"Key": "a", "Value": null, "ModifyIndex": 3}"#).unwrap();
        assert_eq!((pair.value, pair.modify_index), (vec![], 3));
    }
}
