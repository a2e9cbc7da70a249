//! Routes that nothing ever reaches, because an earlier one is for all that they are for.

use crate::rules::at::At;
use crate::rules::spec::virtual_service::{
    HttpMatch, HttpRoute, L4Match, StringMatch, TcpRoute, TlsMatch, TlsRoute,
};

pub(super) fn http(at: &At<'_>, routes: &[HttpRoute]) {
    let is_catch_all = |route: &HttpRoute| {
        route.matches.is_empty() || route.matches.iter().any(is_for_all_requests)
    };
    let comparable = |one: &HttpMatch| HttpMatch {
        name: String::new(),
        stat_prefix: String::new(),
        ..one.clone()
    };
    let matches = routes.iter().map(|route| {
        let matches = route.matches.iter().map(comparable);
        (matches.collect(), is_catch_all(route))
    });
    check(at, &matches.collect::<Vec<_>>());
}

pub(super) fn tls(at: &At<'_>, routes: &[TlsRoute]) {
    let matches = routes.iter().map(|route| (route.matches.clone(), false));
    check::<TlsMatch>(at, &matches.collect::<Vec<_>>());
}

pub(super) fn tcp(at: &At<'_>, routes: &[TcpRoute]) {
    let matches = routes.iter().map(|route| {
        let empty = |one: &L4Match| *one == L4Match::default();
        let all = route.matches.is_empty() || route.matches.iter().any(empty);
        (route.matches.clone(), all)
    });
    check(at, &matches.collect::<Vec<_>>());
}

/// The matches of each route, and whether it is for everything.
fn check<T: PartialEq>(at: &At<'_>, routes: &[(Vec<T>, bool)]) {
    let mut catch_all = None;
    for (index, (matches, is_catch_all)) in routes.iter().enumerate() {
        let here = at.index(index);
        if let Some(earlier) = catch_all {
            here.warning_hint(
                format!("is never reached: [{earlier}] takes everything"),
                format!("put it before [{earlier}]"),
            );
            continue;
        }
        duplicates(&here, index, matches, routes);
        if *is_catch_all {
            catch_all = Some(index);
        }
    }
}

fn duplicates<T: PartialEq>(at: &At<'_>, own: usize, matches: &[T], routes: &[(Vec<T>, bool)]) {
    let earlier = |position: usize, one: &T| {
        let before = routes.iter().take(own).enumerate();
        let found = before.filter(|(_, (matches, _))| matches.contains(one));
        let found = found.map(|(index, _)| index).next();
        let here = matches.iter().take(position);
        found.or_else(|| here.into_iter().any(|other| other == one).then_some(own))
    };
    let found = matches.iter().enumerate();
    let found: Vec<_> = found
        .map(|(position, one)| (position, earlier(position, one)))
        .collect();
    let elsewhere = |by: &Option<usize>| by.is_some_and(|by| by != own);
    if !found.is_empty() && found.iter().all(|(_, by)| elsewhere(by)) {
        at.warning_hint(
            "is never reached: earlier routes have the same matches",
            "remove it, or say it in one of them",
        );
        return;
    }
    for (position, by) in found {
        if let Some(by) = by {
            at.field("match")
                .index(position)
                .warning(format!("has no effect: [{by}] has the same match"));
        }
    }
}

fn is_for_all_requests(one: &HttpMatch) -> bool {
    let root = StringMatch {
        prefix: Some("/".to_owned()),
        ..StringMatch::default()
    };
    let rest = HttpMatch {
        name: String::new(),
        stat_prefix: String::new(),
        uri: None,
        ignore_uri_case: false,
        ..one.clone()
    };
    rest == HttpMatch::default()
        && one
            .uri
            .as_ref()
            .is_none_or(|uri| *uri == root || *uri == StringMatch::default())
}
