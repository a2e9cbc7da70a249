//! The names by which clients reach the services of a route configuration.
//!
//! Envoy refuses a whole route configuration in which a name stands twice. A name that several services could have goes to the
//! service whose full name it is, and otherwise to the one that goes first.

use std::collections::HashSet;
use std::net::IpAddr;

use pilothouse_core::model::{Host, ServiceSource};

use crate::inputs::routes::{Member, RouteInput, Unserved};
use crate::names::{RouteName, short_forms};

/// The port that requests without one mean.
const DEFAULT_PORT: u16 = 80;

/// The names of each member, in the order of the members.
pub(super) struct Domains {
    lists: Vec<Vec<String>>,
    unserved: Vec<Vec<String>>,
    taken: HashSet<String, foldhash::fast::RandomState>,
}

impl Domains {
    /// Takes the name that stands for all others; whether it was there to be taken.
    pub(super) fn claim_rest(&mut self) -> bool {
        self.taken.insert("*".into())
    }

    /// The names of each host that no service has, in their order.
    pub(super) fn take_unserved(&mut self) -> Vec<Vec<String>> {
        std::mem::take(&mut self.unserved)
    }

    pub(super) fn into_lists(self) -> Vec<Vec<String>> {
        self.lists
    }

    fn claim(&mut self, member: usize, name: String) {
        if let Some(list) = self.lists.get_mut(member)
            && !self.taken.contains(&name)
        {
            self.taken.insert(name.clone());
            list.push(name);
        }
    }
}

/// The names of all members of a route configuration.
pub(super) fn of_members(input: &RouteInput) -> Domains {
    let mut domains = Domains {
        lists: vec![Vec::new(); input.members.len()],
        unserved: Vec::with_capacity(input.unserved.len()),
        taken: HashSet::default(),
    };
    let with_ports = input.name == RouteName::HttpProxy;
    let spellings = |port: u16, name: String| -> Vec<String> {
        match with_ports {
            false => vec![name],
            true if port == DEFAULT_PORT => vec![format!("{name}:{port}"), name],
            true => vec![format!("{name}:{port}")],
        }
    };
    for (i, member) in input.members.iter().enumerate() {
        for name in spellings(member.port.port, member.service.key.host.to_string()) {
            domains.claim(i, name);
        }
    }
    for unserved in &input.unserved {
        let mut names = spellings(Unserved::PORT, unserved.host.to_string());
        names.retain(|name| domains.taken.insert(name.clone()));
        domains.unserved.push(names);
    }
    for (i, member) in input.members.iter().enumerate() {
        for name in derived(member, &input.domain) {
            for name in spellings(member.port.port, name) {
                domains.claim(i, name);
            }
        }
    }
    domains
}

/// The further names of a service: absolute and short forms, names below it, its addresses, its aliases.
fn derived(member: &Member, domain: &str) -> Vec<String> {
    let mut names = forms(&member.service.key.host, domain);
    if member.service.is_headless() && member.service.source == ServiceSource::Platform {
        let all: Vec<String> = std::iter::once(member.service.key.host.to_string())
            .chain(names.iter().cloned())
            .collect();
        names.extend(all.into_iter().map(|name| format!("*.{name}")));
    }
    names.extend(member.addresses.iter().map(|ip| match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }));
    for alias in &member.aliases {
        names.push(alias.to_string());
        names.extend(forms(alias, domain));
    }
    names
}

/// The absolute form of a name and its short forms for clients in `domain`.
fn forms(host: &Host, domain: &str) -> Vec<String> {
    // A short form of a wildcard would stand for names of other services.
    if host.is_wildcard() {
        return Vec::new();
    }
    let mut names = vec![format!("{host}.")];
    names.extend(short_forms(host.as_str(), domain));
    names
}
