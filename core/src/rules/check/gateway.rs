//! Checks of `Gateway`.

#[cfg(test)]
mod tests;
mod tls;

use std::collections::BTreeSet;
use std::net::IpAddr;

pub(crate) use tls::CIPHERS;
pub(super) use tls::server as server_tls;

use super::labels::labels;
use super::name::{host, is_label, plain_text, port_number};
use crate::model::Protocol;
use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::excerpt;
use crate::rules::spec::gateway::{Gateway, Server, ServerPort};

/// What the address of a server that listens on a file begins with.
const UNIX: &str = "unix://";
/// The longest path that a socket may have.
const MAX_PATH: usize = 107;

/// All that is wrong with it.
pub(super) fn check(at: &At<'_>, _: &Meta, gateway: &Gateway) {
    if gateway.servers.is_empty() {
        at.field("servers")
            .error_hint("is empty", "a gateway has at least one server");
    }
    labels(&at.field("selector"), &gateway.selector);
    let mut names = BTreeSet::new();
    for (index, one) in gateway.servers.iter().enumerate() {
        let servers = at.field("servers");
        let here = servers.index(index);
        server(&here, one);
        let name = one.port.as_ref().map_or("", |port| &port.name);
        if !name.is_empty() && !names.insert(name) {
            here.field("port").field("name").error(format!(
                "another server's port has the name {:?}",
                excerpt(name)
            ));
        }
    }
}

fn server(at: &At<'_>, server: &Server) {
    let protocol = match &server.port {
        Some(one) => port(&at.field("port"), one, server),
        None => {
            at.field("port").error("is missing");
            None
        }
    };
    bind(&at.field("bind"), server);
    hosts(&at.field("hosts"), &server.hosts);
    tls::server(&at.field("tls"), protocol, server.tls.as_ref());
    if !server.default_endpoint.is_empty() {
        at.field("defaultEndpoint").warning_hint(
            "has no effect on routers",
            "route what is left with a VirtualService",
        );
    }
}

fn port(at: &At<'_>, port: &ServerPort, server: &Server) -> Option<Protocol> {
    if server.bind.starts_with(UNIX) {
        if port.number != 0 {
            at.field("number").error_hint(
                format!("{} is given with a socket that is a file", port.number),
                "it has no port: use 0",
            );
        }
    } else {
        port_number(&at.field("number"), port.number);
    }
    let name = at.field("name");
    if port.name.is_empty() {
        name.error_hint(
            "is missing",
            "every port has a name, such as http or tcp-db",
        );
    }
    // It is a part of the names of resources.
    plain_text(&name, &port.name);
    if port.target_port.is_some() {
        at.field("targetPort").warning_hint(
            "has no effect",
            "the Service in front of the router says which port it listens on",
        );
    }
    protocol(&at.field("protocol"), &port.protocol)
}

fn protocol(at: &At<'_>, name: &str) -> Option<Protocol> {
    let known = Protocol::parse(name)
        .filter(|known| !matches!(known, Protocol::Udp | Protocol::HttpProxy | Protocol::Auto));
    if known.is_none() {
        let what = match name {
            "" => "is missing".to_owned(),
            name => format!("{:?} is not a protocol of routers", excerpt(name)),
        };
        at.error_hint(
            what,
            "one of HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, TCP, MONGO, MYSQL, REDIS",
        );
    }
    known
}

fn bind(at: &At<'_>, server: &Server) {
    let text = server.bind.as_str();
    match text.strip_prefix(UNIX) {
        Some(path) => {
            plain_text(at, path);
            let is_path = path.starts_with('/') || path.starts_with('@');
            if !is_path || path.len() > MAX_PATH {
                at.error_hint(
                    format!("{:?} is not the path of a socket", excerpt(path)),
                    format!("it begins with '/' and has at most {MAX_PATH} bytes"),
                );
            }
        }
        None if !text.is_empty() && text.parse::<IpAddr>().is_err() => at.error_hint(
            format!("{:?} is not an address", excerpt(text)),
            "an IP address, or unix://PATH",
        ),
        None => {}
    }
}

fn hosts(at: &At<'_>, hosts: &[String]) {
    if hosts.is_empty() {
        at.error_hint("is empty", "'*' is for all hosts");
    }
    let mut seen = BTreeSet::new();
    for (index, text) in hosts.iter().enumerate() {
        let here = at.index(index);
        let name = match text.split_once('/') {
            Some((namespace, name)) => {
                if !matches!(namespace, "*" | ".") && !is_label(namespace) {
                    here.error_hint(
                        format!("{:?} is not a namespace", excerpt(namespace)),
                        "'*' is all, '.' the object's own; otherwise a namespace by name",
                    );
                }
                name
            }
            None => text,
        };
        host(&here, name);
        if !seen.insert(text) {
            here.warning("is named twice");
        }
    }
}
