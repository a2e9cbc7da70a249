//! Ports that are listened on for others.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{connection, listened};
use crate::model::Protocol;
use crate::rules::at::At;
use crate::rules::check::gateway::server_tls;
use crate::rules::check::name::{plain_text, port_number};
use crate::rules::spec::excerpt;
use crate::rules::spec::gateway::{ServerTls, ServerTlsMode};
use crate::rules::spec::sidecar::{CaptureMode, IngressListener};

pub(super) fn check(at: &At<'_>, listeners: &[IngressListener]) {
    let mut ports = BTreeSet::new();
    for (index, listener) in listeners.iter().enumerate() {
        let here = at.index(index);
        let Some(port) = &listener.port else {
            here.field("port").error("is missing");
            continue;
        };
        let field = here.field("port");
        listened(&field, port);
        if port.number != 0 && !ports.insert(port.number) {
            field.field("number").error(format!(
                "{} is listened on already: every port once",
                port.number
            ));
        }
        if !listener.bind.is_empty() && listener.bind.parse::<IpAddr>().is_err() {
            here.field("bind").error_hint(
                format!("{:?} is not an IP address", excerpt(&listener.bind)),
                "an address of the workload, or nothing",
            );
        } else if !listener.bind.is_empty() && listener.capture_mode != CaptureMode::None {
            here.field("bind").warning_hint(
                "has no effect where connections are captured",
                "set captureMode: NONE to listen there",
            );
        }
        default_endpoint(&here.field("defaultEndpoint"), &listener.default_endpoint);
        if listener.capture_mode == CaptureMode::None && listener.default_endpoint.is_empty() {
            here.field("defaultEndpoint").warning_hint(
                "is missing: where the sidecar binds the port itself, nothing says where the workload listens, and the port \
                 is not opened",
                "127.0.0.1:PORT, or unix://PATH",
            );
        }
        if let Some(tls) = &listener.tls {
            ends_here(&here.field("tls"), &port.protocol, tls);
        }
        if let Some(pool) = &listener.connection_pool {
            connection::pool(&here.field("connectionPool"), pool);
        }
    }
}

fn default_endpoint(at: &At<'_>, text: &str) {
    if text.is_empty() {
        return;
    }
    plain_text(at, text);
    let hint = "127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT or unix://PATH";
    if let Some(path) = text.strip_prefix("unix://") {
        if !(path.starts_with('/') || path.starts_with('@')) || path.len() < 2 {
            at.error_hint(format!("{:?} has no absolute path", excerpt(text)), hint);
        }
        return;
    }
    let parts = text
        .rsplit_once(':')
        .filter(|(host, _)| ["", "127.0.0.1", "0.0.0.0", "[::1]", "[::]"].contains(host));
    let Some((_, port)) = parts else {
        let what = format!("{:?} is not where a workload listens", excerpt(text));
        at.error_hint(what, hint);
        return;
    };
    match port.parse() {
        Ok(number) => port_number(at, number),
        Err(_) => at.error_hint(format!("{:?} is not a port", excerpt(port)), hint),
    }
}

/// TLS that a sidecar ends: less than what routers can.
fn ends_here(at: &At<'_>, protocol: &str, tls: &ServerTls) {
    let is_tls = Protocol::parse(protocol).is_some_and(Protocol::is_tls);
    if !is_tls {
        at.error_hint(
            "is given for a port without TLS",
            "use protocol HTTPS or TLS",
        );
    }
    if tls.https_redirect == Some(true) {
        at.field("httpsRedirect").error("is for routers only");
    }
    if !tls.subject_alt_names.is_empty() {
        at.field("subjectAltNames").error("is for routers only");
    }
    let by_name = [
        ("credentialName", !tls.credential_name.is_empty()),
        ("credentialNames", !tls.credential_names.is_empty()),
        (
            "caCertCredentialName",
            !tls.ca_cert_credential_name.is_empty(),
        ),
    ];
    for (name, _) in by_name.iter().filter(|(_, given)| *given) {
        at.field(name).error_hint(
            "is for routers only",
            "name files: serverCertificate, privateKey, caCertificates",
        );
    }
    match tls.mode {
        ServerTlsMode::IstioMutual | ServerTlsMode::AutoPassthrough => {
            at.field("mode")
                .error_hint("is for routers only", "SIMPLE, MUTUAL or OPTIONAL_MUTUAL");
        }
        ServerTlsMode::Passthrough => at.field("mode").warning_hint(
            "leaves TLS to the workload",
            "SIMPLE or MUTUAL to end it here",
        ),
        ServerTlsMode::Simple | ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual => {}
    }
    if is_tls && by_name.iter().all(|(_, given)| !given) {
        server_tls(at, Protocol::parse(protocol), Some(tls));
    }
}
