//! The incremental variant.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryResponse;
use pilothouse_tests::ads::{CLUSTER, DeltaClient, ENDPOINT, LISTENER, ROUTE, Service};

use super::{QUIET, TYPES, entry, everything, mesh, name, names, node};
use crate::world::World;

async fn client(world: &World, service: Service) -> DeltaClient {
    DeltaClient::connect_to(
        service,
        world.discovery.addresses().grpc,
        node("client", "default"),
    )
    .await
    .unwrap()
}

#[tokio::test]
async fn a_wildcard_gets_everything_once_and_then_changes() {
    let world = mesh("ab").await;
    for (type_url, service) in TYPES
        .into_iter()
        .filter(|(type_url, _)| [CLUSTER, LISTENER].contains(type_url))
    {
        for service in [Service::Aggregated, service] {
            let mut client = client(&world, service).await;
            client.subscribe(type_url, &[]).unwrap();
            assert_eq!(
                found(&client.accept(type_url).await.unwrap()),
                everything(type_url, "ab")
            );
            client.expect_nothing(QUIET).await.unwrap();

            world.mesh.write_entry(&entry('c', 1)).unwrap();
            assert_eq!(
                found(&client.accept(type_url).await.unwrap()),
                names(type_url, "c")
            );
            world.mesh.remove_entry(&entry('c', 1)).unwrap();
            let removed = client.accept(type_url).await.unwrap();
            assert_eq!(
                (found(&removed), removed.removed_resources),
                (BTreeSet::new(), vec![name(type_url, 'c')])
            );

            // A name beside the wildcard is given up: it is still there.
            client
                .subscribe(type_url, &["*", &name(type_url, 'a')])
                .unwrap();
            client.accept(type_url).await.unwrap();
            client
                .unsubscribe(type_url, &[&name(type_url, 'a')])
                .unwrap();
            assert_eq!(
                found(&client.accept(type_url).await.unwrap()),
                names(type_url, "a")
            );
            client.finish().await.unwrap();
        }
    }
}

#[tokio::test]
async fn names_come_one_after_the_other() {
    let world = mesh("abc").await;
    for (type_url, service) in TYPES {
        for service in [Service::Aggregated, service] {
            let mut client = client(&world, service).await;
            for letter in ["a", "b", "c"] {
                client
                    .subscribe(type_url, &[&name(type_url, letter.chars().next().unwrap())])
                    .unwrap();
                assert_eq!(
                    found(&client.accept(type_url).await.unwrap()),
                    names(type_url, letter),
                    "{type_url}"
                );
            }
            // What is asked for again may have been lost.
            client.subscribe(type_url, &[&name(type_url, 'b')]).unwrap();
            assert_eq!(
                found(&client.accept(type_url).await.unwrap()),
                names(type_url, "b")
            );

            // It goes, comes back, and is given up. Endpoints stay with whoever has not given up their cluster.
            world.mesh.remove_entry(&entry('a', 1)).unwrap();
            if type_url == ENDPOINT {
                world.is_away('a').await;
                client.expect_nothing(QUIET).await.unwrap();
                world.mesh.write_entry(&entry('a', 2)).unwrap();
            } else {
                let removed = client.accept(type_url).await.unwrap();
                assert_eq!(
                    (found(&removed), removed.removed_resources),
                    (BTreeSet::new(), vec![name(type_url, 'a')])
                );
                world.mesh.write_entry(&entry('a', 1)).unwrap();
            }
            assert_eq!(
                found(&client.accept(type_url).await.unwrap()),
                names(type_url, "a")
            );
            client
                .unsubscribe(type_url, &[&name(type_url, 'a'), "never-asked-for"])
                .unwrap();
            world.mesh.remove_entry(&entry('a', 1)).unwrap();
            client.expect_nothing(QUIET).await.unwrap();
            client.finish().await.unwrap();
            world.mesh.write_entry(&entry('a', 1)).unwrap();
            world.is_there('a').await;
        }
    }
}

/// A name that does not exist is remembered. Of endpoints it is said at once that there are none; of all else, that it is not there.
#[tokio::test]
async fn what_does_not_exist_comes_when_it_does() {
    let world = mesh("a").await;
    for (type_url, service) in TYPES {
        for service in [Service::Aggregated, service] {
            let mut client = client(&world, service).await;
            client.subscribe(type_url, &[&name(type_url, 'd')]).unwrap();
            let first = client.accept(type_url).await.unwrap();
            let expected = if type_url == ENDPOINT {
                names(type_url, "d")
            } else {
                BTreeSet::new()
            };
            assert_eq!(found(&first), expected, "{type_url}");
            world.mesh.write_entry(&entry('d', 1)).unwrap();
            assert_eq!(
                found(&client.accept(type_url).await.unwrap()),
                names(type_url, "d")
            );
            client.finish().await.unwrap();
            world.mesh.remove_entry(&entry('d', 1)).unwrap();
            world.is_away('d').await;
        }
    }
}

#[tokio::test]
async fn types_of_one_stream_have_nonces_of_their_own() {
    let world = mesh("ab").await;
    for (one, other) in [
        (CLUSTER, LISTENER),
        (LISTENER, CLUSTER),
        (ROUTE, ENDPOINT),
        (ENDPOINT, ROUTE),
    ] {
        let mut client = client(&world, Service::Aggregated).await;
        client.subscribe(one, &[&name(one, 'a')]).unwrap();
        let first = client.expect(one).await.unwrap();
        client.subscribe(other, &[&name(other, 'b')]).unwrap();
        let second = client.expect(other).await.unwrap();
        assert_eq!(
            (found(&first), found(&second)),
            (names(one, "a"), names(other, "b"))
        );
        assert_ne!(first.nonce, second.nonce);
        client.ack(&second).unwrap();
        client.ack(&first).unwrap();
        client.expect_nothing(QUIET).await.unwrap();
        client.finish().await.unwrap();
    }
}

/// What a client comes back with is not sent again, not even by a discovery that has been restarted; what has gone is taken away.
#[tokio::test]
async fn a_client_that_comes_back_gets_the_difference() {
    let mut world = mesh("abc").await;
    let mut before = client(&world, Service::Aggregated).await;
    before.subscribe(CLUSTER, &[]).unwrap();
    before.accept(CLUSTER).await.unwrap();
    let named: Vec<_> = "abc".chars().map(|letter| name(ENDPOINT, letter)).collect();
    let named: Vec<_> = named.iter().map(String::as_str).collect();
    before.subscribe(ENDPOINT, &named).unwrap();
    before.accept(ENDPOINT).await.unwrap();
    let held = before.disconnect();

    world.discovery.kill().unwrap();
    world.mesh.remove_entry(&entry('b', 1)).unwrap();
    world.mesh.write_entry(&entry('c', 2)).unwrap();
    world.discovery.restart().await.unwrap();
    let mut after = client(&world, Service::Aggregated).await.with_held(held);
    after.resume(CLUSTER, &["*"]).unwrap();
    after.resume(ENDPOINT, &named).unwrap();
    // Whatever the order, c has moved, b has gone, and a is not mentioned.
    let (mut upserts, mut removals) = (BTreeSet::new(), BTreeSet::new());
    while !removals.contains(&name(CLUSTER, 'b')) || !upserts.contains(&name(ENDPOINT, 'c')) {
        let response = after.next().await.unwrap();
        upserts.extend(found(&response));
        removals.extend(response.removed_resources.iter().cloned());
        after.ack(&response).unwrap();
    }
    assert!(!upserts.contains(&name(ENDPOINT, 'a')), "{upserts:?}");
    assert!(upserts.is_subset(&names(ENDPOINT, "bc")), "{upserts:?}");
    assert_eq!(removals, names(CLUSTER, "b"));
    after.expect_nothing(QUIET).await.unwrap();
}

/// A rejection that names nobody is about one of what came: that one is found, and everything else arrives.
#[tokio::test]
async fn a_rejection_without_a_name_finds_its_culprit() {
    let world = mesh("abcdefgh").await;
    let mut client = client(&world, Service::Aggregated).await;
    client.subscribe(CLUSTER, &[]).unwrap();
    let (bad, mut rejected) = (name(CLUSTER, 'f'), 0);
    let mut expected = everything(CLUSTER, "abcdefgh");
    expected.remove(&bad);
    while !client.held(CLUSTER).keys().eq(&expected) {
        let response = client.expect(CLUSTER).await.unwrap();
        if found(&response).contains(&bad) {
            rejected += 1;
            client.nack(&response, "something is wrong").unwrap();
        } else {
            client.ack(&response).unwrap();
        }
    }
    assert!(
        rejected <= 5,
        "{rejected} responses have been rejected for one of 11 clusters"
    );
    let refused = world.syncz("client.default").await.unwrap()["types"][0]["refused"].clone();
    assert_eq!(refused[0]["name"], bad.as_str(), "{refused:#}");
    assert!(
        refused[0]["causes"].to_string().contains("default.f.yaml"),
        "{refused:#}"
    );
    client.expect_nothing(QUIET).await.unwrap();

    let mut other = entry('f', 1);
    other.name = "another".to_owned();
    world
        .mesh
        .write("default.f.yaml", &other.to_yaml())
        .unwrap();
    assert_eq!(
        found(&client.accept(CLUSTER).await.unwrap()),
        names(CLUSTER, "f")
    );
}

fn found(response: &DeltaDiscoveryResponse) -> BTreeSet<String> {
    let found: BTreeSet<_> = response
        .resources
        .iter()
        .map(|resource| resource.name.clone())
        .collect();
    assert_eq!(found.len(), response.resources.len(), "a name comes twice");
    found
}
