//! The network filter that routes requests, and the HTTP filters within.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Http1ProtocolOptions;
use envoy_types::pb::envoy::config::listener::v3::{Filter, filter};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::filters::http::cors::v3::Cors;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::HttpFault;
use envoy_types::pb::envoy::extensions::filters::http::grpc_stats::v3::{FilterConfig, filter_config};
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    CodecType, ForwardClientCertDetails, RouteSpecifier, SetCurrentClientCertDetails, UpgradeConfig,
};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, Rds, http_filter,
};
use envoy_types::util::pack_any;
use pilothouse_core::mesh::{ClientCertificates, GatewayTopology};
use prost::Message;

use super::access_log::request_logs;
use super::common::{ads, boolean, duration};
use super::tracing::{request_id, tracing};
use super::{Notes, dynamic};
use crate::extensions::{Extension, Missing};
use crate::inputs::dynamic::NameCache;
use crate::inputs::reports::Reports;
use crate::resource::Name;

/// How requests are told apart by direction.
pub(super) enum Routes<'a> {
    /// Outbound, by a route configuration of its own.
    Named(&'a Name, Option<NameCache>),
    /// Outbound, for clients that speak to an HTTP proxy.
    Proxy(&'a Name, Option<NameCache>),
    /// At a router, by a route configuration of its own.
    Edge(&'a Name, GatewayTopology, Option<NameCache>),
    /// Inbound, by a route configuration that is part of the listener.
    Inbound(Box<RouteConfiguration>),
}

/// Routes requests by `routes`, for a proxy that lacks `without`.
pub(super) fn connection_manager(
    stat_prefix: String,
    routes: Routes<'_>,
    reports: &Reports,
    without: Missing,
    notes: &mut Notes,
) -> Filter {
    let names = match &routes {
        Routes::Named(_, names) | Routes::Proxy(_, names) | Routes::Edge(_, _, names) => *names,
        Routes::Inbound(_) => None,
    };
    let mut manager = HttpConnectionManager {
        codec_type: CodecType::Auto.into(),
        stat_prefix,
        access_log: request_logs(reports, notes),
        tracing: reports.tracing.as_ref().map(|spans| tracing(spans, notes)),
        request_id_extension: reports.tracing.as_ref().and_then(request_id),
        // Rules decide how long a stream may be silent.
        stream_idle_timeout: duration(Duration::ZERO),
        normalize_path: boolean(true),
        use_remote_address: boolean(false),
        upgrade_configs: vec![UpgradeConfig {
            upgrade_type: "websocket".into(),
            ..Default::default()
        }],
        http_filters: http_filters(without, names),
        ..Default::default()
    };
    match routes {
        Routes::Named(route, _) => manager.route_specifier = Some(named(route, notes)),
        Routes::Proxy(route, _) => {
            manager.http_protocol_options = Some(Http1ProtocolOptions {
                allow_absolute_url: boolean(true),
                ..Default::default()
            });
            manager.route_specifier = Some(named(route, notes));
        }
        Routes::Edge(route, topology, _) => {
            edge(&mut manager, topology);
            manager.route_specifier = Some(named(route, notes));
        }
        Routes::Inbound(route) => {
            manager.server_name = "istio-envoy".into();
            manager.forward_client_cert_details = ForwardClientCertDetails::AppendForward.into();
            manager.set_current_client_cert_details = Some(SetCurrentClientCertDetails {
                subject: boolean(true),
                dns: true,
                uri: true,
                ..Default::default()
            });
            manager.route_specifier = Some(RouteSpecifier::RouteConfig(*route));
        }
    }
    Filter {
        name: Extension::HttpConnectionManager.name().into(),
        config_type: Some(filter::ConfigType::TypedConfig(pack_any(manager))),
    }
}

/// Clients are whoever connects, or who trusted proxies say they are.
fn edge(manager: &mut HttpConnectionManager, topology: GatewayTopology) {
    manager.server_name = "istio-envoy".into();
    manager.use_remote_address = boolean(true);
    manager.xff_num_trusted_hops = topology.trusted_proxies;
    let details = match topology.client_certificates {
        ClientCertificates::SanitizeSet => ForwardClientCertDetails::SanitizeSet,
        ClientCertificates::Sanitize => ForwardClientCertDetails::Sanitize,
        ClientCertificates::ForwardOnly => ForwardClientCertDetails::ForwardOnly,
        ClientCertificates::AppendForward => ForwardClientCertDetails::AppendForward,
        ClientCertificates::AlwaysForwardOnly => ForwardClientCertDetails::AlwaysForwardOnly,
    };
    manager.forward_client_cert_details = details.into();
    manager.set_current_client_cert_details = Some(SetCurrentClientCertDetails {
        subject: boolean(true),
        cert: true,
        dns: true,
        uri: true,
        ..Default::default()
    });
}

fn named(route: &Name, notes: &mut Notes) -> RouteSpecifier {
    notes.routes.insert(route.clone());
    RouteSpecifier::Rds(Rds {
        config_source: Some(ads()),
        route_config_name: route.to_string(),
    })
}

fn http_filters(without: Missing, names: Option<NameCache>) -> Vec<HttpFilter> {
    let grpc_stats = FilterConfig {
        emit_filter_state: true,
        per_method_stat_specifier: Some(filter_config::PerMethodStatSpecifier::StatsForAllMethods(
            envoy_types::pb::google::protobuf::BoolValue { value: false },
        )),
        ..Default::default()
    };
    let optional = [
        (
            Extension::GrpcStats,
            http_filter(Extension::GrpcStats, grpc_stats),
        ),
        (
            Extension::Fault,
            http_filter(Extension::Fault, HttpFault::default()),
        ),
        (
            Extension::Cors,
            http_filter(Extension::Cors, Cors::default()),
        ),
    ];
    let there = optional
        .into_iter()
        .filter(|(extension, _)| !without.has(*extension))
        .map(|(_, filter)| filter);
    let resolving = names.map(dynamic::of_requests);
    there.chain(resolving).chain([router()]).collect()
}

/// The filter that makes go wrong what routes say.
pub(super) fn fault() -> HttpFilter {
    http_filter(Extension::Fault, HttpFault::default())
}

/// The last of all HTTP filters.
pub(super) fn router() -> HttpFilter {
    http_filter(Extension::Router, Router::default())
}

fn http_filter<T: Message + prost::Name>(extension: Extension, config: T) -> HttpFilter {
    HttpFilter {
        name: extension.name().into(),
        config_type: Some(http_filter::ConfigType::TypedConfig(pack_any(config))),
        ..Default::default()
    }
}
