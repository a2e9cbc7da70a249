//! The resources that are walked.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::google::protobuf::Any;
use prost::{Message, Name};
use thiserror::Error;

use crate::fanout::Set;
use crate::snapshot::Snapshot;

/// What an Envoy holds.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// Listeners, by name.
    pub listeners: BTreeMap<String, Listener>,
    /// Route configurations, by name.
    pub routes: BTreeMap<String, RouteConfiguration>,
    /// Clusters, by name.
    pub clusters: BTreeMap<String, Cluster>,
    /// Load assignments, by the name of their cluster.
    pub assignments: BTreeMap<String, ClusterLoadAssignment>,
}

/// A resource that is not what its type says.
#[derive(Debug, Error)]
#[error("the resource {name} is no {type_url}: {error}")]
pub struct Unreadable {
    /// Its name, as far as it is known.
    pub name: String,
    /// What it should be.
    pub type_url: String,
    /// What is wrong.
    pub error: prost::DecodeError,
}

impl Configuration {
    /// What a proxy with this snapshot holds.
    ///
    /// # Errors
    /// A resource cannot be read back.
    pub fn of(snapshot: &Snapshot) -> Result<Self, Unreadable> {
        let mut all = Self::default();
        for set in [
            &snapshot.clusters,
            &snapshot.assignments.bodies,
            &snapshot.listeners,
            &snapshot.routes,
        ] {
            all.add_set(set)?;
        }
        Ok(all)
    }

    /// Adds a resource of any of the four types; others are passed over.
    ///
    /// # Errors
    /// It is not what its type says.
    pub fn add(&mut self, any: &Any) -> Result<(), Unreadable> {
        self.add_named("?", any)
    }

    fn add_set(&mut self, set: &Set) -> Result<(), Unreadable> {
        for resource in set.iter() {
            let name = resource.name.as_str();
            let any: Any = decode(name, &Any::type_url(), &resource.body)?;
            self.add_named(name, &any)?;
        }
        Ok(())
    }

    fn add_named(&mut self, name: &str, any: &Any) -> Result<(), Unreadable> {
        let url = any.type_url.as_str();
        if url == Cluster::type_url() {
            let cluster: Cluster = decode(name, url, &any.value)?;
            self.clusters.insert(cluster.name.clone(), cluster);
        } else if url == ClusterLoadAssignment::type_url() {
            let assignment: ClusterLoadAssignment = decode(name, url, &any.value)?;
            self.assignments
                .insert(assignment.cluster_name.clone(), assignment);
        } else if url == Listener::type_url() {
            let listener: Listener = decode(name, url, &any.value)?;
            self.listeners.insert(listener.name.clone(), listener);
        } else if url == RouteConfiguration::type_url() {
            let route: RouteConfiguration = decode(name, url, &any.value)?;
            self.routes.insert(route.name.clone(), route);
        }
        Ok(())
    }
}

fn decode<M: Message + Default>(name: &str, type_url: &str, bytes: &[u8]) -> Result<M, Unreadable> {
    M::decode(bytes).map_err(|error| Unreadable {
        name: name.to_owned(),
        type_url: type_url.to_owned(),
        error,
    })
}
