//! Which of a router's connections say names that are to be resolved: those that rules send to services of such names.

use super::{From, RouterRoute};
use crate::extensions::Extension;
use crate::inputs::dynamic::{self, NameCache};
use crate::inputs::routing::Connections;

/// How hosts of requests are resolved, if one of these routes leads to such a service.
pub(super) fn of_requests(from: &From<'_>, route: &RouterRoute) -> Option<NameCache> {
    let mut routes = route.hosts.iter().flat_map(|host| &host.routes);
    let leads = routes.any(|routed| dynamic::has_routed(from.view, routed));
    cache(from, Extension::DynamicRequests).filter(|_| leads)
}

/// How server names are resolved of connections that go there, if that is such a service.
pub(super) fn of_connections(from: &From<'_>, to: &Connections) -> Option<NameCache> {
    let leads = dynamic::has_connections(from.view, to);
    cache(from, Extension::DynamicConnections).filter(|_| leads)
}

/// That of the router, if it has the filter.
fn cache(from: &From<'_>, filter: Extension) -> Option<NameCache> {
    let without = from.projection.without;
    (!without.has(filter)).then(|| NameCache::of(from.projection.family, without))
}
