//! Route configurations of routers.

use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, VirtualHost, virtual_host};

use super::super::common::{boolean, uint};
use super::super::route::{MAX_DIRECT_RESPONSE, rules};
use super::super::{Message, Notes, Output};
use crate::inputs::router::{RouterHost, RouterRoute};
use crate::names;
use crate::resource::Cause;

pub(super) fn translate(input: &RouterRoute) -> Output {
    let mut notes = Notes::default();
    let gateways = input.gateways.iter().cloned();
    notes.causes.extend(gateways.map(Cause::Rule));
    let mut hosts: Vec<VirtualHost> = input
        .hosts
        .iter()
        .map(|host| virtual_host(host, input, &mut notes))
        .collect();
    if hosts.is_empty() {
        hosts.push(nothing(input.port));
    }
    let message = RouteConfiguration {
        name: input.name.to_string(),
        virtual_hosts: hosts,
        validate_clusters: boolean(false),
        max_direct_response_body_size_bytes: uint(MAX_DIRECT_RESPONSE),
        ignore_port_in_host_matching: true,
        ..Default::default()
    };
    notes.output(input.name.clone(), Message::Route(Box::new(message)))
}

fn virtual_host(host: &RouterHost, of: &RouterRoute, notes: &mut Notes) -> VirtualHost {
    let context = rules::Context {
        port: of.port,
        tls: of.tls,
        without: of.without,
    };
    let require = match host.redirect {
        true => virtual_host::TlsRequirementType::All,
        false => virtual_host::TlsRequirementType::None,
    };
    VirtualHost {
        name: names::virtual_host(&host.host, of.port),
        domains: vec![host.host.to_string()],
        routes: rules::routes(&host.routes, context, notes),
        require_tls: require.into(),
        include_request_attempt_count: true,
        ..Default::default()
    }
}

/// No rule is for any host: requests are answered with 404.
fn nothing(port: u16) -> VirtualHost {
    VirtualHost {
        name: format!("blackhole:{port}"),
        domains: vec!["*".into()],
        ..Default::default()
    }
}
