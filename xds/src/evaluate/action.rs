//! What a route does with a request.

use envoy_types::pb::envoy::config::core::v3::data_source;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::{
    ClusterNotFoundResponseCode, ClusterSpecifier, HostRewriteSpecifier, RequestMirrorPolicy,
};
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::cluster_weight;
use envoy_types::pb::envoy::config::route::v3::{
    DirectResponseAction, RetryPolicy, Route, RouteAction, RouteMatch, VirtualHost,
};

use super::headers::{Level, formatted};
use super::http::{Asked, Scene, answered, duration, redirected};
use super::walk::{Candidate, FlagCode, HttpStep, Mirror, Outcome, Retries, Upstream, Walk};
use super::{cluster, matcher, path, redirect};

/// The cluster that was chosen.
#[derive(Default)]
pub(super) struct Chosen<'a> {
    pub(super) candidates: Vec<Candidate>,
    /// What stands beside its weight.
    pub(super) weighted: Option<&'a ClusterWeight>,
}

impl Chosen<'_> {
    fn cluster(&self) -> Option<&str> {
        self.candidates
            .iter()
            .find(|candidate| candidate.chosen)
            .map(|candidate| candidate.cluster.as_str())
    }
}

/// Which of these weights a random value means.
pub(super) fn by_weight(weights: impl Iterator<Item = u32> + Clone, random: u64) -> Option<usize> {
    let total: u64 = weights.clone().map(u64::from).sum();
    let mut left = random.checked_rem(total)?;
    for (place, weight) in weights.enumerate() {
        if left < u64::from(weight) {
            return Some(place);
        }
        left -= u64::from(weight);
    }
    None
}

/// The cluster that a route chooses.
pub(super) fn choose<'a>(route: &'a Route, asked: &Asked, random: u64) -> Chosen<'a> {
    let Some(Action::Route(action)) = &route.action else {
        return Chosen::default();
    };
    let one = |cluster: String| Chosen {
        candidates: vec![Candidate {
            cluster,
            weight: 1,
            chosen: true,
        }],
        weighted: None,
    };
    match &action.cluster_specifier {
        Some(ClusterSpecifier::Cluster(name)) => one(name.clone()),
        Some(ClusterSpecifier::ClusterHeader(header)) => {
            one(asked.header(header).unwrap_or_default())
        }
        Some(ClusterSpecifier::WeightedClusters(all)) => {
            let weight = |one: &ClusterWeight| one.weight.map_or(0, |weight| weight.value);
            let chosen = by_weight(all.clusters.iter().map(weight), random);
            let candidates = all.clusters.iter().enumerate();
            Chosen {
                candidates: candidates
                    .map(|(place, one)| Candidate {
                        cluster: one.name.clone(),
                        weight: weight(one),
                        chosen: Some(place) == chosen,
                    })
                    .collect(),
                weighted: chosen.and_then(|place| all.clusters.get(place)),
            }
        }
        Some(
            ClusterSpecifier::ClusterSpecifierPlugin(_)
            | ClusterSpecifier::InlineClusterSpecifierPlugin(_),
        )
        | None => Chosen::default(),
    }
}

/// Does what the route says.
pub(super) fn act(
    scene: &Scene<'_>,
    host: &VirtualHost,
    route: &Route,
    chosen: &Chosen<'_>,
    asked: Asked,
    step: &mut HttpStep,
    walk: &mut Walk,
) -> Outcome {
    let nothing = RouteMatch::default();
    let matching = route.r#match.as_ref().unwrap_or(&nothing);
    let response = edits(scene, host, route, chosen, &asked, Direction::Response);
    step.response_headers.extend(response);
    match &route.action {
        Some(Action::Route(action)) => forward(
            &Forward {
                scene,
                host,
                route,
                chosen,
                action,
                matching,
            },
            asked,
            step,
            walk,
        ),
        Some(Action::Redirect(action)) => {
            let (status, location) = redirect::redirect(action, matching, &asked);
            redirected(status, location, "the route redirects")
        }
        Some(Action::DirectResponse(action)) => direct(action),
        Some(Action::FilterAction(_) | Action::NonForwardingAction(_)) | None => Outcome::Unknown {
            why: "the route leaves it to a filter".into(),
        },
    }
}

struct Forward<'a> {
    scene: &'a Scene<'a>,
    host: &'a VirtualHost,
    route: &'a Route,
    chosen: &'a Chosen<'a>,
    action: &'a RouteAction,
    matching: &'a RouteMatch,
}

fn forward(with: &Forward<'_>, asked: Asked, step: &mut HttpStep, walk: &mut Walk) -> Outcome {
    let action = with.action;
    step.timeout = Some(match &action.timeout {
        Some(none) if none.seconds == 0 && none.nanos == 0 => "none".to_owned(),
        Some(timeout) => duration(timeout),
        None => "15s".to_owned(),
    });
    let retry = action
        .retry_policy
        .as_ref()
        .or(with.host.retry_policy.as_ref());
    step.retries = retry.map(retries);
    let mirrors = if action.request_mirror_policies.is_empty() {
        &with.host.request_mirror_policies
    } else {
        &action.request_mirror_policies
    };
    step.mirrors = mirrors.iter().map(mirror).collect();
    let Some(name) = with.chosen.cluster() else {
        return Outcome::Unknown {
            why: "the route leaves the choice of a cluster to an extension".into(),
        };
    };
    let request = upstream(with, &asked, step);
    let reached = cluster::reach(with.scene.configuration, name, with.scene.to);
    walk.cluster = reached.step;
    match reached.lacks {
        None => Outcome::Forwarded {
            cluster: name.to_owned(),
            request: Some(Box::new(request)),
        },
        Some((flag, why)) => {
            let status = match (flag, action.cluster_not_found_response_code()) {
                (FlagCode::NC, ClusterNotFoundResponseCode::NotFound) => 404,
                (FlagCode::NC, ClusterNotFoundResponseCode::InternalServerError) => 500,
                _ => 503,
            };
            answered(status, flag, why)
        }
    }
}

/// The request as it leaves.
fn upstream(with: &Forward<'_>, asked: &Asked, step: &mut HttpStep) -> Upstream {
    let changes = edits(
        with.scene,
        with.host,
        with.route,
        with.chosen,
        asked,
        Direction::Request,
    );
    let mut changed = asked.clone();
    changed.headers.remove("x-forwarded-proto");
    for edit in &changes {
        match edit.name.as_str() {
            ":authority" | "host" => changed.authority.clone_from(&edit.value),
            ":path" => changed.path.clone_from(&edit.value),
            _ => edit.apply(&mut changed.headers),
        }
    }
    step.request_headers = changes;
    let path = path::rewritten(with.action, with.matching, &changed.path);
    if let Some(path) = path {
        changed
            .headers
            .set("x-envoy-original-path", changed.path.clone());
        changed.path = path;
    }
    let was = changed.authority.clone();
    let authority = authority(with, &changed);
    if authority.as_ref() != Some(&was) {
        if with.action.append_x_forwarded_host {
            changed.headers.add("x-forwarded-host", was.clone());
        }
        changed.headers.set("x-envoy-original-host", was);
    }
    Upstream {
        method: changed.method,
        authority,
        path: changed.path,
        headers: changed.headers,
    }
}

/// The host that the endpoint is asked for; nothing where the endpoint's own name decides.
fn authority(with: &Forward<'_>, asked: &Asked) -> Option<String> {
    let by_weight = with
        .chosen
        .weighted
        .and_then(|one| one.host_rewrite_specifier.as_ref());
    if let Some(cluster_weight::HostRewriteSpecifier::HostRewriteLiteral(host)) = by_weight {
        return Some(host.clone());
    }
    match &with.action.host_rewrite_specifier {
        Some(HostRewriteSpecifier::HostRewriteLiteral(host)) => Some(host.clone()),
        Some(HostRewriteSpecifier::AutoHostRewrite(on)) if on.value => None,
        Some(HostRewriteSpecifier::HostRewriteHeader(header)) => asked
            .header(header)
            .or_else(|| Some(asked.authority.clone())),
        Some(HostRewriteSpecifier::HostRewritePathRegex(rule)) => {
            Some(matcher::substituted(rule, path::split(&asked.path).0))
        }
        Some(HostRewriteSpecifier::AutoHostRewrite(_) | HostRewriteSpecifier::HostRewrite(_))
        | None => Some(asked.authority.clone()),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Response,
}

/// The changes of headers at every level, in the order in which Envoy makes them: the most specific first, unless the route
/// configuration turns it round.
fn edits(
    scene: &Scene<'_>,
    host: &VirtualHost,
    route: &Route,
    chosen: &Chosen<'_>,
    asked: &Asked,
    direction: Direction,
) -> Vec<super::walk::HeaderEdit> {
    macro_rules! level {
        ($of:expr) => {
            match direction {
                Direction::Request => Level {
                    add: &$of.request_headers_to_add,
                    remove: &$of.request_headers_to_remove,
                },
                Direction::Response => Level {
                    add: &$of.response_headers_to_add,
                    remove: &$of.response_headers_to_remove,
                },
            }
        };
    }
    let mut levels = Vec::new();
    if let Some(weighted) = chosen.weighted {
        levels.push(level!(weighted));
    }
    levels.push(level!(route));
    levels.push(level!(host));
    levels.push(level!(scene.routes));
    if scene.routes.most_specific_header_mutations_wins {
        levels.reverse();
    }
    let value = |format: &str| formatted(format, |name| asked.header(name));
    levels.iter().flat_map(|level| level.edits(value)).collect()
}

fn retries(policy: &RetryPolicy) -> Retries {
    Retries {
        on: policy.retry_on.clone(),
        attempts: policy.num_retries.map_or(1, |number| number.value),
        per_try_timeout: policy.per_try_timeout.as_ref().map(duration),
    }
}

fn mirror(policy: &RequestMirrorPolicy) -> Mirror {
    Mirror {
        cluster: policy.cluster.clone(),
        percent: policy.runtime_fraction.as_ref().map_or(100.0, |runtime| {
            matcher::percent(&matcher::fraction(runtime))
        }),
    }
}

fn direct(action: &DirectResponseAction) -> Outcome {
    let body = match action
        .body
        .as_ref()
        .and_then(|body| body.specifier.as_ref())
    {
        Some(data_source::Specifier::InlineString(text)) => text.clone(),
        Some(data_source::Specifier::InlineBytes(bytes)) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        _ => String::new(),
    };
    Outcome::Answered {
        status: u16::try_from(action.status).unwrap_or(500),
        flag: FlagCode::None,
        why: "the route answers by itself".into(),
        headers: super::Headers::default(),
        body,
    }
}
