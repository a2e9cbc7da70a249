//! A proxy: who asks for configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{ClusterId, Labels, Locality, NamespaceName, NetworkId};

/// What a proxy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyKind {
    /// Stands beside one workload.
    Sidecar,
    /// Stands alone: an ingress, egress or east-west gateway.
    Router,
}

/// Istio's node id, `type~ip~id~domain`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// What the proxy is for.
    pub kind: ProxyKind,
    /// Its main address.
    pub ip: IpAddr,
    /// Its name, by convention `NAME.NAMESPACE`.
    pub name: Arc<str>,
    /// The DNS domain that it completes short names with, such as `shop.svc.cluster.local`.
    pub domain: Arc<str>,
}

/// Why a text is no [`NodeId`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a node id of the form type~ip~id~domain: {reason}")]
pub struct InvalidNodeId {
    text: String,
    reason: &'static str,
}

impl FromStr for NodeId {
    type Err = InvalidNodeId;

    fn from_str(text: &str) -> Result<Self, InvalidNodeId> {
        let invalid = |reason| InvalidNodeId {
            text: text.chars().take(256).collect(),
            reason,
        };
        let parts: Vec<_> = text.split('~').collect();
        let [kind, ip, name, domain] = parts[..] else {
            return Err(invalid("it does not have four parts"));
        };
        let kind = match kind {
            "sidecar" => ProxyKind::Sidecar,
            "router" => ProxyKind::Router,
            _ => return Err(invalid("its type is neither sidecar nor router")),
        };
        let ip = ip
            .parse()
            .map_err(|_| invalid("its second part is not an IP address"))?;
        if name.is_empty() {
            return Err(invalid("its third part is empty"));
        }
        Ok(Self {
            kind,
            ip,
            name: name.into(),
            domain: domain.into(),
        })
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ProxyKind::Sidecar => "sidecar",
            ProxyKind::Router => "router",
        };
        write!(f, "{kind}~{}~{}~{}", self.ip, self.name, self.domain)
    }
}

/// How traffic gets to a proxy (Istio's `INTERCEPTION_MODE`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Interception {
    /// Captured by iptables' REDIRECT.
    #[default]
    Redirect,
    /// Captured by iptables' TPROXY, the source address kept.
    Tproxy,
    /// Not captured: the proxy binds ports of its own.
    None,
}

/// What carries out the configuration.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum DataPlane {
    /// A proxy beside or before workloads.
    #[default]
    Envoy,
    /// A gRPC library within the application, without any proxy.
    Grpc,
}

/// A connected proxy, as its node says and its workload adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Its node id.
    pub id: NodeId,
    /// Its configuration namespace.
    pub namespace: NamespaceName,
    /// All its addresses, the main one first.
    pub addresses: Vec<IpAddr>,
    /// What selectors look at.
    pub labels: Labels,
    /// Where it runs.
    pub locality: Locality,
    /// The network it is on.
    pub network: NetworkId,
    /// The cluster it is in.
    pub cluster: ClusterId,
    /// How traffic gets to it.
    pub interception: Interception,
    /// What it is.
    pub data_plane: DataPlane,
    /// Envoy's own version, such as (1, 40, 0); `None` for a client that is not Envoy.
    pub envoy: Option<(u32, u32, u32)>,
    /// Extensions that its configuration could use and that it says it does not have, by Envoy's names.
    pub missing: BTreeSet<&'static str>,
    /// What else of its metadata is of use, as text, by key.
    pub metadata: BTreeMap<Arc<str>, Arc<str>>,
}

impl Proxy {
    /// Whether it stands alone, before workloads.
    pub fn is_router(&self) -> bool {
        self.id.kind == ProxyKind::Router && self.data_plane == DataPlane::Envoy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_id_is_read_and_written_alike() {
        let text = "sidecar~10.0.0.1~app-x.ns~ns.svc.cluster.local";
        assert_eq!(text.parse::<NodeId>().unwrap().to_string(), text);
        assert_eq!(
            "router~::1~gw~".parse::<NodeId>().unwrap().kind,
            ProxyKind::Router
        );
    }

    #[test]
    fn a_node_id_has_four_good_parts() {
        for text in [
            "",
            "sidecar",
            "sidecar~10.0.0.1~x",
            "ztunnel~10.0.0.1~x~y",
            "sidecar~host~x~y",
            "sidecar~::~~y",
            "a~b~c~d~e",
        ] {
            assert!(text.parse::<NodeId>().is_err(), "{text:?}");
        }
    }
}
