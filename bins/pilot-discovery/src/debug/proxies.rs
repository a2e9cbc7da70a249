//! Pages on who is connected and what they have: `adsz`, `syncz`, `config_dump`, `ndsz`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use pilothouse_core::mesh::Mesh;
use pilothouse_xds::json::any_to_json;
use pilothouse_xds::protocol::{Exchange, Refused, TypeReport};
use pilothouse_xds::resource::{Resource, ResourceType, Version};
use pilothouse_xds::server::Client;
use pilothouse_xds::snapshot::Snapshot;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::resources::cause_view;
use super::{Debug, Failure};

/// Which proxy: the name in its node id (`NAME.NAMESPACE`), its whole node id, or that of one stream.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Which {
    #[serde(rename = "proxyID", alias = "proxyId", alias = "proxy")]
    proxy_id: Option<String>,
}

impl Which {
    fn passes(&self, client: &Client) -> bool {
        self.proxy_id
            .as_deref()
            .is_none_or(|wanted| names(client, wanted))
    }
}

/// Whether `wanted` means the proxy or stream of `client`.
pub(super) fn names(client: &Client, wanted: &str) -> bool {
    &*client.proxy.id.name == wanted
        || &*client.stream == wanted
        || client.proxy.id.to_string() == wanted
}

/// The streams that are open.
pub(super) async fn adsz(State(debug): State<Debug>, Query(which): Query<Which>) -> Json<Value> {
    let clients = debug.connections.clients();
    let mesh = debug.store.mesh();
    let shown: Vec<_> = clients
        .iter()
        .filter(|client| which.passes(client))
        .map(|client| {
            let proxy = mesh.as_known(&client.proxy);
            json!({
                "stream": client.stream,
                "proxy": proxy.id.to_string(),
                "namespace": proxy.namespace,
                "cluster": proxy.cluster,
                "network": proxy.network,
                "locality": proxy.locality,
                "labels": proxy.labels,
                "addresses": proxy.addresses,
                "interception": proxy.interception,
                "data_plane": proxy.data_plane,
                "version": version(client),
                "peer": client.peer.to_string(),
                "connected": jiff::Timestamp::try_from(client.connected).ok(),
                "protocol": format!("{:?}", client.mode).to_lowercase(),
                "bytes_sent": client.bytes_sent,
            })
        })
        .collect();
    Json(json!({ "streams": shown.len(), "clients": shown }))
}

/// For each proxy and type whether it has what it is to have.
pub(super) async fn syncz(State(debug): State<Debug>, Query(which): Query<Which>) -> Json<Value> {
    let mesh = debug.store.mesh();
    let now = Instant::now();
    let clients = debug.connections.clients();
    clients
        .iter()
        .filter(|client| which.passes(client))
        .map(|client| {
            let report = &client.report;
            let behind = report.target != report.newest;
            let types: Vec<_> = report
                .types
                .iter()
                .map(|report| type_view(&mesh, report, &refused(client, report), behind, now))
                .collect();
            json!({
                "proxy": client.proxy.id.to_string(),
                "stream": client.stream,
                "cluster": client.proxy.cluster,
                "version": version(client),
                "generation": { "sent": report.target, "newest": report.newest },
                "types": types,
                "gate_timeouts": report.gate_timeouts,
                "removal_timeouts": report.removal_timeouts,
            })
        })
        .collect::<Value>()
        .into()
}

/// What a proxy is to have, as Envoy's own `/config_dump` would show it.
pub(super) async fn config_dump(
    State(debug): State<Debug>,
    Query(which): Query<Which>,
) -> Result<Json<Value>, Failure> {
    let snapshot = snapshot(&debug, which)?;
    Ok(Json(dump(&snapshot)))
}

/// What a proxy's clients are told about names.
pub(super) async fn ndsz(
    State(debug): State<Debug>,
    Query(which): Query<Which>,
) -> Result<Json<Value>, Failure> {
    let snapshot = snapshot(&debug, which)?;
    let table = versioned(&snapshot, ResourceType::NameTable).next();
    let (table, version) = table.ok_or_else(|| {
        Failure::missing("it has no name table: its node does not say DNS_CAPTURE \"true\"")
    })?;
    Ok(Json(
        json!({ "version_info": version.to_string(), "resource": content(table) }),
    ))
}

/// What the one proxy is to have that was asked for.
fn snapshot(debug: &Debug, which: Which) -> Result<Arc<Snapshot>, Failure> {
    let clients = debug.connections.clients();
    let Some(wanted) = which.proxy_id else {
        let known: Vec<_> = clients
            .iter()
            .map(|client| client.proxy.id.to_string())
            .collect();
        return Err(Failure::wrong(format!(
            "say which proxy: ?proxyID=NAME; connected are: {}",
            known.join(", ")
        )));
    };
    let client = clients
        .iter()
        .rev()
        .find(|client| names(client, &wanted))
        .ok_or_else(|| {
            Failure::missing(format!(
                "no proxy {wanted:?} is connected to this replica; /debug/adsz lists them"
            ))
        })?;
    client.snapshot.clone().ok_or_else(|| {
        Failure::missing(format!(
            "nothing has been computed for {wanted:?} yet; ask again"
        ))
    })
}

fn version(client: &Client) -> Value {
    match client.proxy.envoy {
        Some((major, minor, patch)) => format!("{major}.{minor}.{patch}").into(),
        None => Value::Null,
    }
}

/// What the proxy refuses of what it is to have; a stream remembers older versions, too.
fn refused<'a>(client: &Client, report: &'a TypeReport) -> Vec<&'a Refused> {
    let present = |refused: &&Refused| {
        client.snapshot.as_ref().is_none_or(|snapshot| {
            let resource = snapshot
                .set(report.resource_type)
                .get(refused.name.as_str());
            resource.is_some_and(|resource| resource.version == refused.version)
        })
    };
    report.refused.iter().filter(present).collect()
}

fn type_view(
    mesh: &Mesh,
    report: &TypeReport,
    refused: &[&Refused],
    behind: bool,
    now: Instant,
) -> Value {
    let ago = |then: Instant| {
        (now.saturating_duration_since(then).as_secs_f64() * 1000.0).round() / 1000.0
    };
    let answer = |answer: &Option<Exchange>| {
        answer.as_ref().map(|answer| {
            json!({
                "nonce": answer.nonce,
                "version": answer.version.to_string(),
                "seconds_ago": ago(answer.at),
            })
        })
    };
    json!({
        "type": report.resource_type.short(),
        "status": status(report, refused, behind),
        "sent": answer(&report.sent),
        "acknowledged": answer(&report.acked),
        "unacknowledged": report.unacknowledged,
        "rejections": report.nacks,
        "error": report.error.as_ref().map(|(text, at)| json!({ "message": text, "seconds_ago": ago(*at) })),
        "refused": refused.iter().map(|refused| refused_view(mesh, refused)).collect::<Value>(),
    })
}

/// Istio's words. What is on its way is STALE, never SYNCED: that a response was sent says nothing about its fate.
/// A rejection counts for as long as what was rejected is wanted, or its culprit is looked for.
fn status(report: &TypeReport, refused: &[&Refused], behind: bool) -> &'static str {
    let failed = report
        .error
        .as_ref()
        .is_some_and(|(_, failed)| report.acked.as_ref().is_none_or(|acked| *failed > acked.at));
    if !refused.is_empty() || (failed && report.pending) {
        "ERROR"
    } else if report.unacknowledged > 0 || report.pending {
        "STALE"
    } else if report.sent.is_none() {
        "NOT SENT"
    } else if behind {
        "STALE"
    } else {
        "SYNCED"
    }
}

fn refused_view(mesh: &Mesh, refused: &Refused) -> Value {
    json!({
        "name": refused.name.as_str(),
        "version": refused.version.to_string(),
        "message": refused.message,
        "causes": refused.causes.iter().map(|cause| cause_view(mesh, cause)).collect::<Value>(),
    })
}

fn dump(snapshot: &Snapshot) -> Value {
    let entries = |resource_type: ResourceType, key: &str| -> Vec<Value> {
        versioned(snapshot, resource_type)
            .map(|(resource, version)| json!({ "version_info": version.to_string(), key: content(resource) }))
            .collect()
    };
    let listeners: Vec<_> = versioned(snapshot, ResourceType::Listener)
        .map(|(resource, version)| {
            let state =
                json!({ "version_info": version.to_string(), "listener": content(resource) });
            json!({ "name": resource.name.as_str(), "active_state": state })
        })
        .collect();
    let admin = |name: &str| format!("type.googleapis.com/envoy.admin.v3.{name}");
    json!({ "configs": [
        { "@type": admin("ClustersConfigDump"), "dynamic_active_clusters": entries(ResourceType::Cluster, "cluster") },
        { "@type": admin("ListenersConfigDump"), "dynamic_listeners": listeners },
        { "@type": admin("RoutesConfigDump"), "dynamic_route_configs": entries(ResourceType::Route, "route_config") },
        { "@type": admin("EndpointsConfigDump"), "dynamic_endpoint_configs": entries(ResourceType::Endpoint, "endpoint_config") },
    ]})
}

/// The resources of a type with the versions that they have on the wire.
pub(super) fn versioned(
    snapshot: &Snapshot,
    resource_type: ResourceType,
) -> impl Iterator<Item = (&Resource, Version)> {
    snapshot.set(resource_type).iter().map(move |resource| {
        let version = match resource_type {
            ResourceType::Endpoint => snapshot
                .assignments
                .get(&resource.name)
                .map_or(resource.version, |(_, version)| version),
            _ => resource.version,
        };
        (&**resource, version)
    })
}

fn content(resource: &Resource) -> Value {
    any_to_json(&resource.body).unwrap_or_else(|error| json!({ "error": error.to_string() }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report() -> TypeReport {
        TypeReport {
            resource_type: ResourceType::Cluster,
            interest: Default::default(),
            sent: None,
            acked: None,
            error: None,
            refused: Vec::new(),
            unacknowledged: 0,
            pending: false,
            nacks: 0,
        }
    }

    #[test]
    fn states() {
        let start = Instant::now();
        let at = |seconds| Exchange {
            nonce: "n".into(),
            version: Version(1),
            at: start + Duration::from_secs(seconds),
        };
        let error = |seconds| Some(("is bad".into(), at(seconds).at));
        let sent = TypeReport {
            sent: Some(at(1)),
            ..report()
        };
        let open = TypeReport {
            unacknowledged: 1,
            ..sent.clone()
        };
        let acked = TypeReport {
            acked: Some(at(2)),
            ..sent.clone()
        };
        let pending = |of: &TypeReport| TypeReport {
            pending: true,
            ..of.clone()
        };
        let failed = |of: &TypeReport, seconds| TypeReport {
            error: error(seconds),
            ..of.clone()
        };
        for (state, behind, expected) in [
            (report(), false, "NOT SENT"),
            (pending(&report()), false, "STALE"),
            (open, false, "STALE"),
            (acked.clone(), false, "SYNCED"),
            (acked.clone(), true, "STALE"),
            (pending(&acked), false, "STALE"),
            // Its culprit is looked for.
            (pending(&failed(&acked, 3)), false, "ERROR"),
            // Acknowledged since: the rejection is history.
            (pending(&failed(&acked, 1)), false, "STALE"),
        ] {
            assert_eq!(status(&state, &[], behind), expected, "{state:?} {behind}");
        }
        let refused = Refused {
            resource_type: ResourceType::Cluster,
            name: "c".into(),
            version: Version(1),
            message: "is bad".into(),
            causes: [].into(),
        };
        assert_eq!(status(&acked, &[&refused], false), "ERROR");
    }
}
