//! What rules name and nothing has: gateways, hosts, subsets, ports.

use super::scene::{Scene, shown};
use super::{Code, Finding};
use crate::model::{Protocol, Service};
use crate::rules::resolve::{HttpAction, Target, VirtualService};

const MISSING: Code = Code::ReferencedResourceNotFound;

/// Gateways that rules name, and the routers that gateways select.
pub(super) fn gateways(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in &scene.virtual_services {
        for named in rule.gateways.iter() {
            let Some(key) = named.key() else {
                continue;
            };
            if scene.mesh.rule(&key).is_none() {
                let what = format!("there is no {key}");
                findings.push(Finding::new(MISSING, &rule.key, "spec.gateways", what));
            }
        }
        for route in &rule.http {
            let HttpAction::Delegate(to) = &route.action else {
                continue;
            };
            let key = to.key();
            if scene.mesh.rule(&key).is_none() {
                let what = format!("there is no {key}");
                let path = format!("{}.delegate", route.place.field);
                findings.push(Finding::new(MISSING, &rule.key, path, what));
            }
        }
    }
    for gateway in scene.gateways.iter().filter(|_| scene.knows_workloads()) {
        let mut routers = scene.selected(&gateway.key.namespace, &gateway.selector, true);
        if routers.next().is_none() {
            let what = format!("no workload has {}", shown(&gateway.selector));
            findings.push(Finding::new(MISSING, &gateway.key, "spec.selector", what));
        }
    }
    findings
}

/// Destinations whose host, subset or port is not there.
pub(super) fn hosts(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in scene.routing() {
        let namespace = &rule.key.namespace;
        for (path, to) in targets(rule) {
            let Some(service) = scene.service(namespace, &to.host) else {
                let what = format!("no service that {namespace} sees has the host {}", to.host);
                let covered = scene.mesh.all_visible(namespace).find(|service| {
                    service.key.host.is_wildcard() && service.key.host.covers(&to.host)
                });
                let hint = covered.map_or_else(
                    || "what is routed there fails".to_owned(),
                    |service| format!("{} covers it and is another service: declare the host itself, or route to the wildcard", service.key.host),
                );
                let name = if is_ingress(rule) { "name" } else { "host" };
                let path = format!("{path}.{name}");
                findings.push(Finding::new(MISSING, &rule.key, path, what).hint(hint));
                continue;
            };
            if !to.subset.is_empty() && !has_subset(scene, rule, service, &to.subset) {
                let what = format!(
                    "no DestinationRule for {} that counts in {namespace} has the subset {:?}",
                    to.host, &*to.subset
                );
                let path = format!("{path}.subset");
                findings.push(Finding::new(MISSING, &rule.key, path, what));
            }
            let missing = match (to.port, &to.port_name) {
                (Some(port), _) => service.port(port).is_none().then(|| port.to_string()),
                (None, Some(name)) => {
                    let mut ports = service.ports.iter();
                    let is_there = ports.any(|port| port.name == *name);
                    (!is_there).then(|| format!("named {:?}", &**name))
                }
                (None, None) => None,
            };
            if let Some(port) = missing {
                let what = format!("{} has no port {port}", to.host);
                let path = format!("{path}.port");
                findings.push(Finding::new(MISSING, &rule.key, path, what));
            }
        }
    }
    findings
}

/// Destinations of which nothing says which of several ports is meant.
pub(super) fn ports(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in &scene.virtual_services {
        for (path, to) in targets(rule) {
            let service = scene.service(&rule.key.namespace, &to.host);
            let is_one = |service: &&Service| {
                let ports = service.ports.iter();
                ports.filter(|port| port.protocol != Protocol::Udp).count() > 1
            };
            if to.port.is_none()
                && to.port_name.is_none()
                && let Some(service) = service.filter(is_one)
            {
                let numbers: Vec<_> = service
                    .ports
                    .iter()
                    .map(|one| one.port.to_string())
                    .collect();
                let what = format!(
                    "{} has several ports ({}), and none is named",
                    to.host,
                    numbers.join(", ")
                );
                let code = Code::VirtualServiceDestinationPortSelectorRequired;
                findings.push(
                    Finding::new(code, &rule.key, format!("{path}.port"), what)
                        .hint("name one: requests for a port that it lacks fail"),
                );
            }
        }
    }
    findings
}

fn has_subset(scene: &Scene<'_>, rule: &VirtualService, service: &Service, name: &str) -> bool {
    let host = &service.key.host;
    let namespace = Some(&rule.key.namespace);
    let said = scene.mesh.host_rules(namespace, host, Some(service));
    said.is_some_and(|said| {
        let mut all = said.destinations.all();
        all.any(|destination| destination.subset(name).is_some())
    })
}

fn is_ingress(rule: &VirtualService) -> bool {
    rule.key.kind.as_str() == "Ingress"
}

/// Where an `Ingress` says where the requests of a path go, or all others.
fn backend(field: &str) -> String {
    let own = if field.ends_with(']') { ".backend" } else { "" };
    format!("{field}{own}.service")
}

/// Everything that a rule sends traffic to, and where it says so.
fn targets(rule: &VirtualService) -> Vec<(String, &Target)> {
    let mut all = Vec::new();
    for route in &rule.http {
        let field = &route.place.field;
        if let HttpAction::Route(targets) = &route.action {
            for (index, target) in targets.iter().enumerate() {
                if is_ingress(rule) {
                    all.push((backend(field), &target.to));
                    continue;
                }
                all.push((format!("{field}.route[{index}].destination"), &target.to));
            }
        }
        for (index, mirror) in route.mirrors.iter().enumerate() {
            all.push((format!("{field}.mirrors[{index}].destination"), &mirror.to));
        }
    }
    let tls = rule.tls.iter().map(|route| (&route.place, &route.route));
    let tcp = rule.tcp.iter().map(|route| (&route.place, &route.route));
    for (place, targets) in tls.chain(tcp) {
        for (index, target) in targets.iter().enumerate() {
            let path = format!("{}.route[{index}].destination", place.field);
            all.push((path, &target.to));
        }
    }
    all
}
