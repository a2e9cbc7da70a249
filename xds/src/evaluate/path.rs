//! Paths: made canonical before a route is chosen, and rewritten by routes.

use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::{RouteAction, RouteMatch};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::PathWithEscapedSlashesAction;

use super::matcher;

/// What the connection manager makes of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Normal {
    Path(String),
    /// The client is sent to this path.
    Redirect(String),
    /// The request is refused.
    Refused,
}

/// The path as routes see it.
pub(super) fn normalized(manager: &HttpConnectionManager, path: &str) -> Normal {
    let (mut before, query) = split(path);
    let mut owned = before.to_owned();
    if manager.normalize_path.is_some_and(|on| on.value) {
        let Some(canonical) = canonical(before) else {
            return Normal::Refused;
        };
        owned = canonical;
    }
    if manager.merge_slashes {
        owned = merged(&owned);
    }
    let mut redirect = false;
    let lower = owned.to_ascii_lowercase();
    if lower.contains("%2f") || lower.contains("%5c") {
        match manager.path_with_escaped_slashes_action() {
            PathWithEscapedSlashesAction::RejectRequest => return Normal::Refused,
            PathWithEscapedSlashesAction::UnescapeAndRedirect => {
                owned = unescaped(&owned);
                redirect = true;
            }
            PathWithEscapedSlashesAction::UnescapeAndForward => owned = unescaped(&owned),
            PathWithEscapedSlashesAction::KeepUnchanged
            | PathWithEscapedSlashesAction::ImplementationSpecificDefault => {}
        }
    }
    before = &owned;
    let whole = format!("{before}{query}");
    if redirect {
        Normal::Redirect(whole)
    } else {
        Normal::Path(whole)
    }
}

/// The path, and what follows it: the query with its `?`, or the fragment.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.find(['?', '#'])
        .and_then(|at| path.split_at_checked(at))
        .unwrap_or((path, ""))
}

/// Without `.` and `..`, with `/` for `\`, and with letters and digits for what stands for them.
fn canonical(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return Some(path.to_owned());
    }
    let plain = unreserved(&path.replace('\\', "/"))?;
    let mut kept: Vec<&str> = Vec::new();
    let mut parts = plain.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            "." | ".." => {
                if part == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    Some(format!("/{}", kept.join("/")))
}

/// Resolves `%41` and the like where they stand for a character that needs no escape; none where a null is meant.
fn unreserved(path: &str) -> Option<String> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let byte = after
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(0) => return None,
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                out.push('%');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Some(out)
}

fn merged(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for character in path.chars() {
        if !(character == '/' && out.ends_with('/')) {
            out.push(character);
        }
    }
    out
}

fn unescaped(path: &str) -> String {
    let mut out = path.to_owned();
    for (from, to) in [("%2f", "/"), ("%2F", "/"), ("%5c", "\\"), ("%5C", "\\")] {
        out = out.replace(from, to);
    }
    out
}

/// The path that a route's endpoints get; nothing if it stays as it is.
pub(super) fn rewritten(action: &RouteAction, matching: &RouteMatch, path: &str) -> Option<String> {
    if let Some(rule) = &action.regex_rewrite {
        let (before, query) = split(path);
        return Some(format!("{}{query}", matcher::substituted(rule, before)));
    }
    (!action.prefix_rewrite.is_empty()).then(|| with_prefix(matching, path, &action.prefix_rewrite))
}

/// The path with what the route has matched replaced.
pub(super) fn with_prefix(matching: &RouteMatch, path: &str, by: &str) -> String {
    let (before, query) = split(path);
    let length = match &matching.path_specifier {
        Some(PathSpecifier::Prefix(prefix) | PathSpecifier::PathSeparatedPrefix(prefix)) => {
            prefix.len()
        }
        _ => before.len(),
    };
    format!("{by}{}{query}", before.get(length..).unwrap_or_default())
}
