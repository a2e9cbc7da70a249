//! The agent's own subscription.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource,
};
use envoy_types::pb::google::protobuf::Any;
use pilothouse_xds::name_table::{NameInfo, NameTable as Message};
use prost::Message as _;

use super::discovery::{Discovery, Mood};
use super::envoy::{DELTA, SOTW};
use super::names::TYPE;
use super::*;

fn table(ip: &str) -> Any {
    let info = NameInfo {
        ips: vec![ip.to_owned()],
        ..NameInfo::default()
    };
    let table = Message {
        table: BTreeMap::from([("a.test".to_owned(), info)]),
    };
    Any {
        type_url: TYPE.to_owned(),
        value: table.encode_to_vec(),
    }
}

fn known(table: &Any) -> NameTable {
    NameTable::from_resource(&table.value).unwrap()
}

fn delta(nonce: &str, version: &str, table: Any) -> Vec<u8> {
    let resource = Resource {
        name: "names".to_owned(),
        version: version.to_owned(),
        resource: Some(table),
        ..Resource::default()
    };
    framed(
        &DeltaDiscoveryResponse {
            type_url: TYPE.to_owned(),
            nonce: nonce.to_owned(),
            resources: vec![resource],
            ..DeltaDiscoveryResponse::default()
        }
        .encode_to_vec(),
    )
}

impl World {
    async fn knows(&mut self, table: &Any) {
        let expected = known(table);
        let found = self
            .names
            .wait_for(|names| names.as_deref() == Some(&expected));
        timeout(SOON, found).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn delta_names_are_put_in_and_taken_out() {
    let mut discovery = Discovery::start().await;
    let address = discovery.address;
    let mut world = World::start_with(&[address], |settings| settings.names = true).await;
    let mut envoy = world.envoy().await;
    let opening = envoy.begin(DELTA);
    let (mut served, mut rest) = (discovery.stream().await, Vec::new());
    let mut stream = opening.answered().await;
    // Two messages and the beginning of a third in one frame.
    let third = framed(b"the third");
    stream.send(
        [
            framed(b"the first"),
            framed(b"the second"),
            third[..7].to_vec(),
        ]
        .concat(),
    );
    assert_eq!(served.message(&mut rest).await, b"the first");
    let ours = DeltaDiscoveryRequest::decode(&*served.message(&mut rest).await).unwrap();
    let expected = DeltaDiscoveryRequest {
        type_url: TYPE.to_owned(),
        ..DeltaDiscoveryRequest::default()
    };
    assert_eq!(ours, expected);
    assert_eq!(served.message(&mut rest).await, b"the second");

    let (first, other) = (table("10.0.0.1"), framed(b"\x22\x05other"));
    served
        .send(
            [
                other.clone(),
                delta("n1", "v1", first.clone()),
                other.clone(),
            ]
            .concat(),
        )
        .await;
    assert_eq!(
        stream.receive(2 * other.len()).await,
        other.repeat(2),
        "Envoy sees the others alone"
    );
    world.knows(&first).await;
    // The answer waits for the end of Envoy's message.
    stream.send(third[7..].to_vec());
    assert_eq!(served.message(&mut rest).await, b"the third");
    let ack = DeltaDiscoveryRequest::decode(&*served.message(&mut rest).await).unwrap();
    assert_eq!(
        (ack.response_nonce.as_str(), &ack.error_detail),
        ("n1", &None)
    );

    let mut broken = table("10.0.0.2");
    broken.value = vec![0xff; 9];
    served.send(delta("n2", "v2", broken)).await;
    let nack = DeltaDiscoveryRequest::decode(&*served.message(&mut rest).await).unwrap();
    assert_eq!(nack.response_nonce, "n2");
    assert!(nack.error_detail.is_some());
    world.knows(&first).await;
    assert_eq!(
        (
            world.counters.name_tables(),
            world.counters.refused_name_tables()
        ),
        (1, 1)
    );

    // Without discovery and without Envoy the names stay; the next stream says which are known.
    drop((envoy, stream, served, discovery));
    world.status(|status| !status.is_connected()).await;
    world.knows(&first).await;
    let mut discovery = Discovery::start_at(address, Mood::Takes, None).await;
    let mut envoy = world.envoy().await;
    let opening = envoy.begin(DELTA);
    opening
        .requests
        .unbounded_send(framed(b"hello").into())
        .unwrap();
    let (mut served, mut rest) = (discovery.stream().await, Vec::new());
    assert_eq!(served.message(&mut rest).await, b"hello");
    let ours = DeltaDiscoveryRequest::decode(&*served.message(&mut rest).await).unwrap();
    assert_eq!(
        ours.initial_resource_versions,
        [("names".to_owned(), "v1".to_owned())].into()
    );
    world.end().await;
}

#[tokio::test]
async fn sotw_names_are_put_in_and_taken_out() {
    let mut discovery = Discovery::start().await;
    let mut world = World::start_with(&[discovery.address], |settings| settings.names = true).await;
    let mut envoy = world.envoy().await;
    let opening = envoy.begin(SOTW);
    let (mut served, mut rest) = (discovery.stream().await, Vec::new());
    let stream = opening.answered().await;
    stream.send(framed(b"hello"));
    assert_eq!(served.message(&mut rest).await, b"hello");
    let ours = DiscoveryRequest::decode(&*served.message(&mut rest).await).unwrap();
    assert_eq!(ours.type_url, TYPE);
    for (version, ip, fine) in [
        ("v1", "10.0.0.1", true),
        ("v2", "10.0.0.2", false),
        ("v3", "10.0.0.3", true),
    ] {
        let mut body = table(ip);
        if !fine {
            body.value = vec![0xff];
        }
        let response = DiscoveryResponse {
            version_info: version.to_owned(),
            type_url: TYPE.to_owned(),
            nonce: version.to_owned(),
            resources: vec![body.clone()],
            ..DiscoveryResponse::default()
        };
        served.send(framed(&response.encode_to_vec())).await;
        let answer = DiscoveryRequest::decode(&*served.message(&mut rest).await).unwrap();
        assert_eq!(answer.response_nonce, version);
        assert_eq!(answer.error_detail.is_none(), fine);
        assert_eq!(
            answer.version_info,
            if fine { version } else { "v1" },
            "a refusal names the last good one"
        );
        if fine {
            world.knows(&body).await;
        }
    }
    world.end().await;
}

#[tokio::test]
async fn nothing_is_asked_where_names_are_not_wanted() {
    let mut discovery = Discovery::start().await;
    let world = World::start(&[discovery.address]).await;
    let mut envoy = world.envoy().await;
    let opening = envoy.begin(DELTA);
    let (mut served, mut rest) = (discovery.stream().await, Vec::new());
    let stream = opening.answered().await;
    stream.send(framed(b"one"));
    assert_eq!(served.message(&mut rest).await, b"one");
    stream.send(framed(b"two"));
    assert_eq!(served.message(&mut rest).await, b"two");
    world.end().await;
}
