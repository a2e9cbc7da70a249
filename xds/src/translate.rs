//! Translation: one input to one Envoy message. Pure: the same input gives an equal message, always and everywhere.
//!
//! What is here knows Envoy's API and nothing of the mesh. Only extensions of stock Envoy are used, and no field that it calls
//! deprecated.

mod access_log;
mod assignment;
mod cluster;
mod common;
mod dynamic;
mod grpc;
mod http;
mod listener;
mod metrics;
mod names;
mod route;
mod router;
mod secrets;
mod tcp;
mod tracing;

use std::collections::BTreeSet;
use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use prost::Message as _;

use crate::inputs::Input;
use crate::name_table::NameTable;
use crate::resource::{Cause, Name, ResourceType, Uses};

/// A message of Envoy's API, or of what stands beside it.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A cluster.
    Cluster(Box<Cluster>),
    /// A load assignment.
    Assignment(Box<ClusterLoadAssignment>),
    /// A listener.
    Listener(Box<Listener>),
    /// A route configuration.
    Route(Box<RouteConfiguration>),
    /// The name table.
    NameTable(Box<NameTable>),
}

impl Message {
    /// Which type of resource it is.
    pub fn resource_type(&self) -> ResourceType {
        match self {
            Self::Cluster(_) => ResourceType::Cluster,
            Self::Assignment(_) => ResourceType::Endpoint,
            Self::Listener(_) => ResourceType::Listener,
            Self::Route(_) => ResourceType::Route,
            Self::NameTable(_) => ResourceType::NameTable,
        }
    }

    /// Its bytes, with maps in no particular order.
    pub fn encode_to_vec(&self) -> Vec<u8> {
        match self {
            Self::Cluster(message) => message.encode_to_vec(),
            Self::Assignment(message) => message.encode_to_vec(),
            Self::Listener(message) => message.encode_to_vec(),
            Self::Route(message) => message.encode_to_vec(),
            Self::NameTable(message) => message.encode_to_vec(),
        }
    }
}

/// What a translation makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The resource's name.
    pub name: Name,
    /// The message.
    pub message: Message,
    /// The clusters and routes that it refers to.
    pub uses: Uses,
    /// What it was made from, sorted.
    pub causes: Arc<[Cause]>,
}

/// The message that an input stands for.
pub fn translate(input: &Input) -> Output {
    match input {
        Input::Cluster(input) => cluster::translate(input),
        Input::Assignment(input) => assignment::translate(input),
        Input::Listener(input) => listener::translate(input),
        Input::Route(input) => route::translate(input),
        Input::Router(input) => router::translate(input),
        Input::Names(input) => names::translate(input),
        Input::Grpc(input) => grpc::translate(input),
    }
}

/// References and causes, collected while a message is made.
#[derive(Debug, Default)]
struct Notes {
    clusters: BTreeSet<Name>,
    routes: BTreeSet<Name>,
    causes: BTreeSet<Cause>,
}

impl Notes {
    /// Notes on something that a rule or service has no part in.
    fn of_mesh_config() -> Self {
        Self {
            causes: BTreeSet::from([Cause::MeshConfig]),
            ..Self::default()
        }
    }

    fn output(self, name: impl Into<Name>, message: Message) -> Output {
        Output {
            name: name.into(),
            message,
            uses: Uses {
                clusters: self.clusters.into_iter().collect(),
                routes: self.routes.into_iter().collect(),
            },
            causes: self.causes.into_iter().collect(),
        }
    }
}
