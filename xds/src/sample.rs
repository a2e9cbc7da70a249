//! For tests: meshes and proxies in a few words, and what proxies get as JSON.

mod outline;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::mesh::{Mesh, MeshConfig, Rule, Source};
use pilothouse_core::model::{
    ClusterId, DataPlane, Endpoint, Host, Interception, Labels, Locality, Location, NetworkId,
    Protocol, Proxy, Resolution, Service, ServiceKey, ServicePort, ServiceSource,
};
use pilothouse_core::registry::{Meta, RegistryId};
use pilothouse_core::rules::{Resolved, RuleSpec, kinds};
use serde_json::Value as Json;

use crate::encode::encode;
use crate::inputs::grpc::{GrpcClusters, GrpcListeners, GrpcRoutes};
use crate::inputs::{Assignments, Clusters, Generator, Input, Listeners, Names, Routes, own};
use crate::json::any_to_json;
use crate::resource::{Resource, ResourceType};
use crate::selection::{ForDataPlane, Selection};
use crate::translate::translate;
use crate::view::View;

pub(crate) use outline::outline;

/// A rule's service in namespace `shop`, without address, of endpoints that the control plane knows.
pub(crate) fn service(host: &str, ports: impl IntoIterator<Item = ServicePort>) -> Service {
    Service {
        key: ServiceKey {
            namespace: "shop".into(),
            host: Host::new(host).unwrap(),
        },
        name: host.into(),
        source: ServiceSource::Rule,
        created: None,
        labels: Labels::default(),
        ports: ports.into_iter().collect(),
        addresses: BTreeMap::new(),
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

/// What tests say of services beyond their ports.
pub(crate) trait With: Sized {
    fn with(self, change: impl FnOnce(&mut Service)) -> Self;

    fn resolved(self, resolution: Resolution) -> Self {
        self.with(|service| service.resolution = resolution)
    }

    fn at(self, addresses: &[&str]) -> Self {
        let addresses = addresses
            .iter()
            .map(|address| address.parse().unwrap())
            .collect();
        self.with(|service| drop(service.addresses.insert(ClusterId::default(), addresses)))
    }

    fn created(self, second: i64) -> Self {
        self.with(|service| service.created = Some(jiff::Timestamp::from_second(second).unwrap()))
    }
}

impl With for Service {
    fn with(mut self, change: impl FnOnce(&mut Service)) -> Self {
        change(&mut self);
        self
    }
}

pub(crate) fn port(number: u16, protocol: Protocol) -> ServicePort {
    ServicePort {
        port: number,
        name: format!("p{number}").into(),
        protocol,
        target_port: None,
        target_name: None,
    }
}

pub(crate) fn http(number: u16) -> ServicePort {
    port(number, Protocol::Http)
}

pub(crate) fn tcp(number: u16) -> ServicePort {
    port(number, Protocol::Tcp)
}

pub(crate) fn auto(number: u16) -> ServicePort {
    port(number, Protocol::Auto)
}

pub(crate) fn endpoint(address: &str) -> Endpoint {
    Endpoint::at(address.parse().unwrap())
}

pub(crate) fn mesh(services: impl IntoIterator<Item = (Service, Vec<Endpoint>)>) -> Mesh {
    mesh_with(MeshConfig::default(), services)
}

pub(crate) fn mesh_with(
    config: MeshConfig,
    services: impl IntoIterator<Item = (Service, Vec<Endpoint>)>,
) -> Mesh {
    let mut mesh = Mesh::default();
    mesh.set_config(Arc::new(config));
    for (service, endpoints) in services {
        let key = service.key.clone();
        mesh.set_service(&key, Some(Arc::new(service)));
        if !endpoints.is_empty() {
            mesh.set_endpoints(&key, Some(Arc::new(endpoints)));
        }
    }
    mesh
}

/// The same mesh with a rule.
pub(crate) fn with_rule(mut mesh: Mesh, kind: &str, name: (&str, &str), spec: &Json) -> Mesh {
    let (namespace, name) = name;
    let meta = Meta::new(kind, namespace, name);
    let known = kinds().iter().find(|known| known.name == kind).unwrap();
    let version = format!("{}/{}", known.group, known.versions[0]);
    let (spec, problems) = RuleSpec::parse(&version, kind, spec).unwrap();
    assert_eq!(problems, []);
    let key = meta.key.clone();
    let rule = Rule {
        source: Source {
            registry: RegistryId::new("Static", "test"),
            object: key.clone(),
        },
        resolved: Resolved::of(&meta, &spec),
        meta,
        spec,
    };
    mesh.set_rule(&key, Some(Arc::new(rule)));
    mesh
}

/// A sidecar of namespace `shop` at 10.0.0.1 whose traffic is captured.
pub(crate) fn sidecar() -> Proxy {
    Proxy {
        id: "sidecar~10.0.0.1~app.shop~shop.svc.cluster.local"
            .parse()
            .unwrap(),
        namespace: "shop".into(),
        addresses: vec!["10.0.0.1".parse().unwrap()],
        labels: Labels::default(),
        locality: Locality::default(),
        network: NetworkId::default(),
        cluster: ClusterId::default(),
        interception: Interception::Redirect,
        data_plane: DataPlane::Envoy,
        envoy: Some((1, 40, 0)),
        missing: BTreeSet::new(),
        metadata: BTreeMap::new(),
    }
}

/// The same where traffic is not captured.
pub(crate) fn bound() -> Proxy {
    Proxy {
        interception: Interception::None,
        ..sidecar()
    }
}

/// A gRPC client of namespace `shop`.
pub(crate) fn grpc_client() -> Proxy {
    Proxy {
        data_plane: DataPlane::Grpc,
        envoy: None,
        ..sidecar()
    }
}

/// A router of namespace `shop` at 10.0.0.1.
pub(crate) fn router_proxy() -> Proxy {
    Proxy {
        id: "router~10.0.0.1~gw.shop~shop.svc.cluster.local"
            .parse()
            .unwrap(),
        ..sidecar()
    }
}

/// Everything that `proxy` gets.
pub(crate) fn resources(mesh: &Mesh, proxy: &Proxy) -> Vec<Resource> {
    let selection = Selection::of(mesh, proxy);
    let view = View::build(mesh, Some(&selection.view));
    all_inputs(mesh, &view, &selection)
        .iter()
        .map(|input| encode(translate(input)))
        .collect()
}

/// What everything is made from that proxies of a selection get.
pub(crate) fn all_inputs(mesh: &Mesh, view: &View, selection: &Selection) -> Vec<Input> {
    let mut inputs = of::<Assignments>(mesh, view, &selection.assignments);
    match &selection.data_plane {
        ForDataPlane::Envoy(envoy) => {
            inputs.extend(of::<Clusters>(mesh, view, &envoy.clusters));
            inputs.extend(of::<Listeners>(mesh, view, &envoy.listeners));
            inputs.extend(of::<Routes>(mesh, view, &envoy.routes));
            inputs.extend(own(mesh, &envoy.own));
            if let Some(names) = &envoy.names {
                inputs.extend(of::<Names>(mesh, view, names));
            }
        }
        ForDataPlane::Router(router) => {
            inputs.extend(of::<Clusters>(mesh, view, &router.clusters));
            let namespace = &selection.view.namespace;
            inputs.extend(
                crate::inputs::router::router(mesh, view, namespace, &router.gateways).inputs,
            );
        }
        ForDataPlane::Grpc(grpc) => {
            inputs.extend(of::<GrpcClusters>(mesh, view, &()));
            inputs.extend(of::<GrpcListeners>(mesh, view, grpc));
            inputs.extend(of::<GrpcRoutes>(mesh, view, grpc));
        }
    }
    inputs
}

fn of<G: Generator>(mesh: &Mesh, view: &View, projection: &G::Projection) -> Vec<Input> {
    G::names(mesh, view, projection)
        .iter()
        .filter_map(|name| G::input(mesh, view, projection, name))
        .collect()
}

/// Everything of one type that `proxy` gets, by name.
pub(crate) fn all(
    mesh: &Mesh,
    proxy: &Proxy,
    resource_type: ResourceType,
) -> BTreeMap<String, Json> {
    let found = resources(mesh, proxy).into_iter().map(|resource| {
        (
            resource.name.to_string(),
            any_to_json(&resource.body).unwrap(),
        )
    });
    found
        .filter(|(_, json)| json["@type"] == resource_type.url())
        .collect()
}

/// One resource that `proxy` gets.
pub(crate) fn one(mesh: &Mesh, proxy: &Proxy, resource_type: ResourceType, name: &str) -> Json {
    let mut all = all(mesh, proxy, resource_type);
    let names: Vec<String> = all.keys().cloned().collect();
    all.remove(name)
        .unwrap_or_else(|| panic!("no {name} among {names:?}"))
}
