//! A bootstrap that holds a whole configuration, so that Envoy can look at it without anybody serving it.
//!
//! What Envoy would be sent by name is put where it is named: load assignments into their clusters, route tables into their
//! listeners. Everything else stays byte for byte.

use anyhow::{Context, Result};
use envoy_types::pb::envoy::config::bootstrap::v3::bootstrap::StaticResources;
use envoy_types::pb::envoy::config::bootstrap::v3::Bootstrap;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::config::listener::v3::{Filter, Listener};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use pilothouse_xds::fanout::Set;
use pilothouse_xds::json;
use pilothouse_xds::names::ADMIN_PORT;
use pilothouse_xds::resource::Resource;
use pilothouse_xds::snapshot::Snapshot;
use prost::{Message, Name};
use serde_json::{Value, json};

/// The bootstrap of the proxy with this node.
pub(super) fn bootstrap(node: &Value, snapshot: &Snapshot) -> Result<Value> {
    let node = Node::decode(&*json::from_json(&Node::full_name(), node)?)?;
    let clusters = snapshot.clusters.iter();
    let listeners = snapshot.listeners.iter();
    let bootstrap = Bootstrap {
        node: Some(node),
        static_resources: Some(StaticResources {
            clusters: clusters
                .map(|resource| cluster(resource, &snapshot.assignments.bodies))
                .collect::<Result<_>>()?,
            listeners: listeners
                .map(|resource| listener(resource, &snapshot.routes))
                .collect::<Result<_>>()?,
            ..StaticResources::default()
        }),
        ..Bootstrap::default()
    };
    let mut bootstrap = json::to_json(&Bootstrap::full_name(), &bootstrap.encode_to_vec())?;
    let admin = json!({ "address": "127.0.0.1", "port_value": ADMIN_PORT });
    bootstrap["admin"] = json!({ "address": { "socket_address": admin } });
    Ok(bootstrap)
}

fn cluster(resource: &Resource, assignments: &Set) -> Result<Cluster> {
    let mut cluster: Cluster = decode(resource)?;
    let by_assignment = ClusterDiscoveryType::Type(DiscoveryType::Eds.into());
    if cluster.cluster_discovery_type == Some(by_assignment) {
        let service = cluster
            .eds_cluster_config
            .take()
            .unwrap_or_default()
            .service_name;
        let name = if service.is_empty() {
            &cluster.name
        } else {
            &service
        };
        let assignment = match assignments.get(name) {
            Some(assignment) => decode(assignment)?,
            None => ClusterLoadAssignment {
                cluster_name: name.clone(),
                ..ClusterLoadAssignment::default()
            },
        };
        cluster.load_assignment = Some(assignment);
        cluster.cluster_discovery_type =
            Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into()));
    }
    Ok(cluster)
}

fn listener(resource: &Resource, routes: &Set) -> Result<Listener> {
    let mut listener: Listener = decode(resource)?;
    let chains = listener.filter_chains.iter_mut();
    for chain in chains.chain(&mut listener.default_filter_chain) {
        for filter in &mut chain.filters {
            inline_routes(filter, routes)
                .with_context(|| format!("the listener {}", resource.name))?;
        }
    }
    Ok(listener)
}

/// Puts the table into a filter that names one.
fn inline_routes(filter: &mut Filter, routes: &Set) -> Result<()> {
    let Some(ConfigType::TypedConfig(any)) = &mut filter.config_type else {
        return Ok(());
    };
    if any.type_url != HttpConnectionManager::type_url() {
        return Ok(());
    }
    let mut manager = HttpConnectionManager::decode(&*any.value)?;
    let Some(RouteSpecifier::Rds(rds)) = &manager.route_specifier else {
        return Ok(());
    };
    let mut table = match routes.get(&rds.route_config_name) {
        Some(table) => decode(table)?,
        None => RouteConfiguration {
            name: rds.route_config_name.clone(),
            ..RouteConfiguration::default()
        },
    };
    // Of a table that is sent, Envoy does not ask whether its clusters are there.
    table.validate_clusters.get_or_insert_default();
    manager.route_specifier = Some(RouteSpecifier::RouteConfig(table));
    *any = pack_any(manager);
    Ok(())
}

fn decode<M: Message + Default>(resource: &Resource) -> Result<M> {
    let wrong = || format!("{} cannot be read back", resource.name);
    let any = Any::decode(&*resource.body).with_context(wrong)?;
    M::decode(&*any.value).with_context(wrong)
}
