//! Properties that hold for every kind of resource, whatever happens to the mesh.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::mesh::{Mesh, MeshConfig};
use pilothouse_core::model::{
    Endpoint, Host, Labels, NamespaceName, Protocol, Proxy, Resolution, ServiceKey, ServiceSource,
    Visibility,
};
use proptest::prelude::*;
use serde_json::Value as Json;

use super::grpc::{GrpcClusters, GrpcListeners, GrpcRoutes};
use super::*;
use crate::sample::{
    With, all, all_inputs, bound, endpoint, grpc_client, mesh_with, port, service, sidecar,
};
use crate::selection::{ForDataPlane, Selection};
use crate::translate::{Output, translate};
use crate::view::ViewKey;

const HOSTS: [&str; 6] = [
    "a.shop.svc.cluster.local",
    "b.shop.svc.cluster.local",
    "a.bank.svc.cluster.local",
    "x.com",
    "*.x.com",
    "*",
];
const NAMESPACES: [&str; 2] = ["shop", "bank"];
const ADDRESSES: [&str; 7] = [
    "10.1.0.1",
    "10.1.0.2",
    "10.1.0.0/16",
    "0.0.0.0",
    "10.0.0.1",
    "fd00::1",
    "10.0.0.2",
];
const ENDPOINTS: [&str; 5] = ["10.0.0.1", "10.0.0.2", "unix:///run/x", "y.com", "fd00::7"];
const PORTS: [u16; 5] = [80, 443, 9000, 15001, 15002];
const PROTOCOLS: [Protocol; 6] = [
    Protocol::Http,
    Protocol::Grpc,
    Protocol::Auto,
    Protocol::Tcp,
    Protocol::Tls,
    Protocol::Udp,
];

/// One thing that happens to the mesh.
#[derive(Debug, Clone)]
struct Event {
    key: ServiceKey,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Service(Box<Service>),
    Gone,
    Endpoints(Vec<Endpoint>),
}

fn a_service() -> impl Strategy<Value = Service> {
    let resolution = prop_oneof![
        4 => Just(Resolution::ClientSide),
        1 => Just(Resolution::Dns),
        1 => Just(Resolution::DnsRoundRobin),
        3 => Just(Resolution::Passthrough),
        1 => Just(Resolution::DynamicDns),
        1 => prop::sample::select(&HOSTS[..]).prop_map(|host| Resolution::Alias(Host::new(host).unwrap())),
    ];
    let ports = prop::collection::btree_map(
        prop::sample::select(&PORTS[..]),
        prop::sample::select(&PROTOCOLS[..]),
        0..4,
    );
    let addresses = prop::collection::vec(prop::sample::select(&ADDRESSES[..]), 0..3);
    let visibility = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Visibility::Namespaces(BTreeSet::from(["shop".into()])))),
        1 => Just(Some(Visibility::Namespaces(BTreeSet::new()))),
    ];
    (
        resolution,
        ports,
        addresses,
        visibility,
        0..3_i64,
        any::<[bool; 3]>(),
    )
        .prop_map(
            |(
                resolution,
                ports,
                addresses,
                visibility,
                created,
                [platform, selects, not_ready],
            )| {
                service(
                    "x",
                    ports
                        .into_iter()
                        .map(|(number, protocol)| port(number, protocol)),
                )
                .at(&addresses)
                .created(created)
                .resolved(resolution)
                .with(|service| {
                    service.export_to = visibility;
                    service.source = if platform {
                        ServiceSource::Platform
                    } else {
                        ServiceSource::Rule
                    };
                    service.workload_selector = selects.then(Labels::default);
                    service.publish_not_ready = not_ready;
                })
            },
        )
}

fn an_event() -> impl Strategy<Value = Event> {
    let what = prop_oneof![
        4 => a_service().prop_map(|service| What::Service(Box::new(service))),
        1 => Just(What::Gone),
        3 => prop::collection::vec(prop::sample::select(&ENDPOINTS[..]).prop_map(endpoint), 0..3).prop_map(What::Endpoints),
    ];
    (
        prop::sample::select(&HOSTS[..]),
        prop::sample::select(&NAMESPACES[..]),
        what,
    )
        .prop_map(|(host, namespace, what)| Event {
            key: ServiceKey {
                namespace: namespace.into(),
                host: Host::new(host).unwrap(),
            },
            what,
        })
}

fn apply(mesh: &mut Mesh, event: Event) {
    let key = event.key;
    match event.what {
        What::Service(service) => mesh.set_service(
            &key,
            Some(Arc::new(service.with(|service| service.key = key.clone()))),
        ),
        What::Gone => mesh.set_service(&key, None),
        What::Endpoints(endpoints) => {
            mesh.set_endpoints(&key, (!endpoints.is_empty()).then(|| Arc::new(endpoints)))
        }
    }
}

fn inputs<G: Generator>(
    mesh: &Mesh,
    view: &View,
    projection: &G::Projection,
) -> BTreeMap<Name, Input> {
    let names = G::names(mesh, view, projection);
    names
        .into_iter()
        .filter_map(|name| Some((name.clone(), G::input(mesh, view, projection, &name)?)))
        .collect()
}

/// State before and after a change of one host.
struct Step<'a> {
    before: (&'a Mesh, &'a View),
    after: (&'a Mesh, &'a View),
    host: &'a Host,
}

/// Every input that differs has a name that the host is said to have a part in.
fn names_are_not_too_few<G: Generator>(
    step: &Step<'_>,
    projection: &G::Projection,
    reached: bool,
) -> Result<(), TestCaseError> {
    let before = inputs::<G>(step.before.0, step.before.1, projection);
    let after = inputs::<G>(step.after.0, step.after.1, projection);
    let mut named = G::names_of_host(step.before.0, step.before.1, projection, step.host);
    named.extend(G::names_of_host(
        step.after.0,
        step.after.1,
        projection,
        step.host,
    ));
    for name in before.keys().chain(after.keys()) {
        if before.get(name) != after.get(name) {
            prop_assert!(
                named.contains(name),
                "{name} changed, and {} was said to have a part in {named:?}",
                step.host
            );
            prop_assert!(
                reached,
                "{name} changed with endpoints that were said to reach no configuration"
            );
        }
    }
    Ok(())
}

/// What Envoy would refuse altogether: an address, a name or a chain that stands twice.
fn nothing_stands_twice(mesh: &Mesh, proxy: &Proxy) -> Result<(), TestCaseError> {
    let twice = |all: Vec<String>, what: &str| {
        let unique: BTreeSet<&String> = all.iter().collect();
        prop_assert_eq!(unique.len(), all.len(), "{}: {:?}", what, all);
        Ok(())
    };
    let texts = |list: &Json| {
        list.as_array()
            .into_iter()
            .flatten()
            .map(Json::to_string)
            .collect::<Vec<_>>()
    };
    let listeners = all(mesh, proxy, ResourceType::Listener);
    twice(
        listeners
            .values()
            .filter(|listener| listener["api_listener"].is_null())
            .map(|listener| listener["address"].to_string())
            .collect(),
        "addresses",
    )?;
    for listener in listeners.values() {
        let chains = listener["filter_chains"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let matches = chains.iter().flat_map(|chain| {
            let matching = &chain["filter_chain_match"];
            let mut rest = matching.clone();
            let ranges = texts(&matching["prefix_ranges"]);
            if let Some(rest) = rest.as_object_mut() {
                rest.remove("prefix_ranges");
            }
            let ranges = if ranges.is_empty() {
                vec![String::new()]
            } else {
                ranges
            };
            ranges
                .into_iter()
                .map(move |range| format!("{range} {rest}"))
        });
        twice(matches.collect(), "chains")?;
    }
    for route in all(mesh, proxy, ResourceType::Route).values() {
        let hosts = route["virtual_hosts"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        twice(
            hosts
                .iter()
                .flat_map(|host| texts(&host["domains"]))
                .collect(),
            "domains",
        )?;
        twice(
            hosts.iter().map(|host| host["name"].to_string()).collect(),
            "virtual hosts",
        )?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_change_reaches_only_the_names_of_its_host(
        events in prop::collection::vec(an_event(), 1..24),
        http_proxy in prop::option::of(Just(15002_u16)),
    ) {
        let mut mesh = mesh_with(MeshConfig { proxy_http_port: http_proxy, ..Default::default() }, []);
        let selections = [sidecar(), bound(), grpc_client()].map(|proxy| Selection::of(&mesh, &proxy));
        let namespaces = [None, Some(ViewKey::from(NamespaceName::from("shop")))];
        let mut views = namespaces.each_ref().map(|namespace| View::build(&mesh, namespace.as_ref()));
        for event in events {
            let (key, before) = (event.key.clone(), mesh.clone());
            let only_endpoints = matches!(event.what, What::Endpoints(_));
            apply(&mut mesh, event);
            let reaches = before.service(&key).is_some_and(|service| endpoints_reach_configuration(service));
            let reached = !only_endpoints || reaches;
            for (namespace, view) in namespaces.iter().zip(&mut views) {
                let old = view.clone();
                view.update(&mesh, &BTreeSet::from([key.host.clone()]));
                let step = Step { before: (&before, &old), after: (&mesh, view), host: &key.host };
                for selection in &selections {
                    names_are_not_too_few::<Assignments>(&step, &selection.assignments, true)?;
                    match &selection.data_plane {
                        ForDataPlane::Envoy(envoy) => {
                            names_are_not_too_few::<Clusters>(&step, &envoy.clusters, reached)?;
                            names_are_not_too_few::<Listeners>(&step, &envoy.listeners, reached)?;
                            names_are_not_too_few::<Routes>(&step, &envoy.routes, reached)?;
                        }
                        ForDataPlane::Router(router) => {
                            names_are_not_too_few::<Clusters>(&step, &router.clusters, reached)?;
                        }
                        ForDataPlane::Grpc(grpc) => {
                            names_are_not_too_few::<GrpcClusters>(&step, &(), reached)?;
                            names_are_not_too_few::<GrpcListeners>(&step, grpc, reached)?;
                            names_are_not_too_few::<GrpcRoutes>(&step, grpc, reached)?;
                        }
                    }
                }
                let rebuilt = View::build(&mesh, namespace.as_ref());
                for selection in &selections {
                    prop_assert_eq!(all_inputs(&mesh, view, selection), all_inputs(&mesh, &rebuilt, selection));
                }
            }
        }
    }

    #[test]
    fn no_mesh_makes_envoy_refuse_everything(
        events in prop::collection::vec(an_event(), 1..24),
        http_proxy in prop::option::of(Just(15002_u16)),
    ) {
        let mut mesh = mesh_with(MeshConfig { proxy_http_port: http_proxy, ..Default::default() }, []);
        events.into_iter().for_each(|event| apply(&mut mesh, event));
        for proxy in [sidecar(), bound(), grpc_client()] {
            nothing_stands_twice(&mesh, &proxy)?;
            refers_to_what_is_there(&mesh, &proxy)?;
        }
    }
}

/// Listeners and routes refer to clusters and routes that the same proxy gets, and load assignments to clusters.
fn refers_to_what_is_there(mesh: &Mesh, proxy: &Proxy) -> Result<(), TestCaseError> {
    let selection = Selection::of(mesh, proxy);
    let view = View::build(mesh, Some(&selection.view));
    let outputs: Vec<_> = all_inputs(mesh, &view, &selection)
        .iter()
        .map(translate)
        .collect();
    let names = |resource_type| -> BTreeSet<&Name> {
        let of = |output: &&Output| output.message.resource_type() == resource_type;
        let those = outputs.iter().filter(of);
        those.map(|output| &output.name).collect()
    };
    let (clusters, routes) = (names(ResourceType::Cluster), names(ResourceType::Route));
    for name in names(ResourceType::Endpoint) {
        prop_assert!(
            selection.grpc().is_some() || clusters.contains(name),
            "{} is no cluster",
            name
        );
    }
    for output in &outputs {
        for name in output.uses.clusters.iter() {
            prop_assert!(clusters.contains(name), "{} uses {name}", output.name);
        }
        for name in output
            .uses
            .routes
            .iter()
            .filter(|name| name.as_str() != crate::names::HTTP_PROXY_ROUTE)
        {
            prop_assert!(routes.contains(name), "{} uses {name}", output.name);
        }
    }
    Ok(())
}
