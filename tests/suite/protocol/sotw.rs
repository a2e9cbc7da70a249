//! State of the world.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use pilothouse_tests::ads::{CLUSTER, ENDPOINT, LISTENER, ROUTE, Service, SotwClient};
use prost::Message;

use super::{QUIET, TYPES, change_everything, entry, everything, mesh_config, name, names, node};
use crate::world::World;

async fn changeable_mesh(letters: &str) -> World {
    let entries: Vec<_> = letters
        .chars()
        .map(|letter| (format!("default.{letter}.yaml"), entry(letter, 1).to_yaml()))
        .collect();
    let entries: Vec<_> = entries
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    World::start_with(&entries, Some(&mesh_config(1)), &[]).await
}

async fn client(world: &World, service: Service) -> SotwClient {
    SotwClient::connect_to(
        service,
        world.discovery.addresses().grpc,
        node("client", "default"),
    )
    .await
    .unwrap()
}

/// Everything of types with a wildcard comes in every response: at first, after a change, after an addition, after a removal.
#[tokio::test]
async fn a_wildcard_gets_everything_in_each_response() {
    let world = changeable_mesh("ab").await;
    for (type_url, service) in TYPES
        .into_iter()
        .filter(|(type_url, _)| [CLUSTER, LISTENER].contains(type_url))
    {
        for service in [Service::Aggregated, service] {
            let mut client = client(&world, service).await;
            client.subscribe(type_url, &[]).unwrap();
            let first = client.accept(type_url).await.unwrap();
            assert_eq!(found(&first), everything(type_url, "ab"));
            client.expect_nothing(QUIET).await.unwrap();

            change_everything(&world, 2);
            let changed = client.accept(type_url).await.unwrap();
            assert_eq!(found(&changed), everything(type_url, "ab"));
            assert_ne!(changed.version_info, first.version_info);
            assert_ne!(changed.nonce, first.nonce);

            world.mesh.write_entry(&entry('c', 1)).unwrap();
            assert_eq!(
                found(&client.accept(type_url).await.unwrap()),
                everything(type_url, "abc")
            );
            world.mesh.remove_entry(&entry('c', 1)).unwrap();
            assert_eq!(
                found(&client.accept(type_url).await.unwrap()),
                everything(type_url, "ab")
            );

            change_everything(&world, 1);
            let back = client.accept(type_url).await.unwrap();
            assert_eq!(
                back.version_info, first.version_info,
                "the same content has the same version"
            );
            client.finish().await.unwrap();
        }
    }
}

/// Who names resources gets those and no others, whether they are there from the beginning or come later.
#[tokio::test]
async fn names_get_what_they_name() {
    let world = changeable_mesh("ab").await;
    for (type_url, service) in TYPES {
        for service in [Service::Aggregated, service] {
            let mut client = client(&world, service).await;
            let (a, c) = (name(type_url, 'a'), name(type_url, 'c'));
            client.subscribe(type_url, &[&a, &c]).unwrap();
            let first = client.accept(type_url).await.unwrap();
            // What is asked for and unknown has no endpoints; there is nothing else to say about it.
            let expected = if type_url == ENDPOINT { "ac" } else { "a" };
            assert_eq!(found(&first), names(type_url, expected));
            client.expect_nothing(QUIET).await.unwrap();

            world.mesh.write_entry(&entry('c', 1)).unwrap();
            let created = client.accept(type_url).await.unwrap();
            let whole = [CLUSTER, LISTENER].contains(&type_url);
            let expected = if whole { "ac" } else { "c" };
            assert_eq!(found(&created), names(type_url, expected), "{type_url}");

            // One name more is answered although nothing has changed, and one name less is not.
            let b = name(type_url, 'b');
            client.subscribe(type_url, &[&a, &b, &c]).unwrap();
            let more = client.accept(type_url).await.unwrap();
            assert!(found(&more).contains(&b), "{type_url}: {:?}", found(&more));
            client.subscribe(type_url, &[&a, &b]).unwrap();

            world.mesh.remove_entry(&entry('c', 1)).unwrap();
            client.expect_nothing(QUIET).await.unwrap();
            client.finish().await.unwrap();
        }
    }
}

/// A client that gives everything up gets nothing more, in either way of saying so.
#[tokio::test]
async fn who_asks_for_nothing_gets_nothing() {
    let world = changeable_mesh("ab").await;
    let mut version = 1;
    for (type_url, _) in TYPES {
        for nothing in [&[""][..], &[]] {
            let mut client = client(&world, Service::Aggregated).await;
            client
                .subscribe(type_url, &[&name(type_url, 'a'), &name(type_url, 'b')])
                .unwrap();
            client.accept(type_url).await.unwrap();
            client.subscribe(type_url, nothing).unwrap();
            version += 1;
            change_everything(&world, version);
            client.expect_nothing(QUIET).await.unwrap();
            client.finish().await.unwrap();
        }
    }
}

#[tokio::test]
async fn types_of_one_stream_do_not_mix() {
    let world = changeable_mesh("ab").await;
    let pairs = [(CLUSTER, LISTENER), (ROUTE, ENDPOINT)];
    for (one, other) in pairs
        .into_iter()
        .chain(pairs.map(|(one, other)| (other, one)))
    {
        let mut client = client(&world, Service::Aggregated).await;
        client.subscribe(one, &[&name(one, 'a')]).unwrap();
        let first = client.accept(one).await.unwrap();
        client.subscribe(other, &[&name(other, 'b')]).unwrap();
        let second = client.expect(other).await.unwrap();
        assert_eq!(
            (found(&first), found(&second)),
            (names(one, "a"), names(other, "b"))
        );

        // The answer to one under the other's type is stale, and neither an error nor a subscription.
        client
            .send(DiscoveryRequest {
                type_url: one.to_owned(),
                resource_names: vec![name(one, 'b')],
                response_nonce: second.nonce.clone(),
                ..Default::default()
            })
            .unwrap();
        client.expect_nothing(QUIET).await.unwrap();
        client.ack(&second).unwrap();
        client
            .subscribe(one, &[&name(one, 'a'), &name(one, 'b')])
            .unwrap();
        assert!(found(&client.accept(one).await.unwrap()).contains(&name(one, 'b')));
        client.finish().await.unwrap();
    }
}

/// Who comes back with the newest version of everything is sent nothing.
#[tokio::test]
async fn a_whole_state_is_not_sent_again() {
    let mut world = changeable_mesh("ab").await;
    let mut before = client(&world, Service::Aggregated).await;
    for type_url in [CLUSTER, LISTENER] {
        before.subscribe(type_url, &[]).unwrap();
        before.accept(type_url).await.unwrap();
    }
    world.discovery.kill().unwrap();
    world.discovery.restart().await.unwrap();
    let mut after = client(&world, Service::Aggregated).await;
    for type_url in [CLUSTER, LISTENER] {
        after.report_version(type_url, before.version(type_url));
        after.subscribe(type_url, &[]).unwrap();
    }
    after.expect_nothing(QUIET).await.unwrap();
    world.mesh.write_entry(&entry('c', 1)).unwrap();
    assert_eq!(
        found(&after.accept(CLUSTER).await.unwrap()),
        everything(CLUSTER, "abc")
    );
}

fn found(response: &DiscoveryResponse) -> BTreeSet<String> {
    let names: Vec<_> = response
        .resources
        .iter()
        .map(|resource| named(&resource.value))
        .collect();
    let found: BTreeSet<_> = names.iter().cloned().collect();
    assert_eq!(found.len(), names.len(), "a name comes twice: {names:?}");
    found
}

/// The first field of each of the four types is its name.
fn named(resource: &[u8]) -> String {
    #[derive(Clone, PartialEq, Message)]
    struct Named {
        #[prost(string, tag = "1")]
        name: String,
    }
    Named::decode(resource).unwrap().name
}
