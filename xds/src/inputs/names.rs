//! The input of the name table: every host that a namespace sees and what addresses its clients are to use.
//!
//! A service is reached by its virtual addresses; a headless one by those of its healthy endpoints, each of which may have a
//! name of its own below it. A host without any address is left out: whoever else is asked may know it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Address, Endpoint, Health, Host, Resolution, Service};

use super::{Generator, Input};
use crate::names::NAME_TABLE;
use crate::resource::{Name, ResourceType};
use crate::selection::ForNames;
use crate::view::{View, is_virtual_ip};

/// What the name table is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamesInput {
    /// What is known, by host.
    pub hosts: BTreeMap<Arc<str>, Named>,
}

/// A host that has addresses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Named {
    /// At least one, in the order in which they are to be used.
    pub ips: Vec<IpAddr>,
    /// Name and namespace, of a host that is formed of them as Kubernetes does.
    pub short: Option<(Arc<str>, Arc<str>)>,
}

/// The name table.
#[derive(Debug)]
pub struct Names;

impl Generator for Names {
    type Projection = ForNames;

    const TYPE: ResourceType = ResourceType::NameTable;

    fn names(_: &Mesh, _: &View, _: &ForNames) -> BTreeSet<Name> {
        BTreeSet::from([NAME_TABLE.into()])
    }

    fn names_of_host(mesh: &Mesh, view: &View, projection: &ForNames, _: &Host) -> BTreeSet<Name> {
        Self::names(mesh, view, projection)
    }

    fn input(mesh: &Mesh, view: &View, projection: &ForNames, name: &Name) -> Option<Input> {
        if name.as_str() != NAME_TABLE {
            return None;
        }
        let mut hosts = BTreeMap::new();
        let mut below = Vec::new();
        for service in view.services() {
            let host = &service.key.host;
            let target = match &service.resolution {
                Resolution::Alias(target) => view.service(target),
                _ => Some(service),
            };
            let short = short(host);
            let ips = target.map_or_else(Vec::new, |target| ips(mesh, projection, target));
            if !ips.is_empty() {
                let short = short.clone();
                hosts.insert(Arc::from(host.as_str()), Named { ips, short });
            }
            if service.is_headless() {
                below.extend(names_below(mesh, projection, service, short.as_ref()));
            }
        }
        // What is a service's own name goes before that of another's endpoint.
        for (host, named) in below {
            hosts.entry(host).or_insert(named);
        }
        Some(Input::Names(NamesInput { hosts }))
    }
}

/// The addresses that clients of a service are to use.
fn ips(mesh: &Mesh, projection: &ForNames, service: &Service) -> Vec<IpAddr> {
    let addresses = projection.addresses.addresses_of(service);
    let stated: Vec<IpAddr> = addresses
        .filter(is_virtual_ip)
        .map(|address| address.ip())
        .collect();
    match service.resolution {
        Resolution::DynamicDns | Resolution::Alias(_) => Vec::new(),
        Resolution::Passthrough if stated.is_empty() => {
            let endpoints = reachable(mesh, projection, service);
            let all: BTreeSet<IpAddr> = endpoints.flat_map(endpoint_ips).collect();
            all.into_iter().collect()
        }
        _ => stated,
    }
}

/// The names of a headless service's endpoints.
fn names_below(
    mesh: &Mesh,
    projection: &ForNames,
    service: &Service,
    short: Option<&(Arc<str>, Arc<str>)>,
) -> BTreeMap<Arc<str>, Named> {
    let mut names: BTreeMap<&Arc<str>, BTreeSet<IpAddr>> = BTreeMap::new();
    for endpoint in reachable(mesh, projection, service) {
        if let Some(name) = &endpoint.hostname {
            names
                .entry(name)
                .or_default()
                .extend(endpoint_ips(endpoint));
        }
    }
    let names = names.into_iter().filter(|(_, ips)| !ips.is_empty());
    let below = names.map(|(name, ips)| {
        let short = short.map(|(service, namespace)| {
            (format!("{name}.{service}").into(), Arc::clone(namespace))
        });
        let ips = ips.into_iter().collect();
        let host = format!("{name}.{}", service.key.host);
        (host.into(), Named { ips, short })
    });
    below.collect()
}

/// The endpoints that clients can dial, in the proxy's own network.
fn reachable<'a>(
    mesh: &'a Mesh,
    projection: &'a ForNames,
    service: &'a Service,
) -> impl Iterator<Item = &'a Endpoint> {
    let all = mesh.endpoints_in(&service.key, &projection.addresses.cluster);
    all.filter(|endpoint| {
        let is_served = service.publish_not_ready || endpoint.health == Health::Healthy;
        is_served && endpoint.network == projection.network
    })
}

fn endpoint_ips(endpoint: &Endpoint) -> impl Iterator<Item = IpAddr> {
    endpoint.addresses.iter().filter_map(Address::ip)
}

/// Name and namespace of `NAME.NAMESPACE.svc.DOMAIN`.
fn short(host: &Host) -> Option<(Arc<str>, Arc<str>)> {
    let (formed, _) = host.as_str().split_once(".svc.")?;
    let (name, namespace) = formed.split_once('.')?;
    let is_formed = !host.is_wildcard() && !namespace.contains('.');
    is_formed.then(|| (name.into(), namespace.into()))
}

#[cfg(test)]
mod tests {
    use pilothouse_core::model::{AutomaticAddress, Protocol, Proxy, ServiceSource};

    use super::*;
    use crate::resource::ResourceType;
    use crate::sample::{With, all, endpoint, http, mesh, port, service, sidecar};

    fn capturing() -> Proxy {
        let mut proxy = sidecar();
        let metadata = &mut proxy.metadata;
        metadata.insert("DNS_CAPTURE".into(), "true".into());
        proxy
    }

    /// The table of a proxy: `HOST: IPS (SHORT)`.
    fn table(mesh: &Mesh, proxy: &Proxy) -> Vec<String> {
        let all = all(mesh, proxy, ResourceType::NameTable);
        let table = all
            .get(NAME_TABLE)
            .map_or_else(Default::default, |table| table["table"].clone());
        let line = |(host, info): (&String, &serde_json::Value)| {
            let text = |field: &str| info[field].as_str().unwrap_or_default().to_owned();
            let ips = info["ips"].as_array().unwrap().iter();
            let ips: Vec<_> = ips.map(|ip| ip.as_str().unwrap()).collect();
            let short = match text("registry").as_str() {
                "Kubernetes" => format!(" ({}, {})", text("shortname"), text("namespace")),
                "External" => String::new(),
                other => panic!("{other}"),
            };
            format!("{host}: {}{short}", ips.join(" "))
        };
        table.as_object().into_iter().flatten().map(line).collect()
    }

    fn headless(host: &str) -> Service {
        service(host, [http(80)]).resolved(Resolution::Passthrough)
    }

    #[test]
    fn hosts_have_their_virtual_addresses() {
        let given = |host: &str| {
            let service = service(host, [http(80)]);
            service.with(|service| service.automatic = AutomaticAddress::at(0))
        };
        let mut dual = capturing();
        dual.addresses.push("fd00::7".parse().unwrap());
        let mesh = mesh([
            (
                service("a.com", [port(53, Protocol::Udp)]).at(&[
                    "10.1.0.2",
                    "10.1.0.1",
                    "10.2.0.0/16",
                    "0.0.0.0",
                ]),
                vec![],
            ),
            (
                service("web.shop.svc.cluster.local", [http(80)]).at(&["10.1.0.3"]),
                vec![],
            ),
            (
                service("a.b.c.svc.cluster.local", [http(80)]).at(&["10.1.0.4"]),
                vec![],
            ),
            (service("*.wild.com", [http(80)]).at(&["10.1.0.5"]), vec![]),
            (given("given.com"), vec![endpoint("10.0.0.1")]),
            (
                service("nothing.com", [http(80)]),
                vec![endpoint("10.0.0.1")],
            ),
            (
                service("any.com", [http(80)])
                    .at(&["10.1.0.6"])
                    .resolved(Resolution::DynamicDns),
                vec![],
            ),
            (
                service("other.com", [http(80)])
                    .resolved(Resolution::Alias(Host::new("a.com").unwrap())),
                vec![],
            ),
            (
                service("lost.com", [http(80)])
                    .resolved(Resolution::Alias(Host::new("b.com").unwrap())),
                vec![],
            ),
        ]);
        let stated = [
            "*.wild.com: 10.1.0.5",
            "a.b.c.svc.cluster.local: 10.1.0.4",
            "a.com: 10.1.0.2 10.1.0.1",
        ];
        let rest = [
            "other.com: 10.1.0.2 10.1.0.1",
            "web.shop.svc.cluster.local: 10.1.0.3 (web, shop)",
        ];
        let with = |given: &[&'static str]| [&stated[..], given, &rest[..]].concat();
        assert_eq!(
            table(&mesh, &capturing()),
            with(&["given.com: 240.240.0.1"])
        );
        assert_eq!(
            table(&mesh, &dual),
            with(&["given.com: 240.240.0.1 2001:2::f0f0:1"])
        );
        let mut own = capturing();
        own.metadata
            .insert("DNS_AUTO_ALLOCATE".into(), "false".into());
        assert_eq!(table(&mesh, &own), with(&[]));
        assert_eq!(table(&mesh, &sidecar()), [""; 0], "it has none");
    }

    #[test]
    fn headless_services_have_the_addresses_of_their_endpoints() {
        let named = |ip: &str, name: &str| {
            let mut endpoint = endpoint(ip);
            endpoint.hostname = Some(name.into());
            endpoint
        };
        let mut ill = named("10.0.0.5", "c");
        ill.health = Health::Unhealthy;
        let mut elsewhere = named("10.0.0.6", "d");
        elsewhere.network = "other".into();
        let host = "db.shop.svc.cluster.local";
        let endpoints = vec![
            named("10.0.0.4", "b"),
            named("10.0.0.3", "a"),
            ill,
            elsewhere,
        ];
        let ready = headless(host).with(|service| service.source = ServiceSource::Platform);
        let line = format!("{host}: 10.0.0.3 10.0.0.4 (db, shop)");
        let below = |name: &str, ip: &str| format!("{name}.{host}: {ip} ({name}.db, shop)");
        let mesh_of = |service: Service, host: &str| {
            let own = service_named(host);
            mesh([
                (service, endpoints.clone()),
                (own, vec![]),
                (headless("empty.com"), vec![]),
            ])
        };
        fn service_named(host: &str) -> Service {
            service(host, [http(80)]).at(&["10.1.0.1"])
        }
        let expected = [below("a", "10.0.0.3"), below("b", "10.0.0.4"), line];
        let mut found = table(&mesh_of(ready.clone(), "z.com"), &capturing());
        assert_eq!(found.pop().as_deref(), Some("z.com: 10.1.0.1"));
        assert_eq!(found, expected);
        // One that wants those that are not ready, too.
        let all = ready
            .clone()
            .with(|service| service.publish_not_ready = true);
        let found = table(&mesh_of(all, "z.com"), &capturing());
        assert!(found.contains(&below("c", "10.0.0.5")), "{found:?}");
        assert!(found.contains(&format!("{host}: 10.0.0.3 10.0.0.4 10.0.0.5 (db, shop)")));
        // A service of that name goes first.
        let found = table(&mesh_of(ready, &format!("a.{host}")), &capturing());
        assert!(found.contains(&format!("a.{host}: 10.1.0.1")), "{found:?}");
    }
}
