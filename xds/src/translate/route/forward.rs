//! Requests that go to services.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::RuntimeFractionalPercent;
use envoy_types::pb::envoy::config::route::v3::route_action::{
    ClusterSpecifier, HostRewriteSpecifier, MaxStreamDuration, RequestMirrorPolicy,
};
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::{ClusterWeight, cluster_weight};
use envoy_types::pb::envoy::config::route::v3::{Route, RouteAction, WeightedCluster};
use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;
use envoy_types::pb::envoy::r#type::v3::{FractionalPercent, fractional_percent::DenominatorType};
use pilothouse_core::rules::resolve::{HttpTarget, UriRewrite};
use pilothouse_core::rules::spec::Double;

use super::super::Notes;
use super::super::common::{boolean, duration, uint};
use super::rules::Context;
use super::{hash, headers, matching, retries};
use crate::inputs::routing::{Reached, Routed};
use crate::resource::Cause;

/// Sends requests to `targets`. What is changed of headers for the only one of them is changed for the route.
pub(super) fn action(
    route: &mut Route,
    routed: &Routed,
    targets: &[HttpTarget],
    context: Context,
    notes: &mut Notes,
) -> RouteAction {
    let rule = &routed.route;
    let timeout = rule.timeout.unwrap_or(Duration::ZERO);
    let mut action = RouteAction {
        timeout: duration(timeout),
        // With this Envoy looks at what gRPC clients ask for, and not at the route's own time-out.
        max_stream_duration: timeout.is_zero().then(|| MaxStreamDuration {
            grpc_timeout_header_max: duration(timeout),
            ..Default::default()
        }),
        retry_policy: retries::policy(rule.retries.as_ref(), context.without),
        request_mirror_policies: mirrors(routed, notes),
        ..Default::default()
    };
    let mut host = headers::host(&rule.headers);
    if let Some(rewrite) = &rule.rewrite {
        match &rewrite.uri {
            Some(UriRewrite::Plain(path)) => action.prefix_rewrite = path.to_string(),
            Some(UriRewrite::Regex {
                pattern,
                substitution,
            }) => action.regex_rewrite = Some(substitute(pattern, substitution)),
            None => {}
        }
        host = rewrite.authority.as_ref().map(ToString::to_string).or(host);
    }
    let counts = |weight: u32| targets.len() == 1 || weight > 0;
    let pairs = targets.iter().zip(routed.targets.iter());
    let pairs: Vec<_> = pairs.filter(|(target, _)| counts(target.weight)).collect();
    for (_, reached) in &pairs {
        reach(reached, notes);
        for policy in reached.hash_by.iter().map(hash::policy) {
            if !action.hash_policy.contains(&policy) {
                action.hash_policy.push(policy);
            }
        }
    }
    action.cluster_specifier = Some(if let [(target, reached)] = &pairs[..] {
        headers::on_route(route, &target.headers);
        host = headers::host(&target.headers).or(host);
        ClusterSpecifier::Cluster(reached.cluster.to_string())
    } else {
        let clusters = pairs
            .iter()
            .map(|(target, reached)| weighted(target, reached));
        ClusterSpecifier::WeightedClusters(WeightedCluster {
            clusters: clusters.collect(),
            ..Default::default()
        })
    });
    action.host_rewrite_specifier = host.map(HostRewriteSpecifier::HostRewriteLiteral);
    action
}

/// A percentage to four decimals.
pub(super) fn percent(percent: Double) -> FractionalPercent {
    // A cast saturates, and what is above 100 % counts as 100 %.
    let numerator = (percent.get() * 10_000.0).round() as u32;
    FractionalPercent {
        numerator,
        denominator: DenominatorType::Million.into(),
    }
}

/// What a regular expression finds is replaced.
pub(super) fn substitute(pattern: &Arc<str>, substitution: &str) -> RegexMatchAndSubstitute {
    RegexMatchAndSubstitute {
        pattern: Some(matching::regex(pattern)),
        substitution: substitution.into(),
    }
}

fn weighted(target: &HttpTarget, reached: &Reached) -> ClusterWeight {
    use cluster_weight::HostRewriteSpecifier;
    let mut cluster = ClusterWeight {
        name: reached.cluster.to_string(),
        weight: uint(target.weight),
        host_rewrite_specifier: headers::host(&target.headers)
            .map(HostRewriteSpecifier::HostRewriteLiteral),
        ..Default::default()
    };
    headers::on_destination(&mut cluster, &target.headers);
    cluster
}

fn mirrors(routed: &Routed, notes: &mut Notes) -> Vec<RequestMirrorPolicy> {
    let pairs = routed.route.mirrors.iter().zip(routed.mirrors.iter());
    pairs
        .filter(|(mirror, _)| mirror.percent.get() > 0.0)
        .map(|(mirror, reached)| {
            notes.clusters.insert(reached.cluster.clone());
            RequestMirrorPolicy {
                cluster: reached.cluster.to_string(),
                runtime_fraction: Some(RuntimeFractionalPercent {
                    default_value: Some(percent(mirror.percent)),
                    ..Default::default()
                }),
                trace_sampled: boolean(false),
                ..Default::default()
            }
        })
        .collect()
}

fn reach(reached: &Reached, notes: &mut Notes) {
    notes.clusters.insert(reached.cluster.clone());
    let rules = reached.rules.iter().cloned();
    notes.causes.extend(rules.map(Cause::Rule));
}
