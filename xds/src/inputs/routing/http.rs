//! Routes of requests.

use std::sync::Arc;

use pilothouse_core::rules::resolve::{HttpAction, HttpMatch, HttpRoute, StringMatch};

use super::{Client, Reached};

/// A route of a rule, for one kind of requests: one route of Envoy's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Routed {
    /// What the rule says.
    pub route: Arc<HttpRoute>,
    /// Which of its matches this is; `None` where it has none, and is for all requests.
    pub matched: Option<usize>,
    /// What its targets mean, in their order; none where requests go nowhere.
    pub targets: Arc<[Reached]>,
    /// What its mirrors mean, in their order.
    pub mirrors: Arc<[Reached]>,
}

impl Routed {
    /// The requests that it is for; `None`: all.
    pub fn matching(&self) -> Option<&HttpMatch> {
        self.route.matches.get(self.matched?)
    }

    /// Whether no request gets past it.
    pub fn takes_everything(&self) -> bool {
        self.matching().is_none_or(takes_everything)
    }
}

/// The routes of a rule that are in force for a client, as far as requests can get to them.
pub fn http_routes(client: &Client<'_>, routes: &[Arc<HttpRoute>]) -> Vec<Routed> {
    let mut all = Vec::new();
    for route in routes {
        let matched: Vec<Option<usize>> = if route.matches.is_empty() {
            vec![None]
        } else {
            let matches = route.matches.iter().enumerate();
            matches
                .filter(|(_, one)| is_in_force(client, one))
                .map(|(index, _)| Some(index))
                .collect()
        };
        // A route that is still to be delegated is no route.
        if matched.is_empty() || matches!(route.action, HttpAction::Delegate(_)) {
            continue;
        }
        let (targets, mirrors) = reached(client, route);
        for matched in matched {
            let one = Routed {
                route: route.clone(),
                matched,
                targets: targets.clone(),
                mirrors: mirrors.clone(),
            };
            let is_last = one.takes_everything();
            all.push(one);
            if is_last {
                return all;
            }
        }
    }
    all
}

fn is_in_force(client: &Client<'_>, one: &HttpMatch) -> bool {
    let namespace = one.source_namespace.as_ref();
    client.fits(&one.gateways, &one.source_labels, namespace, one.port)
}

fn reached(client: &Client<'_>, route: &HttpRoute) -> (Arc<[Reached]>, Arc<[Reached]>) {
    let targets = match &route.action {
        HttpAction::Route(targets) => &targets[..],
        HttpAction::Redirect(_) | HttpAction::DirectResponse(_) | HttpAction::Delegate(_) => &[],
    };
    let targets = targets.iter().map(|target| client.reach(&target.to));
    let mirrors = route.mirrors.iter().map(|mirror| client.reach(&mirror.to));
    (targets.collect(), mirrors.collect())
}

/// Whether no request gets past it.
fn takes_everything(one: &HttpMatch) -> bool {
    let any_path = match &one.uri {
        None => true,
        Some(StringMatch::Prefix(prefix)) => &**prefix == "/",
        Some(StringMatch::Regex(regex)) => &**regex == ".*",
        Some(StringMatch::Exact(_)) => false,
    };
    any_path
        && [&one.scheme, &one.method, &one.authority]
            .iter()
            .all(|text| text.is_none())
        && one.headers.is_empty()
        && one.without_headers.is_empty()
        && one.query_params.is_empty()
}
