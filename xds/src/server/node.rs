//! Envoy's node → [`Proxy`]: read once, from a stream's first message.
//!
//! Only what is used is kept. Of the list of extensions, tens of kilobytes for each proxy, remains what configuration may use and
//! the proxy has not; metadata that nothing reads is skipped without being looked into, however deep it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use pilothouse_core::model::{
    ClusterId, DataPlane, Interception, InvalidNodeId, Labels, Locality, NetworkId, NodeId, Proxy,
};
use thiserror::Error;

use crate::extensions::Announced;

use super::wire::{Malformed, Value, each_field, map_entry};

/// Metadata of these keys is kept as text; that of the keys in [`Metadata::take`] goes to fields of its own.
pub(crate) const KEPT: [&str; 5] = [
    "DNS_AUTO_ALLOCATE",
    "DNS_CAPTURE",
    "HTTP_PROXY_PORT",
    "ISTIO_VERSION",
    "UNPRIVILEGED_POD",
];

/// Why a node does not tell whose configuration is asked for.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidNode {
    #[error("the first message of a stream has no node: set node.id to type~ip~id~domain")]
    Missing,
    #[error("the node has {size} bytes, more than the {limit} that this server takes")]
    TooLarge { size: usize, limit: usize },
    #[error("node.id: {0}")]
    Id(InvalidNodeId),
    #[error(
        "the node {0} has no namespace: set the metadata NAMESPACE or a domain such as NAMESPACE.svc.cluster.local"
    )]
    NoNamespace(Arc<str>),
    #[error("metadata INTERCEPTION_MODE is {0:?}, which is none of REDIRECT, TPROXY and NONE")]
    Interception(String),
    #[error("the node cannot be read: {0}")]
    Malformed(Malformed),
}

impl From<Malformed> for InvalidNode {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

/// Reads an encoded `envoy.config.core.v3.Node`.
pub(crate) fn read(node: Option<&[u8]>, limit: usize) -> Result<Proxy, InvalidNode> {
    let node = node.ok_or(InvalidNode::Missing)?;
    if node.len() > limit {
        return Err(InvalidNode::TooLarge {
            size: node.len(),
            limit,
        });
    }
    let mut id = "";
    let mut locality = Locality::default();
    let mut metadata = Metadata::default();
    let mut announced = Announced::default();
    let (mut agent, mut agent_version, mut build) = ("", None, None);
    each_field(node, |tag, value| {
        match tag {
            1 => id = value.text()?,
            3 => each_field(value.bytes()?, |tag, entry| match tag {
                1 => metadata.take(entry.bytes()?),
                _ => Ok(()),
            })?,
            4 => locality = read_locality(value.bytes()?)?,
            6 => agent = value.text()?,
            9 => read_extension(value.bytes()?, &mut announced)?,
            7 => agent_version = read_version(value.text()?),
            8 => build = read_build(value.bytes()?)?,
            _ => {}
        }
        Ok::<_, InvalidNode>(())
    })?;
    if id.is_empty() {
        return Err(InvalidNode::Missing);
    }
    let id: NodeId = id.parse().map_err(InvalidNode::Id)?;
    // Istio's agents set the build version; other bootstraps leave it to Envoy, which sets it as well.
    let envoy = build
        .or(agent_version)
        .filter(|_| agent.is_empty() || agent == "envoy");
    let missing = announced.missing(envoy);
    let data_plane = if metadata.is_for_grpc() || is_grpc(agent) {
        DataPlane::Grpc
    } else {
        DataPlane::Envoy
    };
    let proxy = metadata.into_proxy(id, locality, envoy)?;
    Ok(Proxy {
        data_plane,
        missing,
        ..proxy
    })
}

type EnvoyVersion = (u32, u32, u32);

#[derive(Default)]
struct Metadata {
    namespace: Option<String>,
    labels: BTreeMap<String, String>,
    addresses: Vec<IpAddr>,
    cluster: ClusterId,
    network: Option<NetworkId>,
    interception: Option<String>,
    generator: Option<String>,
    kept: BTreeMap<Arc<str>, Arc<str>>,
}

impl Metadata {
    fn take(&mut self, entry: &[u8]) -> Result<(), InvalidNode> {
        let (key, value) = map_entry(entry)?;
        let value = value.bytes()?;
        let text = || read_text(value);
        match key {
            "NAMESPACE" => self.namespace = text()?,
            "LABELS" | "STATIC_LABELS" => self.take_labels(value)?,
            "INSTANCE_IPS" => {
                let text = text()?.unwrap_or_default();
                self.addresses = text
                    .split(',')
                    .filter_map(|ip| ip.trim().parse().ok())
                    .collect();
            }
            "CLUSTER_ID" => self.cluster = text()?.unwrap_or_default().into(),
            "NETWORK" => self.network = text()?.map(NetworkId::from),
            "INTERCEPTION_MODE" => self.interception = text()?,
            "GENERATOR" => self.generator = text()?,
            _ if KEPT.contains(&key) => {
                if let Some(text) = text()? {
                    self.kept.insert(key.into(), text.into());
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Labels are a struct of texts.
    fn take_labels(&mut self, value: &[u8]) -> Result<(), InvalidNode> {
        each_field(value, |tag, field| {
            if tag != 5 {
                return Ok(());
            }
            each_field(field.bytes()?, |tag, entry| {
                if tag == 1 {
                    let (key, value) = map_entry(entry.bytes()?)?;
                    if let Some(text) = read_text(value.bytes()?)? {
                        self.labels.insert(key.to_owned(), text);
                    }
                }
                Ok(())
            })
        })
    }

    /// Istio's word for what is generated.
    fn is_for_grpc(&self) -> bool {
        self.generator.as_deref() == Some("grpc")
    }

    fn into_proxy(
        self,
        id: NodeId,
        locality: Locality,
        envoy: Option<EnvoyVersion>,
    ) -> Result<Proxy, InvalidNode> {
        let labels = Labels::from(self.labels);
        let namespace = self
            .namespace
            .filter(|namespace| !namespace.is_empty())
            .or_else(|| namespace_of(&id.domain))
            .ok_or_else(|| InvalidNode::NoNamespace(id.name.clone()))?;
        let interception = match self.interception.as_deref() {
            None | Some("" | "REDIRECT") => Interception::Redirect,
            Some("TPROXY") => Interception::Tproxy,
            Some("NONE") => Interception::None,
            Some(other) => return Err(InvalidNode::Interception(other.chars().take(64).collect())),
        };
        let mut addresses = vec![id.ip];
        addresses.extend(self.addresses.into_iter().filter(|ip| *ip != id.ip));
        let network = self
            .network
            .or_else(|| labels.get("topology.istio.io/network").map(NetworkId::from))
            .unwrap_or_default();
        let locality = match labels.get("istio-locality") {
            Some(label) if locality.is_empty() => locality_of_label(label),
            _ => locality,
        };
        Ok(Proxy {
            id,
            namespace: namespace.into(),
            addresses,
            labels,
            locality,
            network,
            cluster: self.cluster,
            interception,
            data_plane: DataPlane::default(),
            envoy,
            missing: BTreeSet::new(),
            metadata: self.kept,
        })
    }
}

/// Libraries call themselves `gRPC Go`, `gRPC C-core linux` and the like.
fn is_grpc(agent: &str) -> bool {
    agent
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("grpc"))
}

/// Istio's convention: a domain of several parts begins with the namespace.
fn namespace_of(domain: &str) -> Option<String> {
    let (namespace, _) = domain.split_once('.')?;
    (!namespace.is_empty()).then(|| namespace.to_owned())
}

/// A label cannot hold a slash, so dots stand for them there.
fn locality_of_label(label: &str) -> Locality {
    if label.contains('/') {
        Locality::parse(label)
    } else {
        Locality::parse(&label.replace('.', "/"))
    }
}

/// A `google.protobuf.Value` as text: many booleans, numbers and lists are texts on the wire already. `None` for null and structs.
fn read_text(value: &[u8]) -> Result<Option<String>, InvalidNode> {
    let mut text = scalar(value)?;
    each_field(value, |tag, list| {
        if tag == 6 {
            let mut items = Vec::new();
            each_field(list.bytes()?, |tag, item| {
                if tag == 1 {
                    items.extend(scalar(item.bytes()?)?);
                }
                Ok::<_, Malformed>(())
            })?;
            text = Some(items.join(","));
        }
        Ok::<_, InvalidNode>(())
    })?;
    Ok(text)
}

fn scalar(value: &[u8]) -> Result<Option<String>, Malformed> {
    let mut text = None;
    each_field(value, |tag, field: Value<'_>| {
        match tag {
            2 => text = Some(field.double()?.to_string()),
            3 => text = Some(field.text()?.to_owned()),
            4 => text = Some((field.integer()? != 0).to_string()),
            _ => {}
        }
        Ok::<_, Malformed>(())
    })?;
    Ok(text)
}

fn read_locality(bytes: &[u8]) -> Result<Locality, Malformed> {
    let (mut region, mut zone, mut sub_zone) = Default::default();
    each_field(bytes, |tag, value| {
        match tag {
            1 => region = value.text()?,
            2 => zone = value.text()?,
            3 => sub_zone = value.text()?,
            _ => {}
        }
        Ok::<_, Malformed>(())
    })?;
    Ok(Locality::new(region, zone, sub_zone))
}

/// An `Extension`: its name, whether it is disabled, and the messages that configure it.
fn read_extension(bytes: &[u8], announced: &mut Announced) -> Result<(), Malformed> {
    let mut enabled = *announced;
    let mut disabled = false;
    each_field(bytes, |tag, value| {
        match tag {
            1 | 6 => enabled.add(value.text()?),
            5 => disabled = value.integer()? != 0,
            _ => {}
        }
        Ok::<_, Malformed>(())
    })?;
    if !disabled {
        *announced = enabled;
    }
    Ok(())
}

/// A `BuildVersion`, of which the version is field 1.
fn read_build(bytes: &[u8]) -> Result<Option<EnvoyVersion>, Malformed> {
    let mut version = None;
    each_field(bytes, |tag, value| {
        if tag == 1 {
            let mut parts = [0_u32; 3];
            each_field(value.bytes()?, |tag, value| {
                let part = usize::try_from(tag)
                    .ok()
                    .and_then(|tag| parts.get_mut(tag.checked_sub(1)?));
                if let Some(part) = part {
                    *part = u32::try_from(value.integer()?).unwrap_or(u32::MAX);
                }
                Ok::<_, Malformed>(())
            })?;
            version = Some(parts.into());
        }
        Ok::<_, Malformed>(())
    })?;
    Ok(version)
}

/// A version as text, such as `1.36.2` or `1.36.2-dev`.
fn read_version(text: &str) -> Option<EnvoyVersion> {
    let mut parts = text.split(['.', '-']).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::core::v3 as core;
    use envoy_types::pb::envoy::r#type::v3::SemanticVersion;
    use envoy_types::pb::google::protobuf::value::Kind;
    use envoy_types::pb::google::protobuf::{ListValue, Struct, Value};
    use prost::Message;

    use super::*;
    use crate::extensions::Extension;

    fn value(kind: Kind) -> Value {
        Value { kind: Some(kind) }
    }

    fn text(text: &str) -> Value {
        value(Kind::StringValue(text.to_owned()))
    }

    fn fields<const N: usize>(fields: [(&str, Value); N]) -> Struct {
        Struct {
            fields: fields
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        }
    }

    fn node(id: &str, metadata: Struct) -> core::Node {
        core::Node {
            id: id.to_owned(),
            metadata: Some(metadata),
            ..core::Node::default()
        }
    }

    fn check(node: &core::Node) -> Result<Proxy, InvalidNode> {
        read(Some(&node.encode_to_vec()), 1 << 18)
    }

    #[test]
    fn everything_that_is_used_is_read() {
        // All by name but two: one is told by its message, one is disabled.
        let mut announced: Vec<_> = Extension::ALL
            .map(|extension| core::Extension {
                name: extension.name().to_owned(),
                ..Default::default()
            })
            .into();
        announced[0].name = "another.name".to_owned();
        announced[0].type_urls = vec![Extension::ALL[0].message().to_owned()];
        announced[1].disabled = true;
        let node = core::Node {
            user_agent_name: "envoy".to_owned(),
            user_agent_version_type: Some(core::node::UserAgentVersionType::UserAgentBuildVersion(
                core::BuildVersion {
                    version: Some(SemanticVersion {
                        major_number: 1,
                        minor_number: 40,
                        patch: 0,
                    }),
                    metadata: Some(fields([("ssl.version", text("BoringSSL"))])),
                },
            )),
            locality: Some(core::Locality {
                region: "eu".to_owned(),
                zone: "eu-1".to_owned(),
                sub_zone: String::new(),
            }),
            extensions: announced,
            ..node(
                "sidecar~10.0.0.1~app.shop~ignored.svc.cluster.local",
                fields([
                    ("NAMESPACE", text("shop")),
                    (
                        "LABELS",
                        value(Kind::StructValue(fields([("app", text("page"))]))),
                    ),
                    ("INSTANCE_IPS", text("10.0.0.1, fd00::1,nonsense")),
                    ("CLUSTER_ID", text("east")),
                    ("NETWORK", text("net1")),
                    ("INTERCEPTION_MODE", text("NONE")),
                    ("ISTIO_VERSION", text("1.29.0")),
                    ("HTTP_PROXY_PORT", value(Kind::NumberValue(15007.0))),
                    ("UNPRIVILEGED_POD", value(Kind::BoolValue(true))),
                    ("SOMETHING_ELSE", text("dropped")),
                ]),
            )
        };
        let expected = Proxy {
            id: "sidecar~10.0.0.1~app.shop~ignored.svc.cluster.local"
                .parse()
                .unwrap(),
            namespace: "shop".into(),
            addresses: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
            labels: Labels::from_iter([("app", "page")]),
            locality: Locality::parse("eu/eu-1"),
            network: "net1".into(),
            cluster: "east".into(),
            interception: Interception::None,
            data_plane: DataPlane::Envoy,
            envoy: Some((1, 40, 0)),
            missing: BTreeSet::from([Extension::ALL[1].name()]),
            metadata: [
                ("HTTP_PROXY_PORT", "15007"),
                ("ISTIO_VERSION", "1.29.0"),
                ("UNPRIVILEGED_POD", "true"),
            ]
            .map(|(key, value)| (key.into(), value.into()))
            .into(),
        };
        assert_eq!(check(&node), Ok(expected));
    }

    #[test]
    fn what_is_not_said_has_defaults() {
        let labels = fields([
            ("istio-locality", text("eu.eu-1.rack2")),
            ("topology.istio.io/network", text("net2")),
        ]);
        let proxy = check(&core::Node {
            user_agent_name: "envoy".to_owned(),
            user_agent_version_type: Some(core::node::UserAgentVersionType::UserAgentVersion(
                "1.36.2-dev".to_owned(),
            )),
            ..node(
                "router~::1~gw.infra~infra.svc.cluster.local",
                fields([
                    ("LABELS", value(Kind::StructValue(labels))),
                    (
                        "INSTANCE_IPS",
                        value(Kind::ListValue(ListValue {
                            values: vec![text("::1"), text("10.0.0.1")],
                        })),
                    ),
                ]),
            )
        })
        .unwrap();
        assert_eq!(proxy.namespace, "infra".into());
        let addresses: [IpAddr; 2] = ["::1", "10.0.0.1"].map(|ip| ip.parse().unwrap());
        assert_eq!(proxy.addresses, addresses);
        assert_eq!(proxy.interception, Interception::Redirect);
        assert_eq!(proxy.locality, Locality::parse("eu/eu-1/rack2"));
        assert_eq!(proxy.network, "net2".into());
        assert_eq!(proxy.envoy, Some((1, 36, 2)));
    }

    #[test]
    fn a_client_that_is_not_envoy_has_no_envoy_version() {
        let proxy = check(&core::Node {
            user_agent_name: "gRPC Go".to_owned(),
            user_agent_version_type: Some(core::node::UserAgentVersionType::UserAgentVersion(
                "1.70.0".to_owned(),
            )),
            ..node("sidecar~10.0.0.1~a~ns.local", Struct::default())
        });
        assert_eq!(proxy.unwrap().envoy, None);
    }

    #[test]
    fn a_grpc_client_says_so_itself_or_by_its_bootstrap() {
        let check = |agent: &str, generator: Option<&str>, expected| {
            let metadata =
                generator.map_or_else(Struct::default, |name| fields([("GENERATOR", text(name))]));
            let proxy = check(&core::Node {
                user_agent_name: agent.to_owned(),
                ..node("sidecar~10.0.0.1~a~ns.local", metadata)
            });
            assert_eq!(
                proxy.unwrap().data_plane,
                expected,
                "{agent:?} {generator:?}"
            );
        };
        check("gRPC C-core linux", None, DataPlane::Grpc);
        check("grpc-node-js", None, DataPlane::Grpc);
        check("", Some("grpc"), DataPlane::Grpc);
        check("envoy", Some("grpc"), DataPlane::Grpc);
        check("envoy", None, DataPlane::Envoy);
        check("", None, DataPlane::Envoy);
        check("", Some("api"), DataPlane::Envoy);
        check("grü", None, DataPlane::Envoy);
    }

    #[test]
    fn what_is_missing_is_named() {
        let table = [
            (core::Node::default(), "has no node"),
            (
                node("nonsense", Struct::default()),
                "node.id: \"nonsense\" is not a node id",
            ),
            (
                node("sidecar~10.0.0.1~a~local", Struct::default()),
                "set the metadata NAMESPACE",
            ),
            (
                node(
                    "sidecar~10.0.0.1~a~ns.local",
                    fields([("INTERCEPTION_MODE", text("X"))]),
                ),
                "INTERCEPTION_MODE is \"X\"",
            ),
        ];
        for (node, expected) in table {
            let error = check(&node).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(read(None, 1), Err(InvalidNode::Missing));
        assert_eq!(
            read(Some(&[0, 0]), 1),
            Err(InvalidNode::TooLarge { size: 2, limit: 1 })
        );
        assert!(matches!(
            read(Some(&[0x0a, 9]), 9),
            Err(InvalidNode::Malformed(_))
        ));
    }

    #[test]
    fn metadata_of_any_depth_is_skipped() {
        let wrap = |tag: u32, bytes: Vec<u8>| {
            let mut wrapped = Vec::with_capacity(bytes.len() + 8);
            prost::encoding::bytes::encode(tag, &bytes, &mut wrapped);
            wrapped
        };
        let mut deep = wrap(3, b"bottom".to_vec());
        for _ in 0..5_000 {
            deep = wrap(6, wrap(1, deep)); // a list of one value
        }
        let entry = [
            wrap(1, b"LABELS".to_vec()),
            wrap(2, wrap(5, wrap(1, wrap(2, deep)))),
        ]
        .concat();
        let mut node = node("sidecar~10.0.0.1~a~ns.local", Struct::default()).encode_to_vec();
        node.extend(wrap(3, wrap(1, entry)));
        assert!(read(Some(&node), 1 << 20).is_ok());
    }
}
