//! Checks of a `WorkloadGroup`.

#[cfg(test)]
mod tests;

use super::labels::{annotations, labels};
use super::name::{plain_text, port_number};
use super::workload_entry::template;
use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::workload_group::{HttpProbe, Probe};
use crate::rules::spec::{WorkloadGroup, excerpt};

/// All that is wrong with it.
pub(super) fn check(at: &At<'_>, _: &Meta, group: &WorkloadGroup) {
    match &group.template {
        None => at
            .field("template")
            .error_hint("is missing", "what the group's workloads have in common"),
        Some(entry) => template(&at.field("template"), entry),
    }
    if let Some(meta) = &group.metadata {
        let here = at.field("metadata");
        labels(&here.field("labels"), &meta.labels);
        annotations(&here.field("annotations"), &meta.annotations);
    }
    if let Some(probe) = &group.probe {
        self::probe(&at.field("probe"), probe);
    }
}

fn probe(at: &At<'_>, probe: &Probe) {
    let ways = [
        ("httpGet", probe.http_get.is_some()),
        ("tcpSocket", probe.tcp_socket.is_some()),
        ("exec", probe.exec.is_some()),
        ("grpc", probe.grpc.is_some()),
    ];
    let mut given = ways.iter().filter(|(_, given)| *given);
    match (given.next(), given.next()) {
        (None, _) => at.error_hint(
            "does not say how",
            "one of httpGet, tcpSocket, exec and grpc",
        ),
        (Some((first, _)), Some((second, _))) => {
            at.error_hint(format!("has both {first} and {second}"), "use one of them");
        }
        _ => {}
    }
    let numbers = [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ];
    for (name, number) in numbers {
        if i32::try_from(number).is_err() {
            at.field(name)
                .error(format!("{number} is more than {}", i32::MAX));
        }
    }
    if let Some(http) = &probe.http_get {
        http_get(&at.field("httpGet"), http);
    }
    if let Some(tcp) = &probe.tcp_socket {
        let here = at.field("tcpSocket");
        plain_text(&here.field("host"), &tcp.host);
        port_number(&here.field("port"), tcp.port);
    }
    if let Some(exec) = &probe.exec
        && exec.command.first().is_none_or(String::is_empty)
    {
        at.field("exec")
            .field("command")
            .error_hint("is empty", "a program and its arguments");
    }
    if let Some(grpc) = &probe.grpc {
        let here = at.field("grpc");
        plain_text(&here.field("service"), &grpc.service);
        port_number(&here.field("port"), grpc.port);
    }
}

fn http_get(at: &At<'_>, http: &HttpProbe) {
    plain_text(&at.field("path"), &http.path);
    port_number(&at.field("port"), http.port);
    plain_text(&at.field("host"), &http.host);
    if !matches!(
        http.scheme.to_ascii_uppercase().as_str(),
        "" | "HTTP" | "HTTPS"
    ) {
        at.field("scheme").error_hint(
            format!("{:?} is not a scheme", excerpt(&http.scheme)),
            "HTTP or HTTPS",
        );
    }
    for (index, header) in http.http_headers.iter().enumerate() {
        let list = at.field("httpHeaders");
        let here = list.index(index);
        if header.name.is_empty() {
            here.field("name").error("is missing");
        }
        plain_text(&here.field("name"), &header.name);
        plain_text(&here.field("value"), &header.value);
    }
}
