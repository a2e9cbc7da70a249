//! Names and numbers that many kinds have: hosts, port names, port numbers, protocols, namespaces.

use std::net::IpAddr;

use crate::model::{Host, Protocol};
use crate::rules::at::At;
use crate::rules::spec::excerpt;

/// A host name, optionally with a leading `*.`; `*` alone is one, too.
pub(super) fn host(at: &At<'_>, text: &str) -> Option<Host> {
    if text.parse::<IpAddr>().is_ok() {
        at.error_hint(
            format!("{text:?} is an IP address, not a host name"),
            "IP addresses go into addresses",
        );
        return None;
    }
    match Host::new(text) {
        Ok(host) if ends_in_number(&host) => {
            at.error(format!(
                "{:?} is not a host name: its last label is a number",
                excerpt(text)
            ));
            None
        }
        Ok(host) => Some(host),
        Err(_) if is_partial_wildcard(text) => {
            let what = format!("{:?} has a wildcard within or behind a name", excerpt(text));
            at.error_hint(what, "'*' stands alone as the first label: *.example.com");
            None
        }
        Err(problem) => {
            at.error(format!(
                "{:?} is not a host name: {}",
                excerpt(text),
                problem.reason()
            ));
            None
        }
    }
}

/// A name that DNS could resolve.
pub(super) fn is_fqdn(text: &str) -> bool {
    Host::new(text).is_ok_and(|host| !host.is_wildcard() && !ends_in_number(&host))
}

/// A port's name: letters, digits and dashes.
pub(super) fn port_name(at: &At<'_>, name: &str) {
    if name.is_empty() {
        at.error_hint(
            "is missing",
            "every port has a name, such as http or tcp-db",
        );
    } else if !is_label(name) {
        at.error_hint(
            format!("{:?} is not a port name", excerpt(name)),
            "letters, digits and '-' within, at most 63 characters",
        );
    }
}

/// A port's number.
pub(super) fn port_number(at: &At<'_>, number: u32) {
    if !(1..=65535).contains(&number) {
        at.error(format!("{number} is not a port: ports are from 1 to 65535"));
    }
}

/// A protocol's name; empty where the proxy has to find out.
pub(super) fn protocol(at: &At<'_>, name: &str) {
    if !name.is_empty() && Protocol::parse(name).is_none() {
        at.error_hint(
            format!("{:?} is not a protocol", excerpt(name)),
            "one of HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, TCP, MONGO, MYSQL, REDIS, UDP; without it the proxy finds out",
        );
    }
}

/// A text that goes into configuration as it is.
pub(super) fn plain_text(at: &At<'_>, text: &str) {
    if text.contains(char::is_control) {
        at.error("has control characters in it");
    }
}

/// One label of a DNS name (RFC 1123): a namespace, a port's name.
pub(super) fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A resolver would take such a name for an IP address.
fn ends_in_number(host: &Host) -> bool {
    host.as_str()
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_partial_wildcard(text: &str) -> bool {
    text.split_once('*')
        .is_some_and(|(before, after)| !before.is_empty() || !after.starts_with('.'))
}
