//! Which `VirtualService` says how sidecars route what is for a host: of those that the client's namespace sees and that are in
//! force on `mesh`, one with the most specific host, and of these the oldest. Where mesh config says that rules of one namespace
//! merge, the others of its namespace for the same host add their routes.

use std::sync::Arc;

use super::virtuals::{sees_as, virtual_service};
use super::{delegates, merge, spellings};
use crate::mesh::{Mesh, VirtualServiceMerge};
use crate::model::{Host, NamespaceName};
use crate::registry::ObjectKey;
use crate::rules::HostKind;
use crate::rules::resolve::{HttpRoute, TcpRoute, TlsRoute, VirtualService};

/// How requests and connections to a host are routed. Routes that other rules were delegated to say stand in the place of
/// those that delegate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Routing {
    /// The host as the rule writes it: a wildcard, perhaps.
    pub host: Host,
    /// The rules that have a part in it: the first is the oldest.
    pub rules: Arc<[ObjectKey]>,
    /// What becomes of HTTP requests: the first that matches. Where there is none, nothing is said about them.
    pub http: Vec<Arc<HttpRoute>>,
    /// What becomes of TLS connections that are passed through: the first that matches.
    pub tls: Vec<Arc<TlsRoute>>,
    /// What becomes of other connections: the first that matches.
    pub tcp: Vec<Arc<TcpRoute>>,
}

impl Routing {
    /// Whether some of it is for clients in `namespace` alone.
    pub fn is_for(&self, namespace: &NamespaceName) -> bool {
        let http = self.http.iter().flat_map(|route| &route.matches);
        let tls = self.tls.iter().flat_map(|route| &route.matches);
        let tcp = self.tcp.iter().flat_map(|route| &route.matches);
        let mut named = http
            .filter_map(|one| one.source_namespace.as_ref())
            .chain(tls.filter_map(|one| one.l4.source_namespace.as_ref()))
            .chain(tcp.filter_map(|one| one.source_namespace.as_ref()));
        named.any(|one| one == namespace)
    }
}

pub(super) fn look_up(
    mesh: &Mesh,
    namespace: Option<&NamespaceName>,
    host: &Host,
) -> Option<Routing> {
    if !mesh.host_rules.virtuals.routed.cover(host) {
        return None;
    }
    spellings(host).find_map(|host| {
        let seen = seen(mesh, namespace, &host);
        let counting = counting(mesh.config().virtual_service_merge, &seen);
        (!counting.is_empty()).then(|| routing(mesh, host, &counting))
    })
}

/// The rules for a host as it is written that clients in `namespace` see, the oldest first; for `None`, that all clients see.
fn seen<'a>(
    mesh: &'a Mesh,
    namespace: Option<&NamespaceName>,
    host: &Host,
) -> Vec<&'a Arc<VirtualService>> {
    let all = mesh.all_rules_of_host(HostKind::Virtual, host);
    let mut all: Vec<_> = all
        .filter_map(virtual_service)
        .filter(|rule| sees_as(mesh, namespace, rule))
        .collect();
    all.sort_by(|a, b| a.age().cmp(&b.age()));
    all
}

/// Those that count, of all rules for a host that somebody sees, the oldest first.
fn counting<'a>(
    merge: VirtualServiceMerge,
    seen: &[&'a Arc<VirtualService>],
) -> Vec<&'a Arc<VirtualService>> {
    let Some(oldest) = seen.first() else {
        return Vec::new();
    };
    let counting = seen.iter().filter(|rule| counts(merge, oldest, rule));
    counting.copied().collect()
}

/// Whether a rule counts for a host for which `oldest` is the oldest that is seen.
pub(super) fn counts(
    merge: VirtualServiceMerge,
    oldest: &VirtualService,
    rule: &VirtualService,
) -> bool {
    match merge {
        VirtualServiceMerge::Off => rule.key == oldest.key,
        VirtualServiceMerge::Namespace => rule.key.namespace == oldest.key.namespace,
    }
}

fn routing(mesh: &Mesh, host: Host, rules: &[&Arc<VirtualService>]) -> Routing {
    let complete: Vec<_> = rules
        .iter()
        .map(|rule| delegates::complete(mesh, rule))
        .collect();
    let mut keys: Vec<_> = rules.iter().map(|rule| rule.key.clone()).collect();
    for route in complete.iter().flat_map(|rule| &rule.http) {
        if !keys.contains(&route.place.rule) {
            keys.push(route.place.rule.clone());
        }
    }
    let rules = keys.into();
    match &complete[..] {
        [only] => Routing {
            host,
            rules,
            http: only.http.clone(),
            tls: only.tls.clone(),
            tcp: only.tcp.clone(),
        },
        several => Routing {
            host,
            rules,
            http: merge::http(several),
            tls: several.iter().flat_map(|rule| rule.tls.clone()).collect(),
            tcp: merge::tcp(several),
        },
    }
}
