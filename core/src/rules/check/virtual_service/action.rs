//! What becomes of requests: redirects, answers, delegation, changes.

use super::super::access_log;
use super::super::name::{is_label, plain_text, port_number};
use super::regex;
use crate::model::ByName;
use crate::rules::at::At;
use crate::rules::resolve::bytes;
use crate::rules::spec::excerpt;
use crate::rules::spec::virtual_service::{
    Delegate, DirectResponse, HeaderOperations, Headers, Redirect, Rewrite,
};

/// As much as proxies take in an answer of their own.
const MAX_BODY: usize = 1024 * 1024;
/// What every proxy holds of answers should be less.
const LARGE_BODY: usize = 100 * 1024;

pub(super) fn delegate(at: &At<'_>, delegate: &Delegate) {
    if delegate.name.is_empty() {
        at.field("name")
            .error_hint("is missing", "the name of a VirtualService without hosts");
    } else if !delegate.name.split('.').all(is_label) {
        at.field("name").error(format!(
            "{:?} is not the name of an object",
            excerpt(&delegate.name)
        ));
    }
    if !delegate.namespace.is_empty() && !is_label(&delegate.namespace) {
        at.field("namespace").error(format!(
            "{:?} is not a namespace",
            excerpt(&delegate.namespace)
        ));
    }
}

pub(super) fn redirect(at: &At<'_>, redirect: &Redirect) {
    for (name, text) in [("uri", &redirect.uri), ("authority", &redirect.authority)] {
        plain_text(&at.field(name), text);
    }
    let says_port = redirect.port.is_some() || redirect.derive_port.is_some();
    if redirect.uri.is_empty()
        && redirect.authority.is_empty()
        && redirect.scheme.is_empty()
        && !says_port
    {
        at.error_hint(
            "leads to where the request came to",
            "give uri, authority, port or scheme",
        );
    }
    if let Some(port) = redirect.port {
        port_number(&at.field("port"), port);
        if redirect.derive_port.is_some() {
            at.field("derivePort")
                .error_hint("is given beside port", "use one of them");
        }
    }
    if !["", "http", "https"].contains(&redirect.scheme.as_str()) {
        at.field("scheme").error_hint(
            format!("{:?} is not a scheme", excerpt(&redirect.scheme)),
            "http or https",
        );
    }
    if ![0, 301, 302, 303, 307, 308].contains(&redirect.redirect_code) {
        at.field("redirectCode").error_hint(
            format!("{} is not the status of a redirect", redirect.redirect_code),
            "one of 301, 302, 303, 307 and 308",
        );
    }
}

pub(super) fn direct_response(at: &At<'_>, response: &DirectResponse) {
    if !(200..600).contains(&response.status) {
        at.field("status").error(format!(
            "{} is not a status: from 200 to 599",
            response.status
        ));
    }
    let Some(body) = &response.body else { return };
    let at = at.field("body");
    let size = match (&body.string, &body.bytes) {
        (Some(_), Some(_)) => {
            at.field("bytes")
                .error_hint("is given beside string", "use one of them");
            0
        }
        (Some(text), None) => text.len(),
        (None, Some(text)) => match bytes(text) {
            Some(bytes) => bytes.len(),
            None => {
                at.field("bytes").error("is not base64");
                0
            }
        },
        (None, None) => 0,
    };
    if size > MAX_BODY {
        at.error(format!("has {size} bytes: the limit is {MAX_BODY}"));
    } else if size > LARGE_BODY {
        at.warning_hint(
            format!("has {size} bytes, which every proxy holds"),
            "let a service answer",
        );
    }
}

pub(super) fn rewrite(at: &At<'_>, rewrite: &Rewrite) {
    for (name, text) in [("uri", &rewrite.uri), ("authority", &rewrite.authority)] {
        plain_text(&at.field(name), text);
    }
    match &rewrite.uri_regex_rewrite {
        None if rewrite.uri.is_empty() && rewrite.authority.is_empty() => {
            at.error_hint("says nothing", "give uri, authority or uriRegexRewrite");
        }
        None => {}
        Some(regex) => {
            let here = at.field("uriRegexRewrite");
            if !rewrite.uri.is_empty() {
                here.error_hint("is given beside uri", "use one of them");
            }
            let groups = regex::check(&here.field("match"), &regex.pattern);
            substitution(&here.field("rewrite"), &regex.rewrite, groups);
        }
    }
}

/// `\0` to `\9` are groups, and `\\` a backslash.
fn substitution(at: &At<'_>, text: &str, groups: Option<u32>) {
    plain_text(at, text);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            continue;
        }
        let group = match letters.next() {
            Some('\\') => continue,
            Some(digit) => digit.to_digit(10),
            None => None,
        };
        match (group, groups) {
            (None, _) => {
                return at.error_hint(
                    "has a '\\' that is followed by neither a digit nor another '\\'",
                    "groups are \\1 to \\9, a backslash is \\\\",
                );
            }
            (Some(group), Some(groups)) if group > groups => {
                return at.error(format!("uses group {group}: match has {groups}"));
            }
            _ => {}
        }
    }
}

pub(super) fn headers(at: &At<'_>, headers: &Headers) {
    if let Some(operations) = &headers.request {
        request(&at.field("request"), operations);
    }
    if let Some(operations) = &headers.response {
        let at = at.field("response");
        values(&at.field("set"), &operations.set, |_| false);
        values(&at.field("add"), &operations.add, |_| false);
        names(&at.field("remove"), &operations.remove);
    }
}

fn request(at: &At<'_>, operations: &HeaderOperations) {
    // A change of the host is a rewrite, and has only one value.
    values(&at.field("set"), &operations.set, is_host);
    values(&at.field("add"), &operations.add, |_| false);
    names(&at.field("remove"), &operations.remove);
}

fn values(at: &At<'_>, all: &ByName<String>, allowed: impl Fn(&str) -> bool) {
    for (name, value) in all.iter() {
        let here = at.key(name);
        if !allowed(name) {
            header_name(&here, name);
        }
        plain_text(&here, value);
        access_log::text(&here, value);
    }
}

fn names(at: &At<'_>, all: &[String]) {
    for (index, name) in all.iter().enumerate() {
        header_name(&at.index(index), name);
    }
}

fn header_name(at: &At<'_>, name: &str) {
    if name.starts_with(':') || is_host(name) {
        at.error_hint(
            format!("{:?} may not be changed like this", excerpt(name)),
            "the host is changed by rewrite.authority, the path by rewrite.uri",
        );
    } else if !is_header(name) {
        at.error(format!("{:?} is not the name of a header", excerpt(name)));
    }
}

fn is_host(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority")
}

/// Whether it is a header's name (RFC 9110).
pub(super) fn is_header(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}
