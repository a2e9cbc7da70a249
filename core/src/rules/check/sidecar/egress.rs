//! What clients reach.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::listened;
use crate::model::Protocol;
use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::check::name::{host, is_label};
use crate::rules::spec::excerpt;
use crate::rules::spec::sidecar::{CaptureMode, EgressListener};

pub(super) fn check(at: &At<'_>, meta: &Meta, listeners: &[EgressListener]) {
    let mut ports = BTreeSet::new();
    let mut without_port = None;
    for (index, listener) in listeners.iter().enumerate() {
        let here = at.index(index);
        match &listener.port {
            None => {
                if without_port.is_some() {
                    here.error_hint(
                        "has no port, as an earlier listener",
                        "one listener may be without port: it is for all other ports",
                    );
                } else if index + 1 != listeners.len() {
                    here.error_hint("has no port and is not the last", "put it last");
                }
                without_port.get_or_insert(index);
                if !listener.bind.is_empty() {
                    here.field("bind")
                        .warning_hint("has no effect without a port", "give the listener a port");
                }
            }
            Some(port) if port.number == 0 && listener.bind.starts_with("unix://") => {
                here.field("bind").warning_hint(
                    "is not listened on: clients cannot reach services by a file",
                    "give a port and, with captureMode: NONE, an IP address",
                );
            }
            Some(port) => {
                listened(&here.field("port"), port);
                if port.number != 0 && !ports.insert(port.number) {
                    here.field("port").field("number").error(format!(
                        "{} has a listener already: every port once",
                        port.number
                    ));
                }
                bind(&here, listener, &port.protocol);
            }
        }
        hosts(&here.field("hosts"), meta, &listener.hosts);
    }
}

fn bind(at: &At<'_>, listener: &EgressListener, protocol: &str) {
    let bind = &listener.bind;
    if bind.starts_with("unix://") {
        at.field("bind").error_hint(
            format!("{:?} is a file, and there is a port", excerpt(bind)),
            "an IP address",
        );
    } else if !bind.is_empty() && bind.parse::<IpAddr>().is_err() {
        at.field("bind")
            .error(format!("{:?} is not an IP address", excerpt(bind)));
    }
    if listener.capture_mode == CaptureMode::None && bind.is_empty() {
        at.field("bind")
            .warning_hint("is missing: the loopback address is used", "an IP address");
    }
    if matches!(Protocol::parse(protocol), Some(Protocol::HttpProxy)) {
        at.field("port").field("protocol").warning_hint(
            "is taken as HTTP: requests go by their host, and CONNECT is not answered",
            "meshConfig.proxyHttpPort makes an HTTP proxy",
        );
    }
}

fn hosts(at: &At<'_>, meta: &Meta, hosts: &[String]) {
    if hosts.is_empty() {
        at.error_hint(
            "is empty",
            "NAMESPACE/HOST, such as ./* or */api.example.com; ~/* for nothing",
        );
    }
    let mut seen = BTreeSet::new();
    for (index, text) in hosts.iter().enumerate() {
        let here = at.index(index);
        let Some((namespace, name)) = text.split_once('/') else {
            here.error_hint(
                format!("{:?} has no namespace", excerpt(text)),
                "NAMESPACE/HOST, where the namespace is a name, '.', '*' or '~'",
            );
            continue;
        };
        if !["*", ".", "~"].contains(&namespace) && !is_label(namespace) {
            here.error_hint(
                format!("{:?} is not a namespace", excerpt(namespace)),
                "a name, '.' for the client's own, '*' for any, '~' for none",
            );
        }
        if namespace == "~" && name != "*" {
            here.warning_hint("stands for no service, whatever the name", "write ~/*");
        }
        let known = name == "*" || host(&here, name).is_some();
        if known && meta.domain.is_some() && !name.contains('.') && name != "*" {
            here.warning_hint(
                format!("{name:?} is taken as it is, and services have longer names"),
                format!("{namespace}/{name}.NAMESPACE.svc.DOMAIN"),
            );
        }
        let is_known = |of: &str| seen.contains(&(of, name)) || seen.contains(&(of, "*"));
        if seen.contains(&("*", "*")) || is_known(namespace) {
            here.warning("is covered by an earlier host");
        }
        seen.insert((namespace, name));
    }
}
