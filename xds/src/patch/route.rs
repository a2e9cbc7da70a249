//! Route configurations, their virtual hosts and routes.

use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, VirtualHost};
use pilothouse_core::rules::resolve::envoy_filter::{ApplyTo, Operation};

use super::apply::Patching;
use super::list::{change, merge_one};
use super::{Decoded, matching};

/// Changes a route configuration, whether it is a resource or part of a listener.
pub(super) fn apply(patching: &mut Patching<'_>, routes: &mut RouteConfiguration) {
    let (name, context) = (routes.name.clone(), patching.context);
    let is_one = |patch: &Decoded| matching::routes(&patch.patch.object, &name, context);
    for patch in patching.of(ApplyTo::RouteConfiguration) {
        if is_one(patch) {
            let attempt = merge_one(routes, patch).map(|()| true);
            routes.name.clone_from(&name);
            patching.outcome.note(&patch.patch, attempt);
        }
    }
    routes
        .virtual_hosts
        .retain_mut(|host| apply_to_host(patching, host, &is_one));
    for patch in patching.of(ApplyTo::VirtualHost) {
        if patch.patch.operation == Operation::Add && is_one(patch) {
            let attempt = patch.message().map(|host| {
                routes.virtual_hosts.push(host);
                true
            });
            patching.outcome.note(&patch.patch, attempt);
        }
    }
}

/// Returns whether the virtual host stays.
fn apply_to_host(
    patching: &mut Patching<'_>,
    host: &mut VirtualHost,
    is_one: &dyn Fn(&Decoded) -> bool,
) -> bool {
    for patch in patching.of(ApplyTo::VirtualHost) {
        let adds = patch.patch.operation == Operation::Add;
        if adds || !is_one(patch) || !matching::virtual_host(&patch.patch.object, host) {
            continue;
        }
        if patch.patch.operation == Operation::Remove {
            patching.outcome.applied(&patch.patch);
            return false;
        }
        let attempt = merge_one(host, patch).map(|()| true);
        patching.outcome.note(&patch.patch, attempt);
    }
    for patch in patching.of(ApplyTo::HttpRoute) {
        let object = &patch.patch.object;
        if !is_one(patch) || !matching::virtual_host(object, host) {
            continue;
        }
        let attempt = match matching::route(object) {
            None => change(&mut host.routes, patch, None),
            Some(selects) => change(&mut host.routes, patch, Some(&selects)),
        };
        patching.outcome.note(&patch.patch, attempt);
    }
    true
}
