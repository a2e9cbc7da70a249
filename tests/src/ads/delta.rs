//! The incremental variant.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::cluster::v3::cluster_discovery_service_client::ClusterDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse,
};
use envoy_types::pb::envoy::service::endpoint::v3::endpoint_discovery_service_client::EndpointDiscoveryServiceClient;
use envoy_types::pb::envoy::service::listener::v3::listener_discovery_service_client::ListenerDiscoveryServiceClient;
use envoy_types::pb::envoy::service::route::v3::route_discovery_service_client::RouteDiscoveryServiceClient;
use futures::channel::mpsc;
use tonic::Status;

use super::{Answer, Held, MAX, Opening, Service, Stream, channel, of_type, owned, refusal};

/// A client of incremental xDS.
#[derive(Debug)]
pub struct DeltaClient {
    stream: Stream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>,
    held: BTreeMap<String, Held>,
}

impl DeltaClient {
    /// Opens an ADS stream.
    pub async fn connect(address: SocketAddr, node: Node) -> Result<Self> {
        Self::connect_to(Service::Aggregated, address, node).await
    }

    /// Opens a stream of the given service.
    pub async fn connect_to(service: Service, address: SocketAddr, node: Node) -> Result<Self> {
        let channel = channel(address).await?;
        let (sender, requests) = mpsc::unbounded();
        let opening: Opening<DeltaDiscoveryResponse> = match service {
            Service::Aggregated => Box::pin(async {
                AggregatedDiscoveryServiceClient::new(channel)
                    .max_decoding_message_size(MAX)
                    .delta_aggregated_resources(requests)
                    .await
            }),
            Service::Cluster => Box::pin(async {
                ClusterDiscoveryServiceClient::new(channel)
                    .max_decoding_message_size(MAX)
                    .delta_clusters(requests)
                    .await
            }),
            Service::Endpoint => Box::pin(async {
                EndpointDiscoveryServiceClient::new(channel)
                    .max_decoding_message_size(MAX)
                    .delta_endpoints(requests)
                    .await
            }),
            Service::Listener => Box::pin(async {
                ListenerDiscoveryServiceClient::new(channel)
                    .max_decoding_message_size(MAX)
                    .delta_listeners(requests)
                    .await
            }),
            Service::Route => Box::pin(async {
                RouteDiscoveryServiceClient::new(channel)
                    .max_decoding_message_size(MAX)
                    .delta_routes(requests)
                    .await
            }),
        };
        Ok(Self {
            stream: Stream::new(node, sender, opening),
            held: BTreeMap::new(),
        })
    }

    /// Goes on with what an earlier stream held, to be reported by [`DeltaClient::resume`].
    #[must_use]
    pub fn with_held(mut self, held: BTreeMap<String, Held>) -> Self {
        self.held = held;
        self
    }

    /// Sends a request as it is, with the node if it is the first of the stream.
    pub fn send(&mut self, mut request: DeltaDiscoveryRequest) -> Result<()> {
        request.node = self.stream.node.take();
        self.stream.send(request)
    }

    /// Subscribes to names; none, as the first request of a type, means all.
    pub fn subscribe(&mut self, type_url: &str, names: &[&str]) -> Result<()> {
        self.send(DeltaDiscoveryRequest {
            resource_names_subscribe: owned(names),
            ..request(type_url)
        })
    }

    /// Gives up names, and forgets what it holds of them.
    pub fn unsubscribe(&mut self, type_url: &str, names: &[&str]) -> Result<()> {
        if let Some(held) = self.held.get_mut(type_url) {
            held.retain(|name, _| !names.contains(&name.as_str()));
        }
        self.send(DeltaDiscoveryRequest {
            resource_names_unsubscribe: owned(names),
            ..request(type_url)
        })
    }

    /// The first request of a type on a new stream: subscribes to `names` and reports what is held of the type.
    pub fn resume(&mut self, type_url: &str, names: &[&str]) -> Result<()> {
        let versions: HashMap<_, _> = self
            .held(type_url)
            .iter()
            .map(|(name, (version, _))| (name.clone(), version.clone()))
            .collect();
        self.send(DeltaDiscoveryRequest {
            resource_names_subscribe: owned(names),
            initial_resource_versions: versions,
            ..request(type_url)
        })
    }

    /// The next response, of whatever type; it is neither acknowledged nor applied.
    pub async fn next(&mut self) -> Result<DeltaDiscoveryResponse> {
        self.stream.next().await
    }

    /// The next response, which must be of this type.
    pub async fn expect(&mut self, type_url: &str) -> Result<DeltaDiscoveryResponse> {
        of_type(self.next().await?, type_url)
    }

    /// The next response of this type, applied and acknowledged.
    pub async fn accept(&mut self, type_url: &str) -> Result<DeltaDiscoveryResponse> {
        let response = self.expect(type_url).await?;
        self.ack(&response)?;
        Ok(response)
    }

    /// Fails if anything comes within this time.
    pub async fn expect_nothing(&mut self, quiet: Duration) -> Result<()> {
        self.stream.expect_nothing(quiet).await
    }

    /// Applies a response and acknowledges it.
    pub fn ack(&mut self, response: &DeltaDiscoveryResponse) -> Result<()> {
        let held = self.held.entry(response.type_url.clone()).or_default();
        for name in &response.removed_resources {
            held.remove(name);
        }
        for resource in &response.resources {
            held.insert(
                resource.name.clone(),
                (
                    resource.version.clone(),
                    resource.resource.clone().unwrap_or_default(),
                ),
            );
        }
        self.send(DeltaDiscoveryRequest {
            response_nonce: response.nonce.clone(),
            ..request(&response.type_url)
        })
    }

    /// Refuses a response for the given reason; nothing of it is applied.
    pub fn nack(&mut self, response: &DeltaDiscoveryResponse, why: &str) -> Result<()> {
        self.send(DeltaDiscoveryRequest {
            response_nonce: response.nonce.clone(),
            error_detail: Some(refusal(why)),
            ..request(&response.type_url)
        })
    }

    /// What it holds of a type.
    pub fn held(&self, type_url: &str) -> &Held {
        static NOTHING: Held = Held::new();
        self.held.get(type_url).unwrap_or(&NOTHING)
    }

    /// Breaks the stream off; what is returned can be given to the next one.
    pub fn disconnect(self) -> BTreeMap<String, Held> {
        self.held
    }

    /// Closes this side of the stream and awaits its end.
    pub async fn finish(self) -> Result<(), Status> {
        self.stream.finish().await
    }
}

fn request(type_url: &str) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        type_url: type_url.to_owned(),
        ..DeltaDiscoveryRequest::default()
    }
}

impl Answer for DeltaDiscoveryResponse {
    fn type_url(&self) -> &str {
        &self.type_url
    }

    fn contents(&self) -> String {
        format!(
            "{} upserts and {} removals",
            self.resources.len(),
            self.removed_resources.len()
        )
    }
}
