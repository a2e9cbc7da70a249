use pilothouse_core::model::{Health, Workload};

use super::*;
use crate::client::{Check, Port, TaggedAddress, Weights};

fn naming() -> Naming {
    Naming {
        domain: "consul".into(),
        datacenter: "dc1".into(),
        is_local: true,
        cluster: "consul".into(),
        namespace: "default".into(),
        wan: false,
        trust_domain: "cluster.local".into(),
    }
}

fn instance(id: &str, address: &str, port: u16) -> Instance {
    let mut instance = Instance::default();
    instance.node.node = "n1".into();
    instance.node.address = "10.0.0.1".into();
    instance.service.id = id.into();
    instance.service.service = "web".into();
    instance.service.address = address.into();
    instance.service.port = port;
    instance
}

fn meta(mut instance: Instance, pairs: &[(&str, &str)]) -> Instance {
    let pairs = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    instance.service.meta = pairs.collect();
    instance
}

/// Host, ports, and endpoints as `ADDRESS NAME=PORT… HEALTH WEIGHT`.
fn shown(mapped: &Mapped) -> Vec<String> {
    mapped
        .objects
        .iter()
        .filter_map(|object| match &object.value {
            Value::Service(service) => {
                let ports = service
                    .ports
                    .iter()
                    .map(|port| format!(" {}:{}:{:?}", port.name, port.port, port.protocol));
                Some(format!(
                    "{}{} {:?}",
                    service.key,
                    ports.collect::<String>(),
                    service.resolution
                ))
            }
            Value::Endpoints(part) => {
                let one = |endpoint: &Endpoint| {
                    let ports = endpoint.ports.iter().flat_map(|ports| ports.iter());
                    let ports: String = ports
                        .map(|port| format!(" {}={}", port.name, port.port))
                        .collect();
                    let health = if endpoint.health == Health::Healthy {
                        ""
                    } else {
                        " ill"
                    };
                    format!(
                        "{}{ports} {}{health}",
                        endpoint.addresses[0], endpoint.weight
                    )
                };
                Some(
                    part.endpoints
                        .iter()
                        .map(one)
                        .collect::<Vec<_>>()
                        .join(", "),
                )
            }
            _ => None,
        })
        .collect()
}

#[test]
fn a_service_is_called_as_dns_calls_it() {
    let web = [meta(instance("web-1", "", 8080), &[("protocol", "http")])];
    assert_eq!(
        shown(&service("web", &web, &naming())),
        [
            "default/web.service.dc1.consul http:8080:Http Alias(\"web.service.consul\")",
            "default/web.service.consul http:8080:Http ClientSide",
            "10.0.0.1 http=8080 1",
        ]
    );
    let away = Naming {
        datacenter: "dc2".into(),
        is_local: false,
        domain: "example".into(),
        ..naming()
    };
    assert_eq!(
        shown(&service("web", &web, &away)),
        [
            "default/web.service.dc2.example http:8080:Http ClientSide",
            "10.0.0.1 http=8080 1"
        ]
    );
    let bad = service("we b", &web, &naming());
    assert!(bad.objects.is_empty());
    assert_eq!(bad.problems[0].0.to_string(), "Service default/we b");
}

#[test]
fn ports_are_those_of_instances() {
    let check = |instances: &[Instance], expected: &[&str]| {
        let mapped = service(
            "web",
            instances,
            &Naming {
                is_local: false,
                ..naming()
            },
        );
        let shown: Vec<String> = shown(&mapped)
            .iter()
            .map(|line| line.replace("default/web.service.dc1.consul ", ""))
            .collect();
        assert_eq!(shown, expected);
    };
    // Old Istio's protocol of the node.
    let mut old = instance("web-1", "10.0.0.5", 80);
    old.node.meta = [("protocol".to_owned(), "grpc".to_owned())].into();
    check(&[old], &["grpc:80:Grpc ClientSide", "10.0.0.5 grpc=80 1"]);
    check(
        &[
            instance("web-1", "10.0.0.5", 3306),
            instance("web-2", "10.0.0.6", 9000),
        ],
        &[
            "tcp-3306:3306:Tcp auto-9000:9000:Auto ClientSide",
            "10.0.0.5 auto-9000=3306 tcp-3306=3306 1, 10.0.0.6 auto-9000=9000 tcp-3306=9000 1",
        ],
    );
    let chosen = |id, port| {
        meta(
            instance(id, "10.0.0.5", port),
            &[("service-port", "80"), ("protocol", "http")],
        )
    };
    check(
        &[chosen("web-1", 20001), chosen("web-2", 20002)],
        &[
            "http:80:Http ClientSide",
            "10.0.0.5 http=20001 1, 10.0.0.5 http=20002 1",
        ],
    );
    let mut several = meta(
        instance("web-1", "10.0.0.5", 0),
        &[("protocol.admin", "tcp")],
    );
    let port = |name: &str, port| Port {
        name: name.into(),
        port,
        is_default: false,
    };
    several.service.ports = vec![port("http", 80), port("admin", 81)];
    check(
        &[several],
        &[
            "http:80:Http admin:81:Tcp ClientSide",
            "10.0.0.5 admin=81 http=80 1",
        ],
    );
}

#[test]
fn what_cannot_be_reached_is_left_out_with_a_reason() {
    let mut nowhere = instance("web-1", "not an address", 80);
    nowhere.node.node = "n2".into();
    let mapped = service(
        "web",
        &[
            nowhere,
            instance("web-2", "10.0.0.5", 0),
            instance("web-3", "10.0.0.6", 80),
        ],
        &naming(),
    );
    let problems: Vec<_> = mapped
        .problems
        .iter()
        .map(|(key, _, problems)| format!("{key}: {}", problems[0]))
        .collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0]
            .starts_with("Instance default/n1/web-2: Service.Port: the instance has no port"),
        "{problems:?}"
    );
    assert!(
        problems[1].starts_with("Instance default/n2/web-1: Service.Address: "),
        "{problems:?}"
    );
    assert_eq!(shown(&mapped)[2], "10.0.0.6 auto=80 1");
}

#[test]
fn proxies_and_gateways_are_no_services() {
    let mut proxy = instance("web-1-proxy", "", 20000);
    proxy.service.kind = "connect-proxy".into();
    assert_eq!(service("web-proxy", &[proxy], &naming()), Mapped::default());
    assert_eq!(service("web", &[], &naming()), Mapped::default());
}

#[test]
fn an_instance_is_a_workload() {
    let mut web = meta(
        instance("web-1", "10.0.0.5", 8080),
        &[
            ("service-account", "web"),
            ("workload-name", "web-a"),
            ("locality", "eu/a/1"),
            ("network", "n"),
        ],
    );
    web.service.weights = Some(Weights {
        passing: 5,
        warning: 1,
    });
    web.checks = vec![Check {
        id: "service:web-1".into(),
        service_id: "web-1".into(),
        status: "critical".into(),
    }];
    let mapped = service("web", &[web], &naming());
    let workloads: Vec<&Workload> = mapped
        .objects
        .iter()
        .filter_map(|object| match &object.value {
            Value::Workload(workload) => Some(&**workload),
            _ => None,
        })
        .collect();
    let [workload] = workloads[..] else {
        panic!("{workloads:?}")
    };
    assert_eq!(
        (
            &*workload.key.name,
            workload.identity.as_deref(),
            workload.locality.to_string(),
            workload.weight,
            workload.health
        ),
        (
            "web-a",
            Some("spiffe://cluster.local/ns/default/sa/web"),
            "eu/a/1".into(),
            5,
            Health::Unhealthy
        )
    );
    assert_eq!(workload.labels.get("app"), Some("web"));
    assert_eq!(workload.network.as_str(), "n");
}

#[test]
fn addresses_are_chosen() {
    let check = |instance: Instance, wan: bool, expected: &str| {
        let mapped = service("web", &[instance], &Naming { wan, ..naming() });
        assert_eq!(shown(&mapped)[2], expected);
    };
    let tagged = || {
        let mut instance = instance("web-1", "10.0.0.5", 80);
        let wan = TaggedAddress {
            address: "192.0.2.1".into(),
            port: 8443,
        };
        instance.service.tagged_addresses = [("wan".to_owned(), wan)].into();
        instance
    };
    check(tagged(), false, "10.0.0.5 auto=80 1");
    check(tagged(), true, "192.0.2.1 auto=8443 1");
    let of_node = || {
        let mut instance = instance("web-1", "", 80);
        instance.node.tagged_addresses = [("wan".to_owned(), "192.0.2.2".to_owned())].into();
        instance
    };
    check(of_node(), false, "10.0.0.1 auto=80 1");
    check(of_node(), true, "192.0.2.2 auto=80 1");
    let outside = meta(
        instance("web-1", "api.example.com", 443),
        &[("external", "true"), ("protocol", "https")],
    );
    let mapped = service("web", &[outside], &naming());
    assert_eq!(
        shown(&mapped)[1],
        "default/web.service.consul https:443:Https Dns"
    );
    assert!(mapped.objects.iter().any(|object| matches!(&object.value, Value::Service(service) if service.location == Location::External)));
}

/// Locality, identity and namespace of the endpoint that an instance becomes.
fn placed(instance: Instance) -> (String, Option<String>, String) {
    let mapped = service("web", &[instance], &naming());
    let part = mapped
        .objects
        .iter()
        .find_map(|object| match &object.value {
            Value::Endpoints(part) => Some(part),
            _ => None,
        });
    let part = part.unwrap();
    let endpoint = &part.endpoints[0];
    (
        endpoint.locality.to_string(),
        endpoint.identity.as_deref().map(str::to_owned),
        part.service.namespace.to_string(),
    )
}

#[test]
fn an_instance_is_somewhere_and_somebody() {
    let check = |instance: Instance, locality: &str, identity: Option<&str>, namespace: &str| {
        let expected = (
            locality.to_owned(),
            identity.map(str::to_owned),
            namespace.to_owned(),
        );
        assert_eq!(placed(instance), expected);
    };
    let plain = || instance("web-1", "10.0.0.5", 80);
    let said = |region: &str, zone: &str| {
        Some(crate::client::Locality {
            region: region.into(),
            zone: zone.into(),
        })
    };
    check(plain(), "dc1", None, "default");
    let mut on_node = plain();
    on_node.node.locality = said("eu", "a");
    check(on_node.clone(), "eu/a", None, "default");
    let mut own = on_node;
    own.service.locality = said("us", "b");
    check(own.clone(), "us/b", None, "default");
    let own = meta(own, &[("locality", "asia/c/1")]);
    check(own, "asia/c/1", None, "default");
    let account = [("service-account", "web")];
    let mut of_team = meta(plain(), &account);
    of_team.service.namespace = "team".into();
    let identity = "spiffe://cluster.local/ns/team/sa/web";
    check(of_team, "dc1", Some(identity), "team");
    let exact = meta(plain(), &[account[0], ("spiffe-id", "spiffe://other/web")]);
    check(exact, "dc1", Some("spiffe://other/web"), "default");
}
