//! Small objects, and what of a mesh tests look at.

use std::sync::Arc;

use crate::mesh::Mesh;
use crate::model::{
    Address, Endpoint, Host, Labels, Location, Protocol, Resolution, Service, ServiceKey,
    ServicePort, ServiceSource, Workload, WorkloadKey,
};
use crate::registry::{EndpointPart, Meta, Object, Origin, Value};
use crate::rules::{RuleSpec, spec};

pub(crate) fn key(name: &str) -> ServiceKey {
    ServiceKey {
        namespace: "shop".into(),
        host: Host::new(&format!("{name}.shop")).unwrap(),
    }
}

pub(crate) fn origin(place: &str) -> Origin {
    Origin::new(place)
}

pub(crate) fn object(kind: &str, name: &str, value: Value) -> Object {
    Object {
        meta: Meta::new(kind, "shop", name),
        origin: origin("here"),
        value,
    }
}

pub(crate) fn http(number: u16) -> ServicePort {
    ServicePort {
        port: number,
        name: "http".into(),
        protocol: Protocol::Http,
        target_port: None,
        target_name: None,
    }
}

pub(crate) fn a_service(name: &str) -> Service {
    Service {
        key: key(name),
        name: name.into(),
        source: ServiceSource::Platform,
        created: None,
        labels: Labels::default(),
        ports: vec![http(80)],
        addresses: Default::default(),
        automatic: None,
        resolution: Resolution::ClientSide,
        location: Location::Internal,
        export_to: None,
        subject_alt_names: Default::default(),
        workload_selector: None,
        publish_not_ready: false,
        prefers: Default::default(),
    }
}

pub(crate) fn service(name: &str) -> Object {
    object("Service", name, Value::from(a_service(name)))
}

pub(crate) fn endpoint(ip: &str) -> Endpoint {
    Endpoint::at(Address::Ip(ip.parse().unwrap()))
}

pub(crate) fn part(of: &str, part: &str, ips: &[&str]) -> Object {
    let endpoints = ips.iter().map(|ip| endpoint(ip)).collect();
    let value = EndpointPart {
        service: key(of),
        part: part.into(),
        endpoints,
    };
    object(
        "Endpoints",
        &format!("{of}-{part}"),
        Value::Endpoints(value),
    )
}

pub(crate) fn a_workload(name: &str, ip: &str, app: &str) -> Workload {
    Workload {
        key: WorkloadKey::new("shop".into(), name),
        cluster: Default::default(),
        network: Default::default(),
        addresses: vec![Address::Ip(ip.parse().unwrap())],
        labels: [("app", app)].into_iter().collect(),
        locality: Default::default(),
        identity: None,
        service_account: None,
        ports: Default::default(),
        weight: 1,
        health: Default::default(),
        tls_mode: Default::default(),
        node: None,
    }
}

pub(crate) fn workload(name: &str, ip: &str, app: &str) -> Object {
    object("Pod", name, Value::from(a_workload(name, ip, app)))
}

/// A `ServiceEntry` of the host `NAME.shop` with port 80 and one endpoint.
pub(crate) fn service_entry(name: &str) -> Object {
    let endpoint = spec::WorkloadEntry {
        address: "10.9.0.1".into(),
        ..Default::default()
    };
    object(
        "ServiceEntry",
        name,
        rule(spec::ServiceEntry {
            endpoints: vec![endpoint],
            ..an_entry(name)
        }),
    )
}

/// A `ServiceEntry` of the host `NAME.shop` with port 80 that selects workloads.
pub(crate) fn selecting(name: &str, app: &str) -> Object {
    let labels = [("app", app)].into_iter().collect();
    let workload_selector = Some(spec::WorkloadSelector { labels });
    object(
        "ServiceEntry",
        name,
        rule(spec::ServiceEntry {
            workload_selector,
            ..an_entry(name)
        }),
    )
}

fn an_entry(name: &str) -> spec::ServiceEntry {
    let port = spec::ServicePort {
        number: 80,
        protocol: "HTTP".into(),
        name: "http".into(),
        target_port: 0,
    };
    spec::ServiceEntry {
        hosts: vec![format!("{name}.shop")],
        ports: vec![port],
        location: spec::Location::MeshInternal,
        resolution: spec::Resolution::Static,
        ..Default::default()
    }
}

pub(crate) fn rule(entry: spec::ServiceEntry) -> Value {
    Value::Rule(RuleSpec::ServiceEntry(Arc::new(entry)))
}

pub(crate) fn workload_entry(name: &str, ip: &str, app: &str) -> Object {
    let labels = [("app", app)].into_iter().collect();
    let entry = spec::WorkloadEntry {
        address: ip.into(),
        labels,
        ..Default::default()
    };
    object(
        "WorkloadEntry",
        name,
        Value::Rule(RuleSpec::WorkloadEntry(Arc::new(entry))),
    )
}

/// The addresses of a service's endpoints, in their order.
pub(crate) fn endpoints(mesh: &Mesh, name: &str) -> Vec<String> {
    let all = mesh
        .endpoints(&key(name))
        .into_iter()
        .flat_map(|all| all.iter());
    all.filter_map(|endpoint| endpoint.address().map(ToString::to_string))
        .collect()
}
