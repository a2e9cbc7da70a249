//! Where a redirect sends a client.

use envoy_types::pb::envoy::config::route::v3::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use envoy_types::pb::envoy::config::route::v3::{RedirectAction, RouteMatch};

use super::http::Asked;
use super::matcher;
use super::path::{split, with_prefix};

/// The status and the `Location`.
pub(super) fn redirect(
    action: &RedirectAction,
    matching: &RouteMatch,
    asked: &Asked,
) -> (u16, String) {
    let scheme = match &action.scheme_rewrite_specifier {
        Some(SchemeRewriteSpecifier::HttpsRedirect(true)) => "https",
        Some(SchemeRewriteSpecifier::SchemeRedirect(scheme)) => scheme,
        Some(SchemeRewriteSpecifier::HttpsRedirect(false)) | None => &asked.scheme,
    };
    let port = match action.port_redirect {
        0 => String::new(),
        port => format!(":{port}"),
    };
    let host = if action.host_redirect.is_empty() {
        own_host(asked, scheme, !port.is_empty())
    } else {
        &action.host_redirect
    };
    let path = path(action, matching, &asked.path);
    (code(action), format!("{scheme}://{host}{port}{path}"))
}

/// The host that was asked for, without a port that another takes the place of or that the new scheme makes wrong.
fn own_host<'a>(asked: &'a Asked, scheme: &str, has_new_port: bool) -> &'a str {
    let host = asked.authority.as_str();
    let end = match host.rfind("]:") {
        Some(at) => Some(at + 1),
        None if host.starts_with('[') => None,
        None => host.rfind(':'),
    };
    let Some((name, port)) = end.and_then(|end| host.split_at_checked(end)) else {
        return host;
    };
    let was_default = matches!(
        (asked.scheme.as_str(), port),
        ("https", ":443") | ("http", ":80")
    );
    if has_new_port || (scheme != asked.scheme && was_default) {
        name
    } else {
        host
    }
}

fn path(action: &RedirectAction, matching: &RouteMatch, asked: &str) -> String {
    let (before, query) = split(asked);
    let query = if action.strip_query { "" } else { query };
    match &action.path_rewrite_specifier {
        // A query of its own replaces that of the request.
        Some(PathRewriteSpecifier::PathRedirect(path)) if path.contains('?') => path.clone(),
        Some(PathRewriteSpecifier::PathRedirect(path)) => format!("{path}{query}"),
        Some(PathRewriteSpecifier::PrefixRewrite(by)) => {
            format!("{}{query}", with_prefix(matching, before, by))
        }
        Some(PathRewriteSpecifier::RegexRewrite(rule)) => {
            format!("{}{query}", matcher::substituted(rule, before))
        }
        Some(PathRewriteSpecifier::PathRewrite(_)) | None => format!("{before}{query}"),
    }
}

fn code(action: &RedirectAction) -> u16 {
    match action.response_code() {
        RedirectResponseCode::MovedPermanently => 301,
        RedirectResponseCode::Found => 302,
        RedirectResponseCode::SeeOther => 303,
        RedirectResponseCode::TemporaryRedirect => 307,
        RedirectResponseCode::PermanentRedirect => 308,
    }
}
