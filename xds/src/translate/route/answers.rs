//! Requests that the proxy answers itself.

use envoy_types::pb::envoy::config::core::v3::{DataSource, data_source};
use envoy_types::pb::envoy::config::route::v3::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use envoy_types::pb::envoy::config::route::v3::{DirectResponseAction, RedirectAction, route};
use pilothouse_core::rules::resolve::{
    BodyBytes, DirectResponse, Redirect, RedirectPort, UriRewrite,
};

use super::forward::substitute;
use super::rules::Context;

/// Stands at the beginning of a redirect's path if only the matched prefix is replaced.
const PREFIX: &str = "%PREFIX()%";

/// Sends the client elsewhere.
pub(super) fn redirect(redirect: &Redirect, context: Context) -> route::Action {
    let path = redirect.uri.as_ref().map(|uri| match uri {
        UriRewrite::Plain(path) => match path.strip_prefix(PREFIX) {
            Some(prefix) => PathRewriteSpecifier::PrefixRewrite(prefix.into()),
            None => PathRewriteSpecifier::PathRedirect(path.to_string()),
        },
        UriRewrite::Regex {
            pattern,
            substitution,
        } => PathRewriteSpecifier::RegexRewrite(substitute(pattern, substitution)),
    });
    let scheme = redirect.scheme.as_deref();
    route::Action::Redirect(RedirectAction {
        host_redirect: redirect.authority.as_deref().unwrap_or_default().into(),
        port_redirect: port(redirect, context),
        response_code: match redirect.code {
            302 => RedirectResponseCode::Found,
            303 => RedirectResponseCode::SeeOther,
            307 => RedirectResponseCode::TemporaryRedirect,
            308 => RedirectResponseCode::PermanentRedirect,
            _ => RedirectResponseCode::MovedPermanently,
        }
        .into(),
        scheme_rewrite_specifier: scheme
            .map(|scheme| SchemeRewriteSpecifier::SchemeRedirect(scheme.into())),
        path_rewrite_specifier: path,
        ..Default::default()
    })
}

/// The new port; 0 for that of the scheme, which needs no mention.
fn port(redirect: &Redirect, context: Context) -> u32 {
    let port = match redirect.port {
        Some(RedirectPort::Number(port)) => port,
        Some(RedirectPort::FromRequestPort) => context.port,
        Some(RedirectPort::FromProtocolDefault) | None => 0,
    };
    let own = if context.tls { "https" } else { "http" };
    let usual = match redirect.scheme.as_deref().unwrap_or(own) {
        "http" => 80,
        "https" => 443,
        _ => 0,
    };
    if port == usual { 0 } else { port.into() }
}

/// Answers as a rule says.
pub(super) fn direct(response: &DirectResponse) -> route::Action {
    let body = response.body.as_ref().map(|body| DataSource {
        specifier: Some(match body {
            BodyBytes::Text(text) => data_source::Specifier::InlineString(text.to_string()),
            BodyBytes::Bytes(bytes) => data_source::Specifier::InlineBytes(bytes.to_vec()),
        }),
        ..Default::default()
    });
    route::Action::DirectResponse(DirectResponseAction {
        status: response.status.into(),
        body,
        ..Default::default()
    })
}

/// Answers with this status and nothing else.
pub(super) fn status(status: u32) -> route::Action {
    route::Action::DirectResponse(DirectResponseAction {
        status,
        ..Default::default()
    })
}
