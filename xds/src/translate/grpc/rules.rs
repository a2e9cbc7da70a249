//! Routes as rules say them, as far as gRPC clients know them: of what is changed on the way, mirrored or answered by a proxy
//! they know nothing.

use std::time::Duration;

use envoy_types::pb::envoy::config::route::v3::retry_policy::RetryBackOff;
use envoy_types::pb::envoy::config::route::v3::route_action::{
    ClusterSpecifier, MaxStreamDuration,
};
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::config::route::v3::{
    NonForwardingAction, RetryPolicy, Route, RouteAction, RouteMatch, WeightedCluster, route,
    route_match,
};
use envoy_types::util::pack_any;
use pilothouse_core::rules::resolve::{
    HashBy, HttpAction, HttpMatch, HttpTarget, Retries, StringMatch,
};

use super::super::Notes;
use super::super::common::{duration, uint};
use super::super::route::{matching, per_filter, retries, rules};
use super::{by_header, retry};
use crate::extensions::Extension;
use crate::inputs::routing::Routed;

/// The failures that clients may try again.
const FAILURES: [&str; 5] = [
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];

/// Clients' routes for these, in their order. Those that no call can get to are left out.
pub(super) fn routes(routed: &[Routed], notes: &mut Notes) -> Vec<Route> {
    let all = routed
        .iter()
        .filter(|one| one.matching().is_none_or(may_fit));
    all.map(|routed| route(routed, notes)).collect()
}

fn route(routed: &Routed, notes: &mut Notes) -> Route {
    let rule = &routed.route;
    rules::note(&rule.place, notes);
    let fault = rule.fault.as_deref();
    let fault = fault.map(|fault| {
        let name = Extension::Fault.name().to_owned();
        (name, pack_any(per_filter::fault_of(fault)))
    });
    Route {
        name: rules::name(routed),
        r#match: Some(calls(routed.matching())),
        metadata: rules::said_by(&rule.place, routed.matched),
        typed_per_filter_config: fault.into_iter().collect(),
        action: Some(match &rule.action {
            HttpAction::Route(targets) => route::Action::Route(action(routed, targets, notes)),
            // Calls fail.
            HttpAction::Redirect(_) | HttpAction::DirectResponse(_) | HttpAction::Delegate(_) => {
                route::Action::NonForwardingAction(NonForwardingAction {})
            }
        }),
        ..Default::default()
    }
}

/// Whether there can be a call like this: calls have no query, and all are posted. What they call their host is not matched.
fn may_fit(one: &HttpMatch) -> bool {
    let posted = match &one.method {
        None => true,
        Some(StringMatch::Exact(method)) => &**method == "POST",
        Some(StringMatch::Prefix(prefix)) => "POST".starts_with(&**prefix),
        Some(StringMatch::Regex(regex)) => regex.contains("POST") || regex.contains(".*"),
    };
    posted && one.query_params.is_empty() && one.authority.is_none()
}

fn calls(one: Option<&HttpMatch>) -> RouteMatch {
    let mut matching = matching::requests(one);
    matching
        .headers
        .retain(|header| !header.name.starts_with(':'));
    if one.is_none_or(|one| one.uri.is_none()) {
        matching.path_specifier = Some(route_match::PathSpecifier::Prefix(String::new()));
    }
    matching
}

fn action(routed: &Routed, targets: &[HttpTarget], notes: &mut Notes) -> RouteAction {
    let rule = &routed.route;
    let counts = |weight: u32| targets.len() == 1 || weight > 0;
    let pairs = targets.iter().zip(routed.targets.iter());
    let pairs: Vec<_> = pairs.filter(|(target, _)| counts(target.weight)).collect();
    let mut action = RouteAction {
        retry_policy: policy(rule.retries.as_ref()),
        ..Default::default()
    };
    if let Some(timeout) = rule.timeout.filter(|timeout| *timeout != Duration::ZERO) {
        action.max_stream_duration = Some(MaxStreamDuration {
            max_stream_duration: duration(timeout),
            ..Default::default()
        });
    }
    for (_, reached) in &pairs {
        notes.clusters.insert(reached.cluster.clone());
        if let Some(HashBy::Header(name)) = &reached.hash_by {
            let policy = by_header(name);
            if !action.hash_policy.contains(&policy) {
                action.hash_policy.push(policy);
            }
        }
    }
    action.cluster_specifier = Some(if let [(_, reached)] = &pairs[..] {
        ClusterSpecifier::Cluster(reached.cluster.to_string())
    } else {
        let clusters = pairs.iter().map(|(target, reached)| ClusterWeight {
            name: reached.cluster.to_string(),
            weight: uint(target.weight),
            ..Default::default()
        });
        ClusterSpecifier::WeightedClusters(WeightedCluster {
            clusters: clusters.collect(),
            ..Default::default()
        })
    });
    action
}

fn policy(rule: Option<&Retries>) -> Option<RetryPolicy> {
    let Some(rule) = rule else {
        return Some(retry());
    };
    let mut policy = retry();
    if let Some(failures) = rule.retry_on.as_deref() {
        let (failures, _) = retries::conditions(failures);
        let known = failures.split(',').filter(|one| FAILURES.contains(one));
        policy.retry_on = known.collect::<Vec<_>>().join(",");
    }
    policy.num_retries = uint(rule.attempts);
    policy.retry_back_off = rule.backoff.map(|backoff| RetryBackOff {
        base_interval: duration(backoff.base),
        ..Default::default()
    });
    (rule.attempts > 0 && !policy.retry_on.is_empty()).then_some(policy)
}
