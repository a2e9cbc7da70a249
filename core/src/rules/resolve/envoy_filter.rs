//! `EnvoyFilter` → its changes one by one, and those that are for a proxy in the order in which they are made.

mod names;

use std::sync::Arc;

use jiff::Timestamp;
use regex::Regex;

use crate::mesh::Mesh;
use crate::model::{Labels, Proxy, ProxyKind};
use crate::registry::{Meta, ObjectKey};
use crate::rules::Resolved;
use crate::rules::spec;
use crate::rules::spec::envoy_filter as written;
use crate::rules::spec::envoy_filter::matching as spec_match;

pub use crate::rules::spec::envoy_filter::matching::{Context, RouteAction};
pub use crate::rules::spec::envoy_filter::{ApplyTo, FilterClass, Operation};
pub use names::current_filter_name;

/// A checked `EnvoyFilter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvoyFilter {
    /// Which object it is.
    pub key: ObjectKey,
    /// When it was made; absent counts as oldest.
    pub created: Option<Timestamp>,
    /// Its place among others: lower numbers first.
    pub priority: i32,
    /// The workloads whose proxies are concerned; `None`: all.
    pub selector: Option<Labels>,
    /// Its changes as they stand, each with whose configuration it is about.
    pub patches: Vec<(Option<ProxyMatch>, Arc<Patch>)>,
}

/// A change of what Envoy gets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Patch {
    /// The object that says it.
    pub rule: ObjectKey,
    /// Its place in that object's `configPatches`.
    pub index: usize,
    /// What kind of thing is changed.
    pub apply_to: ApplyTo,
    /// What is done.
    pub operation: Operation,
    /// What the changed things are for.
    pub context: Context,
    /// Which of them.
    pub object: ObjectMatch,
    /// What is put in place: Envoy's own message as JSON.
    pub value: Option<Arc<str>>,
    /// What kind of filter is added.
    pub filter_class: FilterClass,
}

/// Whose configuration is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyMatch {
    /// The version that the proxy says it has; `None`: any, and none.
    pub version: Option<Pattern>,
    /// Texts that are part of its metadata.
    pub metadata: Labels,
}

/// A regular expression; equal to those that are written alike.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

/// Which things are changed. Texts that are empty and ports that are 0 match everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectMatch {
    /// All of them.
    All,
    /// Those of a listener.
    Listener(ListenerMatch),
    /// Those of a route configuration.
    Routes(RoutesMatch),
    /// Clusters.
    Cluster(ClusterMatch),
}

/// Which listener, and what in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ListenerMatch {
    /// Its name.
    pub name: String,
    /// Its port.
    pub port: u32,
    /// The name of a listener filter in it.
    pub listener_filter: String,
    /// A chain in it.
    pub chain: Option<ChainMatch>,
}

/// A chain of a listener, and what in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ChainMatch {
    /// Its name.
    pub name: String,
    /// A server name that it is for.
    pub sni: String,
    /// The transport that it is for.
    pub transport: String,
    /// The applications that it is for.
    pub applications: Vec<String>,
    /// The port of connections that it is for.
    pub destination_port: u32,
    /// The name of a network filter in it.
    pub filter: Option<String>,
    /// The name of a filter within the HTTP connection manager.
    pub sub_filter: Option<String>,
}

/// Which route configuration, and what in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RoutesMatch {
    /// Its name.
    pub name: String,
    /// The port that it is for.
    pub port: u32,
    /// The name of that port, of a gateway's server.
    pub port_name: String,
    /// The gateway that it is for, as `NAMESPACE/NAME`.
    pub gateway: String,
    /// A virtual host in it.
    pub host: Option<HostMatch>,
}

/// A virtual host, and what in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HostMatch {
    /// Its name.
    pub name: String,
    /// One of its domains.
    pub domain: String,
    /// The name and action of a route in it.
    pub route: Option<(String, RouteAction)>,
}

/// Which cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClusterMatch {
    /// Its name; nothing else counts then.
    pub name: String,
    /// The port that it is for.
    pub port: u32,
    /// The host that it is for.
    pub service: String,
    /// The subset that it is for.
    pub subset: String,
}

/// What a checked object says. What has no effect is left out.
pub fn envoy_filter(meta: &Meta, spec: &spec::EnvoyFilter) -> EnvoyFilter {
    let patches = spec.config_patches.iter().enumerate();
    EnvoyFilter {
        key: meta.key.clone(),
        created: meta.created,
        priority: spec.priority.0,
        selector: spec
            .workload_selector
            .as_ref()
            .map(|selector| selector.labels.clone()),
        patches: patches
            .filter_map(|(index, patch)| self::patch(&meta.key, index, patch))
            .collect(),
    }
}

/// The changes that are for `proxy`, in the order in which they are made: by priority, those of the root namespace first, then
/// by age and name.
pub fn patches_for(mesh: &Mesh, proxy: &Proxy) -> Vec<Arc<Patch>> {
    let root = &mesh.config().root_namespace;
    let mut namespaces = vec![root];
    if proxy.namespace != *root {
        namespaces.push(&proxy.namespace);
    }
    let rules = namespaces
        .into_iter()
        .flat_map(|namespace| mesh.rules_in("EnvoyFilter", namespace));
    let mut filters: Vec<_> = rules
        .filter_map(|rule| match &rule.resolved {
            Some(Resolved::EnvoyFilter(filter)) => Some(filter),
            _ => None,
        })
        .filter(|filter| {
            let selector = filter.selector.as_ref();
            selector.is_none_or(|selector| proxy.labels.selected_by(selector))
        })
        .collect();
    // Those of the root namespace come first, and each namespace's by age and name: sorting keeps that.
    filters.sort_by_key(|filter| filter.priority);
    let patches = filters.into_iter().flat_map(|filter| &filter.patches);
    patches
        .filter(|(of, patch)| {
            patch.is_for(proxy.id.kind) && of.as_ref().is_none_or(|of| of.matches(proxy))
        })
        .map(|(_, patch)| patch.clone())
        .collect()
}

impl Patch {
    fn is_for(&self, kind: ProxyKind) -> bool {
        match self.context {
            Context::Any => true,
            Context::SidecarInbound | Context::SidecarOutbound => kind == ProxyKind::Sidecar,
            Context::Gateway => kind == ProxyKind::Router,
        }
    }
}

impl ProxyMatch {
    fn matches(&self, proxy: &Proxy) -> bool {
        let metadata = |key: &str| proxy.metadata.get(key).map(|value| &**value);
        let version = self.version.as_ref();
        version.is_none_or(|pattern| {
            metadata("ISTIO_VERSION").is_some_and(|version| pattern.0.is_match(version))
        }) && self
            .metadata
            .iter()
            .all(|(key, value)| known(proxy, key).or_else(|| metadata(key)) == Some(value))
    }
}

/// Metadata that has become fields of the proxy.
fn known<'a>(proxy: &'a Proxy, key: &str) -> Option<&'a str> {
    match key {
        "NAMESPACE" => Some(proxy.namespace.as_str()),
        "CLUSTER_ID" => Some(proxy.cluster.as_str()),
        "NETWORK" => Some(proxy.network.as_str()),
        _ => None,
    }
}

impl Pattern {
    fn new(text: &str) -> Option<Self> {
        Regex::new(text).ok().map(Self)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

/// `None` for what has no effect.
fn patch(
    rule: &ObjectKey,
    index: usize,
    said: &written::ConfigPatch,
) -> Option<(Option<ProxyMatch>, Arc<Patch>)> {
    let patch = said.patch.as_ref()?;
    let known = said.apply_to.operations().contains(&patch.operation);
    if !known || said.apply_to == ApplyTo::Bootstrap {
        return None;
    }
    let matching = said.matching.as_ref();
    let value = patch.value.as_ref().map(|value| value.0.to_string());
    let removes = patch.operation == Operation::Remove;
    let proxy = matching.and_then(|of| of.proxy.as_ref()).map(proxy);
    let patch = Patch {
        rule: rule.clone(),
        index,
        apply_to: said.apply_to,
        operation: patch.operation,
        context: matching.map(|of| of.context).unwrap_or_default(),
        object: matching.map_or(ObjectMatch::All, object),
        value: value.filter(|_| !removes).map(Arc::from),
        filter_class: patch.filter_class,
    };
    Some((proxy, Arc::new(patch)))
}

fn proxy(of: &spec_match::ProxyMatch) -> ProxyMatch {
    let version = Some(&of.proxy_version).filter(|text| !text.is_empty());
    ProxyMatch {
        version: version.and_then(|text| Pattern::new(text)),
        metadata: of.metadata.clone(),
    }
}

fn object(of: &spec_match::Match) -> ObjectMatch {
    if let Some(listener) = &of.listener {
        ObjectMatch::Listener(ListenerMatch {
            name: listener.name.clone(),
            port: listener.port_number,
            listener_filter: current_filter_name(&listener.listener_filter).to_owned(),
            chain: listener.filter_chain.as_ref().map(chain),
        })
    } else if let Some(routes) = &of.route_configuration {
        ObjectMatch::Routes(RoutesMatch {
            name: routes.name.clone(),
            port: routes.port_number,
            port_name: routes.port_name.clone(),
            gateway: routes.gateway.clone(),
            host: routes.vhost.as_ref().map(|host| HostMatch {
                name: host.name.clone(),
                domain: host.domain_name.clone(),
                route: host
                    .route
                    .as_ref()
                    .map(|route| (route.name.clone(), route.action)),
            }),
        })
    } else if let Some(cluster) = &of.cluster {
        ObjectMatch::Cluster(ClusterMatch {
            name: cluster.name.clone(),
            port: cluster.port_number,
            service: cluster.service.clone(),
            subset: cluster.subset.clone(),
        })
    } else {
        ObjectMatch::All
    }
}

fn chain(of: &spec_match::FilterChainMatch) -> ChainMatch {
    let filter = of.filter.as_ref();
    let name = |name: &String| current_filter_name(name).to_owned();
    let applications = of.application_protocols.split(',').map(str::trim);
    ChainMatch {
        name: of.name.clone(),
        sni: of.sni.clone(),
        transport: of.transport_protocol.clone(),
        applications: applications
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .collect(),
        destination_port: of.destination_port,
        filter: filter.map(|filter| name(&filter.name)),
        sub_filter: filter
            .and_then(|filter| filter.sub_filter.as_ref())
            .map(|inner| name(&inner.name)),
    }
}
