//! The names by which clients reach the services of a route configuration.
//!
//! Envoy refuses a whole route configuration in which a name stands twice. A name that several services could have goes to the
//! service whose full name it is, and otherwise to the one that goes first.

use std::collections::HashSet;
use std::net::IpAddr;

use pilothouse_core::model::{Host, ServiceSource};

use crate::inputs::routes::{Member, RouteInput};
use crate::names::RouteName;

/// The port that requests without one mean.
const DEFAULT_PORT: u16 = 80;

/// The names of each member, in the order of the members.
pub(super) struct Domains {
    lists: Vec<Vec<String>>,
    taken: HashSet<String, foldhash::fast::RandomState>,
}

impl Domains {
    /// Takes the name that stands for all others; whether it was there to be taken.
    pub(super) fn claim_rest(&mut self) -> bool {
        self.taken.insert("*".into())
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
        taken: HashSet::default(),
    };
    let with_ports = input.name == RouteName::HttpProxy;
    let spellings = |member: &Member, name: String| -> Vec<String> {
        let port = member.port.port;
        match with_ports {
            false => vec![name],
            true if port == DEFAULT_PORT => vec![format!("{name}:{port}"), name],
            true => vec![format!("{name}:{port}")],
        }
    };
    for (i, member) in input.members.iter().enumerate() {
        for name in spellings(member, member.service.key.host.to_string()) {
            domains.claim(i, name);
        }
    }
    for (i, member) in input.members.iter().enumerate() {
        for name in derived(member, &input.domain) {
            for name in spellings(member, name) {
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

/// What resolvers complete to `host` for clients in `domain`.
fn short_forms(host: &str, domain: &str) -> Vec<String> {
    if let Some((client_namespace, _)) = domain.split_once(".svc.") {
        // Kubernetes' names: SERVICE.NAMESPACE.svc.DOMAIN.
        let Some((name, _)) = host.split_once(".svc.") else {
            return Vec::new();
        };
        let Some((service, namespace)) = name.split_once('.') else {
            return Vec::new();
        };
        let mut names = vec![name.to_owned(), format!("{name}.svc")];
        if namespace == client_namespace {
            names.insert(0, service.to_owned());
        }
        return names;
    }
    let labels: Vec<&str> = host.split('.').collect();
    let shared = labels
        .iter()
        .rev()
        .zip(domain.split('.').rev())
        .take_while(|(a, b)| **a == *b)
        .count();
    let (own, common) = labels.split_at(labels.len() - shared);
    let Some(first_common) = common.first().filter(|_| !own.is_empty()) else {
        return Vec::new();
    };
    let short = own.join(".");
    // With a namespace in it, the name is also used with the next label.
    let longer = (own.len() == 2).then(|| format!("{short}.{first_common}"));
    std::iter::once(short)
        .chain(longer)
        .filter(|name| name != host)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_are_what_resolvers_complete() {
        let check = |host: &str, domain: &str, expected: &[&str]| {
            assert_eq!(short_forms(host, domain), expected, "{host} in {domain}");
        };
        let shop = "shop.svc.cluster.local";
        check(
            "web.shop.svc.cluster.local",
            shop,
            &["web", "web.shop", "web.shop.svc"],
        );
        check(
            "web.bank.svc.cluster.local",
            shop,
            &["web.bank", "web.bank.svc"],
        );
        check("api.example.com", shop, &[]);
        check("svc.cluster.local", shop, &[]);
        check("web.service.consul", "service.consul", &["web"]);
        check("web.dc1.consul", "dc2.consul", &["web.dc1"]);
        check("foobar.com", "local.net", &[]);
        check("a.b.c.local", "x.local", &["a.b.c"]);
        check("service.consul", "service.consul", &[]);
        check("web", "", &[]);
    }
}
