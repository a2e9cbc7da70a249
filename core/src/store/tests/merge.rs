//! Several sources of one service, and workloads joined to it.

use std::collections::BTreeMap;

use super::build::{
    a_service, a_workload, endpoint, endpoints, http, key, object, part, selecting, service,
    service_entry, workload, workload_entry,
};
use super::{Running, replace, start};
use crate::mesh::{MeshConfig, Source};
use crate::model::{
    ClusterId, Endpoint, Network, NetworkGateway, Protocol, Service, ServicePort, WorkloadKey,
};
use crate::registry::{EndpointPart, Object, RegistryId, Value};
use crate::status::Contest;

/// A store into which each registry has written its objects, in this order.
async fn with(registries: &[(&str, Vec<Object>)]) -> Running {
    let running = start();
    for (name, objects) in registries {
        replace(&running.registry(name), "all", objects.clone()).await;
    }
    running.handle.registries().await.unwrap();
    running
}

fn platform(service: Service) -> Object {
    object("Service", "web", Value::from(service))
}

fn with_ports(ports: Vec<ServicePort>) -> Object {
    platform(Service {
        ports,
        ..a_service("web")
    })
}

fn port(number: u16, name: &str, protocol: Protocol) -> ServicePort {
    ServicePort {
        port: number,
        name: name.into(),
        protocol,
        target_port: None,
        target_name: None,
    }
}

/// Who lost over which service, as registry and kind.
fn losers(running: &Running) -> Vec<(String, String)> {
    let status = running.handle.status().get();
    let lost = status.objects().filter(|(_, status)| {
        status
            .lost
            .iter()
            .any(|l| matches!(l.over, Contest::Service(_)))
    });
    lost.map(|(source, _)| {
        (
            source.registry.cluster.to_string(),
            source.object.kind.to_string(),
        )
    })
    .collect()
}

/// An endpoint with its port numbers by name.
fn numbers(endpoint: &Endpoint) -> Vec<(String, u16)> {
    let ports = endpoint.ports.iter().flat_map(|ports| ports.iter());
    ports
        .map(|port| (port.name.to_string(), port.port))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn two_registries_with_the_same_ports_are_united() {
    let vip = |cluster: &str, ip: &str| {
        let addresses = BTreeMap::from([(ClusterId::from(cluster), vec![ip.parse().unwrap()])]);
        platform(Service {
            addresses,
            ..a_service("web")
        })
    };
    let running = with(&[
        (
            "a",
            vec![vip("a", "10.96.0.1"), part("web", "1", &["10.0.0.2"])],
        ),
        (
            "b",
            vec![vip("b", "10.97.0.1"), part("web", "1", &["10.0.0.1"])],
        ),
    ])
    .await;
    let mesh = running.handle.mesh();
    let all = mesh.endpoints(&key("web")).unwrap();
    let labelled: Vec<_> = all
        .iter()
        .map(|e| (e.address().unwrap().to_string(), e.cluster.to_string()))
        .collect();
    assert_eq!(
        labelled,
        [
            ("10.0.0.1".into(), "b".into()),
            ("10.0.0.2".into(), "a".into())
        ]
    );
    let service = mesh.service(&key("web")).unwrap();
    let seen_from = |cluster: &str| {
        service
            .addresses_in(&cluster.into())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (seen_from("a"), seen_from("b")),
        (vec!["10.96.0.1".to_owned()], vec!["10.97.0.1".to_owned()])
    );
    assert_eq!(losers(&running), []);
    let from: Vec<_> = mesh
        .sources(&key("web"))
        .iter()
        .map(|s| (s.registry.cluster.as_str(), s.object.kind.as_str()))
        .collect();
    assert_eq!(
        from,
        [
            ("a", "Endpoints"),
            ("a", "Service"),
            ("b", "Endpoints"),
            ("b", "Service")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn endpoints_answer_on_the_ports_of_their_own_registry() {
    let ports = vec![
        port(80, "web", Protocol::Http),
        ServicePort {
            target_port: Some(9443),
            ..port(443, "tls", Protocol::Tls)
        },
    ];
    let running = with(&[
        (
            "a",
            vec![with_ports(vec![http(80)]), part("web", "1", &["10.0.0.1"])],
        ),
        (
            "b",
            vec![with_ports(ports), part("web", "1", &["10.0.0.2"])],
        ),
    ])
    .await;
    let mesh = running.handle.mesh();
    let service = mesh.service(&key("web")).unwrap();
    let names: Vec<_> = service
        .ports
        .iter()
        .map(|port| (port.port, &*port.name))
        .collect();
    assert_eq!(names, [(80, "http"), (443, "tls")]);
    let all = mesh.endpoints(&key("web")).unwrap();
    assert_eq!(numbers(&all[0]), [("http".into(), 80)]);
    assert_eq!(
        numbers(&all[1]),
        [("http".into(), 80), ("tls".into(), 9443)]
    );
}

#[tokio::test(start_paused = true)]
async fn registries_that_disagree_have_a_winner_and_a_loser() {
    for (other, name) in [
        (vec![port(80, "http", Protocol::Tcp)], "protocol"),
        (vec![port(81, "http", Protocol::Http)], "name"),
    ] {
        let running = with(&[
            (
                "b",
                vec![with_ports(other), part("web", "1", &["10.0.0.2"])],
            ),
            (
                "a",
                vec![with_ports(vec![http(80)]), part("web", "1", &["10.0.0.1"])],
            ),
        ])
        .await;
        assert_eq!(
            endpoints(&running.handle.mesh(), "web"),
            ["10.0.0.1"],
            "{name}"
        );
        assert_eq!(losers(&running), [("b".into(), "Service".into())], "{name}");

        // Without the winner the loser is as good as any.
        running.registry("a").close().await.unwrap();
        running.handle.registries().await.unwrap();
        assert_eq!(
            endpoints(&running.handle.mesh(), "web"),
            ["10.0.0.2"],
            "{name}"
        );
        assert_eq!(losers(&running), [], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_platform_goes_before_a_rule() {
    let tcp = with_ports(vec![port(80, "tcp", Protocol::Tcp)]);
    let running = with(&[
        ("a", vec![service_entry("web")]),
        ("b", vec![tcp, part("web", "1", &["10.0.0.1"])]),
    ])
    .await;
    assert_eq!(endpoints(&running.handle.mesh(), "web"), ["10.0.0.1"]);
    assert_eq!(losers(&running), [("a".into(), "ServiceEntry".into())]);

    let running = with(&[(
        "a",
        vec![
            service_entry("web"),
            service("web"),
            part("web", "1", &["10.0.0.1"]),
        ],
    )])
    .await;
    assert_eq!(
        endpoints(&running.handle.mesh(), "web"),
        ["10.0.0.1", "10.9.0.1"],
        "agreeing, they are united"
    );
}

#[tokio::test(start_paused = true)]
async fn different_namespaces_are_never_united() {
    let mut elsewhere = service_entry("web");
    elsewhere.meta.key = elsewhere.meta.key.in_namespace("other".into());
    let running = with(&[(
        "a",
        vec![service("web"), part("web", "1", &["10.0.0.1"]), elsewhere],
    )])
    .await;
    let mesh = running.handle.mesh();
    assert_eq!(endpoints(&mesh, "web"), ["10.0.0.1"]);
    let namespaces: Vec<_> = mesh
        .services_of_host(&key("web").host)
        .map(|s| s.key.namespace.to_string())
        .collect();
    assert_eq!(namespaces, ["shop", "other"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_local_to_a_cluster_stays_there() {
    let objects = || vec![service("web"), part("web", "1", &["10.0.0.1"])];
    let running = with(&[("a", objects()), ("b", objects())]).await;
    let seen_from = |running: &Running, cluster: &str| {
        let (mesh, cluster) = (running.handle.mesh(), cluster.into());
        mesh.endpoints_in(&key("web"), &cluster)
            .map(|e| e.cluster.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        seen_from(&running, "b"),
        ["a"],
        "one address in one network is one endpoint"
    );
    let config = MeshConfig {
        cluster_local: [key("web").host].into(),
        ..MeshConfig::default()
    };
    running.handle.set_mesh_config(config.into());
    running.handle.registries().await.unwrap();
    assert_eq!(
        (seen_from(&running, "a"), seen_from(&running, "b")),
        (vec!["a".into()], vec!["b".into()])
    );
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_two_report_is_one() {
    let twice = vec![
        service("web"),
        part("web", "1", &["10.0.0.1", "10.0.0.2"]),
        part("web", "2", &["10.0.0.2"]),
    ];
    let running = with(&[
        ("a", twice),
        ("b", vec![service("web"), part("web", "1", &["10.0.0.1"])]),
    ])
    .await;
    assert_eq!(
        endpoints(&running.handle.mesh(), "web"),
        ["10.0.0.1", "10.0.0.2"]
    );
    let mesh = running.handle.mesh();
    assert!(
        mesh.endpoints(&key("web"))
            .unwrap()
            .iter()
            .all(|e| e.cluster == "a".into()),
        "the first registry's"
    );
}

#[tokio::test(start_paused = true)]
async fn two_endpoints_of_one_machine_are_two() {
    let at = |number: u16| {
        let port = crate::model::EndpointPort {
            name: "http".into(),
            port: number,
        };
        Endpoint {
            ports: Some([port].into()),
            ..endpoint("10.0.0.1")
        }
    };
    let value = EndpointPart {
        service: key("web"),
        part: "1".into(),
        endpoints: vec![at(8080), at(8081)],
    };
    let running = with(&[(
        "a",
        vec![
            service("web"),
            object("Endpoints", "web", Value::Endpoints(value)),
        ],
    )])
    .await;
    assert_eq!(endpoints(&running.handle.mesh(), "web").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn endpoints_without_a_service_wait_for_it() {
    let running = with(&[("a", vec![part("web", "1", &["10.0.0.1"])])]).await;
    assert!(running.handle.mesh().endpoints(&key("web")).is_none());
    replace(&running.registry("b"), "all", vec![service("web")]).await;
    running.handle.registries().await.unwrap();
    assert_eq!(endpoints(&running.handle.mesh(), "web"), ["10.0.0.1"]);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_takes_from_its_workload_what_it_does_not_say() {
    let mut pod = a_workload("web-1", "10.0.0.1", "web");
    pod.identity = Some("spiffe://td/ns/shop/sa/web".into());
    pod.labels = [("app", "web"), ("version", "v1")].into_iter().collect();
    let labelled = Endpoint {
        labels: [("version", "own")].into_iter().collect(),
        ..endpoint("10.0.0.1")
    };
    let value = EndpointPart {
        service: key("web"),
        part: "1".into(),
        endpoints: vec![labelled],
    };
    let slice = object("Endpoints", "web", Value::Endpoints(value));
    // The pod may be known before its endpoint or after it.
    let pod = object("Pod", "web-1", Value::from(pod));
    let before = with(&[("a", vec![service("web"), pod.clone(), slice.clone()])]).await;
    let after = with(&[("a", vec![service("web"), slice])]).await;
    let mut tx = after.registry("a").begin();
    tx.put(&crate::registry::SetId::new("pods"), pod);
    tx.commit().await.unwrap();
    after.handle.registries().await.unwrap();

    for running in [before, after] {
        let mesh = running.handle.mesh();
        let joined = &mesh.endpoints(&key("web")).unwrap()[0];
        assert_eq!(
            joined.labels,
            [("app", "web"), ("version", "own")].into_iter().collect()
        );
        assert_eq!(
            joined.identity.as_deref(),
            Some("spiffe://td/ns/shop/sa/web")
        );
        assert_eq!(
            joined.workload.as_ref().map(|key| &*key.name),
            Some("web-1")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_selector_finds_workloads_of_its_namespace_in_any_registry() {
    let mut elsewhere = workload("far", "10.0.0.9", "web");
    if let Value::Workload(workload) = &mut elsewhere.value {
        std::sync::Arc::make_mut(workload).key = WorkloadKey::new("other".into(), "far");
    }
    let running = with(&[
        (
            "a",
            vec![
                selecting("web", "web"),
                workload_entry("vm", "10.0.0.1", "web"),
                elsewhere,
            ],
        ),
        (
            "b",
            vec![
                workload("pod", "10.0.0.2", "web"),
                workload("db", "10.0.0.3", "db"),
            ],
        ),
    ])
    .await;
    assert_eq!(
        endpoints(&running.handle.mesh(), "web"),
        ["10.0.0.1", "10.0.0.2"]
    );
    let vm = Source {
        registry: RegistryId::new("Test", "a"),
        object: workload_entry("vm", "10.0.0.1", "web").meta.key,
    };
    assert!(running.handle.mesh().sources(&key("web")).contains(&vm));

    replace(
        &running.registry("b"),
        "all",
        vec![workload("db", "10.0.0.3", "web")],
    )
    .await;
    running.handle.registries().await.unwrap();
    assert_eq!(
        endpoints(&running.handle.mesh(), "web"),
        ["10.0.0.1", "10.0.0.3"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_identity_follows_the_trust_domain() {
    let mut entry = workload_entry("vm", "10.0.0.1", "web");
    if let Value::Rule(crate::rules::RuleSpec::WorkloadEntry(spec)) = &mut entry.value {
        std::sync::Arc::make_mut(spec).service_account = "web".into();
    }
    let running = with(&[("a", vec![selecting("web", "web"), entry])]).await;
    let identity = |running: &Running| {
        running.handle.mesh().endpoints(&key("web")).unwrap()[0]
            .identity
            .clone()
    };
    assert_eq!(
        identity(&running).as_deref(),
        Some("spiffe://cluster.local/ns/shop/sa/web")
    );
    running.handle.set_mesh_config(
        MeshConfig {
            trust_domain: "td".into(),
            ..MeshConfig::default()
        }
        .into(),
    );
    running.handle.registries().await.unwrap();
    assert_eq!(
        identity(&running).as_deref(),
        Some("spiffe://td/ns/shop/sa/web")
    );
}

#[tokio::test(start_paused = true)]
async fn every_registry_adds_entrances_of_a_network() {
    let network = |ip: &str| {
        let gateway = NetworkGateway {
            address: ip.parse().unwrap(),
            port: 15443,
        };
        object(
            "Network",
            "n1",
            Value::Network(Network {
                id: "n1".into(),
                gateways: vec![gateway],
            }),
        )
    };
    let running = with(&[
        ("b", vec![network("1.1.1.1")]),
        ("a", vec![network("2.2.2.2")]),
    ])
    .await;
    let mesh = running.handle.mesh();
    let gateways = &mesh.network(&"n1".into()).unwrap().gateways;
    let addresses: Vec<_> = gateways
        .iter()
        .map(|gateway| gateway.address.to_string())
        .collect();
    assert_eq!(addresses, ["1.1.1.1", "2.2.2.2"]);
}
