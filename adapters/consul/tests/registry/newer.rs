//! What Consuls say that are newer than those that can be run here: named ports, localities, namespaces, and that an answer was
//! filtered.

use pilothouse_consul::ConsulConfig;
use pilothouse_consul::client::Settings;
use pilothouse_core::model::{Host, ServiceKey};
use serde_json::json;

use crate::agent::Agent;
use crate::mesh::Running;

#[tokio::test]
async fn what_newer_consuls_say_of_an_instance_is_read() {
    let agent = Agent::start().await;
    let shop = json!({
        "Node": {
            "ID": "1", "Node": "n1", "Address": "10.0.0.1", "Datacenter": "dc1", "PeerName": "", "Partition": "part",
            "Locality": {"Region": "eu", "Zone": "a"},
        },
        "Service": {
            "ID": "shop-1", "Service": "shop", "Namespace": "team", "Partition": "part", "Address": "10.0.0.7", "Port": 0,
            "Ports": [
                {"Name": "http", "Port": 8080, "Default": true},
                {"Name": "admin", "Port": 9000, "Default": false},
            ],
            "Meta": {"protocol.admin": "tcp"}, "Weights": {"Passing": 4, "Warning": 1}, "Proxy": {}, "Connect": {},
        },
        "Checks": [{"CheckID": "serfHealth", "Status": "passing", "ServiceID": "", "ServiceTags": null}],
    });
    agent.change(|catalog| {
        catalog.tells = true;
        catalog.hidden = ["secret".to_owned()].into();
        catalog.services.insert("shop".into(), vec![shop]);
    });
    let config = ConsulConfig {
        consul_namespace: "team".into(),
        partition: "part".into(),
        ..ConsulConfig::default()
    };
    // That something is hidden from the beginning takes nothing away, and holds up nobody.
    let running = Running::start(&agent, config, Settings::default()).await;
    running.nothing_held().await;
    let mesh = running.store.mesh();
    let key = ServiceKey {
        namespace: "team".into(),
        host: Host::new("shop.service.consul").unwrap(),
    };
    let service = mesh.service(&key).unwrap();
    let ports: Vec<_> = service
        .ports
        .iter()
        .map(|port| format!("{}:{}:{:?}", port.name, port.port, port.protocol))
        .collect();
    assert_eq!(ports, ["http:8080:Http", "admin:9000:Tcp"]);
    let endpoint = &mesh.endpoints(&key).unwrap()[0];
    let numbers = endpoint.ports.iter().flat_map(|ports| ports.iter());
    let numbers: Vec<_> = numbers
        .map(|port| format!("{}={}", port.name, port.port))
        .collect();
    assert_eq!(numbers, ["admin=9000", "http=8080"]);
    assert_eq!(
        (
            endpoint.addresses[0].to_string(),
            endpoint.locality.to_string(),
            endpoint.weight
        ),
        ("10.0.0.7".into(), "eu/a".into(), 4)
    );
    drop(mesh);
    running.stop().await;
}
