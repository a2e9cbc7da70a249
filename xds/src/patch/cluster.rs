//! Clusters.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use pilothouse_core::rules::resolve::envoy_filter::{ApplyTo, Operation};

use super::apply::Patching;
use super::list::{lists, merge_one};
use super::merge::merge;
use super::{Decoded, matching};
use crate::json;
use crate::resource::Cause;

/// Returns whether the cluster stays.
pub(super) fn apply(patching: &mut Patching<'_>, cluster: &mut Cluster, causes: &[Cause]) -> bool {
    let name = cluster.name.clone();
    for patch in patching.of(ApplyTo::Cluster) {
        let hosts = causes.iter().filter_map(|cause| match cause {
            Cause::Service(key) => Some(key.host.as_str()),
            _ => None,
        });
        if !matching::cluster(&patch.patch.object, &name, hosts) {
            continue;
        }
        if patch.patch.operation == Operation::Remove {
            patching.outcome.applied(&patch.patch);
            return false;
        }
        let attempt = merge_cluster(cluster, patch).map(|()| true);
        cluster.name.clone_from(&name);
        patching.outcome.note(&patch.patch, attempt);
    }
    true
}

/// A transport socket is merged into the one that has its name: the cluster's only one, or the first of those among which
/// endpoints choose. Where there are several and none has it, it is left out: it could never be chosen.
pub(super) fn merge_cluster(cluster: &mut Cluster, patch: &Decoded) -> Result<(), String> {
    let wanted: Cluster = patch.message()?;
    let Some(socket) = wanted.transport_socket else {
        return merge_one(cluster, patch);
    };
    if cluster.transport_socket_matches.is_empty() {
        apart(&mut cluster.transport_socket, &socket);
        return merge_one(cluster, patch);
    }
    let mut rest = patch.value()?.clone();
    rest.clear_field_by_name("transport_socket");
    let mut merged = cluster.clone();
    let known = merged.transport_socket_matches.iter_mut();
    let known = known.filter_map(|one| one.transport_socket.as_mut());
    if let Some(known) = { known }.find(|known| known.name == socket.name) {
        merge_message(known, &socket, patch)?;
    }
    merge(&mut merged, &rest, lists(patch))?;
    *cluster = merged;
    Ok(())
}

/// A socket of another name takes the place of the one that is there.
pub(super) fn apart(known: &mut Option<TransportSocket>, wanted: &TransportSocket) {
    if known
        .as_ref()
        .is_some_and(|known| known.name != wanted.name)
    {
        *known = None;
    }
}

fn merge_message(
    known: &mut TransportSocket,
    wanted: &TransportSocket,
    patch: &Decoded,
) -> Result<(), String> {
    use prost::{Message, Name};
    let descriptor = json::descriptor(&TransportSocket::full_name()).map_err(|e| e.to_string())?;
    let wanted = prost_reflect::DynamicMessage::decode(descriptor, &*wanted.encode_to_vec())
        .map_err(|error| error.to_string())?;
    merge(known, &wanted, lists(patch))
}
