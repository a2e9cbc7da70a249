//! In what requests are alike that get to the same endpoint: the cluster's balancer reads it from the route.

use envoy_types::pb::envoy::config::route::v3::route_action::HashPolicy;
use envoy_types::pb::envoy::config::route::v3::route_action::hash_policy::{
    ConnectionProperties, Cookie, Header, PolicySpecifier, QueryParameter,
};
use pilothouse_core::rules::resolve::HashBy;

use super::super::common::duration;

/// What a route to a cluster says that chooses by this.
pub(in crate::translate) fn policy(by: &HashBy) -> HashPolicy {
    let specifier = match by {
        HashBy::Header(name) => PolicySpecifier::Header(Header {
            header_name: name.to_string(),
            ..Default::default()
        }),
        HashBy::Cookie { name, path, ttl } => PolicySpecifier::Cookie(Cookie {
            name: name.to_string(),
            path: path.to_string(),
            ttl: ttl.and_then(duration),
            ..Default::default()
        }),
        HashBy::SourceIp => {
            PolicySpecifier::ConnectionProperties(ConnectionProperties { source_ip: true })
        }
        HashBy::Query(name) => PolicySpecifier::QueryParameter(QueryParameter {
            name: name.to_string(),
        }),
    };
    HashPolicy {
        policy_specifier: Some(specifier),
        ..Default::default()
    }
}
