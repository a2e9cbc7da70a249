//! Which requests a route is for.

use std::sync::Arc;

use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::{HeaderMatcher, QueryParameterMatcher, RouteMatch};
use envoy_types::pb::envoy::r#type::matcher::v3::{
    RegexMatcher, StringMatcher, string_matcher::MatchPattern,
};
use pilothouse_core::rules::resolve::{HeaderMatch, HttpMatch, StringMatch};

use super::super::common::boolean;

/// The requests of a rule's match; for `None` all requests.
pub(in crate::translate) fn requests(one: Option<&HttpMatch>) -> RouteMatch {
    let mut matching = RouteMatch {
        path_specifier: Some(PathSpecifier::Prefix("/".into())),
        ..Default::default()
    };
    let Some(one) = one else { return matching };
    if let Some(uri) = &one.uri {
        matching.path_specifier = Some(path(uri, one.whole_segments));
        if one.ignore_uri_case && !matches!(uri, StringMatch::Regex(_)) {
            matching.case_sensitive = boolean(false);
        }
    }
    let headers = one.headers.iter().map(|(name, how)| header(name, how));
    let pseudo = [
        (":method", &one.method),
        (":authority", &one.authority),
        (":scheme", &one.scheme),
    ];
    let pseudo = pseudo
        .into_iter()
        .filter_map(|(name, how)| Some(of_value(name, how.as_ref()?)));
    let without = one
        .without_headers
        .iter()
        .map(|(name, how)| without(name, how));
    matching.headers = headers.chain(without).chain(pseudo).collect();
    let parameters = one.query_params.iter();
    matching.query_parameters = parameters.map(|(name, how)| parameter(name, how)).collect();
    matching
}

/// A text that has to be like this.
pub(super) fn string(how: &StringMatch) -> StringMatcher {
    let pattern = match how {
        StringMatch::Exact(text) => MatchPattern::Exact(text.to_string()),
        StringMatch::Prefix(text) => MatchPattern::Prefix(text.to_string()),
        StringMatch::Regex(text) => MatchPattern::SafeRegex(regex(text)),
    };
    StringMatcher {
        match_pattern: Some(pattern),
        ..Default::default()
    }
}

/// A regular expression (RE2).
pub(super) fn regex(text: &Arc<str>) -> RegexMatcher {
    RegexMatcher {
        regex: text.to_string(),
        ..Default::default()
    }
}

fn path(uri: &StringMatch, whole_segments: bool) -> PathSpecifier {
    match uri {
        StringMatch::Prefix(text) if whole_segments => {
            PathSpecifier::PathSeparatedPrefix(text.to_string())
        }
        StringMatch::Exact(text) => PathSpecifier::Path(text.to_string()),
        StringMatch::Prefix(text) => PathSpecifier::Prefix(text.to_string()),
        StringMatch::Regex(text) => PathSpecifier::SafeRegex(regex(text)),
    }
}

fn header(name: &str, how: &HeaderMatch) -> HeaderMatcher {
    match how {
        how if is_any(how) => specified(name, HeaderMatchSpecifier::PresentMatch(true)),
        HeaderMatch::Present => specified(name, HeaderMatchSpecifier::PresentMatch(true)),
        HeaderMatch::Value(value) => of_value(name, value),
    }
}

/// A header that is not there is not like anything, so that a request without it fits.
fn without(name: &str, how: &HeaderMatch) -> HeaderMatcher {
    HeaderMatcher {
        invert_match: true,
        treat_missing_header_as_empty: !is_any(how),
        ..header(name, how)
    }
}

fn of_value(name: &str, value: &StringMatch) -> HeaderMatcher {
    specified(name, HeaderMatchSpecifier::StringMatch(string(value)))
}

fn specified(name: &str, how: HeaderMatchSpecifier) -> HeaderMatcher {
    HeaderMatcher {
        name: name.into(),
        header_match_specifier: Some(how),
        ..Default::default()
    }
}

fn parameter(name: &str, how: &HeaderMatch) -> QueryParameterMatcher {
    let how = match how {
        HeaderMatch::Value(value) if !is_any(how) => {
            QueryParameterMatchSpecifier::StringMatch(string(value))
        }
        _ => QueryParameterMatchSpecifier::PresentMatch(true),
    };
    QueryParameterMatcher {
        name: name.into(),
        query_parameter_match_specifier: Some(how),
    }
}

/// Whether every value is like this, so that being there is enough.
fn is_any(how: &HeaderMatch) -> bool {
    match how {
        HeaderMatch::Present => true,
        HeaderMatch::Value(StringMatch::Prefix(prefix)) => prefix.is_empty(),
        HeaderMatch::Value(StringMatch::Regex(regex)) => matches!(&**regex, ".*" | "*"),
        HeaderMatch::Value(StringMatch::Exact(_)) => false,
    }
}
