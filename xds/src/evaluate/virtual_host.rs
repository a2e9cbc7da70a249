//! Which virtual host a request is for: the exact name, then the longest suffix, then the longest prefix, then `*`.

use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, VirtualHost};

use super::walk::Considered;

/// A virtual host, and others that would have matched.
pub(super) struct Choice<'a> {
    pub(super) found: Option<(&'a VirtualHost, &'a str)>,
    pub(super) considered: Vec<Considered>,
}

/// The virtual host of an authority.
pub(super) fn choose<'a>(routes: &'a RouteConfiguration, authority: &str) -> Choice<'a> {
    let host = authority.to_ascii_lowercase();
    let host = if routes.ignore_port_in_host_matching {
        without_port(&host)
    } else {
        &host
    };
    let mut found: Vec<(&VirtualHost, &str, (u8, usize))> = Vec::new();
    for virtual_host in &routes.virtual_hosts {
        let best = virtual_host
            .domains
            .iter()
            .filter_map(|domain| Some((domain.as_str(), rank(domain, host)?)))
            .max_by_key(|(_, rank)| *rank);
        if let Some((domain, rank)) = best {
            found.push((virtual_host, domain, rank));
        }
    }
    // Of equals, the first counts.
    let best = found
        .iter()
        .enumerate()
        .max_by_key(|(place, (_, _, rank))| (*rank, std::cmp::Reverse(*place)))
        .map(|(place, _)| place);
    let chosen = best.and_then(|best| found.get(best));
    let considered = found
        .iter()
        .enumerate()
        .filter(|(place, _)| Some(*place) != best)
        .map(|(_, (virtual_host, domain, _))| Considered {
            name: virtual_host.name.clone(),
            why: format!(
                "its domain {domain:?} is less specific than {:?}",
                chosen.map_or("", |(_, domain, _)| domain)
            ),
        })
        .collect();
    Choice {
        found: chosen.map(|(virtual_host, domain, _)| (*virtual_host, *domain)),
        considered,
    }
}

/// How specifically a domain stands for a host.
fn rank(domain: &str, host: &str) -> Option<(u8, usize)> {
    let domain = domain.to_ascii_lowercase();
    if domain == "*" {
        return Some((0, 0));
    }
    if domain == host {
        return Some((3, domain.len()));
    }
    if let Some(suffix) = domain.strip_prefix('*') {
        let is_below = host.len() > suffix.len() && host.ends_with(suffix);
        return is_below.then_some((2, suffix.len()));
    }
    let prefix = domain.strip_suffix('*')?;
    let is_below = host.len() > prefix.len() && host.starts_with(prefix);
    is_below.then_some((1, prefix.len()))
}

/// A host without its port. Of an IPv6 address only what follows the bracket is one.
pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}
