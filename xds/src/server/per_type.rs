//! The methods that are served: those of the aggregated service, and the same for one type each.

use crate::protocol::{Mode, Service};
use crate::resource::ResourceType;

/// One method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Method {
    pub(crate) mode: Mode,
    /// The only type that it serves; `None` for the aggregated service, which serves all.
    pub(crate) only: Option<ResourceType>,
}

/// The method of a path, which must be written exactly so: authorisation is by method, and two spellings of one would be two
/// opinions about it.
pub(crate) fn method(path: &str) -> Option<Method> {
    use Mode::{Delta, Sotw};
    use ResourceType::{Cluster, Endpoint, Listener, Route};
    let (mode, only) = match path {
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources" => {
            (Delta, None)
        }
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources" => {
            (Sotw, None)
        }
        "/envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters" => (Delta, Some(Cluster)),
        "/envoy.service.cluster.v3.ClusterDiscoveryService/StreamClusters" => (Sotw, Some(Cluster)),
        "/envoy.service.endpoint.v3.EndpointDiscoveryService/DeltaEndpoints" => {
            (Delta, Some(Endpoint))
        }
        "/envoy.service.endpoint.v3.EndpointDiscoveryService/StreamEndpoints" => {
            (Sotw, Some(Endpoint))
        }
        "/envoy.service.listener.v3.ListenerDiscoveryService/DeltaListeners" => {
            (Delta, Some(Listener))
        }
        "/envoy.service.listener.v3.ListenerDiscoveryService/StreamListeners" => {
            (Sotw, Some(Listener))
        }
        "/envoy.service.route.v3.RouteDiscoveryService/DeltaRoutes" => (Delta, Some(Route)),
        "/envoy.service.route.v3.RouteDiscoveryService/StreamRoutes" => (Sotw, Some(Route)),
        _ => return None,
    };
    Some(Method { mode, only })
}

impl Method {
    /// What its streams serve.
    pub(crate) fn service(self) -> Service {
        self.only.map_or(Service::Ads, Service::Only)
    }
}
