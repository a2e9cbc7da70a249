//! Inputs of clusters for gRPC clients: one for each port of each service.

use std::collections::BTreeSet;
use std::sync::Arc;

use pilothouse_core::mesh::{Endpoints, Mesh};
use pilothouse_core::model::{Host, Labels, Resolution, ServiceKey, ServicePort};
use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::resolve::{Algorithm, Table};

use super::{GrpcInput, is_served};
use crate::inputs::destination::Governed;
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
    /// The part of the service that it is.
    pub subset: Option<Arc<str>>,
    /// The labels of its endpoints; all where there are none.
    pub labels: Labels,
    /// The rules that say so.
    pub rules: Vec<ObjectKey>,
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

/// How calls to a service get to an endpoint: of what rules may say, clients of all languages know rings.
pub(in crate::inputs) fn load_balancing(governed: &Governed) -> LoadBalancing {
    match governed.algorithm() {
        Algorithm::Hash(_, Table::Ring(minimum)) => LoadBalancing::RingHash {
            minimum: minimum.into(),
            maximum: MAX_RING,
        },
        _ => LoadBalancing::default(),
    }
}

/// The greatest ring that clients take.
const MAX_RING: u64 = 8 * 1024 * 1024;

/// Clusters for gRPC clients.
#[derive(Debug)]
pub struct GrpcClusters;

impl Generator for GrpcClusters {
    type Projection = ();

    const TYPE: ResourceType = ResourceType::Cluster;

    fn names(_: &Mesh, view: &View, (): &()) -> BTreeSet<Name> {
        view.services()
            .filter(|service| is_served(service))
            .flat_map(|service| clusters::names_of(view, service))
            .collect()
    }

    fn names_of_host(_: &Mesh, view: &View, (): &(), host: &Host) -> BTreeSet<Name> {
        view.service(host)
            .into_iter()
            .filter(|service| is_served(service))
            .flat_map(|service| clusters::names_of(view, service))
            .collect()
    }

    fn input(mesh: &Mesh, view: &View, (): &(), name: &Name) -> Option<Input> {
        let (service, port, governed) = clusters::governed(view, &[], name)?;
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
            subset: governed.subset.as_ref().map(|subset| subset.name.clone()),
            load_balancing: load_balancing(&governed),
            max_requests: governed
                .blocks
                .connection_pool
                .as_ref()
                .and_then(|pool| pool.max_requests),
            labels: governed
                .subset
                .map_or_else(Labels::default, |subset| subset.labels.clone()),
            rules: governed.rules,
        })))
    }
}
