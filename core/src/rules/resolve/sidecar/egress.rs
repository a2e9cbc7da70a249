//! What the clients behind a sidecar reach.

use std::net::IpAddr;
use std::sync::Arc;

use crate::mesh::OutboundPolicy;
use crate::model::{Host, NamespaceName, Protocol, ServiceKey};
use crate::registry::{Meta, ObjectKey};
use crate::rules::resolve::{Target, host_name};
use crate::rules::spec::sidecar::{self as spec, CaptureMode, OutboundMode};

/// What the clients behind a sidecar reach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Egress {
    /// The rule that says it.
    pub rule: ObjectKey,
    /// What is reached on single ports, by port.
    pub listeners: Vec<EgressListener>,
    /// What is reached on all other ports.
    pub rest: Imports,
    /// Whether what is reached on other ports is dialled on the proxy's machine instead of captured.
    pub rest_bound: bool,
    /// What becomes of traffic that no service claims; `None`: what mesh config says.
    pub elsewhere: Option<Elsewhere>,
}

/// What is reached on one port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EgressListener {
    /// The port.
    pub port: u16,
    /// What is spoken there.
    pub protocol: Protocol,
    /// Where it is listened on.
    pub bind: EgressBind,
    /// What is reached.
    pub imports: Imports,
}

/// Where a port is listened on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EgressBind {
    /// The address; `None`: as if nothing were said.
    pub address: Option<IpAddr>,
    /// Whether clients dial it, instead of being captured.
    pub bound: bool,
}

/// What becomes of traffic that no service claims.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Elsewhere {
    /// It passes, or is blocked.
    Policy(OutboundPolicy),
    /// It goes to a port of a service.
    Proxy(Target),
}

/// Which services are reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Imports(pub Vec<Imported>);

/// Some services.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Imported {
    /// Of which namespaces.
    pub owner: Owner,
    /// Of which names.
    pub host: Host,
}

/// Namespaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// All.
    Any,
    /// The client's.
    Own,
    /// One by name.
    Named(NamespaceName),
}

impl Imports {
    /// Everything.
    pub fn all() -> Self {
        Self(vec![Imported {
            owner: Owner::Any,
            host: Host::any(),
        }])
    }

    /// Whether it is everything.
    pub fn is_all(&self) -> bool {
        self.0
            .iter()
            .any(|imported| imported.owner == Owner::Any && imported.host.as_str() == "*")
    }

    /// Whether clients in `namespace` reach this service.
    pub fn has_service(&self, namespace: &NamespaceName, service: &ServiceKey) -> bool {
        self.has(namespace, &service.namespace, &service.host)
    }

    /// Whether clients in `namespace` reach what has this name in the namespace `owner`.
    pub fn has(&self, namespace: &NamespaceName, owner: &NamespaceName, host: &Host) -> bool {
        self.of(namespace, owner).any(|name| name.covers(host))
    }

    /// The same, or whether something is reached that `host` stands for if it is a wildcard.
    pub fn meets(&self, namespace: &NamespaceName, owner: &NamespaceName, host: &Host) -> bool {
        let mut names = self.of(namespace, owner);
        names.any(|name| name.covers(host) || host.covers(name))
    }

    /// Whether clients may reach something of this name.
    pub fn names(&self, host: &Host) -> bool {
        self.0.iter().any(|imported| imported.host.covers(host))
    }

    /// The names that are reached in the namespace `owner`.
    fn of(&self, namespace: &NamespaceName, owner: &NamespaceName) -> impl Iterator<Item = &Host> {
        let is_there = move |imported: &&Imported| match &imported.owner {
            Owner::Any => true,
            Owner::Own => owner == namespace,
            Owner::Named(name) => owner == name,
        };
        self.0
            .iter()
            .filter(is_there)
            .map(|imported| &imported.host)
    }
}

impl Egress {
    /// What is said of a port alone.
    pub fn listener(&self, port: u16) -> Option<&EgressListener> {
        let found = self.listeners.binary_search_by_key(&port, |one| one.port);
        found.ok().and_then(|index| self.listeners.get(index))
    }

    /// What is reached on a port.
    pub fn imports(&self, port: u16) -> &Imports {
        self.listener(port).map_or(&self.rest, |one| &one.imports)
    }

    /// Everything that is reached on one port or another.
    pub fn all_imports(&self) -> impl Iterator<Item = &Imports> {
        let listeners = self.listeners.iter().map(|one| &one.imports);
        listeners.chain(std::iter::once(&self.rest))
    }
}

/// What a rule says; `None` where it limits nothing.
pub(super) fn egress(meta: &Meta, written: &crate::rules::spec::Sidecar) -> Option<Egress> {
    let elsewhere = written.outbound_traffic_policy.as_ref();
    let elsewhere = elsewhere.map(|policy| elsewhere_of(meta, policy));
    let mut listeners: Vec<_> = written.egress.iter().filter_map(listener).collect();
    listeners.sort_by_key(|one| one.port);
    listeners.dedup_by_key(|one| one.port);
    let rest = written.egress.iter().find(|one| one.port.is_none());
    let egress = Egress {
        rule: meta.key.clone(),
        listeners,
        rest: match rest {
            Some(rest) => imports(&rest.hosts),
            None if written.egress.is_empty() => Imports::all(),
            None => Imports::default(),
        },
        rest_bound: rest.is_some_and(|rest| rest.capture_mode == CaptureMode::None),
        elsewhere,
    };
    let is_nothing = egress.listeners.is_empty()
        && egress.rest.is_all()
        && !egress.rest_bound
        && egress.elsewhere.is_none();
    (!is_nothing).then_some(egress)
}

fn listener(written: &spec::EgressListener) -> Option<EgressListener> {
    let port = written.port.as_ref()?;
    let number = u16::try_from(port.number).ok().filter(|port| *port != 0)?;
    let protocol = Protocol::parse(&port.protocol)
        .unwrap_or_else(|| Protocol::select(None, &port.name, number));
    Some(EgressListener {
        port: number,
        protocol,
        bind: EgressBind {
            address: written.bind.parse().ok(),
            bound: written.capture_mode == CaptureMode::None,
        },
        imports: imports(&written.hosts),
    })
}

fn imports(hosts: &[String]) -> Imports {
    let one = |text: &String| {
        let (owner, host) = text.split_once('/')?;
        let owner = match owner {
            "~" => return None,
            "*" => Owner::Any,
            "." => Owner::Own,
            name => Owner::Named(name.into()),
        };
        let host = Host::new(host).ok()?;
        Some(Imported { owner, host })
    };
    let mut all: Vec<_> = hosts.iter().filter_map(one).collect();
    all.sort();
    all.dedup();
    Imports(all)
}

fn elsewhere_of(meta: &Meta, written: &spec::OutboundPolicy) -> Elsewhere {
    let proxy = written.egress_proxy.as_ref().and_then(|proxy| {
        Some(Target {
            host: host_name(&proxy.host, meta)?,
            subset: Arc::from(proxy.subset.as_str()),
            port: proxy.port.and_then(|port| u16::try_from(port.number).ok()),
            port_name: None,
        })
    });
    match (written.mode, proxy) {
        (OutboundMode::RegistryOnly, _) => Elsewhere::Policy(OutboundPolicy::RegistryOnly),
        (_, Some(proxy)) => Elsewhere::Proxy(proxy),
        (_, None) => Elsewhere::Policy(OutboundPolicy::AllowAny),
    }
}
