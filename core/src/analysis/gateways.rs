//! `Gateway`s among each other, and with the rules and services behind them.

use std::collections::BTreeMap;

use super::scene::{Scene, shown};
use super::{Code, Finding};
use crate::model::{Host, Labels};
use crate::registry::ObjectKey;
use crate::rules::resolve::{GatewayRef, Server, VirtualService};
use crate::rules::spec::gateway::ServerTls;
use crate::rules::{Resolved, RuleSpec};

/// Several gateways of the same routers with one certificate: a client that has a connection to one uses it for the hosts of
/// the other, and gets no route there.
pub(super) fn certificates(scene: &Scene<'_>) -> Vec<Finding> {
    let mut holders: BTreeMap<(Labels, String), BTreeMap<&ObjectKey, usize>> = BTreeMap::new();
    for rule in scene.mesh.rules() {
        let RuleSpec::Gateway(gateway) = &rule.spec else {
            continue;
        };
        for (index, server) in gateway.servers.iter().enumerate() {
            for certificate in server.tls.iter().flat_map(certificates_of) {
                let holders = holders.entry((gateway.selector.clone(), certificate));
                holders.or_default().entry(&rule.meta.key).or_insert(index);
            }
        }
    }
    let mut findings = Vec::new();
    for ((_, certificate), all) in &holders {
        for (object, index) in all {
            if let Some(other) = all.keys().find(|other| *other != object) {
                let path = format!("spec.servers[{index}].tls");
                let what = format!("{other} has the certificate {certificate}, too");
                findings.push(
                    Finding::new(Code::GatewayDuplicateCertificate, object, path, what)
                        .hint("name the hosts of one certificate in one Gateway"),
                );
            }
        }
    }
    findings
}

fn certificates_of(tls: &ServerTls) -> Vec<String> {
    let secrets = tls.credential_names.iter().chain([&tls.credential_name]);
    let files = tls
        .tls_certificates
        .iter()
        .map(|one| &one.server_certificate);
    let all = secrets.chain(files).chain([&tls.server_certificate]);
    let given = all.filter(|text| !text.is_empty());
    given.cloned().collect()
}

/// Two gateways of the same routers that are for one host of one port.
pub(super) fn conflicts(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut all = scene.gateways.clone();
    all.sort_by(|a, b| a.age().cmp(&b.age()));
    for (nth, gateway) in all.iter().enumerate() {
        let older = all
            .iter()
            .take(nth)
            .filter(|other| other.selector == gateway.selector);
        for other in older {
            for server in &gateway.servers {
                let clash = other.servers.iter().find_map(|one| clash(one, server));
                if let Some(host) = clash {
                    let what = format!(
                        "{}, which is older, is for {host} on port {} of the same routers",
                        other.key, server.port
                    );
                    let code = Code::ConflictingGateways;
                    let path = &*server.field;
                    findings.push(Finding::new(code, &gateway.key, path, what));
                }
            }
        }
    }
    findings
}

/// A host that both are for.
fn clash<'a>(a: &Server, b: &'a Server) -> Option<&'a Host> {
    if a.port != b.port || a.bind != b.bind {
        return None;
    }
    let both = b.hosts.iter().find(|host| a.hosts.contains(host));
    both.map(|host| &host.host)
}

/// A host of a rule that a gateway which it names is not for.
pub(super) fn hosts(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in &scene.virtual_services {
        for (named, name) in gateways_of(scene, rule) {
            for host in &rule.hosts {
                let servers = named.servers.iter();
                let fits = |one: &Host| one.covers(host) || host.covers(one);
                if !servers
                    .flat_map(|server| server.hosts_for(&rule.key.namespace))
                    .any(fits)
                {
                    let what = format!("Gateway {name} is not for {host}");
                    let code = Code::VirtualServiceHostNotFoundInGateway;
                    findings.push(Finding::new(code, &rule.key, "spec.hosts", what));
                }
            }
        }
    }
    findings
}

/// The gateways that a rule names, as far as they are there.
fn gateways_of<'a>(
    scene: &Scene<'a>,
    rule: &VirtualService,
) -> Vec<(&'a crate::rules::resolve::Gateway, String)> {
    let named = rule.gateways.iter().filter_map(GatewayRef::key);
    named
        .filter_map(|key| {
            let rule = scene.mesh.rule(&key)?;
            let Some(Resolved::Gateway(gateway)) = &rule.resolved else {
                return None;
            };
            Some((&**gateway, format!("{}/{}", key.namespace, key.name)))
        })
        .collect()
}

/// A port of a gateway that none of the services of its routers has.
pub(super) fn ports(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for gateway in &scene.gateways {
        let routers = scene.selected(&gateway.key.namespace, &gateway.selector, true);
        let services: Vec<_> = routers
            .flat_map(|router| router.ips())
            .flat_map(|ip| scene.mesh.services_at(ip))
            .collect();
        if services.is_empty() {
            continue;
        }
        for server in &gateway.servers {
            let has = |port: &crate::model::ServicePort| {
                port.port == server.port || port.target() == server.port
            };
            if !services.iter().any(|service| service.ports.iter().any(has)) {
                let what = format!(
                    "no service of the routers with {} has port {}",
                    shown(&gateway.selector),
                    server.port
                );
                let code = Code::GatewayPortNotDefinedOnService;
                findings.push(
                    Finding::new(code, &gateway.key, format!("{}.port", server.field), what)
                        .hint("clients that ask for a service do not reach it"),
                );
            }
        }
    }
    findings
}
