//! What is left of a view where a `Sidecar` limits what clients reach: the services that it imports, and those that the routes
//! of imported hosts lead to. The latter have clusters; clients do not reach them by their own names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::mesh::{HostRules, Mesh, Routing};
use pilothouse_core::model::{Host, NamespaceName, Protocol, Service, ServicePort};
use pilothouse_core::rules::HostKind;
use pilothouse_core::rules::resolve::{
    Egress, EgressListener, Elsewhere, HttpAction, HttpRoute, Target,
};
use rpds::RedBlackTreeMapSync as Map;

use super::View;

/// What only such views keep.
#[derive(Debug, Clone, Default)]
pub(super) struct Limited {
    /// Services of which only some ports are seen, as the mesh has them.
    whole: Map<Host, Arc<Service>>,
    /// Where the routes of each host lead.
    leads: Map<Host, Arc<Leads>>,
    /// The same from the other end. A key without a second host stands for what goes to a host whatever was asked for.
    led_by: Map<(Host, Option<Host>), Arc<Leads>>,
}

/// Hosts that routes lead to, with the ports that they name.
type Leads = BTreeMap<Host, Ports>;
/// Some ports of a service; `None` among them: all.
type Ports = BTreeSet<Option<u16>>;

impl View {
    /// What the mesh had as the service of this host when it was published, though the view may show some of its ports only.
    pub fn published(&self, host: &Host) -> Option<&Arc<Service>> {
        let whole = self.limited.whole.get(host);
        whole.or_else(|| self.service(host))
    }

    /// What is said of a port alone.
    pub fn listener(&self, port: u16) -> Option<&EgressListener> {
        self.egress().and_then(|egress| egress.listener(port))
    }

    /// What is spoken with clients on a port of a service: what is said of the port goes before what the service says.
    pub fn protocol(&self, port: &ServicePort) -> Protocol {
        self.listener(port.port)
            .map_or(port.protocol, |listener| listener.protocol)
    }

    /// Whether clients reach a port of a service by its name and address, and not only by routes that lead there.
    pub fn is_reached(&self, service: &Service, port: u16) -> bool {
        let Some((egress, namespace)) = self.egress().zip(self.namespace()) else {
            return true;
        };
        egress.imports(port).has_service(namespace, &service.key)
    }

    pub(super) fn build_limited(&mut self, mesh: &Mesh, egress: &Egress) {
        if let Some(Elsewhere::Proxy(to)) = &egress.elsewhere {
            // It leads there whatever is asked for.
            let leads = Leads::from([(to.host.clone(), [to.port].into())]);
            let key = (to.host.clone(), None);
            self.limited.led_by.insert_mut(key, Arc::new(leads));
        }
        let all = mesh.hosts().chain(mesh.hosts_of_rules(HostKind::Virtual));
        self.follow_limited(mesh, egress, &all.cloned().collect());
    }

    /// Returns the hosts that are seen otherwise because routes lead to them or do not any more.
    pub(super) fn follow_limited(
        &mut self,
        mesh: &Mesh,
        egress: &Egress,
        hosts: &BTreeSet<Host>,
    ) -> BTreeSet<Host> {
        let mut led = BTreeSet::new();
        for host in hosts {
            led.append(&mut self.follow_one(mesh, egress, host));
        }
        // What is led to has no say in where its own routes lead.
        for host in &led {
            self.follow_one(mesh, egress, host);
        }
        led
    }

    /// Returns the hosts that routes of this one lead to and did not before, or the reverse.
    fn follow_one(&mut self, mesh: &Mesh, egress: &Egress, host: &Host) -> BTreeSet<Host> {
        let Some(namespace) = self.namespace().cloned() else {
            return BTreeSet::new();
        };
        let imported = imported(mesh, &namespace, egress, host);
        let mut ports = self.ports_led_to(host);
        // Proxies report whatever their clients reach.
        ports.extend(mesh.config().report_ports(host).map(Some));
        let led = || mesh.visible(&namespace, host).filter(|_| !ports.is_empty());
        let service = imported.or_else(led);
        let rules = rules(mesh, &namespace, egress, host, imported, service);
        let routing = rules.as_ref().and_then(|rules| rules.routing.clone());
        self.set_rules(host, rules);
        self.set_limited(&namespace, egress, host, service, &ports);
        self.lead(
            host,
            routing.map(|routing| leads(&routing)).unwrap_or_default(),
        )
    }

    /// Keeps the ports of a service that clients reach, and those that routes lead to.
    fn set_limited(
        &mut self,
        namespace: &NamespaceName,
        egress: &Egress,
        host: &Host,
        service: Option<&Arc<Service>>,
        led_to: &Ports,
    ) {
        let Some(service) = service else {
            self.limited.whole.remove_mut(host);
            self.set_service(host, None, |_| false);
            return;
        };
        let reached = |port: &ServicePort| {
            let imports = egress.imports(port.port);
            imports.has_service(namespace, &service.key)
        };
        let is_seen = |port: &ServicePort| {
            led_to.contains(&None) || led_to.contains(&Some(port.port)) || reached(port)
        };
        if service.ports.iter().all(is_seen) {
            self.limited.whole.remove_mut(host);
            self.set_service(host, Some(service), reached);
            return;
        }
        let ports = service.ports.iter().filter(|port| is_seen(port));
        let narrow = Service {
            ports: ports.cloned().collect(),
            ..Service::clone(service)
        };
        let narrow = match self.service(host) {
            Some(known) if **known == narrow => known.clone(),
            _ => Arc::new(narrow),
        };
        self.limited.whole.insert_mut(host.clone(), service.clone());
        self.set_service(host, Some(&narrow), reached);
    }

    fn ports_led_to(&self, host: &Host) -> Ports {
        let all = self.limited.led_by.range((host.clone(), None)..);
        all.take_while(|((to, _), _)| to == host)
            .filter_map(|(_, leads)| leads.get(host))
            .flatten()
            .copied()
            .collect()
    }

    /// Notes where the routes of a host lead. Returns the hosts for which that is new.
    fn lead(&mut self, from: &Host, leads: Leads) -> BTreeSet<Host> {
        let before = self.limited.leads.get(from).cloned().unwrap_or_default();
        if *before == leads {
            return BTreeSet::new();
        }
        let mut changed = BTreeSet::new();
        let leads = Arc::new(leads);
        for to in before.keys().chain(leads.keys()) {
            if before.get(to) != leads.get(to) {
                changed.insert(to.clone());
            }
            let key = (to.clone(), Some(from.clone()));
            if leads.contains_key(to) {
                self.limited.led_by.insert_mut(key, leads.clone());
            } else {
                self.limited.led_by.remove_mut(&key);
            }
        }
        if leads.is_empty() {
            self.limited.leads.remove_mut(from);
        } else {
            self.limited.leads.insert_mut(from.clone(), leads);
        }
        changed
    }
}

/// The service that clients mean by a host: of several that are imported, the one of their own namespace, otherwise the one that
/// goes first.
fn imported<'a>(
    mesh: &'a Mesh,
    namespace: &NamespaceName,
    egress: &Egress,
    host: &Host,
) -> Option<&'a Arc<Service>> {
    if !egress.all_imports().any(|imports| imports.names(host)) {
        return None;
    }
    let is_imported = |service: &Service| {
        let has = |port: &ServicePort| {
            let imports = egress.imports(port.port);
            imports.has_service(namespace, &service.key)
        };
        let portless = || {
            let mut all = egress.all_imports();
            all.any(|imports| imports.has_service(namespace, &service.key))
        };
        service.ports.iter().any(has) || (service.ports.is_empty() && portless())
    };
    let mut all = mesh
        .services_of_host(host)
        .filter(|service| mesh.sees(namespace, service) && is_imported(service));
    let first = all.next()?;
    if first.key.namespace == *namespace {
        return Some(first);
    }
    let own = all.find(|service| service.key.namespace == *namespace);
    Some(own.unwrap_or(first))
}

/// What rules say of a host: how it is routed only if that rule is imported, too.
fn rules(
    mesh: &Mesh,
    namespace: &NamespaceName,
    egress: &Egress,
    host: &Host,
    imported: Option<&Arc<Service>>,
    service: Option<&Arc<Service>>,
) -> Option<HostRules> {
    let is_named = egress.all_imports().any(|imports| imports.names(host));
    if service.is_none() && !is_named {
        return None;
    }
    let mut rules = mesh.host_rules(Some(namespace), host, service.map(|service| &**service))?;
    rules.routing = rules.routing.filter(|routing| {
        let Some(owner) = routing.rules.first().map(|rule| &rule.namespace) else {
            return false;
        };
        egress.all_imports().any(|imports| match imported {
            Some(_) => imports.meets(namespace, owner, &routing.host),
            // Nobody else follows what rules say of a name that no service has.
            None => routing.host == *host && imports.has(namespace, owner, host),
        })
    });
    (rules != HostRules::default()).then_some(rules)
}

fn leads(routing: &Routing) -> Leads {
    fn of_http(route: &Arc<HttpRoute>) -> impl Iterator<Item = &Target> {
        let targets = match &route.action {
            HttpAction::Route(targets) => &targets[..],
            _ => &[],
        };
        let mirrors = route.mirrors.iter().map(|mirror| &mirror.to);
        targets.iter().map(|target| &target.to).chain(mirrors)
    }
    let tls = routing.tls.iter().flat_map(|route| &route.route);
    let tcp = routing.tcp.iter().flat_map(|route| &route.route);
    let l4 = tls.chain(tcp).map(|target| &target.to);
    let mut leads = Leads::new();
    for target in routing.http.iter().flat_map(of_http).chain(l4) {
        let ports = leads.entry(target.host.clone()).or_default();
        ports.insert(target.port);
    }
    leads
}

#[cfg(test)]
mod tests;
