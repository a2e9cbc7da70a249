//! A server for the tests of the generator: it answers every request of a fixed mesh, and knows one change.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType};
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain, Listener};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{HttpConnectionManager, Rds};
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::{AggregatedDiscoveryService, AggregatedDiscoveryServiceServer};
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource};
use envoy_types::pb::google::protobuf::Any;
use futures::{Stream, StreamExt};
use prost::Name;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::fleet::{Fleet, Options};
use crate::h2::Windows;
use crate::kind::{Kind, Mode};
use crate::node::NodeTemplate;

const CLUSTERS: usize = 700;

/// The number is the version of the first load assignment.
struct Mesh(watch::Receiver<u32>);

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn cluster_name(index: usize) -> String {
    format!("outbound|80||a-service-with-quite-a-long-name-{index}.test")
}

fn any<M: Name>(message: &M) -> Any {
    Any {
        type_url: M::type_url(),
        value: message.encode_to_vec(),
    }
}

fn resource(kind: Kind, name: &str, version: u32) -> Resource {
    let message = match kind {
        Kind::Cluster => any(&Cluster {
            name: name.to_owned(),
            alt_stat_name: "x".repeat(1000),
            cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
            ..Cluster::default()
        }),
        Kind::Endpoint => any(&ClusterLoadAssignment {
            cluster_name: name.to_owned(),
            endpoints: vec![Default::default(); version as usize],
            ..Default::default()
        }),
        Kind::Listener => {
            let rds = Rds {
                route_config_name: "80".to_owned(),
                ..Rds::default()
            };
            let manager = HttpConnectionManager {
                route_specifier: Some(RouteSpecifier::Rds(rds)),
                ..HttpConnectionManager::default()
            };
            let filter = Filter {
                name: "hcm".to_owned(),
                config_type: Some(ConfigType::TypedConfig(any(&manager))),
            };
            any(&Listener {
                name: name.to_owned(),
                filter_chains: vec![FilterChain {
                    filters: vec![filter],
                    ..FilterChain::default()
                }],
                ..Listener::default()
            })
        }
        Kind::Route => any(&RouteConfiguration {
            name: name.to_owned(),
            ..RouteConfiguration::default()
        }),
    };
    Resource {
        name: name.to_owned(),
        version: version.to_string(),
        resource: Some(message),
        ..Resource::default()
    }
}

fn all(kind: Kind, version: u32) -> Vec<Resource> {
    match kind {
        Kind::Cluster => (0..CLUSTERS)
            .map(|index| resource(kind, &cluster_name(index), 1))
            .collect(),
        Kind::Endpoint => (0..CLUSTERS)
            .map(|index| {
                resource(
                    kind,
                    &cluster_name(index),
                    if index == 0 { version } else { 1 },
                )
            })
            .collect(),
        Kind::Listener => vec![resource(kind, "0.0.0.0_80", 1)],
        Kind::Route => vec![resource(kind, "80", 1)],
    }
}

/// Every request that is no acknowledgement is answered with what it asks for and does not report; a change is sent to everybody.
#[tonic::async_trait]
impl AggregatedDiscoveryService for Mesh {
    type StreamAggregatedResourcesStream = Responses<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Responses<DeltaDiscoveryResponse>;

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let version = self.0.clone();
        let answers = request.into_inner().filter_map(move |request| {
            let version = *version.borrow();
            std::future::ready(
                request
                    .ok()
                    .filter(|request| request.response_nonce.is_empty())
                    .map(|request| {
                        let kind = Kind::of_url(request.type_url.as_bytes()).unwrap();
                        let asked = |name: &String| {
                            request.resource_names_subscribe.is_empty()
                                || request.resource_names_subscribe.contains(name)
                        };
                        let new = |resource: &Resource| {
                            asked(&resource.name)
                                && request.initial_resource_versions.get(&resource.name)
                                    != Some(&resource.version)
                        };
                        DeltaDiscoveryResponse {
                            resources: all(kind, version).into_iter().filter(new).collect(),
                            type_url: request.type_url,
                            nonce: "n".to_owned(),
                            ..Default::default()
                        }
                    }),
            )
        });
        let change = |version| {
            let resources = vec![resource(Kind::Endpoint, &cluster_name(0), version)];
            DeltaDiscoveryResponse {
                resources,
                type_url: Kind::Endpoint.url().to_owned(),
                nonce: "c".to_owned(),
                ..Default::default()
            }
        };
        Ok(Response::new(
            futures::stream::select(answers, self.changes(change))
                .map(Ok)
                .boxed(),
        ))
    }

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        let version = self.0.clone();
        let answer = |kind: Kind, version: u32| {
            let resources = all(kind, version)
                .into_iter()
                .filter_map(|resource| resource.resource)
                .collect();
            DiscoveryResponse {
                version_info: version.to_string(),
                resources,
                type_url: kind.url().to_owned(),
                nonce: "n".to_owned(),
                ..Default::default()
            }
        };
        let answers = request.into_inner().filter_map(move |request| {
            let version = *version.borrow();
            std::future::ready(
                request
                    .ok()
                    .filter(|request| request.response_nonce.is_empty())
                    .map(|request| {
                        answer(Kind::of_url(request.type_url.as_bytes()).unwrap(), version)
                    }),
            )
        });
        Ok(Response::new(
            futures::stream::select(
                answers,
                self.changes(move |version| answer(Kind::Endpoint, version)),
            )
            .map(Ok)
            .boxed(),
        ))
    }
}

impl Mesh {
    fn changes<T, F: Fn(u32) -> T>(&self, response: F) -> impl Stream<Item = T> + use<T, F> {
        let mut versions = self.0.clone();
        versions.mark_unchanged();
        futures::stream::unfold((versions, response), async |(mut versions, response)| {
            versions.changed().await.ok()?;
            let version = *versions.borrow_and_update();
            Some((response(version), (versions, response)))
        })
    }
}

async fn check(mode: Mode, resent: u64) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server: SocketAddr = listener.local_addr().unwrap();
    let (change, versions) = watch::channel(1);
    let mut tasks = JoinSet::new();
    tasks.spawn(
        tonic::transport::Server::builder()
            .add_service(AggregatedDiscoveryServiceServer::new(Mesh(versions)))
            .serve_with_incoming(TcpIncoming::from(listener)),
    );

    let node = NodeTemplate {
        namespace: "test".to_owned(),
        metadata: Vec::new(),
        extensions: 0,
    };
    let windows = Windows {
        stream: 100_000,
        connection: 150_000,
    };
    let patience = Duration::from_secs(30);
    let mut fleet = Fleet::start(Options {
        clients: 5,
        threads: 2,
        server,
        mode,
        windows,
        node,
        least_assignments: CLUSTERS,
        patience,
    })
    .unwrap();
    assert_eq!(fleet.connect().await.unwrap().len(), 5);
    let totals = fleet.totals().await.unwrap();
    let held = vec![
        (Kind::Cluster, CLUSTERS, CLUSTERS),
        (Kind::Endpoint, CLUSTERS, CLUSTERS),
        (Kind::Listener, 1, 1),
        (Kind::Route, 1, 1),
    ];
    let everything = 5 * (2 * CLUSTERS as u64 + 2);
    assert_eq!(
        (
            totals.broken,
            totals.received.responses,
            totals.received.resources,
            &totals.held
        ),
        (0, 20, everything, &held)
    );

    fleet.watch(&cluster_name(0)).await.unwrap();
    change.send(2).unwrap();
    assert_eq!(fleet.seen().await.unwrap().len(), 5);

    let before = fleet.totals().await.unwrap().received.resources;
    fleet.disconnect().await.unwrap();
    fleet.connect().await.unwrap();
    let totals = fleet.totals().await.unwrap();
    assert_eq!(
        (
            totals.broken,
            totals.received.resources - before,
            totals.held
        ),
        (0, resent, held)
    );
}

#[tokio::test]
async fn delta_clients_are_complete_see_a_change_and_come_back_with_what_they_hold() {
    check(Mode::Delta, 0).await;
}

#[tokio::test]
async fn sotw_clients_are_complete_see_a_change_and_get_everything_again() {
    check(Mode::Sotw, 5 * (2 * CLUSTERS as u64 + 2)).await;
}
