//! `VirtualService` → how requests and connections to hosts are routed.

mod codes;
mod delegate;
mod http;
mod l4;
mod names;
mod read_http;
mod read_l4;
mod read_match;
mod read_policy;

use std::sync::Arc;

use jiff::Timestamp;

use super::service_entry::visibility;
use crate::model::{Host, NamespaceName, Visibility};
use crate::registry::{Kind, Meta, ObjectKey};
use crate::rules::spec;
pub(crate) use codes::{bytes, grpc_status};
pub(crate) use delegate::delegated;
use names::Names;
pub(crate) use read_match::CLAIMS;

pub use http::{
    Abort, Backoff, BodyBytes, Cors, Delay, DelegateRef, DirectResponse, Fault, HeaderMatch,
    HeaderOperations, HttpAction, HttpMatch, HttpRoute, HttpTarget, Mirror, Operations, Redirect,
    RedirectPort, Retries, Rewrite, StringMatch, UriRewrite,
};
pub use l4::{L4Match, L4Target, TcpRoute, TlsMatch, TlsRoute};

/// A checked rule, with names completed and defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VirtualService {
    /// Which object it is.
    pub key: ObjectKey,
    /// When it was made; absent counts as oldest.
    pub created: Option<Timestamp>,
    /// The hosts that clients ask for, wildcards among them; none: other rules delegate to this one.
    pub hosts: Vec<Host>,
    /// Where it is in force.
    pub gateways: Arc<[GatewayRef]>,
    /// Who sees it; `None`: what mesh config says.
    pub export_to: Option<Visibility>,
    /// What becomes of HTTP requests: the first that matches.
    pub http: Vec<Arc<HttpRoute>>,
    /// What becomes of TLS connections that are passed through: the first that matches.
    pub tls: Vec<Arc<TlsRoute>>,
    /// What becomes of other connections: the first that matches.
    pub tcp: Vec<Arc<TcpRoute>>,
}

/// Where a rule is in force.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GatewayRef {
    /// All sidecars: the reserved name `mesh`.
    Mesh,
    /// The routers that a `Gateway` selects.
    Named {
        /// Its namespace.
        namespace: NamespaceName,
        /// Its name.
        name: Arc<str>,
    },
}

impl GatewayRef {
    /// The identity of the `Gateway`; `None` for sidecars.
    pub fn key(&self) -> Option<ObjectKey> {
        match self {
            Self::Mesh => None,
            Self::Named { namespace, name } => {
                let kind = Kind::new("Gateway");
                Some(ObjectKey::new(kind, namespace.clone(), Arc::clone(name)))
            }
        }
    }
}

/// A part of a rule: it is named to authors.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The object in which it is written: of a route that was delegated, the object that it was delegated to.
    pub rule: ObjectKey,
    /// The object that delegates, if one does.
    pub by: Option<ObjectKey>,
    /// Such as `spec.http[2]`.
    pub field: Arc<str>,
}

/// Where traffic goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The service.
    pub host: Host,
    /// A part of its endpoints; empty: all.
    pub subset: Arc<str>,
    /// Which of its ports; `None`: the only one that it has, or the one that the client asked for.
    pub port: Option<u16>,
    /// Its port of this name, where no number says it.
    pub port_name: Option<Arc<str>>,
}

/// What a checked rule means.
pub fn virtual_service(meta: &Meta, spec: &spec::VirtualService) -> VirtualService {
    let names = Names(meta);
    let place = |list: &str, index: usize| Place {
        rule: meta.key.clone(),
        by: None,
        field: format!("spec.{list}[{index}]").into(),
    };
    let mut hosts = Vec::with_capacity(spec.hosts.len());
    for host in spec.hosts.iter().filter_map(|text| names.host(text)) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    let http = spec.http.iter().enumerate();
    let http = http.filter_map(|(at, route)| read_http::http(names, place("http", at), route));
    let tls = spec.tls.iter().enumerate();
    let tls = tls.filter_map(|(at, route)| read_l4::tls(names, place("tls", at), route));
    let tcp = spec.tcp.iter().enumerate();
    let tcp = tcp.filter_map(|(at, route)| read_l4::tcp(names, place("tcp", at), route));
    VirtualService {
        key: meta.key.clone(),
        created: meta.created,
        gateways: if spec.gateways.is_empty() {
            [GatewayRef::Mesh].into()
        } else {
            names.gateways(&spec.gateways).into()
        },
        hosts,
        export_to: visibility(&spec.export_to, &meta.key.namespace),
        http: http.map(Arc::new).collect(),
        tls: tls.map(Arc::new).collect(),
        tcp: tcp.map(Arc::new).collect(),
    }
}

/// The share of a destination: one that is alone gets all, whatever it says.
fn weight(written: u32, alone: bool) -> u32 {
    match alone {
        true => written.max(1),
        false => written,
    }
}

impl VirtualService {
    /// Its place among rules for one host: age (absent is oldest), then name and namespace.
    pub fn age(&self) -> (Option<Timestamp>, &str, &NamespaceName) {
        (self.created, &self.key.name, &self.key.namespace)
    }

    /// Whether it is in force on sidecars.
    pub fn is_for_mesh(&self) -> bool {
        self.gateways.contains(&GatewayRef::Mesh)
    }

    /// Its hosts, if it is in force on sidecars.
    pub fn mesh_hosts(&self) -> Vec<Host> {
        match self.is_for_mesh() {
            true => self.hosts.clone(),
            false => Vec::new(),
        }
    }

    /// The services that it sends traffic to, copies among it.
    pub fn destinations(&self) -> Vec<Host> {
        let http = self.http.iter().flat_map(|route| {
            let targets = match &route.action {
                HttpAction::Route(targets) => &targets[..],
                _ => &[],
            };
            let mirrors = route.mirrors.iter().map(|mirror| &mirror.to);
            targets.iter().map(|target| &target.to).chain(mirrors)
        });
        let tls = self.tls.iter().flat_map(|route| &route.route);
        let tcp = self.tcp.iter().flat_map(|route| &route.route);
        let l4 = tls.chain(tcp).map(|target| &target.to);
        http.chain(l4).map(|target| target.host.clone()).collect()
    }

    /// The clients' namespaces that some of it is for alone.
    pub fn source_namespaces(&self) -> impl Iterator<Item = &NamespaceName> {
        let http = self.http.iter().flat_map(|route| &route.matches);
        let tls = self.tls.iter().flat_map(|route| &route.matches);
        let tcp = self.tcp.iter().flat_map(|route| &route.matches);
        let named = http.filter_map(|one| one.source_namespace.as_ref());
        let named = named.chain(tls.filter_map(|one| one.l4.source_namespace.as_ref()));
        named.chain(tcp.filter_map(|one| one.source_namespace.as_ref()))
    }

    /// The client's labels that some of it depends on.
    pub fn source_labels(&self) -> impl Iterator<Item = &str> {
        let http = self.http.iter().flat_map(|route| &route.matches);
        let tls = self.tls.iter().flat_map(|route| &route.matches);
        let tcp = self.tcp.iter().flat_map(|route| &route.matches);
        let labels = http.map(|one| &one.source_labels);
        let labels = labels.chain(tls.map(|one| &one.l4.source_labels));
        let labels = labels.chain(tcp.map(|one| &one.source_labels));
        labels.flat_map(|labels| labels.iter().map(|(key, _)| key))
    }
}

#[cfg(test)]
mod tests;
