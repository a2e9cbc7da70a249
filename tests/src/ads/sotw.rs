//! The state-of-the-world variant.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::cluster::v3::cluster_discovery_service_client::ClusterDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::envoy::service::endpoint::v3::endpoint_discovery_service_client::EndpointDiscoveryServiceClient;
use envoy_types::pb::envoy::service::listener::v3::listener_discovery_service_client::ListenerDiscoveryServiceClient;
use envoy_types::pb::envoy::service::route::v3::route_discovery_service_client::RouteDiscoveryServiceClient;
use futures::channel::mpsc;
use tonic::Status;

use super::{Answer, MAX, Opening, Service, Stream, channel, of_type, owned, refusal};

/// A client of state-of-the-world xDS.
#[derive(Debug)]
pub struct SotwClient {
    stream: Stream<DiscoveryRequest, DiscoveryResponse>,
    types: BTreeMap<String, Subscription>,
}

#[derive(Debug, Default)]
struct Subscription {
    names: Vec<String>,
    nonce: String,
    version: String,
}

impl SotwClient {
    /// Opens an ADS stream.
    pub async fn connect(address: SocketAddr, node: Node) -> Result<Self> {
        Self::connect_to(Service::Aggregated, address, node).await
    }

    /// Opens a stream of the given service.
    pub async fn connect_to(service: Service, address: SocketAddr, node: Node) -> Result<Self> {
        let channel = channel(address).await?;
        let (sender, requests) = mpsc::unbounded();
        let opening: Opening<DiscoveryResponse> = match service {
            Service::Aggregated => Box::pin(async {
                AggregatedDiscoveryServiceClient::new(channel)
                    .max_decoding_message_size(MAX)
                    .stream_aggregated_resources(requests)
                    .await
            }),
            Service::Cluster => Box::pin(async {
                ClusterDiscoveryServiceClient::new(channel)
                    .max_decoding_message_size(MAX)
                    .stream_clusters(requests)
                    .await
            }),
            Service::Endpoint => Box::pin(async {
                EndpointDiscoveryServiceClient::new(channel)
                    .max_decoding_message_size(MAX)
                    .stream_endpoints(requests)
                    .await
            }),
            Service::Listener => Box::pin(async {
                ListenerDiscoveryServiceClient::new(channel)
                    .max_decoding_message_size(MAX)
                    .stream_listeners(requests)
                    .await
            }),
            Service::Route => Box::pin(async {
                RouteDiscoveryServiceClient::new(channel)
                    .max_decoding_message_size(MAX)
                    .stream_routes(requests)
                    .await
            }),
        };
        Ok(Self {
            stream: Stream::new(node, sender, opening),
            types: BTreeMap::new(),
        })
    }

    /// Sends a request as it is, with the node if it is the first of the stream.
    pub fn send(&mut self, mut request: DiscoveryRequest) -> Result<()> {
        request.node = self.stream.node.take();
        self.stream.send(request)
    }

    /// Asks for these names from here on, with the version and nonce of the last response of the type; no names, as the first request
    /// of a type, means all.
    pub fn subscribe(&mut self, type_url: &str, names: &[&str]) -> Result<()> {
        let subscription = self.types.entry(type_url.to_owned()).or_default();
        subscription.names = owned(names);
        let request = subscription.request(type_url);
        self.send(request)
    }

    /// The next response, of whatever type; it is not acknowledged.
    pub async fn next(&mut self) -> Result<DiscoveryResponse> {
        let response = self.stream.next().await?;
        self.types
            .entry(response.type_url.clone())
            .or_default()
            .nonce
            .clone_from(&response.nonce);
        Ok(response)
    }

    /// The next response, which must be of this type.
    pub async fn expect(&mut self, type_url: &str) -> Result<DiscoveryResponse> {
        of_type(self.next().await?, type_url)
    }

    /// The next response of this type, acknowledged.
    pub async fn accept(&mut self, type_url: &str) -> Result<DiscoveryResponse> {
        let response = self.expect(type_url).await?;
        self.ack(&response)?;
        Ok(response)
    }

    /// Fails if anything comes within this time.
    pub async fn expect_nothing(&mut self, quiet: Duration) -> Result<()> {
        self.stream.expect_nothing(quiet).await
    }

    /// Acknowledges a response.
    pub fn ack(&mut self, response: &DiscoveryResponse) -> Result<()> {
        let subscription = self.types.entry(response.type_url.clone()).or_default();
        subscription.version.clone_from(&response.version_info);
        let request = DiscoveryRequest {
            response_nonce: response.nonce.clone(),
            ..subscription.request(&response.type_url)
        };
        self.send(request)
    }

    /// Refuses a response for the given reason.
    pub fn nack(&mut self, response: &DiscoveryResponse, why: &str) -> Result<()> {
        let subscription = self.types.entry(response.type_url.clone()).or_default();
        let request = DiscoveryRequest {
            response_nonce: response.nonce.clone(),
            error_detail: Some(refusal(why)),
            ..subscription.request(&response.type_url)
        };
        self.send(request)
    }

    /// The last acknowledged version of a type, to be reported on another stream with [`SotwClient::report_version`].
    pub fn version(&self, type_url: &str) -> &str {
        self.types
            .get(type_url)
            .map(|subscription| subscription.version.as_str())
            .unwrap_or_default()
    }

    /// Makes the next subscription of a type report this version, as a client does that reconnects.
    pub fn report_version(&mut self, type_url: &str, version: &str) {
        self.types.entry(type_url.to_owned()).or_default().version = version.to_owned();
    }

    /// Closes this side of the stream and awaits its end.
    pub async fn finish(self) -> Result<(), Status> {
        self.stream.finish().await
    }
}

impl Subscription {
    fn request(&self, type_url: &str) -> DiscoveryRequest {
        DiscoveryRequest {
            type_url: type_url.to_owned(),
            resource_names: self.names.clone(),
            response_nonce: self.nonce.clone(),
            version_info: self.version.clone(),
            ..DiscoveryRequest::default()
        }
    }
}

impl Answer for DiscoveryResponse {
    fn type_url(&self) -> &str {
        &self.type_url
    }

    fn contents(&self) -> String {
        format!("{} resources", self.resources.len())
    }
}
