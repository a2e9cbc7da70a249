//! Checks of `WorkloadEntry`, on its own and as an endpoint of a `ServiceEntry`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::labels::labels;
use super::name::{is_fqdn, plain_text, port_name, port_number};
use crate::rules::at::At;
use crate::rules::spec::{WorkloadEntry, excerpt};

/// What an address may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// It is not known what for: anything.
    Any,
    /// An IP address or a socket.
    Static,
    /// An IP address or a name to be resolved.
    Dns,
}

/// All that is wrong with a `WorkloadEntry` that is an object of its own.
pub(super) fn check(at: &At<'_>, entry: &WorkloadEntry) {
    self::entry(at, entry, Allowed::Any, None);
    if is_own_machine(&entry.address) {
        own_machine(&at.field("address"), &entry.address);
    }
    if entry.address.is_empty() && !entry.network.is_empty() {
        at.field("address").warning_hint(
            "is empty: the workload is only found behind the gateways of its network",
            "give an address if there is one",
        );
    }
}

/// All that is wrong with an entry. `service_ports` are the names of its service's ports, where the service is known.
pub(super) fn entry(
    at: &At<'_>,
    entry: &WorkloadEntry,
    allowed: Allowed,
    service_ports: Option<&BTreeSet<&str>>,
) {
    address(at, entry, allowed);
    said(at, entry, service_ports);
}

/// All that is wrong with an entry beside its address.
fn said(at: &At<'_>, entry: &WorkloadEntry, service_ports: Option<&BTreeSet<&str>>) {
    let ports = at.field("ports");
    for (name, number) in entry.ports.iter() {
        let here = ports.key(name);
        port_name(&here, name);
        port_number(&here, *number);
        if let Some(known) = service_ports
            && !known.contains(name)
        {
            let names: Vec<_> = known.iter().copied().take(8).collect();
            here.error_hint(
                "is not a port of the service",
                format!("its ports are: {}", excerpt(&names.join(", "))),
            );
        }
    }
    labels(&at.field("labels"), &entry.labels);
    plain_text(&at.field("network"), &entry.network);
    plain_text(&at.field("locality"), &entry.locality);
    account(&at.field("serviceAccount"), &entry.service_account);
}

/// All that is wrong with what a group's entries begin with: an address may be missing, and whatever is there is as in an entry.
pub(super) fn template(at: &At<'_>, entry: &WorkloadEntry) {
    if entry.address.is_empty() {
        said(at, entry, None);
    } else {
        self::entry(at, entry, Allowed::Any, None);
    }
}

/// Whether an address is one that means another machine to everybody who dials it.
pub(super) fn is_own_machine(address: &str) -> bool {
    address
        .parse::<IpAddr>()
        .is_ok_and(|ip| match ip.to_canonical() {
            IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local() || ip.is_unspecified(),
            IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unspecified(),
        })
}

/// Says so.
pub(super) fn own_machine(at: &At<'_>, address: &str) {
    at.warning_hint(
        format!("{address} is the own machine of each proxy that dials it"),
        "right only where all of them run on the workload's machine; otherwise give an address that others reach",
    );
}

/// An identity is made from it: nothing in it may look like another part of one.
fn account(at: &At<'_>, name: &str) {
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.len() > 253 || !name.bytes().all(ok) {
        at.error_hint(
            format!("{:?} is not an account's name", excerpt(name)),
            "letters, digits, '-', '_' and '.'; its namespace is that of the object",
        );
    }
}

fn address(at: &At<'_>, entry: &WorkloadEntry, allowed: Allowed) {
    let here = at.field("address");
    let address = entry.address.as_str();
    if address.is_empty() {
        if entry.network.is_empty() {
            here.error_hint(
                "is missing",
                "an IP address, a DNS name or unix:///path; or a network whose gateways are used",
            );
        }
    } else if let Some(path) = address.strip_prefix("unix://") {
        if allowed == Allowed::Dns {
            here.error_hint(
                "is a socket, which DNS does not resolve",
                "use resolution STATIC",
            );
        }
        if !path.starts_with('/') || path.ends_with('/') {
            here.error(format!(
                "{:?} is not the absolute path of a socket",
                excerpt(path)
            ));
        } else if path.len() > 107 || path.contains('\0') {
            here.error(
                "is no path that a socket can have: longer than 107 bytes, or with a NUL in it",
            );
        }
        if !entry.ports.is_empty() {
            at.field("ports").error("a socket has no ports");
        }
    } else if address.parse::<IpAddr>().is_err() {
        if !is_fqdn(address) {
            here.error(format!(
                "{:?} is neither an IP address nor a DNS name",
                excerpt(address)
            ));
        } else if allowed == Allowed::Static {
            let what = format!(
                "{:?} is a name, which resolution STATIC does not resolve",
                excerpt(address)
            );
            here.error_hint(what, "use resolution DNS, or give an IP address");
        }
    }
}

#[cfg(test)]
mod tests;
