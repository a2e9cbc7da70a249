//! Who the simulated clients say they are.

use std::net::Ipv4Addr;

use envoy_types::pb::envoy::config::core::v3::{BuildVersion, Node, node};
use envoy_types::pb::envoy::r#type::v3::SemanticVersion;
use envoy_types::pb::google::protobuf::{Struct, Value, value};
use prost::Message;

/// What all nodes have in common.
#[derive(Debug, Clone)]
pub(crate) struct NodeTemplate {
    pub(crate) namespace: String,
    /// Further metadata; INTERCEPTION_MODE and the like.
    pub(crate) metadata: Vec<(String, String)>,
    /// How many extensions it announces; a stock Envoy has several hundred.
    pub(crate) extensions: usize,
}

impl NodeTemplate {
    /// The node of one client, encoded. Its address lies in 10.0.0.0/9; the endpoints of the mesh that is written do not.
    pub(crate) fn encode(&self, index: usize) -> Vec<u8> {
        let ip = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 1)) + index as u32);
        let text = |text: &str| Value {
            kind: Some(value::Kind::StringValue(text.to_owned())),
        };
        let mut fields = std::collections::HashMap::from([
            ("NAMESPACE".to_owned(), text(&self.namespace)),
            ("INSTANCE_IPS".to_owned(), text(&ip.to_string())),
            ("ISTIO_VERSION".to_owned(), text("1.28.0")),
        ]);
        fields.extend(
            self.metadata
                .iter()
                .map(|(key, value)| (key.clone(), text(value))),
        );
        let version = SemanticVersion {
            major_number: 1,
            minor_number: 40,
            patch: 0,
        };
        let node = Node {
            id: format!(
                "sidecar~{ip}~app-{index}.{0}~{0}.svc.cluster.local",
                self.namespace
            ),
            cluster: format!("app.{}", self.namespace),
            metadata: Some(Struct { fields }),
            user_agent_name: "envoy".to_owned(),
            user_agent_version_type: Some(node::UserAgentVersionType::UserAgentBuildVersion(
                BuildVersion {
                    version: Some(version),
                    metadata: None,
                },
            )),
            extensions: (0..self.extensions).map(extension).collect(),
            ..Node::default()
        };
        node.encode_to_vec()
    }
}

/// As long as the entries of a real Envoy are.
fn extension(index: usize) -> envoy_types::pb::envoy::config::core::v3::Extension {
    envoy_types::pb::envoy::config::core::v3::Extension {
        name: format!("envoy.filters.simulated.extension_{index}"),
        category: "envoy.filters.simulated".to_owned(),
        type_urls: vec![format!(
            "envoy.extensions.filters.simulated.extension_{index}.v3.Config"
        )],
        ..Default::default()
    }
}
