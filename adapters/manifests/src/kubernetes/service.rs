//! `Service`: a name that clients use, its ports and addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use pilothouse_core::model::{Cidr, Host, Preference, Resolution, Service, Visibility};
use pilothouse_core::registry::{Meta, Problem, Value, is_fatal};
use serde::Deserialize;

use super::decode::{List, Text, Texts, nullable};
use super::{Names, Said, ports};

/// Which namespaces see the service, separated by commas: `*` is all, `.` its own, `~` none.
const EXPORT_TO: &str = "networking.istio.io/exportTo";
/// Names that certificates of its endpoints may bear, separated by commas.
const ACCOUNTS: &str = "alpha.istio.io/canonical-serviceaccounts";

/// What `spec.trafficDistribution` says, where that is not there.
const DISTRIBUTION: &str = "networking.istio.io/traffic-distribution";

/// By which a service asks for hints, and how it was called before.
const TOPOLOGY: [&str; 2] = [
    "service.kubernetes.io/topology-mode",
    "service.kubernetes.io/topology-aware-hints",
];

/// What is read of its annotations.
pub(super) const ANNOTATIONS: [&str; 5] =
    [EXPORT_TO, ACCOUNTS, DISTRIBUTION, TOPOLOGY[0], TOPOLOGY[1]];

/// As written.
#[derive(Debug, Deserialize)]
pub(super) struct Written<'a> {
    #[serde(default, borrow, deserialize_with = "nullable")]
    spec: Spec<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(default, borrow)]
    r#type: Text<'a>,
    #[serde(default, borrow, rename = "clusterIP")]
    cluster_ip: Text<'a>,
    #[serde(default, borrow, rename = "clusterIPs")]
    cluster_ips: List<Text<'a>>,
    #[serde(default, borrow)]
    external_name: Text<'a>,
    #[serde(default, borrow)]
    ports: List<ports::OfService<'a>>,
    #[serde(default, borrow)]
    selector: Texts<'a>,
    #[serde(default)]
    publish_not_ready_addresses: Option<bool>,
    #[serde(default, borrow)]
    internal_traffic_policy: Text<'a>,
    #[serde(default, borrow)]
    traffic_distribution: Text<'a>,
}

pub(super) fn read(
    meta: &Meta,
    written: &Written<'_>,
    names: &Names,
) -> Result<Said, Vec<Problem>> {
    let Written { spec } = written;
    let mut problems = Vec::new();
    let ports = ports::of_service(&spec.ports, &mut problems);
    let resolution = resolution(spec, &mut problems);
    let is_alias = matches!(resolution, Some(Resolution::Alias(_)));
    let addresses = if is_alias {
        Vec::new()
    } else {
        addresses(spec, &mut problems)
    };
    let key = names.service(meta, &meta.key.name, "metadata.name");
    let (Ok(key), Some(resolution)) = (key.map_err(|problem| problems.push(problem)), resolution)
    else {
        return Err(problems);
    };
    if is_fatal(&problems) {
        return Err(problems);
    }
    let selects = !is_alias && !spec.selector.is_empty();
    let service = Service {
        name: Arc::clone(&meta.key.name),
        created: meta.created,
        labels: meta.labels.clone(),
        addresses: if addresses.is_empty() {
            BTreeMap::new()
        } else {
            BTreeMap::from([(names.cluster.clone(), addresses)])
        },
        resolution,
        export_to: export_to(meta, &mut problems),
        subject_alt_names: listed(meta, ACCOUNTS).map(Arc::from).collect(),
        workload_selector: selects.then(|| spec.selector.to_labels()),
        publish_not_ready: spec.publish_not_ready_addresses.unwrap_or_default(),
        prefers: preference(meta, spec, &mut problems),
        ..Service::new(key, ports)
    };
    Ok(Said {
        value: Some(Value::from(service)),
        warnings: problems,
    })
}

/// `None` where it cannot be told.
fn resolution(spec: &Spec<'_>, problems: &mut Vec<Problem>) -> Option<Resolution> {
    match &*spec.r#type {
        "ExternalName" => match Host::new(&spec.external_name) {
            Ok(host) if !host.is_wildcard() => Some(Resolution::Alias(host)),
            Ok(host) => {
                let what = format!("{host} stands for many names; one is expected");
                problems.push(Problem::error("spec.externalName", what));
                None
            }
            Err(error) => {
                problems.push(Problem::error("spec.externalName", error.to_string()));
                None
            }
        },
        "" | "ClusterIP" | "NodePort" | "LoadBalancer" if is_headless(spec) => {
            Some(Resolution::Passthrough)
        }
        "" | "ClusterIP" | "NodePort" | "LoadBalancer" => Some(Resolution::ClientSide),
        other => {
            let what = format!("{other:?} is no type of a service");
            let problem = Problem::error("spec.type", what);
            problems
                .push(problem.hint("known are ClusterIP, NodePort, LoadBalancer and ExternalName"));
            None
        }
    }
}

/// A service without an address of its own: clients dial its endpoints.
fn is_headless(spec: &Spec<'_>) -> bool {
    &*spec.cluster_ip == "None" || spec.cluster_ips.iter().any(|(_, ip)| &**ip == "None")
}

fn addresses(spec: &Spec<'_>, problems: &mut Vec<Problem>) -> Vec<Cidr> {
    let all = spec.cluster_ips.iter();
    let all = all.map(|(index, ip)| (format!("spec.clusterIPs[{index}]"), &**ip));
    // The first of the list is the one that stands alone.
    let alone = [("spec.clusterIP".to_owned(), &*spec.cluster_ip)];
    let mut addresses = Vec::new();
    for (path, text) in alone.into_iter().chain(all) {
        if matches!(text, "" | "None") {
            continue;
        }
        match text.parse::<IpAddr>() {
            Ok(ip) if addresses.contains(&ip.into()) => {}
            Ok(ip) => addresses.push(ip.into()),
            Err(_) => {
                problems.push(Problem::error(path, format!("{text:?} is no IP address")));
            }
        }
    }
    addresses
}

/// What must be goes before what is preferred.
fn preference(meta: &Meta, spec: &Spec<'_>, problems: &mut Vec<Problem>) -> Preference {
    let annotation = meta.annotations.get(DISTRIBUTION).unwrap_or_default();
    let (path, text) = match &*spec.traffic_distribution {
        "" => (format!("metadata.annotations[{DISTRIBUTION}]"), annotation),
        field => ("spec.trafficDistribution".to_owned(), field),
    };
    let preferred = match text {
        "" if goes_by_hints(meta) => Preference::Hints,
        "" => Preference::Any,
        "PreferClose" | "PreferSameZone" => Preference::Zone,
        "PreferSameNode" => Preference::Node,
        other => {
            let what = format!("{other:?} is not known and has no effect");
            let hint = "known are PreferSameZone, PreferClose and PreferSameNode";
            problems.push(Problem::warning(path, what).hint(hint));
            Preference::Any
        }
    };
    match &*spec.internal_traffic_policy {
        "Local" => Preference::NodeOnly,
        _ => preferred,
    }
}

/// Whether the endpoint slices of a service say which zones each endpoint is for.
fn goes_by_hints(meta: &Meta) -> bool {
    let said = TOPOLOGY
        .into_iter()
        .find_map(|name| meta.annotations.get(name));
    said.is_some_and(|mode| mode.eq_ignore_ascii_case("auto"))
}

fn export_to(meta: &Meta, problems: &mut Vec<Problem>) -> Option<Visibility> {
    let own = &meta.key.namespace;
    let mut namespaces = BTreeSet::new();
    let mut says = false;
    for text in listed(meta, EXPORT_TO) {
        says = true;
        match text {
            "*" => return Some(Visibility::Public),
            "." => {
                namespaces.insert(own.clone());
            }
            "~" => {}
            name if Host::new(name).is_ok_and(|_| !name.contains('.')) => {
                namespaces.insert(name.into());
            }
            other => {
                let path = format!("metadata.annotations[{EXPORT_TO}]");
                let what = format!("{other:?} is no namespace");
                let hint =
                    "'*' is all, '.' the object's own, '~' none; otherwise namespaces by name";
                problems.push(Problem::warning(path, what).hint(hint));
            }
        }
    }
    says.then_some(Visibility::Namespaces(namespaces))
}

/// The parts of an annotation that is a list.
fn listed<'a>(meta: &'a Meta, annotation: &str) -> impl Iterator<Item = &'a str> {
    let text = meta.annotations.get(annotation).unwrap_or_default();
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}
