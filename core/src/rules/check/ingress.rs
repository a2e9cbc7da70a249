//! Checks of `Ingress` and `IngressClass`: what a Kubernetes API server checks, and besides what is not served here.
//!
//! What is not served is no error: an object may well be for somebody else, who serves it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::name::{host, plain_text, port_name, port_number};
use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::resolve::{CONTROLLER, PathType, ingress_path};
use crate::rules::spec::excerpt;
use crate::rules::spec::ingress::{
    Ingress, IngressBackend, IngressClass, IngressPath, IngressPort, IngressService, IngressTls,
};

/// What no path has that is compared with what clients ask for.
const NEVER: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
/// How none of them ends.
const NEVER_LAST: [&str; 2] = ["/..", "/."];

/// All that is wrong with an `Ingress`.
pub(super) fn check(at: &At<'_>, _: &Meta, ingress: &Ingress) {
    if ingress.rules.is_empty() && ingress.default_backend.is_none() {
        at.error_hint(
            "has neither rules nor defaultBackend",
            "say where requests go in one of them",
        );
    }
    if let Some(one) = &ingress.default_backend {
        backend(&at.field("defaultBackend"), one);
    }
    for (index, one) in ingress.tls.iter().enumerate() {
        certificate(&at.field("tls").index(index), one);
    }
    let mut taken = BTreeMap::new();
    for (index, rule) in ingress.rules.iter().enumerate() {
        let rules = at.field("rules");
        let here = rules.index(index);
        if !rule.host.is_empty() {
            host(&here.field("host"), &rule.host);
        }
        let http = here.field("http");
        let paths = http.field("paths");
        if rule.http.as_ref().is_some_and(|http| http.paths.is_empty()) {
            paths.error_hint("is empty", "leave http out to use defaultBackend");
        }
        for (index, one) in rule.http.iter().flat_map(|http| &http.paths).enumerate() {
            let here = paths.index(index);
            path(&here, one);
            // The same requests are those of one host, however it is written.
            let Some(requests) = ingress_path(one) else {
                continue;
            };
            let requests = (rule.host.to_ascii_lowercase(), requests);
            match taken.get(&requests) {
                Some(first) => {
                    here.warning(format!("is never reached: {first} takes its requests"))
                }
                None => drop(taken.insert(requests, here.to_string())),
            }
        }
    }
}

/// All that is wrong with an `IngressClass`.
pub(super) fn check_class(at: &At<'_>, class: &IngressClass) {
    if class.controller == CONTROLLER && class.parameters.is_some() {
        at.field("parameters").warning_hint(
            "has no effect",
            "mesh config says which routers serve: ingressSelector",
        );
    }
}

fn certificate(at: &At<'_>, tls: &IngressTls) {
    for (index, text) in tls.hosts.iter().enumerate() {
        host(&at.field("hosts").index(index), text);
    }
    let (place, what) = match tls.secret_name.as_str() {
        "" => (at.field("hosts"), "are not served with TLS"),
        _ => (at.field("secretName"), "is not served"),
    };
    place.warning_hint(
        format!("{what}: the hosts are served on port 80 alone, without TLS"),
        "certificates that are named need an authenticated stream; a Gateway takes files: serverCertificate, privateKey",
    );
}

fn path(at: &At<'_>, path: &IngressPath) {
    let here = at.field("path");
    let text = path.path.as_str();
    plain_text(&here, text);
    match PathType::parse(&path.path_type) {
        None => {
            let what = match path.path_type.as_str() {
                "" => "is missing".to_owned(),
                text => format!("{:?} is not a type of paths", excerpt(text)),
            };
            at.field("pathType")
                .error_hint(what, "one of Exact, Prefix, ImplementationSpecific");
        }
        Some(PathType::ImplementationSpecific) if text.is_empty() => {}
        Some(_) if !text.starts_with('/') => here.error_hint(
            format!("{:?} is not a path", excerpt(text)),
            "it begins with '/'",
        ),
        Some(PathType::ImplementationSpecific) => {}
        Some(PathType::Exact | PathType::Prefix) => {
            let mut never = NEVER.iter().filter(|part| text.contains(**part));
            let mut last = NEVER_LAST.iter().filter(|part| text.ends_with(**part));
            if let Some(part) = never.next().or_else(|| last.next()) {
                here.error(format!("{:?} has {part:?} in it", excerpt(text)));
            }
        }
    }
    if let Some(sign) = text.chars().find(|sign| matches!(sign, '?' | '#')) {
        here.error_hint(
            format!("{:?} has {sign:?} in it", excerpt(text)),
            "a path ends before the query",
        );
    }
    match &path.backend {
        Some(one) => backend(&at.field("backend"), one),
        None => at.field("backend").error("is missing"),
    }
}

fn backend(at: &At<'_>, backend: &IngressBackend) {
    match (&backend.service, &backend.resource) {
        (Some(_), Some(_)) => at.error_hint("has service and resource", "say one of them"),
        (None, None) => at.error_hint("is empty", "say which service"),
        (None, Some(_)) => at.field("resource").warning_hint(
            "is not served: requests for it are answered with 404",
            "routers send requests to services alone",
        ),
        (Some(one), None) => service(&at.field("service"), one),
    }
}

fn service(at: &At<'_>, service: &IngressService) {
    match service.name.as_str() {
        "" => at.field("name").error("is missing"),
        text if text.contains('*') => at.field("name").error("has a wildcard in it"),
        text => drop(host(&at.field("name"), text)),
    }
    let here = at.field("port");
    let Some(IngressPort { name, number }) = &service.port else {
        here.error_hint("is missing", "number or name of a port of the service");
        return;
    };
    match (name.as_str(), *number) {
        ("", 0) => here.error_hint("is empty", "say number or name"),
        ("", number) => port_number(&here.field("number"), number),
        (name, 0) => port_name(&here.field("name"), name),
        _ => here.error_hint("has number and name", "say one of them"),
    }
}
