//! Inputs of clusters for gRPC clients: one for each port of each service.

use std::collections::BTreeSet;
use std::sync::Arc;

use pilothouse_core::mesh::{Endpoints, Mesh};
use pilothouse_core::model::{Host, Resolution, Service, ServiceKey, ServicePort};

use super::{GrpcInput, is_served, routes};
use crate::inputs::{Generator, Input, clusters};
use crate::resource::{Name, ResourceType};
use crate::view::View;

/// What a cluster for gRPC clients is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GrpcCluster {
    /// The service.
    pub service: ServiceKey,
    /// Which of its ports.
    pub port: ServicePort,
    /// How endpoints are found.
    pub discovery: GrpcDiscovery,
    /// How a call gets to one of them.
    pub load_balancing: LoadBalancing,
    /// How many calls may be under way at the same time; `None` for any number.
    pub max_requests: Option<u32>,
}

/// How a gRPC client finds the endpoints of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GrpcDiscovery {
    /// By a load assignment.
    Assignment,
    /// By resolving a name: gRPC clients resolve one for each cluster, so that it is the first.
    Dns {
        /// Among which it is.
        endpoints: Option<Arc<Endpoints>>,
        /// Whether it may be one that is not healthy.
        publish_not_ready: bool,
    },
}

/// The ways to choose an endpoint that gRPC clients of all languages know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LoadBalancing {
    /// One after the other; localities by weight.
    #[default]
    RoundRobin,
    /// By the hash of a call, so that equal calls get to the same endpoint (gRFC A42).
    RingHash {
        /// The least number of entries of the ring.
        minimum: u64,
        /// The greatest.
        maximum: u64,
    },
}

impl LoadBalancing {
    /// Whether the weight of an endpoint counts within its locality.
    pub fn weighs_endpoints(self) -> bool {
        matches!(self, Self::RingHash { .. })
    }
}

/// How calls to a service get to an endpoint.
pub(in crate::inputs) fn load_balancing(_: &Service) -> LoadBalancing {
    LoadBalancing::default()
}

/// Clusters for gRPC clients.
#[derive(Debug)]
pub struct GrpcClusters;

impl Generator for GrpcClusters {
    type Projection = ();

    const TYPE: ResourceType = ResourceType::Cluster;

    fn names(_: &Mesh, view: &View, (): &()) -> BTreeSet<Name> {
        view.services()
            .flat_map(|service| routes::names_of(service))
            .collect()
    }

    fn names_of_host(_: &Mesh, view: &View, (): &(), host: &Host) -> BTreeSet<Name> {
        view.service(host)
            .into_iter()
            .flat_map(|service| routes::names_of(service))
            .collect()
    }

    fn input(mesh: &Mesh, view: &View, (): &(), name: &Name) -> Option<Input> {
        let (service, port) = clusters::service_port(view, name)?;
        if !is_served(&service) {
            return None;
        }
        let discovery = match service.resolution {
            Resolution::Dns | Resolution::DnsRoundRobin => GrpcDiscovery::Dns {
                endpoints: mesh.endpoints(&service.key).cloned(),
                publish_not_ready: service.publish_not_ready,
            },
            _ => GrpcDiscovery::Assignment,
        };
        Some(Input::Grpc(GrpcInput::Cluster(GrpcCluster {
            service: service.key.clone(),
            port,
            discovery,
            load_balancing: load_balancing(&service),
            max_requests: None,
        })))
    }
}
