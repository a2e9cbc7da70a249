//! Which route of a virtual host a request takes: the first that matches.

use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::{CookieMatcher, Route, RouteMatch, VirtualHost};

use super::http::Asked;
use super::matcher;
use super::path::split;
use super::walk::Considered;

/// A route, and those before it.
pub(super) struct Choice<'a> {
    pub(super) found: Option<(usize, &'a Route)>,
    pub(super) considered: Vec<Considered>,
}

/// The route that a request takes.
pub(super) fn choose<'a>(host: &'a VirtualHost, asked: &Asked, random: u64) -> Choice<'a> {
    let mut considered = Vec::new();
    for (place, route) in host.routes.iter().enumerate() {
        let nothing = RouteMatch::default();
        match refusal(route.r#match.as_ref().unwrap_or(&nothing), asked, random) {
            None => {
                return Choice {
                    found: Some((place, route)),
                    considered,
                };
            }
            Some(why) => considered.push(Considered {
                name: name(place, route),
                why,
            }),
        }
    }
    Choice {
        found: None,
        considered,
    }
}

/// What a route is called.
pub(super) fn name(place: usize, route: &Route) -> String {
    if route.name.is_empty() {
        format!("#{place}")
    } else {
        route.name.clone()
    }
}

/// Why a route does not take a request; nothing if it does.
fn refusal(wanted: &RouteMatch, asked: &Asked, random: u64) -> Option<String> {
    if let Some(why) = path(wanted, asked) {
        return Some(why);
    }
    if wanted.grpc.is_some() && !asked.is_grpc() {
        return Some("it is not gRPC".into());
    }
    if let Some(runtime) = &wanted.runtime_fraction {
        let fraction = matcher::fraction(runtime);
        if !matcher::drawn(&fraction, random) {
            let percent = matcher::percent(&fraction);
            return Some(format!(
                "it takes {percent} % of requests, and not this one"
            ));
        }
    }
    for header in &wanted.headers {
        let value = asked.header(&header.name);
        if let Some(why) = matcher::header(header, value.as_deref()) {
            return Some(why);
        }
    }
    let query = split(&asked.path).1.trim_start_matches('?');
    for parameter in &wanted.query_parameters {
        if let Some(why) = matcher::query_parameter(parameter, query) {
            return Some(why);
        }
    }
    if let Some(why) = wanted
        .cookies
        .iter()
        .find_map(|wanted| cookie(wanted, asked))
    {
        return Some(why);
    }
    if let Some(tls) = &wanted.tls_context {
        let presents = tls.presented.is_some_and(|presented| presented.value);
        if presents {
            return Some("it wants a certificate of the client".into());
        }
    }
    if !wanted.dynamic_metadata.is_empty() || !wanted.filter_state.is_empty() {
        return Some("it wants what other filters have found out".into());
    }
    None
}

fn path(wanted: &RouteMatch, asked: &Asked) -> Option<String> {
    let (path, _) = split(&asked.path);
    let exact = wanted.case_sensitive.is_none_or(|yes| yes.value);
    let folded = |text: &str| match exact {
        true => text.to_owned(),
        false => text.to_ascii_lowercase(),
    };
    let has = folded(path);
    let is_connect = asked.method == "CONNECT";
    let (holds, what) = match &wanted.path_specifier {
        Some(PathSpecifier::ConnectMatcher(_)) => (is_connect, "it wants CONNECT".to_owned()),
        _ if is_connect => (false, "it does not want CONNECT".to_owned()),
        Some(PathSpecifier::Prefix(prefix)) => (
            has.starts_with(&folded(prefix)),
            format!("path {path} does not begin with {prefix}"),
        ),
        Some(PathSpecifier::Path(wanted)) => (
            has == folded(wanted),
            format!("path {path} is not {wanted}"),
        ),
        Some(PathSpecifier::SafeRegex(regex)) => (
            matcher::whole(&regex.regex, path),
            format!("path {path} does not match /{}/", regex.regex),
        ),
        Some(PathSpecifier::PathSeparatedPrefix(prefix)) => (
            has.strip_prefix(&folded(prefix))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            format!("path {path} is not {prefix} or below it"),
        ),
        Some(PathSpecifier::PathMatchPolicy(_)) => {
            (false, "its path is matched by an extension".to_owned())
        }
        None => (false, "it asks for no path".to_owned()),
    };
    (!holds).then_some(what)
}

fn cookie(wanted: &CookieMatcher, asked: &Asked) -> Option<String> {
    let name = wanted.name.as_str();
    let cookies = asked.header("cookie").unwrap_or_default();
    let value = cookies
        .split([';', ','])
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value);
    let matches = match (&wanted.string_match, value) {
        (Some(matcher), Some(value)) => matcher::text(matcher, value),
        (None, Some(_)) => true,
        (_, None) => false,
    };
    (matches == wanted.invert_match).then(|| format!("cookie {name} is not as wanted"))
}

/// What a route asks for, in words.
pub(super) fn in_words(wanted: &RouteMatch) -> String {
    let mut words = vec![match &wanted.path_specifier {
        Some(PathSpecifier::Prefix(path)) => format!("prefix {path}"),
        Some(PathSpecifier::Path(path)) => format!("path {path}"),
        Some(PathSpecifier::SafeRegex(regex)) => format!("path /{}/", regex.regex),
        Some(PathSpecifier::PathSeparatedPrefix(path)) => format!("{path} and below"),
        Some(PathSpecifier::ConnectMatcher(_)) => "CONNECT".to_owned(),
        Some(PathSpecifier::PathMatchPolicy(_)) | None => "?".to_owned(),
    }];
    if wanted.case_sensitive.is_some_and(|yes| !yes.value) {
        words.push("in any case".into());
    }
    for header in &wanted.headers {
        words.push(format!("header {}", header.name));
    }
    for parameter in &wanted.query_parameters {
        words.push(format!("query {}", parameter.name));
    }
    words.join(", ")
}
