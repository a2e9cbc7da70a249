//! Services of which each request or connection says the name to resolve: wildcards with resolution DYNAMIC_DNS.
//!
//! A filter resolves the name, and the service's cluster finds the answer in a cache that both name. Envoy wants everything that
//! names a cache to describe it alike, so that one value describes it here.

use std::sync::Arc;

use pilothouse_core::model::{Host, Resolution, Service};

use super::routing::{Connections, Routed};
use crate::extensions::{Extension, Missing};
use crate::names;
use crate::resource::Name;
use crate::selection::Family;
use crate::view::{Class, View};

/// The cache of a proxy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NameCache {
    /// Which addresses are asked for.
    pub family: Family,
    /// Whether the resolver that has settings is there.
    pub cares: bool,
}

impl NameCache {
    /// That of a proxy that lacks `without`.
    pub fn of(family: Family, without: Missing) -> Self {
        Self {
            family,
            cares: !without.has(Extension::CaresResolver),
        }
    }
}

/// Whether the names of a service are resolved as requests say them.
pub(super) fn is_dynamic(service: &Service) -> bool {
    service.resolution == Resolution::DynamicDns
}

/// Whether requests on `port` may be for such a service.
pub(super) fn has_requests(view: &View, port: u16) -> bool {
    any(view.on_port(port, Class::Http))
}

/// Whether any requests may be for such a service.
pub(super) fn has_any(view: &View) -> bool {
    any(view.services())
}

/// Whether connections that go there have names that are to be resolved.
pub(super) fn has_connections(view: &View, to: &Connections) -> bool {
    to.clusters
        .iter()
        .any(|(cluster, _)| is_of_names(view, cluster))
}

/// Whether a route leads to such a service.
pub(super) fn has_routed(view: &View, routed: &Routed) -> bool {
    let all = routed.targets.iter().chain(&*routed.mirrors);
    all.into_iter().any(|to| is_of_names(view, &to.cluster))
}

fn is_of_names(view: &View, cluster: &Name) -> bool {
    names::parse_outbound_cluster(cluster.as_str())
        .and_then(|(_, _, host)| view.service(&host))
        .is_some_and(|service| is_dynamic(service))
}

/// They are wildcards, which come before all other names.
fn any<'a>(mut by_host: impl Iterator<Item = &'a Arc<Service>>) -> bool {
    let is_wildcard = |host: &Host| host.is_wildcard();
    by_host
        .by_ref()
        .take_while(|service| is_wildcard(&service.key.host))
        .any(|service| is_dynamic(service))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{With, http, mesh, service};

    #[test]
    fn such_services_are_found_among_others() {
        let dynamic = |host: &str| service(host, [http(80)]).resolved(Resolution::DynamicDns);
        let check = |services: Vec<Service>, expected: bool| {
            let mesh = mesh(services.into_iter().map(|service| (service, vec![])));
            let view = View::build(&mesh, None);
            assert_eq!(
                (has_requests(&view, 80), has_any(&view)),
                (expected, expected)
            );
            assert!(!has_requests(&view, 81));
        };
        let plain = |host: &str| service(host, [http(80)]);
        check(vec![plain("0.com"), plain("*.a.com")], false);
        check(
            vec![plain("0.com"), plain("*.a.com"), dynamic("*.b.com")],
            true,
        );
    }
}
