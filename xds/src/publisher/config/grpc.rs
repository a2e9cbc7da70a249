//! What gRPC clients get: nothing of it is shared with Envoys but load assignments, and without such a client there is none.

use std::collections::{BTreeMap, BTreeSet};

use super::super::memo::Memo;
use super::super::scope::Scope;
use super::{Change, Sets, follow};
use crate::inputs::grpc::{GrpcClusters, GrpcListeners, GrpcRoutes};
use crate::selection::ForGrpc;
use crate::view::ViewKey;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Grpc {
    clusters: BTreeMap<(), Scope<GrpcClusters>>,
    listeners: BTreeMap<ForGrpc, Scope<GrpcListeners>>,
    routes: BTreeMap<ForGrpc, Scope<GrpcRoutes>>,
}

impl Grpc {
    /// Brings everything up to date that is `wanted`, and drops the rest.
    pub(super) fn follow(
        &mut self,
        change: &Change<'_>,
        wanted: BTreeSet<&ForGrpc>,
        memo: &mut Memo,
    ) {
        let clusters = wanted.iter().map(|_| ());
        follow(&mut self.clusters, change, clusters, memo);
        let projections = || wanted.iter().copied().cloned();
        follow(&mut self.listeners, change, projections(), memo);
        follow(&mut self.routes, change, projections(), memo);
    }

    /// The sets of a projection.
    pub(super) fn restack(&self, key: &ViewKey, grpc: &ForGrpc, sets: &mut Sets) {
        if let Some(clusters) = self.clusters.get(&()) {
            sets.clusters = clusters.set(key).clone();
            sets.shared_clusters = sets.clusters.clone();
        }
        if let Some(listeners) = self.listeners.get(grpc) {
            sets.listeners = listeners.set(key).clone();
        }
        if let Some(routes) = self.routes.get(grpc) {
            sets.routes = routes.set(key).clone();
        }
    }
}
