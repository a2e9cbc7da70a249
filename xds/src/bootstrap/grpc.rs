//! The bootstrap of gRPC clients that take their configuration from discovery themselves: the file that `GRPC_XDS_BOOTSTRAP`
//! names (gRFCs A27 and A30).

use pilothouse_core::model::{Locality, NodeId};
use serde_json::{Map, Value, json};

use super::DiscoveryAddress;

/// What the bootstraps of two clients differ in.
#[derive(Debug, Clone, PartialEq)]
pub struct GrpcBootstrapParams {
    /// Who the client is. Its domain is what short names in targets are completed with.
    pub node: NodeId,
    /// The group that it belongs to, by convention `APP.NAMESPACE`.
    pub cluster: String,
    /// Node metadata, such as `NAMESPACE` and `LABELS`. `GENERATOR`, by which discovery knows what it speaks to, is added.
    pub metadata: Map<String, Value>,
    /// Where it runs.
    pub locality: Locality,
    /// Where discovery is, or an agent that relays it.
    pub discovery: DiscoveryAddress,
}

/// The bootstrap of one client, as the JSON that gRPC libraries read.
pub fn grpc_bootstrap_json(params: &GrpcBootstrapParams) -> Value {
    let mut metadata = params.metadata.clone();
    metadata.insert("GENERATOR".to_owned(), "grpc".into());
    let mut node = json!({
        "id": params.node.to_string(),
        "cluster": params.cluster,
        "metadata": metadata,
    });
    if !params.locality.is_empty() {
        node["locality"] = json!({
            "region": params.locality.region,
            "zone": params.locality.zone,
            "sub_zone": params.locality.sub_zone,
        });
    }
    json!({
        "xds_servers": [{
            "server_uri": server_uri(&params.discovery),
            "channel_creds": [{ "type": "insecure" }],
            "server_features": ["xds_v3"],
        }],
        "node": node,
    })
}

/// A target of gRPC's own.
fn server_uri(discovery: &DiscoveryAddress) -> String {
    match discovery {
        DiscoveryAddress::Ip(address) => address.to_string(),
        DiscoveryAddress::Host(host, port) => format!("dns:///{host}:{port}"),
        DiscoveryAddress::Unix(path) => format!("unix:{}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(discovery: DiscoveryAddress, locality: &str) -> GrpcBootstrapParams {
        GrpcBootstrapParams {
            node: "sidecar~10.0.0.1~app.shop~shop.svc.cluster.local"
                .parse()
                .unwrap(),
            cluster: "app.shop".to_owned(),
            metadata: Map::from_iter([("NAMESPACE".to_owned(), "shop".into())]),
            locality: Locality::parse(locality),
            discovery,
        }
    }

    #[test]
    fn the_bootstrap_is_what_libraries_read() {
        let discovery = DiscoveryAddress::Ip("10.9.9.9:15010".parse().unwrap());
        let expected = json!({
            "xds_servers": [{
                "server_uri": "10.9.9.9:15010",
                "channel_creds": [{ "type": "insecure" }],
                "server_features": ["xds_v3"],
            }],
            "node": {
                "id": "sidecar~10.0.0.1~app.shop~shop.svc.cluster.local",
                "cluster": "app.shop",
                "metadata": { "GENERATOR": "grpc", "NAMESPACE": "shop" },
                "locality": { "region": "eu", "zone": "eu-1", "sub_zone": "" },
            },
        });
        assert_eq!(grpc_bootstrap_json(&params(discovery, "eu/eu-1")), expected);
    }

    #[test]
    fn discovery_is_wherever_it_is() {
        let check = |discovery, expected: &str| {
            let json = grpc_bootstrap_json(&params(discovery, ""));
            assert_eq!(json["xds_servers"][0]["server_uri"], expected);
            assert_eq!(json["node"]["locality"], Value::Null);
        };
        check(
            DiscoveryAddress::Ip("[fd00::1]:15010".parse().unwrap()),
            "[fd00::1]:15010",
        );
        check(
            DiscoveryAddress::Host("pilot.test".to_owned(), 15010),
            "dns:///pilot.test:15010",
        );
        check(
            DiscoveryAddress::Unix("/run/agent/xds".into()),
            "unix:/run/agent/xds",
        );
    }
}
