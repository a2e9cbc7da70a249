//! Load assignments: endpoints grouped by locality, with weights and health.

mod spread;

use std::collections::{BTreeMap, BTreeSet};

use envoy_types::pb::envoy::config::core::v3::{
    Address as EnvoyAddress, HealthStatus, Locality as EnvoyLocality, Metadata, address,
};
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint as EnvoyEndpoint, LbEndpoint, LocalityLbEndpoints, endpoint,
    lb_endpoint,
};
use pilothouse_core::model::{Address, Endpoint, Health, Labels, ServicePort, TlsMode};

use super::common::{ISTIO_METADATA, ip_address, metadata, name_address, object, pipe, text, uint};
use super::{Message, Notes, Output};
use crate::inputs::assignments::AssignmentInput;
use crate::inputs::destination::Spread;
use crate::resource::Cause;

/// The key by which Envoy chooses a transport socket for an endpoint.
const TRANSPORT_SOCKET_MATCH: &str = "envoy.transport_socket_match";

/// Between a sub-zone and the weight of those of its endpoints that stand apart.
const APART: &str = "/weight-";

pub(super) fn translate(input: &AssignmentInput) -> Output {
    let endpoints = input.endpoints.as_deref().into_iter().flatten();
    let endpoints = endpoints.filter(|endpoint| endpoint.labels.selected_by(&input.labels));
    // Envoy takes names only where it resolves them.
    let usable = |address: &Address, port| match address {
        Address::Ip(ip) => Some(ip_address(*ip, port)),
        Address::Unix(path) => input.for_grpc.is_none().then(|| pipe(path)),
        Address::Host(_) => None,
    };
    let addresses = |endpoint: &Endpoint| match endpoint.port(&input.port) {
        Some(port) => endpoint
            .addresses
            .iter()
            .filter_map(|address| usable(address, port))
            .collect(),
        None => Vec::new(),
    };
    let message = assignment(
        input.name.as_str(),
        endpoints,
        input.publish_not_ready,
        input.for_grpc.is_some_and(|grpc| grpc.apart_by_weight),
        input.spread.as_ref(),
        addresses,
    );
    let mut notes = Notes::default();
    notes.causes.insert(Cause::Service(input.service.clone()));
    notes.output(input.name.clone(), Message::Assignment(Box::new(message)))
}

/// The load assignment of a cluster that resolves names itself. `only_one` for a cluster that can have but one name.
pub(super) fn inline<'a>(
    cluster: &str,
    port: &ServicePort,
    endpoints: impl Iterator<Item = &'a Endpoint>,
    publish_not_ready: bool,
    only_one: bool,
    labels: &Labels,
    spread: Option<&Spread>,
) -> ClusterLoadAssignment {
    let usable = |address: &Address, port| match address {
        Address::Ip(ip) => Some(ip_address(*ip, port)),
        Address::Host(host) => Some(name_address(host, port)),
        Address::Unix(_) => None,
    };
    // What a name resolves to is all that Envoy takes for such an endpoint.
    let first = |endpoint: &Endpoint| {
        let port = endpoint.port(port)?;
        endpoint
            .addresses
            .iter()
            .find_map(|address| usable(address, port))
    };
    let served = endpoints
        .filter(|endpoint| endpoint.labels.selected_by(labels))
        .filter(|endpoint| is_served(endpoint, publish_not_ready) && first(endpoint).is_some());
    let chosen = served.take(if only_one { 1 } else { usize::MAX });
    assignment(
        cluster,
        chosen,
        publish_not_ready,
        false,
        spread,
        |endpoint| first(endpoint).into_iter().collect(),
    )
}

fn assignment<'a>(
    cluster: &str,
    endpoints: impl Iterator<Item = &'a Endpoint>,
    publish_not_ready: bool,
    apart_by_weight: bool,
    spread: Option<&Spread>,
    addresses: impl Fn(&Endpoint) -> Vec<EnvoyAddress>,
) -> ClusterLoadAssignment {
    let mut localities: BTreeMap<_, Vec<(u32, LbEndpoint)>> = BTreeMap::new();
    for endpoint in endpoints.filter(|endpoint| is_served(endpoint, publish_not_ready)) {
        if let Some(message) = lb_endpoint(endpoint, addresses(endpoint)) {
            let weight = endpoint.weight.max(1);
            let Some(rank) = spread.map_or(Some(0), |spread| spread::rank(spread, endpoint)) else {
                continue;
            };
            localities
                .entry((rank, &endpoint.locality, apart_by_weight.then_some(weight)))
                .or_default()
                .push((weight, message));
        }
    }
    // Envoy wants priorities without gaps.
    let ranks: BTreeSet<u32> = localities.keys().map(|(rank, ..)| *rank).collect();
    let priority = |rank| {
        let place = ranks.iter().position(|known| *known == rank);
        u32::try_from(place.unwrap_or_default()).unwrap_or_default()
    };
    let shrink = shrink(localities.values().flatten().map(|(weight, _)| *weight));
    let endpoints = localities
        .into_iter()
        .map(|((rank, locality, apart), endpoints)| {
            let weights: u32 = endpoints
                .iter()
                .map(|(weight, _)| shrink.apply(*weight))
                .fold(0, u32::saturating_add);
            LocalityLbEndpoints {
                locality: Some(EnvoyLocality {
                    region: locality.region.to_string(),
                    zone: locality.zone.to_string(),
                    sub_zone: match apart {
                        None => locality.sub_zone.to_string(),
                        // Clients refuse two localities of one name. All have a weight here, so that none is another's.
                        Some(weight) => format!("{}{APART}{weight}", locality.sub_zone),
                    },
                }),
                load_balancing_weight: uint(weights),
                priority: priority(rank),
                lb_endpoints: endpoints
                    .into_iter()
                    .map(|(weight, endpoint)| LbEndpoint {
                        load_balancing_weight: uint(shrink.apply(weight)),
                        ..endpoint
                    })
                    .collect(),
                ..Default::default()
            }
        });
    let mut endpoints: Vec<_> = endpoints.collect();
    if let Some(spread) = spread {
        spread::distribute(spread, &mut endpoints);
    }
    ClusterLoadAssignment {
        cluster_name: cluster.to_owned(),
        endpoints,
        ..Default::default()
    }
}

/// An endpoint that is not healthy is served only where its service asks for it.
fn is_served(endpoint: &Endpoint, publish_not_ready: bool) -> bool {
    publish_not_ready || endpoint.health == Health::Healthy
}

fn lb_endpoint(endpoint: &Endpoint, addresses: Vec<EnvoyAddress>) -> Option<LbEndpoint> {
    let mut addresses = addresses.into_iter();
    let first = addresses.next()?;
    let is_socket = |address: &EnvoyAddress| {
        matches!(address.address, Some(address::Address::SocketAddress(_)))
    };
    // Envoy tries several addresses in turn only if all are sockets.
    let more = addresses.filter(|address| is_socket(&first) && is_socket(address));
    let more = more
        .map(|address| endpoint::AdditionalAddress {
            address: Some(address),
        })
        .collect();
    let health = match endpoint.health {
        Health::Healthy | Health::Unhealthy => HealthStatus::Unknown,
        Health::Draining | Health::Terminating => HealthStatus::Draining,
    };
    Some(LbEndpoint {
        health_status: health.into(),
        metadata: endpoint_metadata(endpoint),
        host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(EnvoyEndpoint {
            address: Some(first),
            additional_addresses: more,
            ..Default::default()
        })),
        ..Default::default()
    })
}

/// Who an endpoint is, for telemetry, and whether it takes mutual TLS.
fn endpoint_metadata(endpoint: &Endpoint) -> Option<Metadata> {
    let mut parts = Vec::new();
    if let Some(workload) = &endpoint.workload {
        let label = |key| endpoint.labels.get(key).unwrap_or_default();
        let (name, revision) = (
            label("service.istio.io/canonical-name"),
            label("service.istio.io/canonical-revision"),
        );
        let line = format!(
            "{};{};{name};{revision};{}",
            workload.name, workload.namespace, endpoint.cluster
        );
        parts.push((ISTIO_METADATA, object([("workload", text(line))])));
    }
    if endpoint.tls_mode == TlsMode::Istio {
        parts.push((TRANSPORT_SOCKET_MATCH, object([("tlsMode", text("istio"))])));
    }
    if parts.is_empty() {
        None
    } else {
        metadata(parts)
    }
}

/// Envoy refuses assignments whose weights add up to more than 32 bits hold.
#[derive(Clone, Copy)]
struct Shrink(u64);

impl Shrink {
    fn apply(self, weight: u32) -> u32 {
        u32::try_from(u64::from(weight) / self.0)
            .unwrap_or(u32::MAX)
            .max(1)
    }
}

fn shrink(weights: impl Iterator<Item = u32>) -> Shrink {
    let (total, count) = weights.fold((0_u64, 0_u64), |(total, count), weight| {
        (total.saturating_add(weight.into()), count + 1)
    });
    // Every weight is at least 1 after division, which may add as much as there are endpoints.
    let room = u64::from(u32::MAX).saturating_sub(count).max(1);
    Shrink(total.div_ceil(room).max(1))
}

#[cfg(test)]
mod tests {
    use pilothouse_core::model::{EndpointPort, Locality, Preference, WorkloadKey};
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::resource::ResourceType;
    use crate::sample::{With, endpoint, grpc_client, http, mesh, one, service, sidecar};

    fn with(address: &str, change: impl FnOnce(&mut Endpoint)) -> Endpoint {
        let mut endpoint = endpoint(address);
        change(&mut endpoint);
        endpoint
    }

    /// What an assignment of `endpoints` says of localities.
    fn localities(endpoints: Vec<Endpoint>, publish_not_ready: bool) -> Json {
        let service = service("a.com", [http(80)])
            .with(|service| service.publish_not_ready = publish_not_ready);
        let mesh = mesh([(service, endpoints)]);
        let mut found = one(
            &mesh,
            &sidecar(),
            ResourceType::Endpoint,
            "outbound|80||a.com",
        );
        assert_eq!(found["cluster_name"], "outbound|80||a.com");
        found["endpoints"].take()
    }

    /// The addresses by their turn, for a client on the machine `n1` in `r/a`, or in no known place.
    fn turns(prefers: Preference, placed: bool) -> Vec<Vec<String>> {
        let mut service = service("a.com", [http(80)]);
        service.prefers = prefers;
        let there = |address: &str, locality: &str, node: &str| {
            with(address, |endpoint| {
                endpoint.locality = Locality::parse(locality);
                endpoint.node = (!node.is_empty()).then(|| node.into());
                endpoint.for_zones = match node {
                    "n1" => Some(["b".into()].into()),
                    "n2" | "n3" => Some(["a".into(), "b".into()].into()),
                    _ => None,
                };
            })
        };
        let endpoints = vec![
            there("10.0.0.1", "r/a", "n1"),
            there("10.0.0.2", "r/a", "n2"),
            there("10.0.0.3", "r/b", "n3"),
            there("10.0.0.4", "s/a", "n4"),
            there("10.0.0.5", "s/a", ""),
        ];
        let mut client = sidecar();
        if placed {
            client.locality = Locality::parse("r/a");
            client.metadata.insert("NODE_NAME".into(), "n1".into());
        }
        let mesh = mesh([(service, endpoints)]);
        let found = one(&mesh, &client, ResourceType::Endpoint, "outbound|80||a.com");
        let mut turns = Vec::<Vec<String>>::new();
        for group in found["endpoints"].as_array().into_iter().flatten() {
            let turn = group["priority"].as_u64().unwrap_or_default() as usize;
            turns.resize(turns.len().max(turn + 1), Vec::new());
            for one in group["lb_endpoints"].as_array().into_iter().flatten() {
                let address = &one["endpoint"]["address"]["socket_address"]["address"];
                let address = address.as_str().unwrap_or_default();
                turns[turn].push(address.trim_start_matches("10.0.0.").to_owned());
            }
        }
        turns
    }

    #[test]
    fn a_service_says_which_endpoints_go_first() {
        let check = |prefers, placed, expected: &[&[&str]]| {
            assert_eq!(turns(prefers, placed), expected, "{prefers:?} {placed}");
        };
        check(Preference::Any, true, &[&["1", "2", "3", "4", "5"]]);
        check(Preference::Zone, true, &[&["1", "2"], &["3"], &["4", "5"]]);
        check(
            Preference::Node,
            true,
            &[&["1"], &["2"], &["3"], &["4", "5"]],
        );
        check(Preference::NodeOnly, true, &[&["1"]]);
        // Two are for this zone, one for another and two for anybody.
        check(Preference::Hints, true, &[&["2", "3", "4", "5"], &["1"]]);
        // Of a client of which nothing is known nothing can be near.
        for prefers in [
            Preference::Zone,
            Preference::Node,
            Preference::NodeOnly,
            Preference::Hints,
        ] {
            assert_eq!(turns(prefers, false).concat().len(), 5, "{prefers:?}");
            assert_eq!(turns(prefers, false).len(), 1, "{prefers:?}");
        }
    }

    fn at(address: &str, port: u16, weight: u32) -> Json {
        let address = json!({"socket_address": {"address": address, "port_value": port}});
        json!({"endpoint": {"address": address}, "load_balancing_weight": weight})
    }

    #[test]
    fn endpoints_are_grouped_by_locality_with_weights() {
        let found = localities(
            vec![
                with("10.0.0.2", |e| e.locality = Locality::parse("r/z2")),
                with("10.0.0.1", |e| {
                    (e.locality, e.weight) = (Locality::parse("r/z1/s"), 5)
                }),
                with("10.0.0.3", |e| {
                    (e.locality, e.weight) = (Locality::parse("r/z1/s"), 0)
                }),
                with("10.0.0.4", |e| {
                    e.ports = Some(
                        [EndpointPort {
                            name: "p80".into(),
                            port: 8080,
                        }]
                        .into(),
                    )
                }),
                with("10.0.0.5", |e| e.ports = Some([].into())),
                endpoint("b.com"),
            ],
            false,
        );
        let expected = json!([
            {"locality": {}, "lb_endpoints": [at("10.0.0.4", 8080, 1)], "load_balancing_weight": 1},
            {
                "locality": {"region": "r", "zone": "z1", "sub_zone": "s"},
                "lb_endpoints": [at("10.0.0.1", 80, 5), at("10.0.0.3", 80, 1)],
                "load_balancing_weight": 6,
            },
            {"locality": {"region": "r", "zone": "z2"}, "lb_endpoints": [at("10.0.0.2", 80, 1)], "load_balancing_weight": 1},
        ]);
        assert_eq!(found, expected);
    }

    #[test]
    fn no_endpoint_is_an_empty_assignment() {
        assert_eq!(localities(vec![], false), Json::Null);
    }

    #[test]
    fn only_healthy_endpoints_are_served_unless_asked_for() {
        let all = || -> Vec<Endpoint> {
            let of = [
                Health::Healthy,
                Health::Unhealthy,
                Health::Draining,
                Health::Terminating,
            ];
            of.into_iter()
                .zip(1..)
                .map(|(health, n)| with(&format!("10.0.0.{n}"), |e| e.health = health))
                .collect()
        };
        let statuses = |publish_not_ready| -> Vec<Json> {
            let found = localities(all(), publish_not_ready);
            found[0]["lb_endpoints"]
                .as_array()
                .unwrap()
                .iter()
                .map(|endpoint| endpoint["health_status"].clone())
                .collect()
        };
        assert_eq!(statuses(false), [Json::Null]);
        assert_eq!(
            statuses(true),
            [Json::Null, Json::Null, json!("DRAINING"), json!("DRAINING")]
        );
    }

    #[test]
    fn endpoints_say_who_they_are() {
        let found = localities(
            vec![with("unix:///run/a.sock", |e| {
                e.workload = Some(WorkloadKey::new("shop".into(), "a-1"));
                e.labels = [
                    ("service.istio.io/canonical-name", "a"),
                    ("service.istio.io/canonical-revision", "v1"),
                ]
                .into_iter()
                .collect();
                e.cluster = "east".into();
                e.tls_mode = TlsMode::Istio;
            })],
            false,
        );
        let endpoint = &found[0]["lb_endpoints"][0];
        assert_eq!(
            endpoint["endpoint"]["address"],
            json!({"pipe": {"path": "/run/a.sock"}})
        );
        let expected = json!({"filter_metadata": {
            "istio": {"workload": "a-1;shop;a;v1;east"},
            "envoy.transport_socket_match": {"tlsMode": "istio"},
        }});
        assert_eq!(endpoint["metadata"], expected);
    }

    #[test]
    fn weights_never_add_up_to_more_than_envoy_takes() {
        let found = localities(
            (1..=3)
                .map(|n| {
                    with(&format!("10.0.0.{n}"), |e| {
                        e.weight = if n == 1 { 1 } else { u32::MAX }
                    })
                })
                .collect(),
            false,
        );
        let weights: Vec<u64> = found[0]["lb_endpoints"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["load_balancing_weight"].as_u64().unwrap())
            .collect();
        assert_eq!(
            found[0]["load_balancing_weight"].as_u64(),
            Some(weights.iter().sum())
        );
        assert!(
            weights.iter().sum::<u64>() <= u64::from(u32::MAX),
            "{weights:?}"
        );
        assert_eq!(
            (
                weights[0],
                weights[1] == weights[2] && weights[1] > 1_000_000_000
            ),
            (1, true)
        );
    }

    /// What gRPC clients get of an assignment of `endpoints`, and whether it is what Envoys get.
    fn for_grpc(endpoints: Vec<Endpoint>) -> (Json, bool) {
        let mesh = mesh([(service("a.com", [http(80)]), endpoints)]);
        let of = |proxy| {
            let name = "outbound|80||a.com";
            one(&mesh, &proxy, ResourceType::Endpoint, name)["endpoints"].take()
        };
        let found = of(grpc_client());
        let same = found == of(sidecar());
        (found, same)
    }

    #[test]
    fn endpoints_of_different_weights_are_different_localities_to_grpc() {
        let (found, same) = for_grpc(vec![
            with("10.0.0.1", |e| e.weight = 3),
            with("10.0.0.2", |e| e.weight = 0),
            with("10.0.0.3", |e| e.weight = 3),
            with("10.0.0.4", |e| e.locality = Locality::parse("r/z/s")),
        ]);
        let expected = json!([
            {"locality": {"sub_zone": "/weight-1"}, "lb_endpoints": [at("10.0.0.2", 80, 1)], "load_balancing_weight": 1},
            {
                "locality": {"sub_zone": "/weight-3"},
                "lb_endpoints": [at("10.0.0.1", 80, 3), at("10.0.0.3", 80, 3)],
                "load_balancing_weight": 6,
            },
            {
                "locality": {"region": "r", "zone": "z", "sub_zone": "s/weight-1"},
                "lb_endpoints": [at("10.0.0.4", 80, 1)],
                "load_balancing_weight": 1,
            },
        ]);
        assert_eq!((found, same), (expected, false));
    }

    #[test]
    fn grpc_clients_get_what_envoys_get_where_they_can() {
        let even = vec![
            with("10.0.0.1", |e| e.weight = 5),
            with("10.0.0.2", |e| e.weight = 5),
            with("10.0.0.3", |e| e.locality = Locality::parse("r/z")),
        ];
        assert!(for_grpc(even).1);
        let (found, same) = for_grpc(vec![endpoint("10.0.0.1"), endpoint("unix:///run/a")]);
        let expected = json!([
            {"locality": {}, "lb_endpoints": [at("10.0.0.1", 80, 1)], "load_balancing_weight": 1},
        ]);
        assert_eq!((found, same), (expected, false));
    }

    #[test]
    fn several_addresses_of_one_endpoint_are_tried_in_turn() {
        let found = localities(
            vec![with("10.0.0.1", |e| {
                e.addresses.push("fd00::1".parse().unwrap())
            })],
            false,
        );
        let more = &found[0]["lb_endpoints"][0]["endpoint"]["additional_addresses"][0]["address"]["socket_address"];
        assert_eq!(more["address"], "fd00::1");
    }
}
