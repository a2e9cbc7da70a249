//! A route that was delegated to, within the one that delegates.
//!
//! What the delegate says goes first; what it does not say is as the root says. Its matches have to be within the root's: each
//! of them is combined with every match of the root that it does not contradict, and one that contradicts them all is a
//! conflict.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{HeaderMatch, HeaderOperations, HttpMatch, HttpRoute, Place, StringMatch};

/// `root`'s part in what `leaf` says of the same requests; `None`: `leaf` is for requests that `root` is not for.
pub(crate) fn delegated(root: &HttpRoute, leaf: &HttpRoute) -> Option<HttpRoute> {
    let mirrors = if leaf.mirrors.is_empty() { root } else { leaf };
    let headers = if leaf.headers == HeaderOperations::default() {
        root
    } else {
        leaf
    };
    Some(HttpRoute {
        place: Place {
            by: Some(root.place.rule.clone()),
            ..leaf.place.clone()
        },
        name: joined(&root.name, &leaf.name),
        matches: matches(&root.matches, &leaf.matches)?,
        action: leaf.action.clone(),
        timeout: leaf.timeout.or(root.timeout),
        retries: leaf.retries.clone().or_else(|| root.retries.clone()),
        rewrite: leaf.rewrite.clone().or_else(|| root.rewrite.clone()),
        headers: headers.headers.clone(),
        mirrors: mirrors.mirrors.clone(),
        cors: leaf.cors.clone().or_else(|| root.cors.clone()),
        fault: leaf.fault.clone().or_else(|| root.fault.clone()),
    })
}

fn joined(root: &Arc<str>, leaf: &Arc<str>) -> Arc<str> {
    match (root.is_empty(), leaf.is_empty()) {
        (true, _) => leaf.clone(),
        (_, true) => root.clone(),
        _ => format!("{root}-{leaf}").into(),
    }
}

fn matches(root: &[HttpMatch], leaf: &[HttpMatch]) -> Option<Vec<HttpMatch>> {
    if root.is_empty() {
        return Some(leaf.to_vec());
    }
    if leaf.is_empty() {
        return Some(root.to_vec());
    }
    let mut all = Vec::new();
    for one in leaf {
        let before = all.len();
        let within = root.iter().filter_map(|root| within(root, one));
        all.extend(within);
        if all.len() == before {
            return None;
        }
    }
    Some(all)
}

/// What both say; `None` where they contradict each other.
fn within(root: &HttpMatch, leaf: &HttpMatch) -> Option<HttpMatch> {
    let equal_where_both = |root: Option<u16>, leaf: Option<u16>| match (root, leaf) {
        (Some(root), Some(leaf)) => root == leaf,
        _ => true,
    };
    let labels = root.source_labels.iter();
    let labels_fit = labels.into_iter().all(|(key, value)| {
        let own = leaf.source_labels.get(key);
        own.is_none_or(|own| own == value)
    });
    let namespaces_fit = match (&root.source_namespace, &leaf.source_namespace) {
        (Some(root), Some(leaf)) => root == leaf,
        _ => true,
    };
    let gateways_fit = root.gateways.is_empty()
        || leaf
            .gateways
            .iter()
            .all(|name| root.gateways.contains(name));
    if root.ignore_uri_case != leaf.ignore_uri_case
        || !equal_where_both(root.port, leaf.port)
        || !labels_fit
        || !namespaces_fit
        || !gateways_fit
    {
        return None;
    }
    let gateways = match leaf.gateways.is_empty() {
        true => &root.gateways,
        false => &leaf.gateways,
    };
    let stat_prefix = match leaf.stat_prefix.is_empty() {
        true => &root.stat_prefix,
        false => &leaf.stat_prefix,
    };
    Some(HttpMatch {
        name: joined(&root.name, &leaf.name),
        uri: narrower(root.uri.as_ref(), leaf.uri.as_ref())?,
        whole_segments: leaf.whole_segments,
        ignore_uri_case: leaf.ignore_uri_case,
        scheme: narrower(root.scheme.as_ref(), leaf.scheme.as_ref())?,
        method: narrower(root.method.as_ref(), leaf.method.as_ref())?,
        authority: narrower(root.authority.as_ref(), leaf.authority.as_ref())?,
        headers: both(&root.headers, &leaf.headers, header)?,
        // Two things that a header must not be cannot both be said of it.
        without_headers: both(
            &root.without_headers,
            &leaf.without_headers,
            |root, leaf| (root == leaf).then(|| leaf.clone()),
        )?,
        query_params: both(&root.query_params, &leaf.query_params, header)?,
        port: leaf.port.or(root.port),
        source_labels: leaf.source_labels.over(&root.source_labels),
        source_namespace: leaf
            .source_namespace
            .clone()
            .or_else(|| root.source_namespace.clone()),
        gateways: gateways.clone(),
        stat_prefix: stat_prefix.clone(),
    })
}

type Named = BTreeMap<Arc<str>, HeaderMatch>;

/// What either says of each name; `None` where they contradict each other.
fn both(
    root: &Named,
    leaf: &Named,
    narrower: impl Fn(&HeaderMatch, &HeaderMatch) -> Option<HeaderMatch>,
) -> Option<Named> {
    let mut all = root.clone();
    for (name, leaf) in leaf {
        let one = match root.get(name) {
            Some(root) => narrower(root, leaf)?,
            None => leaf.clone(),
        };
        all.insert(name.clone(), one);
    }
    Some(all)
}

fn header(root: &HeaderMatch, leaf: &HeaderMatch) -> Option<HeaderMatch> {
    match (root, leaf) {
        (HeaderMatch::Present, leaf) => Some(leaf.clone()),
        // As in Istio, a delegate that takes any value is not within a root that wants one.
        (HeaderMatch::Value(_), HeaderMatch::Present) => None,
        (HeaderMatch::Value(root), HeaderMatch::Value(leaf)) => {
            narrower(Some(root), Some(leaf))?.map(HeaderMatch::Value)
        }
    }
}

/// The outer `None` where they contradict each other. Of regular expressions nobody knows, so that one stands alone only.
fn narrower(root: Option<&StringMatch>, leaf: Option<&StringMatch>) -> Option<Option<StringMatch>> {
    use StringMatch::{Exact, Prefix};
    let (Some(root), Some(leaf)) = (root, leaf) else {
        return Some(leaf.or(root).cloned());
    };
    let fits = match (root, leaf) {
        (Exact(root), Exact(leaf)) => root == leaf,
        (Prefix(root), Exact(leaf) | Prefix(leaf)) => leaf.starts_with(&**root),
        _ => false,
    };
    fits.then(|| Some(leaf.clone()))
}
