//! Pages on what registries wrote and what the mesh is: `registryz`, `configz`, `endpointz`.

use axum::Json;
use axum::extract::{Query, State};
use pilothouse_core::mesh::{Mesh, Rule, Source};
use pilothouse_core::model::{Endpoint, Service, ServiceKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Debug, Failure, readable};

/// Which services a page is about; all without one.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filter {
    namespace: Option<String>,
    host: Option<String>,
}

impl Filter {
    fn passes(&self, key: &ServiceKey) -> bool {
        let same =
            |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        same(&self.namespace, key.namespace.as_str()) && same(&self.host, key.host.as_str())
    }
}

/// The registries, and the services that they make up together.
pub(super) async fn registryz(
    State(debug): State<Debug>,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Failure> {
    let registries = debug.store.registries().await.map_err(Failure::gone)?;
    let mesh = debug.store.mesh();
    let services: Vec<_> = mesh
        .services()
        .filter(|service| filter.passes(&service.key))
        .map(|service| service_view(&mesh, service))
        .collect();
    Ok(Json(readable(
        json!({ "registries": registries, "services": services }),
    )))
}

/// Mesh-wide settings and the rules in force.
pub(super) async fn configz(State(debug): State<Debug>) -> Json<Value> {
    let mesh = debug.store.mesh();
    let rules: Vec<_> = mesh.rules().map(|rule| rule_view(&mesh, rule)).collect();
    Json(readable(json!({
        "mesh_config": { "settings": **mesh.config(), "file": debug.mesh_config.as_ref().map(|file| file.view()) },
        "rules": rules,
        "status": debug.store.status().get(),
    })))
}

/// The endpoints of each service.
pub(super) async fn endpointz(
    State(debug): State<Debug>,
    Query(filter): Query<Filter>,
) -> Json<Value> {
    let mesh = debug.store.mesh();
    let services: Vec<_> = mesh
        .services()
        .filter(|service| filter.passes(&service.key))
        .map(|service| {
            let endpoints: Vec<_> = mesh
                .endpoints(&service.key)
                .into_iter()
                .flat_map(|endpoints| endpoints.iter())
                .map(endpoint_view)
                .collect();
            json!({
                "namespace": service.key.namespace,
                "host": service.key.host,
                "sources": sources(&mesh, &service.key),
                "endpoints": endpoints,
            })
        })
        .collect();
    Json(Value::Array(services))
}

/// The objects behind a service, and where each stands.
pub(super) fn sources(mesh: &Mesh, key: &ServiceKey) -> Vec<Value> {
    mesh.sources(key)
        .iter()
        .map(|source| source_view(mesh, source))
        .collect()
}

/// An object, and where it stands.
pub(super) fn source_view(mesh: &Mesh, source: &Source) -> Value {
    json!({
        "registry": source.registry.to_string(),
        "object": source.object.to_string(),
        "origin": mesh.origin(source).map(|origin| origin.as_str()),
    })
}

fn service_view(mesh: &Mesh, service: &Service) -> Value {
    let addresses: Vec<_> = service
        .addresses
        .iter()
        .flat_map(|(cluster, addresses)| addresses.iter().map(move |address| (cluster, address)))
        .map(|(cluster, address)| json!({ "cluster": cluster, "address": address }))
        .collect();
    let ports: Vec<_> = service
        .ports
        .iter()
        .map(|port| {
            json!({
                "port": port.port,
                "name": port.name,
                "protocol": port.protocol,
                "target": port.target(),
            })
        })
        .collect();
    json!({
        "namespace": service.key.namespace,
        "host": service.key.host,
        "sources": sources(mesh, &service.key),
        "resolution": service.resolution,
        "location": service.location,
        "ports": ports,
        "addresses": addresses,
        "automatic_address": service.automatic,
        "export_to": service.export_to,
        "subject_alt_names": service.subject_alt_names,
        "workload_selector": service.workload_selector,
        "labels": service.labels,
        "endpoints": mesh.endpoints(&service.key).map_or(0, |endpoints| endpoints.len()),
    })
}

fn rule_view(mesh: &Mesh, rule: &Rule) -> Value {
    json!({
        "kind": rule.meta.key.kind,
        "namespace": rule.meta.key.namespace,
        "name": rule.meta.key.name,
        "source": source_view(mesh, &rule.source),
        "labels": rule.meta.labels,
        "annotations": rule.meta.annotations,
        "created": rule.meta.created,
        "spec": rule.spec,
    })
}

fn endpoint_view(endpoint: &Endpoint) -> Value {
    let addresses: Vec<_> = endpoint.addresses.iter().map(ToString::to_string).collect();
    json!({
        "addresses": addresses,
        "ports": endpoint.ports,
        "health": endpoint.health,
        "weight": endpoint.weight,
        "locality": endpoint.locality,
        "network": endpoint.network,
        "cluster": endpoint.cluster,
        "labels": endpoint.labels,
        "identity": endpoint.identity,
        "workload": endpoint.workload,
    })
}
