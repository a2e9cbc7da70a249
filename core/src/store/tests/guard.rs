//! The guard, as adapters and operators meet it.

use std::time::Duration;

use super::build::{part, service, workload};
use super::{Running, replace, start, start_with};
use crate::registry::{Object, SetId, Updates};
use crate::store::{GuardSettings, Settings};

/// As many services with an endpoint each, and a workload for each endpoint.
fn services(count: usize) -> Vec<Object> {
    let one = |n: usize| {
        let (name, ip) = (format!("s{n}"), format!("10.0.1.{n}"));
        [
            service(&name),
            part(&name, "1", &[&ip]),
            workload(&name, &ip, "any"),
        ]
    };
    (0..count).flat_map(one).collect()
}

async fn count(running: &Running) -> usize {
    running.handle.registries().await.unwrap();
    running.handle.mesh().service_count()
}

async fn held(running: &Running) -> Option<usize> {
    let view = running.view("a").await;
    let held = view
        .sets
        .iter()
        .filter_map(|set| set.held.as_ref())
        .map(|held| held.objects);
    held.reduce(|a, b| a + b)
}

/// Replaces a set of 20 services by `next` and tells how many services are there then, and how many objects are held.
async fn after(next: Vec<Object>) -> (usize, Option<usize>) {
    let running = start();
    let updates = running.registry("a");
    replace(&updates, "all", services(20)).await;
    replace(&updates, "all", next).await;
    (count(&running).await, held(&running).await)
}

#[tokio::test(start_paused = true)]
async fn only_a_loss_of_more_than_half_and_more_than_ten_is_held() {
    assert_eq!(after(services(10)).await, (10, None), "half of 20");
    assert_eq!(after(services(9)).await, (20, Some(33)), "11 of 20");
    assert_eq!(after(vec![]).await, (20, Some(60)));

    let running = start();
    let updates = running.registry("a");
    replace(&updates, "all", services(10)).await;
    replace(&updates, "all", vec![]).await;
    assert_eq!(count(&running).await, 0, "10 of 10");
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_vanish_from_within_objects_are_a_loss_too() {
    let running = start();
    let updates = running.registry("a");
    let ips: Vec<_> = (1..30).map(|n| format!("10.0.0.{n}")).collect();
    let ips: Vec<_> = ips.iter().map(String::as_str).collect();
    replace(
        &updates,
        "all",
        vec![service("web"), part("web", "1", &ips)],
    )
    .await;
    replace(
        &updates,
        "all",
        vec![service("web"), part("web", "1", &ips[..3])],
    )
    .await;
    assert_eq!(held(&running).await, Some(1));
    assert_eq!(super::endpoints(&running.handle.mesh(), "web").len(), 29);

    // The same endpoints in other parts are no loss.
    let parts: Vec<_> = ips
        .iter()
        .enumerate()
        .map(|(n, ip)| part("web", &format!("x{n}"), &[ip]))
        .collect();
    replace(&updates, "all", [vec![service("web")], parts].concat()).await;
    assert_eq!(held(&running).await, None);
    assert_eq!(super::endpoints(&running.handle.mesh(), "web").len(), 29);
}

#[tokio::test(start_paused = true)]
async fn what_comes_with_a_loss_is_applied() {
    let running = start();
    let updates = running.registry("a");
    replace(&updates, "all", services(20)).await;
    replace(&updates, "all", vec![service("new")]).await;
    assert_eq!(
        (count(&running).await, held(&running).await),
        (21, Some(60))
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_read_is_believed_after_its_time() {
    let running = start();
    let updates = running.registry("a");
    replace(&updates, "all", services(20)).await;
    replace(&updates, "all", vec![]).await;
    tokio::time::advance(Duration::from_secs(29)).await;
    replace(&updates, "all", vec![]).await;
    assert_eq!(count(&running).await, 20, "too soon");
    tokio::time::advance(Duration::from_secs(1)).await;
    replace(&updates, "all", vec![]).await;
    assert_eq!((count(&running).await, held(&running).await), (0, None));
}

#[tokio::test(start_paused = true)]
async fn a_second_read_confirms_only_what_both_miss() {
    let running = start();
    let updates = running.registry("a");
    let (first, second) = (services(24).split_off(36), services(12));
    replace(&updates, "all", services(24)).await;
    replace(&updates, "all", vec![]).await;
    replace(&updates, "all", [first.clone(), second].concat()).await;
    assert_eq!(held(&running).await, None, "all came back");

    replace(&updates, "all", services(9)).await;
    tokio::time::advance(Duration::from_secs(30)).await;
    replace(&updates, "all", services(3)).await;
    assert_eq!(
        (count(&running).await, held(&running).await),
        (9, Some(18)),
        "six more than the first read missed"
    );
}

#[tokio::test(start_paused = true)]
async fn single_events_pass() {
    let running = start();
    let updates = running.registry("a");
    replace(&updates, "all", services(20)).await;
    let mut tx = updates.begin();
    for object in services(20) {
        tx.delete(&SetId::new("all"), &object.meta.key);
    }
    tx.commit().await.unwrap();
    assert_eq!((count(&running).await, held(&running).await), (0, None));
}

#[tokio::test(start_paused = true)]
async fn an_event_decides_about_an_object_that_is_held() {
    let running = start();
    let updates = running.registry("a");
    let set = SetId::new("all");
    replace(&updates, "all", services(20)).await;
    replace(&updates, "all", vec![]).await;
    let mut tx = updates.begin();
    tx.put(&set, service("s0"));
    tx.delete(&set, &service("s1").meta.key);
    tx.commit().await.unwrap();
    assert_eq!(
        (count(&running).await, held(&running).await),
        (19, Some(58))
    );
    running.handle.confirm(&updates.id().clone()).await.unwrap();
    assert_eq!(count(&running).await, 1);
}

#[tokio::test(start_paused = true)]
async fn moving_between_sets_is_no_loss() {
    let running = start();
    let updates = running.registry("a");
    replace(&updates, "one", services(20)).await;
    let mut tx = updates.begin();
    tx.clear(SetId::new("one"));
    tx.replace(SetId::new("two"), services(20));
    tx.commit().await.unwrap();
    assert_eq!((count(&running).await, held(&running).await), (20, None));
    let view = running.view("a").await;
    let sets: Vec<_> = view
        .sets
        .iter()
        .map(|set| (set.id.as_str(), set.objects))
        .collect();
    assert_eq!(sets, [("two", 60)]);
}

#[tokio::test(start_paused = true)]
async fn sets_that_a_new_run_does_not_find_are_guarded_too() {
    let running = start();
    let updates = running.registry("a");
    replace(&updates, "all", services(20)).await;
    updates.synced().await.unwrap();
    for (wait, left) in [(0, 20), (30, 0)] {
        tokio::time::advance(Duration::from_secs(wait)).await;
        let updates = running.registry("a");
        updates.synced().await.unwrap();
        assert_eq!(count(&running).await, left);
    }
}

async fn doubtful(updates: &Updates, objects: Vec<Object>) {
    let mut tx = updates.begin();
    tx.replace(SetId::new("all"), objects);
    tx.doubtful("the directory is gone".to_owned());
    tx.commit().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_doubtful_loss_is_held_however_small() {
    let running = start();
    let updates = running.registry("a");
    replace(&updates, "all", services(2)).await;
    doubtful(&updates, services(1)).await;
    assert_eq!(count(&running).await, 2);
    let view = running.view("a").await;
    assert_eq!(
        view.sets[0].held.as_ref().unwrap().why.as_ref(),
        "the directory is gone"
    );

    let id = updates.id().clone();
    assert!(running.handle.confirm(&id).await.unwrap());
    assert_eq!(
        (running.handle.mesh().service_count(), held(&running).await),
        (1, None)
    );
    assert!(
        !running.handle.confirm(&id).await.unwrap(),
        "nothing is left to confirm"
    );
}

#[tokio::test(start_paused = true)]
async fn what_only_a_person_confirms_is_held_however_often_it_is_read() {
    let running = start();
    let updates = running.registry("a");
    let narrowed = async |objects: Vec<Object>| {
        let mut tx = updates.begin();
        tx.replace(SetId::new("all"), objects);
        tx.doubtful_until_confirmed("the token lost rights".to_owned());
        tx.commit().await.unwrap();
    };
    replace(&updates, "all", services(2)).await;
    for _ in 0..3 {
        narrowed(services(1)).await;
        assert_eq!(count(&running).await, 2);
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    replace(&updates, "all", services(2)).await;
    assert_eq!(held(&running).await, None, "it is seen again");

    narrowed(services(1)).await;
    let still = async |objects: Vec<Object>| {
        let mut tx = updates.begin();
        tx.replace(SetId::new("all"), objects);
        tx.still_doubtful();
        tx.commit().await.unwrap();
        count(&running).await
    };
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(still(services(1)).await, 2);
    assert!(running.handle.confirm(updates.id()).await.unwrap());
    assert_eq!(still(services(1)).await, 1);
    assert_eq!(still(vec![]).await, 0, "what is lost later has gone");
}

#[tokio::test(start_paused = true)]
async fn in_doubt_an_endpoint_does_not_stand_for_another() {
    let check = async |is_doubtful: bool, expected: &str| {
        let running = start();
        let updates = running.registry("a");
        let with = |ip: &str| vec![service("web"), part("web", "1", &[ip])];
        replace(&updates, "all", with("10.0.1.1")).await;
        match is_doubtful {
            true => doubtful(&updates, with("10.0.1.2")).await,
            false => replace(&updates, "all", with("10.0.1.2")).await,
        }
        count(&running).await;
        let mesh = running.handle.mesh();
        let all = mesh.services().flat_map(|service| {
            let endpoints = mesh.endpoints(&service.key).into_iter();
            endpoints.flat_map(|all| all.iter().flat_map(|e| e.addresses.iter()).cloned())
        });
        let shown: Vec<_> = all.map(|address| address.to_string()).collect();
        assert_eq!(shown, [expected], "{is_doubtful}");
    };
    check(false, "10.0.1.2").await;
    check(true, "10.0.1.1").await;
}

#[tokio::test(start_paused = true)]
async fn it_can_be_switched_off() {
    let guard = GuardSettings {
        enabled: false,
        ..GuardSettings::default()
    };
    let running = start_with(Settings {
        guard,
        ..Settings::default()
    });
    let updates = running.registry("a");
    replace(&updates, "all", services(20)).await;
    doubtful(&updates, vec![]).await;
    assert_eq!(count(&running).await, 0);
}
