//! Routes as rules say them: one of Envoy's for each way in which a rule's route matches.
//!
//! Sidecars and routers have the same: their inputs hold what `inputs::routing` finds, and their virtual hosts get the routes
//! that [`routes`] makes of it.

#[cfg(test)]
mod tests;

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::envoy::config::route::v3::{
    Decorator, Route, RouteMatch, route, route_action, route_match,
};
use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::resolve::{HttpAction, Place};

use super::super::Notes;
use super::super::common::{ISTIO_METADATA, metadata, object, text};
use super::{answers, forward, headers, matching, per_filter};
use crate::extensions::Missing;
use crate::inputs::routing::Routed;
use crate::names;
use crate::resource::Cause;

/// Where routes are.
#[derive(Debug, Clone, Copy)]
pub(in crate::translate) struct Context {
    /// The port that clients ask for.
    pub(in crate::translate) port: u16,
    /// Whether they ask with TLS, and the proxy ends it.
    pub(in crate::translate) tls: bool,
    /// What the proxy lacks of what routes may have.
    pub(in crate::translate) without: Missing,
}

/// Envoy's routes for these, in their order.
pub(in crate::translate) fn routes(
    routed: &[Routed],
    context: Context,
    notes: &mut Notes,
) -> Vec<Route> {
    let all = routed.iter();
    all.map(|routed| route(routed, context, notes)).collect()
}

fn route(routed: &Routed, context: Context, notes: &mut Notes) -> Route {
    let rule = &routed.route;
    note(&rule.place, notes);
    let mut made = Route {
        name: name(routed),
        r#match: Some(matching::requests(routed.matching())),
        metadata: said_by(&rule.place, routed.matched),
        typed_per_filter_config: per_filter::configs(rule, context.without),
        stat_prefix: routed
            .matching()
            .map_or_else(String::new, |one| one.stat_prefix.to_string()),
        ..Default::default()
    };
    headers::on_route(&mut made, &rule.headers);
    made.action = Some(match &rule.action {
        HttpAction::Route(targets) => {
            route::Action::Route(forward::action(&mut made, routed, targets, context, notes))
        }
        HttpAction::Redirect(redirect) => answers::redirect(redirect, context),
        HttpAction::DirectResponse(response) => answers::direct(response),
        // Nothing stands in its place: there is no such rule.
        HttpAction::Delegate(_) => answers::status(404),
    });
    made.decorator = decorator(&made, &rule.place, context.port);
    made
}

/// Notes whose part of a resource this is.
pub(in crate::translate) fn note(place: &Place, notes: &mut Notes) {
    let rules = std::iter::once(&place.rule).chain(&place.by);
    notes.causes.extend(rules.cloned().map(Cause::Rule));
}

/// What says where a part of a resource is written.
pub(in crate::translate) fn said_by(place: &Place, matched: Option<usize>) -> Option<Metadata> {
    let rule = place.by.as_ref().unwrap_or(&place.rule);
    let mut fields = vec![("config", text(path(rule)))];
    // The matches of a route that was delegated are those of two rules, and paths of an Ingress have none.
    let has_own = place.by.is_none() && !is_ingress(rule);
    let field = match matched.filter(|_| has_own) {
        Some(index) => format!("{}.match[{index}]", place.field),
        None => place.field.to_string(),
    };
    fields.push(("field", text(field)));
    if place.by.is_some() {
        fields.push(("delegate", text(path(&place.rule))));
    }
    metadata([(ISTIO_METADATA, object(fields))])
}

fn path(key: &ObjectKey) -> String {
    let (group, kind) = match is_ingress(key) {
        true => ("networking.k8s.io", "ingress"),
        false => ("networking.istio.io", "virtual-service"),
    };
    let (namespace, name) = (&key.namespace, &key.name);
    format!("/apis/{group}/v1/namespaces/{namespace}/{kind}/{name}")
}

fn is_ingress(key: &ObjectKey) -> bool {
    key.kind.as_str() == "Ingress"
}

/// What access logs call it; empty where its author does not say.
pub(in crate::translate) fn name(routed: &Routed) -> String {
    let of_match = routed.matching().map_or("", |one| &one.name);
    match (&*routed.route.name, of_match) {
        (name, "") => name.to_owned(),
        (name, of_match) => format!("{name}.{of_match}"),
    }
}

/// What traces call it: the one service, or else the rule, and the path.
fn decorator(route: &Route, place: &Place, port: u16) -> Option<Decorator> {
    use route_match::PathSpecifier;
    let specifier = |matching: &RouteMatch| matching.path_specifier.clone();
    let path = match route.r#match.as_ref().and_then(specifier) {
        Some(PathSpecifier::Prefix(prefix) | PathSpecifier::PathSeparatedPrefix(prefix)) => {
            format!("{prefix}*")
        }
        Some(PathSpecifier::Path(path)) => path,
        Some(PathSpecifier::SafeRegex(regex)) => regex.regex,
        _ => "/*".to_owned(),
    };
    let cluster = match &route.action {
        Some(route::Action::Route(action)) => match &action.cluster_specifier {
            Some(route_action::ClusterSpecifier::Cluster(name)) => Some(name),
            _ => None,
        },
        _ => None,
    };
    let operation = match cluster.and_then(|name| names::parse_outbound_cluster(name)) {
        Some((port, _, host)) => format!("{host}:{port}{path}"),
        None => {
            let rule = place.by.as_ref().unwrap_or(&place.rule);
            format!("{}:{port}{path}", rule.name)
        }
    };
    Some(Decorator {
        operation,
        ..Default::default()
    })
}
