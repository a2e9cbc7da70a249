//! Routes of connections, from what is written.

use super::names::{Names, number};
use super::{L4Match, L4Target, Place, TcpRoute, TlsMatch, TlsRoute};
use crate::model::{Cidr, Labels};
use crate::rules::spec::virtual_service as spec;

/// `None` where there is nobody to go to, or no connection that it is for.
pub(super) fn tls(names: Names<'_>, place: Place, written: &spec::TlsRoute) -> Option<TlsRoute> {
    let one = |one: &spec::TlsMatch| {
        let sni_hosts: Vec<_> = one
            .sni_hosts
            .iter()
            .filter_map(|host| names.host(host))
            .collect();
        (!sni_hosts.is_empty()).then(|| TlsMatch {
            sni_hosts,
            l4: Conditions {
                subnets: &one.destination_subnets,
                port: one.port,
                labels: &one.source_labels,
                namespace: &one.source_namespace,
                gateways: &one.gateways,
            }
            .read(names),
        })
    };
    let matches: Vec<_> = written.matches.iter().filter_map(one).collect();
    let route = targets(names, &written.route);
    (!matches.is_empty() && !route.is_empty()).then_some(TlsRoute {
        place,
        matches,
        route,
    })
}

/// `None` where there is nobody to go to.
pub(super) fn tcp(names: Names<'_>, place: Place, written: &spec::TcpRoute) -> Option<TcpRoute> {
    let one = |one: &spec::L4Match| {
        Conditions {
            subnets: &one.destination_subnets,
            port: one.port,
            labels: &one.source_labels,
            namespace: &one.source_namespace,
            gateways: &one.gateways,
        }
        .read(names)
    };
    let route = targets(names, &written.route);
    (!route.is_empty()).then(|| TcpRoute {
        place,
        matches: written.matches.iter().map(one).collect(),
        route,
    })
}

/// What both kinds of matches have.
struct Conditions<'a> {
    subnets: &'a [String],
    port: Option<u32>,
    labels: &'a Labels,
    namespace: &'a str,
    gateways: &'a [String],
}

impl Conditions<'_> {
    fn read(&self, names: Names<'_>) -> L4Match {
        let subnets = self.subnets.iter();
        L4Match {
            destination_subnets: subnets
                .filter_map(|text| text.parse::<Cidr>().ok())
                .collect(),
            port: self.port.and_then(number),
            source_labels: self.labels.clone(),
            source_namespace: (!self.namespace.is_empty()).then(|| self.namespace.into()),
            gateways: names.gateways(self.gateways),
        }
    }
}

fn targets(names: Names<'_>, written: &[spec::L4Destination]) -> Vec<L4Target> {
    let alone = written.len() == 1;
    let target = |written: &spec::L4Destination| {
        Some(L4Target {
            to: names.target(written.destination.as_ref()?)?,
            weight: super::weight(written.weight, alone),
        })
    };
    let targets: Vec<_> = written.iter().filter_map(target).collect();
    match targets.iter().any(|target| target.weight > 0) {
        true => targets,
        false => Vec::new(),
    }
}
