//! Automatic addresses, as readers of the mesh see them.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::build::{key, object, service};
use super::{Running, replace, start};
use crate::model::AutomaticAddress;
use crate::registry::{Need, Object, RegistryId, Value};
use crate::rules::RuleSpec;
use crate::store::join::places;

/// Three names that have their first place in common, found by trying.
const ALIKE: [&str; 3] = ["h52", "h285", "h1687"];

/// A `ServiceEntry` for the host of this name, created at this second.
fn entry(name: &str, created: i64) -> Object {
    entry_with(name, created, json!({}))
}

fn entry_with(name: &str, created: i64, more: Json) -> Object {
    let mut spec = json!({
        "hosts": [key(name).host], "resolution": "STATIC",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "endpoints": [{"address": "10.0.0.1"}],
    });
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    let (rule, _) = RuleSpec::parse("networking.istio.io/v1", "ServiceEntry", &spec).unwrap();
    let mut object = object("ServiceEntry", name, Value::Rule(rule));
    object.meta.created = Some(Timestamp::from_second(created).unwrap());
    object
}

async fn address(running: &Running, name: &str) -> Option<AutomaticAddress> {
    running.handle.registries().await.unwrap();
    let mesh = running.handle.mesh();
    mesh.service(&key(name)).unwrap().automatic
}

async fn v4(running: &Running, name: &str) -> Ipv4Addr {
    address(running, name).await.unwrap().v4
}

/// A store in which these objects are all there is.
async fn with(objects: Vec<Object>) -> Running {
    let running = start();
    let updates = running.registry("a");
    replace(&updates, "all", objects).await;
    updates.synced().await.unwrap();
    running
}

#[tokio::test(start_paused = true)]
async fn hosts_without_address_get_one() {
    let check = async |expected: bool, more: Json| {
        let running = with(vec![entry_with("web", 1, more.clone())]).await;
        assert_eq!(address(&running, "web").await.is_some(), expected, "{more}");
    };
    check(true, json!({})).await;
    check(true, json!({"resolution": "DNS"})).await;
    check(true, json!({"addresses": ["0.0.0.0"]})).await;
    check(false, json!({"addresses": ["10.1.1.1"]})).await;
    check(false, json!({"resolution": "NONE", "endpoints": []})).await;

    let mut without = entry("web", 1);
    let label = "networking.istio.io/enable-autoallocate-ip";
    without.meta.labels = [(label, "false")].into_iter().collect();
    let running = with(vec![without]).await;
    assert_eq!(address(&running, "web").await, None);

    let running = with(vec![entry("web", 1), service("web")]).await;
    assert_eq!(address(&running, "web").await, None, "a platform's own");

    let wildcard = entry_with("web", 1, json!({"hosts": ["*.web.shop", "web.shop"]}));
    let running = with(vec![wildcard]).await;
    running.handle.registries().await.unwrap();
    let mesh = running.handle.mesh();
    let has = |host: &str| {
        let mut services = mesh.services();
        services.any(|s| s.key.host.as_str() == host && s.automatic.is_some())
    };
    assert!(has("web.shop") && !has("*.web.shop"));
}

#[tokio::test(start_paused = true)]
async fn of_hosts_with_one_place_the_oldest_has_it() {
    let [a, b, c] = ALIKE;
    let alone = v4(&with(vec![entry(a, 1)]).await, a).await;
    for name in ALIKE {
        assert_eq!(v4(&with(vec![entry(name, 1)]).await, name).await, alone);
    }
    let check = async |running: &Running, expected: &[(&str, bool)]| {
        for (name, has) in expected {
            assert_eq!(v4(running, name).await == alone, *has, "{name}");
        }
    };
    let all = |x, y, z| vec![entry(a, x), entry(b, y), entry(c, z)];
    check(
        &with(all(1, 2, 3)).await,
        &[(a, true), (b, false), (c, false)],
    )
    .await;
    check(
        &with(all(3, 1, 2)).await,
        &[(a, false), (b, true), (c, false)],
    )
    .await;
    check(
        &with(all(1, 1, 1)).await,
        &[(*ALIKE.iter().min().unwrap(), true)],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn replicas_agree_however_registries_arrive() {
    let objects = || {
        ALIKE
            .into_iter()
            .zip([3, 1, 2])
            .map(|(name, second)| entry(name, second))
    };
    let expected = with(objects().collect()).await;
    let running = start();
    let registries = ["x", "y", "z"].map(|name| running.registry(name));
    for (updates, object) in registries.iter().zip(objects()) {
        replace(updates, "all", vec![object]).await;
        updates.synced().await.unwrap();
    }
    for name in ALIKE {
        assert_eq!(
            v4(&running, name).await,
            v4(&expected, name).await,
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_was_given_never_moves() {
    let [a, b, c] = ALIKE;
    let running = with(vec![entry(a, 5)]).await;
    let first = v4(&running, a).await;
    let updates = running.registry("a");
    // An older one comes, and the service says something else of itself.
    replace(&updates, "more", vec![entry(b, 1)]).await;
    let second = v4(&running, b).await;
    assert_ne!(second, first);
    let changed = json!({"resolution": "DNS"});
    replace(&updates, "all", vec![entry_with(a, 9, changed)]).await;
    assert_eq!(v4(&running, a).await, first);
    // It has an address of its own for a while.
    let own = json!({"addresses": ["10.1.1.1"]});
    replace(&updates, "all", vec![entry_with(a, 9, own)]).await;
    assert_eq!(address(&running, a).await, None);
    replace(&updates, "more", vec![entry(b, 1), entry(c, 1)]).await;
    replace(&updates, "all", vec![entry(a, 9)]).await;
    assert_eq!(v4(&running, a).await, first);
    assert_eq!(v4(&running, b).await, second);
    // With the host the address goes, and others stay.
    replace(&updates, "all", vec![]).await;
    assert_eq!(v4(&running, b).await, second);
    replace(&updates, "new", vec![entry(a, 9)]).await;
    assert_eq!(v4(&running, a).await, first);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_given_before_everything_is_there() {
    let running = start();
    let required = running.registry("a");
    let optional = RegistryId::new("Test", "late");
    let need = Need::Optional(Duration::from_secs(60));
    let _late = running.handle.updates(&optional, need);
    replace(&required, "all", vec![entry("web", 1)]).await;
    assert_eq!(address(&running, "web").await, None);
    required.synced().await.unwrap();
    assert_eq!(address(&running, "web").await, None);
    let mut changes = running.handle.subscribe();
    let change = tokio::time::timeout(Duration::from_secs(61), changes.next())
        .await
        .unwrap()
        .unwrap();
    assert!(
        change
            .mesh
            .service(&key("web"))
            .unwrap()
            .automatic
            .is_some()
    );
    // A registry that comes later holds nobody up.
    let _third = running.registry("third");
    replace(&required, "more", vec![entry("db", 1)]).await;
    assert!(address(&running, "db").await.is_some());
}

/// The object with these addresses kept, at these places.
fn keeping(mut object: Object, kept: &[(&str, u16)]) -> Object {
    let kept = kept
        .iter()
        .map(|(name, place)| (key(name).host, AutomaticAddress::at(*place).unwrap()));
    object.meta.kept_addresses = Some(Arc::new(kept.collect()));
    object
}

fn at(place: u16) -> Ipv4Addr {
    AutomaticAddress::at(place).unwrap().v4
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_given_again() {
    let running = with(vec![
        keeping(entry("web", 2), &[("web", 7), ("other", 9)]),
        entry("db", 1),
    ])
    .await;
    assert_eq!(v4(&running, "web").await, at(7));
    assert_eq!(
        v4(&running, "db").await,
        v4(&with(vec![entry("db", 1)]).await, "db").await
    );
    let own = json!({"addresses": ["10.1.1.1"]});
    let stated = keeping(entry_with("web", 2, own), &[("web", 7)]);
    let running = with(vec![stated]).await;
    assert_eq!(address(&running, "web").await, None, "it states its own");

    let mut odd = entry("web", 2);
    let elsewhere = AutomaticAddress {
        v4: Ipv4Addr::new(10, 0, 0, 1),
        ..AutomaticAddress::at(3).unwrap()
    };
    odd.meta.kept_addresses = Some(Arc::new([(key("web").host, elsewhere)].into()));
    let running = with(vec![odd]).await;
    let first = with(vec![entry("web", 2)]).await;
    assert_eq!(
        v4(&running, "web").await,
        v4(&first, "web").await,
        "not of the block for automatic addresses"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_with_two_is_the_older_ones() {
    let kept = |name: &str, age| keeping(entry(name, age), &[(name, 7)]);
    let check = async |running: &Running, expected: &[(&str, bool)]| {
        for (name, has) in expected {
            assert_eq!(v4(running, name).await == at(7), *has, "{name}");
        }
    };
    let running = with(vec![kept("web", 2), kept("db", 1)]).await;
    check(&running, &[("web", false), ("db", true)]).await;
    let updates = running.registry("a");
    replace(&updates, "more", vec![kept("cache", 0)]).await;
    check(&running, &[("web", false), ("db", false), ("cache", true)]).await;
    // With the oldest gone, the next has it.
    replace(&updates, "more", vec![]).await;
    check(&running, &[("web", false), ("db", true)]).await;
}

#[tokio::test(start_paused = true)]
async fn what_another_replica_keeps_goes_before_what_was_given() {
    let running = with(vec![entry("web", 1), entry("db", 1)]).await;
    let (web, db) = (v4(&running, "web").await, v4(&running, "db").await);
    let updates = running.registry("a");
    let place = (0..AutomaticAddress::COUNT).find(|place| at(*place) == web);
    // The address of one is kept with the other, which then has it.
    let kept = keeping(entry("db", 1), &[("db", place.unwrap())]);
    replace(&updates, "all", vec![entry("web", 1), kept]).await;
    assert_eq!(v4(&running, "db").await, web);
    assert!(![web, db].contains(&v4(&running, "web").await));
}

#[tokio::test(start_paused = true)]
async fn keeping_what_was_given_changes_nothing() {
    let running = with(vec![entry("web", 1)]).await;
    let web = v4(&running, "web").await;
    let place = (0..AutomaticAddress::COUNT).find(|place| at(*place) == web);
    let mut changes = running.handle.subscribe();
    let kept = keeping(entry("web", 1), &[("web", place.unwrap())]);
    replace(&running.registry("a"), "all", vec![kept]).await;
    assert_eq!(v4(&running, "web").await, web);
    assert!(changes.take().is_none(), "nobody is woken");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn the_order_in_which_kept_addresses_come_does_not_matter(
        all in prop::collection::vec((0i64..3, prop::option::of(0u16..6)), 8),
        order in Just((0..8usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let object = |n: usize| {
            let name = format!("s{n}");
            let (age, kept) = all[n];
            let object = entry(&name, age);
            match kept {
                // Of the places of others, so that some have to go.
                Some(kept) => {
                    let address = places(&key(&format!("s{kept}"))).next().unwrap();
                    let mut object = object;
                    object.meta.kept_addresses = Some(Arc::new([(key(&name).host, address)].into()));
                    object
                }
                None => object,
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (together, one_by_one) = runtime.block_on(async {
            let together = with((0..8).map(object).collect()).await;
            let running = with(vec![]).await;
            let updates = running.registry("a");
            for n in order {
                replace(&updates, &format!("set{n}"), vec![object(n)]).await;
            }
            let mut found = (Vec::new(), Vec::new());
            for n in 0..8 {
                found.0.push(v4(&together, &format!("s{n}")).await);
                found.1.push(v4(&running, &format!("s{n}")).await);
            }
            found
        });
        let unique: std::collections::BTreeSet<_> = together.iter().collect();
        prop_assert_eq!(unique.len(), 8);
        prop_assert_eq!(together, one_by_one);
    }
}
