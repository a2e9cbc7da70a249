//! The page `resourcez`: why a resource is there. A resource has causes, a cause has objects, an object stands somewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use pilothouse_core::mesh::Mesh;
use pilothouse_xds::resource::{Cause, ResourceType};
use serde::Deserialize;
use serde_json::{Value, json};

use super::mesh::{source_view, sources};
use super::proxies::{names, versioned};
use super::{Debug, Failure};

/// Which resources; all of all connected proxies without any.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filter {
    #[serde(rename = "proxyID", alias = "proxyId", alias = "proxy")]
    proxy_id: Option<String>,
    #[serde(rename = "type")]
    resource_type: Option<String>,
    name: Option<String>,
}

/// Where each resource comes from.
pub(super) async fn resourcez(
    State(debug): State<Debug>,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Failure> {
    let types = types(filter.resource_type.as_deref())?;
    let mesh = debug.store.mesh();
    let clients = debug.connections.clients();
    // Proxies that are to have the same share their snapshot.
    let snapshots: BTreeMap<usize, _> = clients
        .iter()
        .filter(|client| {
            filter
                .proxy_id
                .as_deref()
                .is_none_or(|wanted| names(client, wanted))
        })
        .filter_map(|client| client.snapshot.as_ref())
        .map(|snapshot| (Arc::as_ptr(snapshot).addr(), snapshot))
        .collect();
    let mut found = BTreeMap::new();
    for snapshot in snapshots.values() {
        for resource_type in &types {
            for (resource, version) in versioned(snapshot, *resource_type) {
                if filter
                    .name
                    .as_deref()
                    .is_none_or(|wanted| wanted == resource.name.as_str())
                {
                    let key = (*resource_type, resource.name.clone(), version);
                    found
                        .entry(key)
                        .or_insert_with(|| Arc::clone(&resource.causes));
                }
            }
        }
    }
    let shown = found
        .into_iter()
        .map(|((resource_type, name, version), causes)| {
            json!({
                "type": resource_type.short(),
                "name": name.as_str(),
                "version": version.to_string(),
                "causes": causes.iter().map(|cause| cause_view(&mesh, cause)).collect::<Value>(),
            })
        });
    Ok(Json(shown.collect()))
}

fn types(wanted: Option<&str>) -> Result<Vec<ResourceType>, Failure> {
    match wanted {
        None => Ok(ResourceType::ALL.to_vec()),
        Some(wanted) => ResourceType::ALL
            .into_iter()
            .find(|known| known.short() == wanted || known.url() == wanted)
            .map(|known| vec![known])
            .ok_or_else(|| Failure::wrong("type is one of cds, eds, lds, rds, nds")),
    }
}

/// A cause with its objects and where each stands.
pub(super) fn cause_view(mesh: &Mesh, cause: &Cause) -> Value {
    match cause {
        Cause::Service(key) => {
            json!({ "service": key.to_string(), "objects": sources(mesh, key) })
        }
        Cause::Rule(key) => {
            let objects: Vec<_> = mesh
                .rule(key)
                .map(|rule| source_view(mesh, &rule.source))
                .into_iter()
                .collect();
            json!({ "rule": key.to_string(), "objects": objects })
        }
        Cause::MeshConfig => json!({ "mesh_config": true }),
    }
}
