//! After every random event, what was brought up to date equals what is made from nothing, byte for byte.

mod envoy_filter;
mod gateway;
mod ingress;
mod limited;
mod live;
mod virtual_service;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use pilothouse_core::mesh::{
    ExportTo, IngressMode, Mesh, MeshConfig, OutboundPolicy, Rule, Source, Touched,
};
use pilothouse_core::model::*;
use pilothouse_core::registry::{Meta, RegistryId};
use pilothouse_core::rules::resolve::mesh_config;
use pilothouse_core::rules::{Resolved, RuleSpec, kinds};
use prometheus_client::registry::Registry;
use proptest::prelude::*;
use serde_json::json;

use super::config::{Config, Sets, Work};
use super::lane::Lane;
use super::relevance;
use crate::fanout::Set;
use crate::metrics::Metrics;
use crate::names;
use crate::resource::ResourceType;
use crate::selection::{ForAssignments, Selection};
use crate::view::ViewKey;

const NAMESPACES: [&str; 3] = ["north", "south", "east"];
const HOSTS: [&str; 6] = [
    "a.mesh",
    "b.mesh",
    "c.south.svc.cluster.local",
    "d.north.svc.cluster.local",
    "*.wild.mesh",
    "e.mesh",
];

/// What rules are for.
const RULE_HOSTS: [&str; 6] = [
    "a.mesh",
    "b.mesh",
    "*.mesh",
    "*",
    "c.south.svc.cluster.local",
    "*.wild.mesh",
];

/// What happens to the mesh.
#[derive(Debug, Clone)]
enum Event {
    Service {
        namespace: usize,
        host: usize,
        ports: u8,
        shape: u8,
        visible: u8,
        vip: u8,
    },
    NoService {
        namespace: usize,
        host: usize,
    },
    Endpoints {
        namespace: usize,
        host: usize,
        ips: Vec<u8>,
    },
    Destination {
        namespace: usize,
        name: u8,
        rule: Option<(usize, u8, u8, u8)>,
    },
    Sidecar {
        /// The last one is the root namespace.
        namespace: usize,
        name: u8,
        rule: Option<(u8, u8, u8, u8)>,
    },
    Gateway {
        namespace: usize,
        name: u8,
        rule: Option<(u8, u8, u8)>,
    },
    Ingress {
        namespace: usize,
        name: u8,
        rule: Option<(u8, u8)>,
    },
    IngressClass {
        name: u8,
        /// Whether it is ours, and the default.
        rule: Option<(bool, bool)>,
    },
    Virtual {
        namespace: usize,
        name: u8,
        rule: Option<(usize, u8, u8, u8)>,
    },
    EnvoyFilter {
        /// The last one is the root namespace.
        namespace: usize,
        name: u8,
        rule: Option<(u8, u8)>,
    },
    Telemetry {
        namespace: usize,
        name: u8,
        rule: Option<u8>,
    },
    Config {
        default_private: bool,
        registry_only: bool,
        timeout: bool,
        any_ingress: bool,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let at = (0..NAMESPACES.len(), 0..HOSTS.len());
    let (hosts, said, leads, scopes) = virtual_service::PARTS;
    let routing = (0..hosts, 0..said, 0..leads, 0..scopes);
    let (first, second, selects) = gateway::PARTS;
    let (patches, scopes) = envoy_filter::PARTS;
    let servers = (0..first, 0..second, 0..selects);
    let (classes, paths) = ingress::PARTS;
    let ingress = (0..classes, 0..paths);
    prop_oneof![
        3 => (0..NAMESPACES.len(), 0u8..2, prop::option::weighted(0.8, servers)).prop_map(|(namespace, name, rule)| {
            Event::Gateway { namespace: namespace / 2, name, rule }
        }),
        3 => (0..NAMESPACES.len(), 0u8..3, prop::option::weighted(0.8, ingress)).prop_map(|(namespace, name, rule)| {
            Event::Ingress { namespace, name, rule }
        }),
        2 => (0u8..2, prop::option::weighted(0.8, (prop::bool::weighted(0.7), any::<bool>()))).prop_map(|(name, rule)| {
            Event::IngressClass { name, rule }
        }),
        5 => (0..NAMESPACES.len(), 0u8..3, prop::option::weighted(0.8, routing)).prop_map(|(namespace, name, rule)| {
            Event::Virtual { namespace, name, rule }
        }),
        4 => (at.clone(), 1u8..32, 0u8..5, 0u8..4, 0u8..4).prop_map(|((namespace, host), ports, shape, visible, vip)| {
            Event::Service { namespace, host, ports, shape, visible, vip }
        }),
        2 => at.clone().prop_map(|(namespace, host)| Event::NoService { namespace, host }),
        4 => (at, prop::collection::vec(0u8..5, 0..4)).prop_map(|((namespace, host), ips)| Event::Endpoints { namespace, host, ips }),
        3 => (0..NAMESPACES.len(), 0u8..3, prop::option::weighted(0.8, (0..RULE_HOSTS.len(), 0u8..8, 0u8..4, 0u8..4))).prop_map(|(namespace, name, rule)| {
            Event::Destination { namespace, name, rule }
        }),
        3 => (0..=NAMESPACES.len(), 0u8..2, prop::option::weighted(0.7, (0u8..8, 0u8..8, 0u8..6, 0u8..3))).prop_map(|(namespace, name, rule)| {
            Event::Sidecar { namespace, name, rule }
        }),
        2 => (0..=NAMESPACES.len(), 0u8..2, prop::option::weighted(0.7, (0..patches, 0..scopes))).prop_map(|(namespace, name, rule)| {
            Event::EnvoyFilter { namespace, name, rule }
        }),
        2 => (0..=NAMESPACES.len(), 0u8..2, prop::option::weighted(0.7, 0u8..8)).prop_map(|(namespace, name, rule)| {
            Event::Telemetry { namespace, name, rule }
        }),
        1 => any::<(bool, bool, bool, bool)>().prop_map(|(default_private, registry_only, timeout, any_ingress)| Event::Config {
            default_private,
            registry_only,
            timeout,
            any_ingress
        }),
    ]
}

fn key(namespace: usize, host: usize) -> ServiceKey {
    ServiceKey {
        namespace: NAMESPACES[namespace].into(),
        host: Host::new(HOSTS[host]).unwrap(),
    }
}

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

/// Applies an event as the store would: what it touched comes from comparing.
fn apply(mesh: &mut Mesh, event: &Event) -> Touched {
    let mut touched = Touched::default();
    match event {
        Event::Service {
            namespace,
            host,
            ports,
            shape,
            visible,
            vip,
        } => {
            let key = key(*namespace, *host);
            let service = service(&key, *ports, *shape, *visible, *vip);
            if mesh.service(&key).is_none_or(|old| **old != service) {
                mesh.set_service(&key, Some(Arc::new(service)));
                touched.services.insert(key);
            }
        }
        Event::NoService { namespace, host } => {
            let key = key(*namespace, *host);
            if mesh.service(&key).is_some() {
                mesh.set_service(&key, None);
                touched.services.insert(key.clone());
            }
            if mesh.endpoints(&key).is_some() {
                mesh.set_endpoints(&key, None);
                touched.endpoints.insert(key);
            }
        }
        Event::Endpoints {
            namespace,
            host,
            ips,
        } => {
            let key = key(*namespace, *host);
            let Some(service) = mesh.service(&key) else {
                return touched;
            };
            let named = matches!(
                service.resolution,
                Resolution::Dns | Resolution::DnsRoundRobin
            );
            let address = |last: &u8| match named {
                true => Address::Host(Host::new(&format!("h{last}.example")).unwrap()),
                false => Address::Ip(ip(*last)),
            };
            let ips: BTreeSet<_> = ips.iter().collect();
            let endpoints: Vec<_> = ips
                .into_iter()
                .map(|last| Endpoint {
                    weight: u32::from(*last / 2),
                    labels: [("version", (last % 3).to_string())].into_iter().collect(),
                    locality: Locality::parse(if last.is_multiple_of(2) { "r/a" } else { "r/b" }),
                    node: Some(format!("n{}", last % 3).into()),
                    ..Endpoint::at(address(last))
                })
                .collect();
            if mesh.endpoints(&key).map_or(&[][..], |old| old) != endpoints {
                mesh.set_endpoints(&key, (!endpoints.is_empty()).then(|| Arc::new(endpoints)));
                touched.endpoints.insert(key);
            }
        }
        Event::Destination {
            namespace,
            name,
            rule,
        } => {
            let namespace = NAMESPACES[*namespace];
            let meta = Meta {
                created: Some(jiff::Timestamp::from_second((3 - name).into()).unwrap()),
                ..Meta::new("DestinationRule", namespace, &format!("r{name}"))
            };
            let key = meta.key.clone();
            let rule = rule.map(|rule| Arc::new(destination(meta, rule)));
            if mesh.rule(&key) != rule.as_ref() {
                mesh.set_rule(&key, rule);
                touched.rules.insert(key);
            }
        }
        Event::Sidecar {
            namespace,
            name,
            rule,
        } => {
            let namespace = NAMESPACES
                .get(*namespace)
                .copied()
                .unwrap_or("istio-system");
            let meta = Meta {
                created: Some(jiff::Timestamp::from_second((3 - name).into()).unwrap()),
                ..Meta::new("Sidecar", namespace, &format!("s{name}"))
            };
            let key = meta.key.clone();
            let rule = rule.map(|rule| Arc::new(sidecar(meta, rule)));
            if mesh.rule(&key) != rule.as_ref() {
                mesh.set_rule(&key, rule);
                touched.rules.insert(key);
            }
        }
        Event::Gateway {
            namespace,
            name,
            rule,
        } => {
            let meta = gateway::meta(NAMESPACES[*namespace], *name);
            let key = meta.key.clone();
            let rule = rule.map(|parts| Arc::new(rule_of(meta, &gateway::spec(parts))));
            if mesh.rule(&key) != rule.as_ref() {
                mesh.set_rule(&key, rule);
                touched.rules.insert(key);
            }
        }
        Event::Ingress {
            namespace,
            name,
            rule,
        } => {
            let class = rule.map_or(0, |(class, _)| class);
            let meta = ingress::meta(NAMESPACES[*namespace], *name, class);
            let key = meta.key.clone();
            let rule = rule.map(|parts| Arc::new(rule_of(meta, &ingress::spec(parts))));
            if mesh.rule(&key) != rule.as_ref() {
                mesh.set_rule(&key, rule);
                touched.rules.insert(key);
            }
        }
        Event::IngressClass { name, rule } => {
            let meta = ingress::class_meta(*name, rule.is_some_and(|(_, default)| default));
            let key = meta.key.clone();
            let rule = rule.map(|(ours, _)| Arc::new(rule_of(meta, &ingress::class(ours))));
            if mesh.rule(&key) != rule.as_ref() {
                mesh.set_rule(&key, rule);
                touched.rules.insert(key);
            }
        }
        Event::Virtual {
            namespace,
            name,
            rule,
        } => {
            let meta = virtual_service::meta(NAMESPACES[*namespace], *name);
            let key = meta.key.clone();
            let rule = rule.map(|parts| {
                let spec = virtual_service::spec(parts);
                Arc::new(rule_of(meta, &spec))
            });
            if mesh.rule(&key) != rule.as_ref() {
                mesh.set_rule(&key, rule);
                touched.rules.insert(key);
            }
        }
        Event::EnvoyFilter {
            namespace,
            name,
            rule,
        } => {
            let namespace = NAMESPACES
                .get(*namespace)
                .copied()
                .unwrap_or("istio-system");
            let meta = envoy_filter::meta(namespace, *name);
            let key = meta.key.clone();
            let rule = rule.map(|parts| Arc::new(rule_of(meta, &envoy_filter::spec(parts))));
            if mesh.rule(&key) != rule.as_ref() {
                mesh.set_rule(&key, rule);
                touched.rules.insert(key);
            }
        }
        Event::Telemetry {
            namespace,
            name,
            rule,
        } => {
            let namespace = NAMESPACES
                .get(*namespace)
                .copied()
                .unwrap_or("istio-system");
            let meta = Meta::new("Telemetry", namespace, &format!("t{name}"));
            let key = meta.key.clone();
            let rule = rule.map(|parts| Arc::new(telemetry(meta, parts)));
            if mesh.rule(&key) != rule.as_ref() {
                mesh.set_rule(&key, rule);
                touched.rules.insert(key);
            }
        }
        Event::Config {
            default_private,
            registry_only,
            timeout,
            any_ingress,
        } => {
            let mut config = collectors();
            if *any_ingress {
                config.ingress.mode = IngressMode::Default;
            }
            if *default_private {
                config.default_service_export_to = ExportTo::Some {
                    own: true,
                    namespaces: BTreeSet::new(),
                };
            }
            if *registry_only {
                config.outbound = OutboundPolicy::RegistryOnly;
            }
            if *timeout {
                config.connect_timeout = std::time::Duration::from_secs(3);
            }
            if **mesh.config() != config {
                mesh.set_config(Arc::new(config));
                touched.config = true;
            }
        }
    }
    touched
}

/// A rule of the kind that `meta` names.
fn rule_of(meta: Meta, spec: &serde_json::Value) -> Rule {
    let kind = meta.key.kind.as_str();
    let known = kinds().iter().find(|known| known.name == kind).unwrap();
    let version = format!("{}/{}", known.group, known.versions[0]);
    let (spec, _) = RuleSpec::parse(&version, kind, spec).unwrap();
    Rule {
        source: Source {
            registry: RegistryId::new("Static", "test"),
            object: meta.key.clone(),
        },
        resolved: Resolved::of(&meta, &spec),
        meta,
        spec,
    }
}

fn destination(meta: Meta, (host, policy, subsets, scope): (usize, u8, u8, u8)) -> Rule {
    let policy = match policy {
        0 => json!(null),
        1 => json!({"loadBalancer": {"consistentHash": {"useSourceIp": true}}}),
        2 => json!({"loadBalancer": {"simple": "PASSTHROUGH"}}),
        3 => json!({"outlierDetection": {}}),
        4 => {
            json!({"loadBalancer": {"localityLbSetting": {"distribute": [{"from": "*", "to": {"*": 100}}]}}})
        }
        5 => json!({"tls": {"mode": "SIMPLE"}, "portLevelSettings": [{"port": {"number": 80}}]}),
        6 => {
            json!({"outlierDetection": {}, "loadBalancer": {"localityLbSetting": {"failoverPriority": ["app"]}}})
        }
        _ => {
            json!({"connectionPool": {"tcp": {"idleTimeout": "5s"}}, "tunnel": {"targetHost": "t", "targetPort": 1}})
        }
    };
    let subset = |n: u8| json!({"name": format!("v{n}"), "labels": {"version": n.to_string()}});
    let mut spec = json!({
        "host": RULE_HOSTS[host],
        "trafficPolicy": policy,
        "subsets": (1..=2).filter(|n| subsets & n != 0).map(subset).collect::<Vec<_>>(),
    });
    match scope {
        0 | 1 => {}
        2 => spec["exportTo"] = json!(["."]),
        _ => spec["workloadSelector"] = json!({"matchLabels": {"app": "web"}}),
    }
    let (spec, _) = RuleSpec::parse("networking.istio.io/v1", "DestinationRule", &spec).unwrap();
    Rule {
        source: Source {
            registry: RegistryId::new("Static", "test"),
            object: meta.key.clone(),
        },
        resolved: Resolved::of(&meta, &spec),
        meta,
        spec,
    }
}

fn sidecar(meta: Meta, (hosts, port, inbound, scope): (u8, u8, u8, u8)) -> Rule {
    let imports = |n: u8| match n {
        0 => json!(["./*"]),
        1 => json!(["~/*"]),
        2 => json!(["*/a.mesh", "north/*.mesh"]),
        3 => json!(["south/*", "./b.mesh"]),
        4 => json!(["*/*.mesh"]),
        _ => json!(["*/*"]),
    };
    let on = |number: u16, protocol: &str, hosts: u8| json!({"port": {"number": number, "protocol": protocol}, "hosts": imports(hosts)});
    let listener = match port {
        0 => Some(on(80, "HTTP", 2)),
        1 => Some(on(81, "HTTP", 4)),
        2 => Some(on(80, "TCP", 5)),
        3 => {
            let mut bound = on(82, "HTTP", 5);
            bound["bind"] = json!("127.0.0.9");
            bound["captureMode"] = json!("NONE");
            Some(bound)
        }
        _ => None,
    };
    let mut spec = json!({
        "egress": listener.into_iter().chain([json!({"hosts": imports(hosts)})]).collect::<Vec<_>>(),
    });
    match inbound {
        0 => {
            spec["ingress"] = json!([{"port": {"number": 9080, "protocol": "HTTP"}, "defaultEndpoint": "127.0.0.1:80"}])
        }
        1 => {
            spec["ingress"] = json!([{"port": {"number": 80, "protocol": "TCP"}, "captureMode": "NONE", "defaultEndpoint": "0.0.0.0:80"}])
        }
        2 => spec["outboundTrafficPolicy"] = json!({"mode": "REGISTRY_ONLY"}),
        3 => {
            spec["outboundTrafficPolicy"] = json!({"mode": "ALLOW_ANY", "egressProxy": {"host": "b.mesh", "port": {"number": 81}}});
        }
        _ => {}
    }
    if scope == 2 {
        spec["workloadSelector"] = json!({"labels": {"app": "web"}});
    }
    let (spec, _) = RuleSpec::parse("networking.istio.io/v1", "Sidecar", &spec).unwrap();
    Rule {
        source: Source {
            registry: RegistryId::new("Static", "test"),
            object: meta.key.clone(),
        },
        resolved: Resolved::of(&meta, &spec),
        meta,
        spec,
    }
}

fn service(key: &ServiceKey, ports: u8, shape: u8, visible: u8, vip: u8) -> Service {
    const PORTS: [(u16, &str, Protocol); 5] = [
        (80, "http", Protocol::Http),
        (81, "tcp", Protocol::Tcp),
        (82, "any", Protocol::Auto),
        (443, "tls", Protocol::Tls),
        (8080, "grpc", Protocol::Grpc),
    ];
    let chosen = PORTS
        .iter()
        .enumerate()
        .filter(|(i, _)| ports & (1 << i) != 0)
        .map(|(_, port)| port);
    // The number of a protocol moves with its shape, so that protocols meet on one number.
    let shift = u16::from(shape == 4);
    let port = |(number, name, protocol): &(u16, &str, Protocol)| ServicePort {
        port: number + shift,
        name: (*name).into(),
        protocol: *protocol,
        target_port: None,
        target_name: None,
    };
    Service {
        key: key.clone(),
        name: key.host.as_str().into(),
        source: if shape == 1 {
            ServiceSource::Platform
        } else {
            ServiceSource::Rule
        },
        created: None,
        labels: Labels::default(),
        ports: chosen.map(port).collect(),
        addresses: match vip {
            0 => BTreeMap::new(),
            n => BTreeMap::from([(
                ClusterId::default(),
                vec![Cidr::from(IpAddr::from([240, 240, 0, n]))],
            )]),
        },
        // Where nothing is stated; now and then the same as what another service states.
        automatic: matches!((vip, shape), (0, 0 | 2 | 4))
            .then(|| AutomaticAddress::at(u16::from(ports % 3)))
            .flatten(),
        resolution: match shape {
            0 | 1 | 4 => Resolution::ClientSide,
            2 => Resolution::Dns,
            _ => Resolution::Passthrough,
        },
        location: Location::Internal,
        export_to: match visible {
            0 => None,
            1 => Some(Visibility::Public),
            2 => Some(Visibility::Namespaces(BTreeSet::from([key
                .namespace
                .clone()]))),
            _ => Some(Visibility::Namespaces(BTreeSet::from([
                NAMESPACES[0].into(),
                NAMESPACES[1].into(),
            ]))),
        },
        subject_alt_names: BTreeSet::new(),
        workload_selector: None,
        publish_not_ready: false,
        prefers: match shape {
            1 => Preference::Node,
            4 => Preference::NodeOnly,
            _ => Preference::Any,
        },
    }
}

fn proxies() -> Vec<Proxy> {
    let proxy = |namespace: &str, last: u8, interception| Proxy {
        id: format!("sidecar~10.0.0.{last}~app.{namespace}~{namespace}.svc.cluster.local")
            .parse()
            .unwrap(),
        namespace: namespace.into(),
        addresses: vec![ip(last)],
        labels: match last % 3 {
            0 => Labels::default(),
            _ => [("app", "web")].into_iter().collect(),
        },
        locality: Locality::parse(if last.is_multiple_of(2) { "r/a" } else { "r/b" }),
        network: NetworkId::default(),
        cluster: ClusterId::default(),
        interception,
        data_plane: DataPlane::Envoy,
        envoy: Some((1, 40, 0)),
        missing: BTreeSet::new(),
        metadata: BTreeMap::from([("NODE_NAME".into(), format!("n{}", last % 3).into())]),
    };
    let grpc = |proxy| Proxy {
        data_plane: DataPlane::Grpc,
        envoy: None,
        ..proxy
    };
    let capturing = |proxy: Proxy| Proxy {
        metadata: BTreeMap::from([("DNS_CAPTURE".into(), "true".into())]),
        ..proxy
    };
    vec![
        capturing(proxy("north", 1, Interception::Redirect)),
        capturing(proxy("east", 6, Interception::Tproxy)),
        proxy("north", 1, Interception::Redirect),
        proxy("north", 2, Interception::None),
        proxy("south", 3, Interception::Redirect),
        proxy("west", 4, Interception::Tproxy),
        gateway::router(proxy("north", 1, Interception::None)),
        gateway::router(proxy("west", 6, Interception::None)),
        grpc(proxy("north", 1, Interception::Redirect)),
        grpc(proxy("west", 5, Interception::None)),
    ]
}

fn selections(mesh: &Mesh) -> BTreeSet<Arc<Selection>> {
    proxies()
        .iter()
        .map(|proxy| Arc::new(Selection::of(mesh, proxy)))
        .collect()
}

fn contents(set: &Set) -> BTreeMap<String, Bytes> {
    set.iter()
        .map(|resource| (resource.name.to_string(), resource.body.clone()))
        .collect()
}

type Contents = [BTreeMap<String, Bytes>; ResourceType::ALL.len()];

fn served(config: &Config, lane: &mut Lane, selection: &Arc<Selection>) -> Contents {
    let mut sets = Sets::default();
    config.restack(selection, &mut sets);
    let bodies = lane.set(&selection.view, &selection.assignments);
    [
        contents(&sets.clusters),
        contents(bodies),
        contents(&sets.listeners),
        contents(&sets.routes),
        contents(&sets.names),
    ]
}

fn from_nothing(mesh: &Arc<Mesh>, selections: &BTreeSet<Arc<Selection>>) -> (Config, Lane) {
    let metrics = Metrics::new(&mut Registry::default(), "test");
    let mut config = Config::new(mesh.clone(), metrics.clone());
    config.apply(Work {
        mesh: mesh.clone(),
        touched: Touched::default(),
        selections: selections.clone(),
    });
    let lane = Lane::new(mesh.clone(), config.views.clone(), metrics);
    (config, lane)
}

/// What endpoints have to fit.
fn fits(service: &Arc<Service>) -> (Resolution, Vec<ServicePort>) {
    (service.resolution.clone(), service.ports.clone())
}

/// All assignments, by view, cluster and what they are for.
fn assignments(
    config: &Config,
    lane: &mut Lane,
) -> BTreeMap<(ViewKey, String, ForAssignments), Bytes> {
    let mut all = BTreeMap::new();
    for selection in selections(&config.mesh) {
        let bodies = contents(lane.set(&selection.view, &selection.assignments));
        all.extend(bodies.into_iter().map(|(name, body)| {
            let (view, projection) = (&selection.view, &selection.assignments);
            ((view.clone(), name, projection.clone()), body)
        }));
    }
    all
}

/// The parts of a cluster's name.
fn parsed(name: &str) -> (u16, &str, Host) {
    names::parse_outbound_cluster(name)
        .or_else(|| names::parse_sni_cluster(name))
        .unwrap()
}

/// Mesh config whose providers are services that come and go.
fn collectors() -> MeshConfig {
    let to = |host: &str, port: u16| json!({ "service": host, "port": port });
    let written = json!({"extensionProviders": [
        {"name": "als", "envoyHttpAls": to("b.mesh", 8080)},
        {"name": "zipkin", "zipkin": to("a.mesh", 80)},
    ]});
    let mut config = mesh_config(&written).unwrap().0;
    config.ingress.selector = [("app", "web")].into_iter().collect();
    config
}

fn telemetry(meta: Meta, parts: u8) -> Rule {
    let to = |name: &str| json!([{ "name": name }]);
    let mut spec =
        json!({"tracing": [{"providers": to("zipkin"), "disableSpanReporting": parts & 1 != 0}]});
    if parts & 2 != 0 {
        spec["accessLogging"] = json!([{"providers": to("als"), "match": {"mode": "CLIENT"}}]);
    }
    if parts & 4 != 0 {
        spec["selector"] = json!({"matchLabels": {"app": "web"}});
    }
    let (spec, _) = RuleSpec::parse("telemetry.istio.io/v1", "Telemetry", &spec).unwrap();
    Rule {
        source: Source {
            registry: RegistryId::new("Static", "test"),
            object: meta.key.clone(),
        },
        resolved: Resolved::of(&meta, &spec),
        meta,
        spec,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn incremental_equals_full(start in prop::collection::vec(event(), 0..12), rounds in prop::collection::vec((prop::collection::vec(event(), 1..4), any::<bool>()), 1..16)) {
        let mut mesh = Mesh::default();
        mesh.set_config(Arc::new(collectors()));
        for event in &start {
            apply(&mut mesh, event);
        }
        let mut before = Arc::new(mesh.clone());
        let (mut config, mut lane) = from_nothing(&before, &selections(&before));
        for selection in &selections(&before) {
            served(&config, &mut lane, selection);
        }
        let mut conflicts = config.take_conflicts().unwrap_or_default();
        let mut touched = Touched::default();
        for (round, configure) in rounds {
            let mut endpoints = BTreeSet::new();
            for event in &round {
                let event = apply(&mut mesh, event);
                endpoints.extend(event.endpoints.iter().cloned());
                touched.merge(event);
            }
            let after = Arc::new(mesh.clone());
            let kept = assignments(&config, &mut lane);
            lane.follow(after.clone(), &endpoints);
            if !configure {
                // The configuration is still being computed. What has left the mesh, or is another there, keeps its last endpoints.
                for (name, body) in assignments(&config, &mut lane) {
                    let (_, _, host) = parsed(&name.1);
                    let published = config.views.of(&name.0).published(&host).unwrap();
                    if after.service(&published.key).map(fits) != Some(fits(published)) {
                        prop_assert_eq!(kept.get(&name), Some(&body), "{:?}", name);
                    }
                }
                continue;
            }
            let touched = std::mem::take(&mut touched);
            let selections = selections(&after);
            let touched = relevance::for_configuration(&before, &after, &touched, true, |ip| proxies().iter().any(|p| p.addresses.contains(&ip)));
            let hosts = config.apply(Work { mesh: after.clone(), touched, selections: selections.clone() });
            lane.configured(after.clone(), config.views.clone(), &hosts);
            let (mut full, mut full_lane) = from_nothing(&after, &selections);
            if let Some(found) = config.take_conflicts() {
                conflicts = found;
            }
            prop_assert_eq!(&conflicts, &full.take_conflicts().unwrap_or_default(), "{:?}", round);
            for selection in &selections {
                let incremental = served(&config, &mut lane, selection);
                let full = served(&full, &mut full_lane, selection);
                for (a, b) in incremental.iter().zip(&full) {
                    prop_assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{:?} {:?}", selection.view, round);
                    for (name, body) in a {
                        prop_assert!(b.get(name) == Some(body), "{} of {:?} differs after {:?}", name, selection.view, round);
                    }
                }
            }
            before = after;
        }
    }
}
