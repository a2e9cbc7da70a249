//! What the clients of one namespace see: each host's service, what rules say of it, and indices from ports and addresses to
//! services. Where a `Sidecar` limits what they reach, it is what is left.
//!
//! All maps are persistent: cloning is cheap, and following a change costs in proportion to it.

mod limited;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use pilothouse_core::mesh::{HostRules, Mesh, Routing};
use pilothouse_core::model::{
    Cidr, Host, NamespaceName, Protocol, Resolution, Service, ServicePort,
};
use pilothouse_core::rules::HostKind;
use pilothouse_core::rules::resolve::Egress;
use rpds::RedBlackTreeMapSync as Map;

/// How a port's connections are told apart. A port that is UDP has no class and is not seen here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// By request: all services of a port share it.
    Http,
    /// The proxy finds out.
    Auto,
    /// By address or server name.
    Tcp,
}

impl Class {
    /// The class of a protocol; `None` for what is not proxied.
    pub fn of(protocol: Protocol) -> Option<Self> {
        match protocol {
            Protocol::Udp => None,
            Protocol::Auto => Some(Self::Auto),
            protocol if protocol.is_http() => Some(Self::Http),
            _ => Some(Self::Tcp),
        }
    }
}

/// Whose view it is: what is seen of a mesh depends on nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewKey {
    /// The clients' namespace.
    pub namespace: NamespaceName,
    /// What limits it further; `None`: nothing does, and namespaces that see the same share it.
    pub egress: Option<Arc<Egress>>,
}

impl From<NamespaceName> for ViewKey {
    fn from(namespace: NamespaceName) -> Self {
        Self {
            namespace,
            egress: None,
        }
    }
}

/// See the [module](self).
#[derive(Debug, Clone, Default)]
pub struct View {
    key: Option<ViewKey>,
    limited: limited::Limited,
    services: Map<Host, Arc<Service>>,
    rules: Map<Host, Arc<HostRules>>,
    // A key without host is where a range begins.
    ports: Map<(u16, Class, Option<Host>), Arc<Service>>,
    addresses: Map<(IpAddr, u16, Option<Host>), Arc<Service>>,
    aliases: Map<(Host, Option<Host>), Arc<Service>>,
}

impl View {
    /// What is seen with this key; for `None`, what every namespace sees that has nothing of its own: public services, and of
    /// several with one host the one that goes first.
    pub fn build(mesh: &Mesh, key: Option<&ViewKey>) -> Self {
        let mut view = Self {
            key: key.cloned(),
            ..Self::default()
        };
        if let Some(egress) = key.and_then(|key| key.egress.clone()) {
            view.build_limited(mesh, &egress);
            return view;
        }
        for host in mesh.hosts().chain(mesh.hosts_of_rules(HostKind::Virtual)) {
            view.follow(mesh, host);
        }
        view
    }

    /// The same as the beginning of what is seen with `key`, which has no limits.
    pub fn of_key(&self, key: &ViewKey) -> Self {
        Self {
            key: Some(key.clone()),
            ..self.clone()
        }
    }

    /// Follows a change of the services of these hosts, or of what rules say of them. A change of mesh config is one of all
    /// hosts. Returns the further hosts that are seen otherwise than before on that account.
    pub fn update(&mut self, mesh: &Mesh, hosts: &BTreeSet<Host>) -> BTreeSet<Host> {
        if let Some(egress) = self.egress().cloned() {
            return self.follow_limited(mesh, &egress, hosts);
        }
        for host in hosts {
            self.follow(mesh, host);
        }
        BTreeSet::new()
    }

    /// Whose view this is.
    pub fn namespace(&self) -> Option<&NamespaceName> {
        self.key.as_ref().map(|key| &key.namespace)
    }

    /// What limits it; `None`: nothing.
    pub fn egress(&self) -> Option<&Arc<Egress>> {
        self.key.as_ref().and_then(|key| key.egress.as_ref())
    }

    /// The service that clients mean by `host`.
    pub fn service(&self, host: &Host) -> Option<&Arc<Service>> {
        self.services.get(host)
    }

    /// What rules say of `host`; `None`: nothing.
    pub fn rules(&self, host: &Host) -> Option<&Arc<HostRules>> {
        self.rules.get(host)
    }

    /// The hosts that rules route and no service has, with what they say.
    pub fn unserved(&self) -> impl Iterator<Item = (&Host, &Routing)> {
        let routed = self
            .rules
            .iter()
            .filter_map(|(host, rules)| Some((host, &**rules.routing.as_ref()?)));
        // What a wildcard covers is not spoken of on that account.
        routed
            .filter(|(host, routing)| **host == routing.host && !self.services.contains_key(*host))
    }

    /// All services, by host.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values()
    }

    /// The services that have this port in this class, by host.
    pub fn on_port(&self, port: u16, class: Class) -> impl Iterator<Item = &Arc<Service>> {
        let all = self.ports.range((port, class, None)..);
        all.take_while(move |((p, c, _), _)| (*p, *c) == (port, class))
            .map(|(_, service)| service)
    }

    /// The services that have this single address, stated for whatever cluster or automatic, and this port, by host.
    pub fn at(&self, ip: IpAddr, port: u16) -> impl Iterator<Item = &Arc<Service>> {
        let all = self.addresses.range((ip, port, None)..);
        all.take_while(move |((i, p, _), _)| (*i, *p) == (ip, port))
            .map(|(_, service)| service)
    }

    /// The services that are other names of `host`'s.
    pub fn aliases(&self, host: &Host) -> impl Iterator<Item = &Arc<Service>> {
        let all = self.aliases.range((host.clone(), None)..);
        all.take_while(move |((target, _), _)| target == host)
            .map(|(_, service)| service)
    }

    fn follow(&mut self, mesh: &Mesh, host: &Host) {
        let (service, rules) = seen(mesh, self.namespace(), host);
        self.set_rules(host, rules);
        let everything = |_: &ServicePort| true;
        self.set_service(host, service, everything);
    }

    fn set_rules(&mut self, host: &Host, rules: Option<HostRules>) {
        match (self.rules.get(host), rules) {
            (None, None) => {}
            (Some(old), Some(new)) if **old == new => {}
            (_, Some(new)) => self.rules.insert_mut(host.clone(), Arc::new(new)),
            (Some(_), None) => {
                self.rules.remove_mut(host);
            }
        }
    }

    /// Replaces what a host means; `reached` says which of its ports clients reach by its name and address.
    fn set_service(
        &mut self,
        host: &Host,
        service: Option<&Arc<Service>>,
        reached: impl Fn(&ServicePort) -> bool,
    ) {
        match (self.services.get(host), service) {
            (None, None) => return,
            (Some(old), Some(new)) if self.egress().is_none() && Arc::ptr_eq(old, new) => return,
            _ => {}
        }
        if let Some(old) = self.services.get(host).cloned() {
            self.services.remove_mut(host);
            for key in self.ports_of(&old, |_| true) {
                self.ports.remove_mut(&key);
            }
            for key in addresses(&old, |_| true) {
                self.addresses.remove_mut(&key);
            }
            if let Some(key) = alias(&old) {
                self.aliases.remove_mut(&key);
            }
        }
        if let Some(new) = service {
            self.services.insert_mut(host.clone(), new.clone());
            for key in self.ports_of(new, &reached) {
                self.ports.insert_mut(key, new.clone());
            }
            for key in addresses(new, &reached) {
                self.addresses.insert_mut(key, new.clone());
            }
            if let Some(key) = alias(new) {
                self.aliases.insert_mut(key, new.clone());
            }
        }
    }

    fn ports_of(
        &self,
        service: &Service,
        reached: impl Fn(&ServicePort) -> bool,
    ) -> Vec<(u16, Class, Option<Host>)> {
        let host = &service.key.host;
        proxied_ports(service)
            .filter(|(port, _)| reached(port))
            .filter_map(|(port, _)| {
                let class = Class::of(self.protocol(port))?;
                Some((port.port, class, Some(host.clone())))
            })
            .collect()
    }
}

/// What clients in `namespace` see of a host: the service that they mean by it, and what rules say of it. For `None`, what
/// those see that have nothing of their own.
pub(crate) fn seen<'a>(
    mesh: &'a Mesh,
    namespace: Option<&NamespaceName>,
    host: &Host,
) -> (Option<&'a Arc<Service>>, Option<HostRules>) {
    let service = match namespace {
        Some(namespace) => mesh.visible(namespace, host),
        None => mesh
            .services_of_host(host)
            .find(|service| mesh.is_public(service)),
    };
    let rules = mesh.host_rules(namespace, host, service.map(|service| &**service));
    (service, rules)
}

/// The ports of a service that there are clusters for, with their class. Another name of a service has none; a service whose
/// names are resolved as requests say them has those on which there are such names.
pub fn proxied_ports(service: &Service) -> impl Iterator<Item = (&ServicePort, Class)> {
    let ports = match service.resolution {
        Resolution::Alias(_) => &[],
        _ => &service.ports[..],
    };
    let is_dynamic = service.resolution == Resolution::DynamicDns;
    let carries_names = |port: &ServicePort| port.protocol.is_http() || port.protocol.is_tls();
    ports
        .iter()
        .filter(move |port| !is_dynamic || carries_names(port))
        .filter_map(|port| Some((port, Class::of(port.protocol)?)))
}

/// The port of this number, if there is a cluster for it.
pub fn proxied_port(service: &Service, number: u16) -> Option<(&ServicePort, Class)> {
    proxied_ports(service).find(|(port, _)| port.port == number)
}

fn addresses(
    service: &Service,
    reached: impl Fn(&ServicePort) -> bool,
) -> Vec<(IpAddr, u16, Option<Host>)> {
    let stated = service.addresses.values().flatten();
    let stated = stated
        .filter(|address| is_virtual_ip(address))
        .map(Cidr::ip);
    let given = service.automatic.into_iter();
    let given = given.flat_map(|given| [IpAddr::V4(given.v4), IpAddr::V6(given.v6)]);
    let ports: Vec<_> = proxied_ports(service)
        .filter(|(port, _)| reached(port))
        .map(|(port, _)| port.port)
        .collect();
    let pairs = stated
        .chain(given)
        .flat_map(|ip| ports.iter().map(move |port| (ip, *port)));
    pairs
        .map(|(ip, port)| (ip, port, Some(service.key.host.clone())))
        .collect()
}

fn alias(service: &Service) -> Option<(Host, Option<Host>)> {
    match &service.resolution {
        Resolution::Alias(target) => Some((target.clone(), Some(service.key.host.clone()))),
        _ => None,
    }
}

/// Whether this is one address that connections can be told apart by, and neither a block nor 0.0.0.0.
pub fn is_virtual_ip(address: &Cidr) -> bool {
    address.is_single() && !address.ip().is_unspecified()
}

#[cfg(test)]
mod tests {
    use pilothouse_core::model::{ServiceSource, Visibility};

    use super::*;
    use crate::sample::{With, http, mesh, service};

    #[test]
    fn a_host_means_what_its_clients_namespace_sees() {
        let of = |namespace: &str, second, export_to| {
            let service = service("a.com", [http(80)])
                .created(second)
                .with(|service| {
                    service.key.namespace = namespace.into();
                    service.export_to = export_to;
                });
            (service, vec![])
        };
        let mine = |namespace: &str| Some(Visibility::Namespaces([namespace.into()].into()));
        let platform = (
            service("b.com", [http(80)])
                .created(9)
                .with(|service| service.source = ServiceSource::Platform),
            vec![],
        );
        let rule = (
            service("b.com", [http(80)]).with(|service| service.key.namespace = "bank".into()),
            vec![],
        );
        let mesh = mesh([
            of("shop", 2, None),
            of("bank", 1, mine("bank")),
            of("old", 1, None),
            platform,
            rule,
        ]);
        let check = |namespace: Option<&str>, host: &str, expected: &str| {
            let key = namespace.map(|namespace| ViewKey::from(NamespaceName::from(namespace)));
            let view = View::build(&mesh, key.as_ref());
            let found = view
                .service(&Host::new(host).unwrap())
                .map(|service| service.key.namespace.to_string());
            assert_eq!(found.as_deref(), Some(expected), "{namespace:?} {host}");
            assert_eq!(view.on_port(80, Class::Http).count(), 2);
        };
        check(None, "a.com", "old");
        check(Some("shop"), "a.com", "shop");
        check(Some("bank"), "a.com", "bank");
        check(Some("other"), "a.com", "old");
        check(None, "b.com", "shop");
        check(Some("bank"), "b.com", "bank");
    }
}
