//! Objects that cannot be read, are stated twice, or are refused.

use std::time::Duration;

use super::build::{endpoints, key, origin, part, service, service_entry};
use super::{Running, replace, start, start_with};
use crate::mesh::Source;
use crate::registry::{Object, ObjectKey, Problem, RegistryId, SetId, Updates, Value};
use crate::rules::{RuleSpec, spec};
use crate::status::{Contest, ObjectStatus};
use crate::store::Settings;

fn source(object: &ObjectKey) -> Source {
    Source {
        registry: RegistryId::new("Test", "a"),
        object: object.clone(),
    }
}

fn status(running: &Running, object: &Object) -> ObjectStatus {
    let status = running.handle.status().get();
    status
        .object(&source(&object.meta.key))
        .map(|status| ObjectStatus::clone(status))
        .unwrap_or_default()
}

/// A `ServiceEntry` that no check accepts.
fn broken(name: &str) -> Object {
    let mut object = service_entry(name);
    object.value = Value::Rule(RuleSpec::ServiceEntry(spec::ServiceEntry::default().into()));
    object.origin = origin("broken");
    object
}

async fn hosts(running: &Running) -> Vec<String> {
    running.handle.registries().await.unwrap();
    running
        .handle
        .mesh()
        .hosts()
        .map(ToString::to_string)
        .collect()
}

async fn reject(updates: &Updates, replaced: Option<Vec<Object>>, key: Option<&ObjectKey>) {
    let set = SetId::new("all");
    let mut tx = updates.begin();
    tx.reject(
        &set,
        key.cloned(),
        origin("there"),
        vec![Problem::error("", "unreadable")],
    );
    if let Some(objects) = replaced {
        tx.replace(set, objects);
    }
    tx.commit().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn others_may_reject_what_is_good_here() {
    let running = start_with(Settings {
        checks: vec![|meta, _| match &*meta.key.name {
            "two" => vec![Problem::error("spec.x", "means nothing")],
            _ => vec![Problem::warning("spec.y", "is odd")],
        }],
        ..Settings::default()
    });
    let updates = running.registry("a");
    let objects = ["one", "two"].map(service_entry);
    replace(&updates, "all", objects.to_vec()).await;
    assert_eq!(hosts(&running).await, ["one.shop"]);
    let [one, two] = objects.map(|object| status(&running, &object));
    assert_eq!(one.warnings.len(), 1, "{one:?}");
    assert!(one.is_accepted() && !two.is_accepted(), "{two:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rejected_object_keeps_its_last_good_version() {
    let running = start();
    let updates = running.registry("a");
    replace(
        &updates,
        "all",
        vec![service_entry("one"), service_entry("two")],
    )
    .await;
    replace(&updates, "all", vec![broken("one"), service_entry("two")]).await;
    assert_eq!(hosts(&running).await, ["one.shop", "two.shop"]);
    let rejected = &status(&running, &broken("one")).rejected[&SetId::new("all")];
    assert_eq!(
        (rejected.at.as_str(), rejected.earlier_in_force),
        ("broken", true)
    );
    assert!(!rejected.problems.is_empty());

    replace(&updates, "all", vec![service_entry("one")]).await;
    assert_eq!(hosts(&running).await, ["one.shop"]);
    assert_eq!(status(&running, &broken("one")), ObjectStatus::default());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_never_was_good_is_absent_and_says_so() {
    let running = start();
    let updates = running.registry("a");
    replace(&updates, "all", vec![broken("one"), service_entry("two")]).await;
    assert_eq!(hosts(&running).await, ["two.shop"]);
    assert!(!status(&running, &broken("one")).rejected[&SetId::new("all")].earlier_in_force);
    assert!(!status(&running, &broken("one")).is_accepted());
}

#[tokio::test(start_paused = true)]
async fn an_adapter_rejects_by_name() {
    let running = start();
    let updates = running.registry("a");
    let one = service_entry("one");
    replace(&updates, "all", vec![one.clone(), service_entry("two")]).await;
    reject(&updates, Some(vec![]), Some(&one.meta.key)).await;
    assert_eq!(
        hosts(&running).await,
        ["one.shop"],
        "what is neither stated nor rejected is gone"
    );
    assert_eq!(
        status(&running, &one).rejected[&SetId::new("all")].at,
        origin("there")
    );

    let mut tx = updates.begin();
    tx.delete(&SetId::new("all"), &one.meta.key);
    tx.commit().await.unwrap();
    assert!(hosts(&running).await.is_empty());
    assert_eq!(status(&running, &one), ObjectStatus::default());
}

#[tokio::test(start_paused = true)]
async fn where_a_name_cannot_be_read_nothing_is_gone() {
    let running = start();
    let updates = running.registry("a");
    replace(
        &updates,
        "all",
        vec![service_entry("one"), service_entry("two")],
    )
    .await;
    reject(&updates, Some(vec![service_entry("three")]), None).await;
    assert_eq!(
        hosts(&running).await,
        ["one.shop", "three.shop", "two.shop"]
    );
    let unreadable = |running: &Running| -> Vec<_> {
        let status = running.handle.status().get();
        status
            .sets()
            .flat_map(|(_, _, set)| set.unreadable.clone())
            .map(|rejected| rejected.at)
            .collect()
    };
    assert_eq!(unreadable(&running), [origin("there")]);

    replace(&updates, "all", vec![service_entry("three")]).await;
    assert_eq!(hosts(&running).await, ["three.shop"]);
    assert_eq!(unreadable(&running), []);
}

#[tokio::test(start_paused = true)]
async fn of_two_copies_the_oldest_counts() {
    let running = start();
    let updates = running.registry("a");
    let copy = |ip: &str, created: Option<i64>| {
        let mut object = part("web", "1", &[ip]);
        object.meta.created = created.map(|second| jiff::Timestamp::from_second(second).unwrap());
        object.origin = origin(ip);
        object
    };
    let lost = |running: &Running| -> Vec<_> {
        status(running, &part("web", "1", &[]))
            .lost
            .into_iter()
            .map(|lost| (lost.over, lost.at))
            .collect()
    };
    replace(&updates, "service", vec![service("web")]).await;
    replace(&updates, "x", vec![copy("10.0.0.1", Some(2))]).await;
    replace(&updates, "y", vec![copy("10.0.0.2", Some(1))]).await;
    running.handle.registries().await.unwrap();
    assert_eq!(endpoints(&running.handle.mesh(), "web"), ["10.0.0.2"]);
    assert_eq!(
        lost(&running),
        [(Contest::Copy(SetId::new("x")), Some(origin("10.0.0.1")))]
    );

    replace(&updates, "z", vec![copy("10.0.0.3", None)]).await;
    running.handle.registries().await.unwrap();
    assert_eq!(
        endpoints(&running.handle.mesh(), "web"),
        ["10.0.0.3"],
        "absent is oldest"
    );
    assert_eq!(lost(&running).len(), 2);

    replace(&updates, "y", vec![]).await;
    replace(&updates, "z", vec![]).await;
    running.handle.registries().await.unwrap();
    assert_eq!(endpoints(&running.handle.mesh(), "web"), ["10.0.0.1"]);
    assert_eq!(lost(&running), []);

    replace(
        &updates,
        "x",
        vec![copy("10.0.0.1", Some(1)), copy("10.0.0.4", Some(1))],
    )
    .await;
    running.handle.registries().await.unwrap();
    assert_eq!(
        endpoints(&running.handle.mesh(), "web"),
        ["10.0.0.1"],
        "the first within a set"
    );
    assert_eq!(
        lost(&running),
        [(Contest::Twice(SetId::new("x")), Some(origin("10.0.0.4")))]
    );
}

#[tokio::test(start_paused = true)]
async fn a_rule_of_two_registries_is_that_of_the_oldest() {
    let running = start();
    let (a, b) = (running.registry("a"), running.registry("b"));
    replace(&a, "all", vec![service_entry("one")]).await;
    replace(&b, "all", vec![service_entry("one")]).await;
    running.handle.registries().await.unwrap();
    let winner = |running: &Running| {
        let mesh = running.handle.mesh();
        mesh.rule(&service_entry("one").meta.key)
            .map(|rule| rule.source.registry.cluster.to_string())
    };
    assert_eq!(winner(&running).as_deref(), Some("a"));
    let loser = Source {
        registry: b.id().clone(),
        object: service_entry("one").meta.key,
    };
    let lost = running.handle.status().get().object(&loser).unwrap().lost[0].clone();
    assert_eq!(
        (lost.over, lost.to.registry),
        (Contest::Name, a.id().clone())
    );

    a.close().await.unwrap();
    running.handle.registries().await.unwrap();
    assert_eq!(winner(&running).as_deref(), Some("b"));
    assert!(running.handle.status().get().object(&loser).is_none());
}

#[tokio::test(start_paused = true)]
async fn age_is_visible() {
    let running = start();
    let updates = running.registry("a");
    replace(&updates, "all", vec![service("web")]).await;
    updates.failing(None, &std::io::Error::other("no route"));
    running.handle.registries().await.unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    let view = running.view("a").await;
    assert_eq!(view.age, Some(Duration::from_secs(60)));
    let failing = view.failing.unwrap();
    assert_eq!(
        (&*failing.why, failing.since),
        ("no route", Duration::from_secs(60))
    );
    assert!(running.handle.mesh().service(&key("web")).is_some());

    replace(&updates, "all", vec![service("web")]).await;
    assert_eq!(running.view("a").await.failing, None);
}
