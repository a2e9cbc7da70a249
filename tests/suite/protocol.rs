//! xDS as clients see it over the wire: the scenarios of the CNCF's conformance suite in both variants, over ADS and over the
//! services of one type; and by counters, that work is done once and for whom it concerns.

mod delta;
mod sharing;
mod sotw;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use envoy_types::pb::envoy::config::core::v3::Node;
use pilothouse_tests::ads::{CLUSTER, ENDPOINT, LISTENER, ROUTE, Service};
use pilothouse_tests::mesh_dir::ServiceEntry;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::wait::eventually;

use crate::world::{SOON, World};

/// How long silence lasts that is taken for an end.
const QUIET: Duration = Duration::from_millis(250);
/// Every type with the service that has only this type.
const TYPES: [(&str, Service); 4] = [
    (CLUSTER, Service::Cluster),
    (ENDPOINT, Service::Endpoint),
    (LISTENER, Service::Listener),
    (ROUTE, Service::Route),
];

/// A mesh with a service for each of these letters, which makes one resource of each type.
async fn mesh(letters: &str) -> World {
    let entries: Vec<_> = letters.chars().map(|letter| entry(letter, 1)).collect();
    World::of(&entries.iter().collect::<Vec<_>>()).await
}

/// The service of a letter, whose endpoint and whose host's alias depend on the version.
fn entry(letter: char, version: u8) -> ServiceEntry {
    let host = format!("{letter}.test");
    ServiceEntry::http(&letter.to_string(), &host, port(letter))
        .endpoint(([10, 0, version, 1], 80).into())
}

fn port(letter: char) -> u16 {
    18_000 + u16::from(letter as u8)
}

/// The name of the resource that a service makes of a type.
fn name(type_url: &str, letter: char) -> String {
    let port = port(letter);
    match type_url {
        CLUSTER | ENDPOINT => format!("outbound|{port}||{letter}.test"),
        LISTENER => format!("127.0.0.1_{port}"),
        _ => port.to_string(),
    }
}

/// The names of the resources that services make of a type.
fn names(type_url: &str, letters: &str) -> BTreeSet<String> {
    letters
        .chars()
        .map(|letter| name(type_url, letter))
        .collect()
}

/// Everything that a client gets that asks for all of a type.
fn everything(type_url: &str, letters: &str) -> BTreeSet<String> {
    let mut all = names(type_url, letters);
    if type_url == CLUSTER {
        all.extend(
            [
                "BlackHoleCluster",
                "InboundPassthroughCluster",
                "PassthroughCluster",
            ]
            .map(str::to_owned),
        );
    }
    all
}

fn node(name: &str, namespace: &str) -> Node {
    Sidecar::new(name, namespace).node().unwrap()
}

/// Changes every resource of every service, without changing their names: clusters by mesh config, and with them what depends on
/// them; listeners by the access log.
fn change_everything(world: &World, version: u8) {
    world.write_mesh_config(&mesh_config(version));
}

fn mesh_config(version: u8) -> String {
    let policy = if version.is_multiple_of(2) {
        "REGISTRY_ONLY"
    } else {
        "ALLOW_ANY"
    };
    format!(
        "connectTimeout: {}s\naccessLogFile: /dev/null/{version}\noutboundTrafficPolicy: {{ mode: {policy} }}\n",
        10 + version
    )
}

impl World {
    /// Waits until discovery knows of a service.
    async fn is_there(&self, letter: char) {
        self.knows(letter, true).await;
    }

    /// Waits until discovery knows nothing of a service.
    async fn is_away(&self, letter: char) {
        self.knows(letter, false).await;
    }

    async fn knows(&self, letter: char, wanted: bool) {
        let known = async || {
            let page = self
                .discovery
                .debug(&format!("/debug/endpointz?host={letter}.test"))
                .await?;
            let known = page.as_array().is_some_and(|services| !services.is_empty());
            ensure!(known == wanted, "it knows {page:#}");
            Ok(())
        };
        eventually("discovery has read the file", SOON, known)
            .await
            .unwrap();
    }
}
