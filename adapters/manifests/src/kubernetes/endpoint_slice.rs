//! `EndpointSlice`: some of a service's endpoints, of one family of addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use pilothouse_core::model::{Address, Endpoint, Health, Locality, WorkloadKey};
use pilothouse_core::registry::{EndpointPart, Meta, Problem, Value, is_fatal};
use serde::Deserialize;

use super::decode::{List, Text, nullable};
use super::{Names, Said, ports};

/// The label that names the service.
const SERVICE: &str = "kubernetes.io/service-name";

/// As written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written<'a> {
    #[serde(default, borrow)]
    address_type: Text<'a>,
    #[serde(default, borrow)]
    endpoints: List<WrittenEndpoint<'a>>,
    #[serde(default, borrow)]
    ports: Option<List<ports::OfEndpoints<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenEndpoint<'a> {
    #[serde(default, borrow)]
    addresses: List<Text<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    conditions: Conditions,
    #[serde(default, borrow)]
    hostname: Text<'a>,
    #[serde(default, borrow)]
    node_name: Text<'a>,
    #[serde(default, borrow, deserialize_with = "nullable")]
    target_ref: TargetRef<'a>,
    #[serde(default, borrow)]
    zone: Text<'a>,
    #[serde(default, borrow, deserialize_with = "nullable")]
    hints: Hints<'a>,
}

/// Whom an endpoint is for.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hints<'a> {
    #[serde(default, borrow)]
    for_zones: List<ForZone<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct ForZone<'a> {
    #[serde(default, borrow)]
    name: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Conditions {
    #[serde(default)]
    ready: Option<bool>,
    #[serde(default)]
    serving: Option<bool>,
    #[serde(default)]
    terminating: Option<bool>,
}

/// What runs at an endpoint.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TargetRef<'a> {
    #[serde(default, borrow)]
    kind: Text<'a>,
    #[serde(default, borrow)]
    namespace: Text<'a>,
    #[serde(default, borrow)]
    name: Text<'a>,
}

pub(super) fn read(
    meta: &Meta,
    written: &Written<'_>,
    names: &Names,
) -> Result<Said, Vec<Problem>> {
    let fits: fn(IpAddr) -> bool = match &*written.address_type {
        "IPv4" => |ip| ip.is_ipv4(),
        "IPv6" => |ip| ip.is_ipv6(),
        other => return Err(vec![unusable(other)]),
    };
    let path = format!("metadata.labels[{SERVICE}]");
    let Some(service) = meta.labels.get(SERVICE).filter(|name| !name.is_empty()) else {
        let problem = Problem::warning(path, "is missing: the endpoints are no service's");
        return Ok(Said {
            value: None,
            warnings: vec![problem],
        });
    };
    let service = names
        .service(meta, service, &path)
        .map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let numbers = written.ports.as_ref();
    let numbers = numbers.map(|written| ports::of_endpoints(written, "ports", &mut problems));
    if is_fatal(&problems) {
        return Err(problems);
    }
    let mut endpoints = Vec::new();
    // Several endpoints are in one zone: they share it.
    let mut zones = BTreeMap::new();
    for (index, one) in written.endpoints.iter() {
        let zone = zones.entry(&*one.zone);
        let zone = zone.or_insert_with(|| Locality::new("", &*one.zone, ""));
        for (nth, text) in one.addresses.iter() {
            let Some(ip) = text.parse().ok().filter(|ip| fits(*ip)) else {
                let path = format!("endpoints[{index}].addresses[{nth}]");
                let what = format!(
                    "{:?} is no {} address: it is left out",
                    &**text, &*written.address_type
                );
                problems.push(Problem::warning(path, what));
                continue;
            };
            endpoints.push(Endpoint {
                ports: numbers.clone(),
                health: one.conditions.health(),
                locality: zone.clone(),
                cluster: names.cluster.clone(),
                workload: one.target_ref.workload(meta),
                hostname: present(&one.hostname),
                node: names.present(&one.node_name),
                for_zones: one.hints.zones(names),
                ..Endpoint::at(Address::Ip(ip))
            });
        }
    }
    endpoints.shrink_to_fit();
    Ok(Said {
        value: Some(Value::Endpoints(EndpointPart {
            service,
            part: Arc::clone(&meta.key.name),
            endpoints,
        })),
        warnings: problems,
    })
}

fn unusable(address_type: &str) -> Problem {
    match address_type {
        "" => Problem::error("addressType", "is missing").hint("IPv4 or IPv6"),
        "FQDN" => Problem::error(
            "addressType",
            "FQDN is not supported: a service's endpoints are found by IP address",
        )
        .hint("a ServiceEntry with resolution DNS has endpoints by name"),
        other => {
            Problem::error("addressType", format!("{other:?} is not known")).hint("IPv4 or IPv6")
        }
    }
}

impl Conditions {
    /// What is not said about readiness is good; whoever is ready is so until it is said to be going away.
    fn health(&self) -> Health {
        if self.ready.unwrap_or(true) {
            Health::Healthy
        } else if self.terminating.unwrap_or(false) && self.serving.unwrap_or(false) {
            Health::Terminating
        } else {
            Health::Unhealthy
        }
    }
}

impl Hints<'_> {
    /// The zones by name, each once; `None` if none is named.
    fn zones(&self, names: &Names) -> Option<Arc<[Arc<str>]>> {
        let zones: BTreeSet<&str> = self.for_zones.iter().map(|(_, zone)| &*zone.name).collect();
        let zones: Arc<[Arc<str>]> = zones
            .into_iter()
            .filter_map(|zone| names.present(zone))
            .collect();
        (!zones.is_empty()).then_some(zones)
    }
}

impl TargetRef<'_> {
    /// The workload, if it is a pod.
    pub(super) fn workload(&self, meta: &Meta) -> Option<WorkloadKey> {
        let own = &meta.key.namespace;
        let namespace = match &*self.namespace {
            "" => own.clone(),
            namespace if namespace == own.as_str() => own.clone(),
            namespace => namespace.into(),
        };
        (&*self.kind == "Pod" && !self.name.is_empty())
            .then(|| WorkloadKey::new(namespace, &*self.name))
    }
}

/// A text that is there.
pub(super) fn present(text: &str) -> Option<Arc<str>> {
    (!text.is_empty()).then(|| text.into())
}
