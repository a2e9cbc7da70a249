//! The HTTP connection manager: its filters, and routes that are part of it.

use envoy_types::pb::envoy::config::listener::v3::{Filter, filter};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter,
};
use envoy_types::util::pack_any;
use pilothouse_core::rules::resolve::envoy_filter::ApplyTo;
use prost::{Message, Name};

use super::apply::Patching;
use super::listener::named;
use super::merge::type_name;
use super::{Decoded, extensions, matching, route};

/// Changes a network filter if it is a connection manager; `is_one` says which patches are about its chain.
pub(super) fn apply(
    patching: &mut Patching<'_>,
    filter: &mut Filter,
    is_one: &dyn Fn(&Decoded) -> bool,
) {
    const CONCERNED: [ApplyTo; 5] = [
        ApplyTo::HttpFilter,
        ApplyTo::ExtensionConfig,
        ApplyTo::RouteConfiguration,
        ApplyTo::VirtualHost,
        ApplyTo::HttpRoute,
    ];
    if !patching.has(&CONCERNED) {
        return;
    }
    let Some(filter::ConfigType::TypedConfig(any)) = &mut filter.config_type else {
        return;
    };
    if type_name(&any.type_url) != HttpConnectionManager::full_name() {
        return;
    }
    // What cannot be read is Envoy's to judge.
    let Ok(mut manager) = HttpConnectionManager::decode(&*any.value) else {
        return;
    };
    let before = manager.clone();
    if let Some(RouteSpecifier::RouteConfig(routes)) = &mut manager.route_specifier {
        route::apply(patching, routes);
    }
    for patch in patching.of(ApplyTo::HttpFilter) {
        let object = &patch.patch.object;
        let wanted = matching::filter(object);
        if wanted.is_some_and(|wanted| wanted != filter.name) || !is_one(patch) {
            continue;
        }
        let inner = matching::sub_filter(object);
        let attempt = named(
            &mut manager.http_filters,
            patch,
            inner,
            |filter: &HttpFilter| &filter.name,
        );
        patching.outcome.note(&patch.patch, attempt);
    }
    extensions::inline(patching, &mut manager.http_filters);
    if manager != before {
        *any = pack_any(manager);
    }
}
