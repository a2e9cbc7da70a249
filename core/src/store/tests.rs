//! The store from the outside: what is written, and what its readers see.

mod automatic;
pub(crate) mod build;
mod destinations;
mod guard;
mod ingresses;
mod merge;
mod objects;
mod pods;
mod random;
mod selecting;
mod sharing;
mod sidecars;
mod telemetry;
mod virtuals;
mod work;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Change, Changes, RegistryView, Settings, Store, StoreHandle};
use crate::mesh::{MeshConfig, Touched};
use crate::registry::{Need, Object, Problem, RegistryId, SetId, Updates};
use build::{endpoints, key, origin, part, service, service_entry};

/// A running store.
struct Running {
    handle: StoreHandle,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

fn start() -> Running {
    start_with(Settings::default())
}

fn start_with(settings: Settings) -> Running {
    let (store, handle) = Store::new(settings);
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(store.run(stop.clone()));
    Running {
        handle,
        stop,
        tasks,
    }
}

impl Running {
    fn registry(&self, name: &str) -> Updates {
        self.handle
            .updates(&RegistryId::new("Test", name), Need::Required)
    }

    async fn view(&self, name: &str) -> RegistryView {
        let id = RegistryId::new("Test", name);
        let views = self.handle.registries().await.unwrap();
        views.into_iter().find(|view| view.id == id).unwrap()
    }
}

async fn replace(updates: &Updates, set: &str, objects: Vec<Object>) {
    let mut tx = updates.begin();
    tx.replace(SetId::new(set), objects);
    tx.commit().await.unwrap();
}

/// The next change, which the test expects to come.
async fn next(changes: &mut Changes) -> Change {
    tokio::time::timeout(Duration::from_secs(5), changes.next())
        .await
        .expect("a change")
        .expect("a store")
}

/// Nothing is left for a consumer, although the store has applied everything that was written.
async fn assert_quiet(running: &Running, changes: &mut Changes) {
    running.handle.registries().await.unwrap();
    let quiet = tokio::time::timeout(Duration::ZERO, changes.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_committed_is_published_with_what_it_touched() {
    let running = start();
    let mut changes = running.handle.subscribe();
    let updates = running.registry("a");
    replace(
        &updates,
        "all",
        vec![service("web"), part("web", "1", &["10.0.0.1", "10.0.0.2"])],
    )
    .await;

    let change = next(&mut changes).await;
    let touched = Touched {
        services: [key("web")].into(),
        endpoints: [key("web")].into(),
        ..Touched::default()
    };
    assert_eq!(change.touched, touched);
    assert_eq!(endpoints(&change.mesh, "web"), ["10.0.0.1", "10.0.0.2"]);
    assert!(Arc::ptr_eq(&change.mesh, &running.handle.mesh()));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_is_dropped_did_not_happen() {
    let running = start();
    let mut changes = running.handle.subscribe();
    let updates = running.registry("a");
    let mut tx = updates.begin();
    tx.replace(SetId::new("all"), vec![service("web")]);
    drop(tx);
    assert_quiet(&running, &mut changes).await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_consumer_gets_the_newest_and_all_that_was_touched() {
    let running = start();
    let mut changes = running.handle.subscribe();
    let updates = running.registry("a");
    for name in ["one", "two", "three"] {
        replace(&updates, name, vec![service(name)]).await;
        running.handle.registries().await.unwrap();
    }
    let change = next(&mut changes).await;
    assert_eq!(change.mesh.service_count(), 3);
    assert_eq!(
        change.touched.services,
        ["one", "two", "three"].map(key).into()
    );
    assert_quiet(&running, &mut changes).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_carries_the_time_of_its_earliest_commit() {
    let running = start();
    let mut changes = running.handle.subscribe();
    let updates = running.registry("a");
    let begin = tokio::time::Instant::now();
    replace(&updates, "one", vec![service("one")]).await;
    running.handle.registries().await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    replace(&updates, "two", vec![service("two")]).await;
    running.handle.registries().await.unwrap();
    assert_eq!(next(&mut changes).await.since, begin);
}

#[tokio::test(start_paused = true)]
async fn an_equal_mesh_wakes_nobody_and_keeps_its_values() {
    let running = start();
    let updates = running.registry("a");
    let objects = || {
        vec![
            service("web"),
            part("web", "1", &["10.0.0.1"]),
            service_entry("ext"),
        ]
    };
    replace(&updates, "all", objects()).await;
    running.handle.registries().await.unwrap();
    let before = running.handle.mesh();
    let mut changes = running.handle.subscribe();

    let mut again = objects();
    for object in &mut again {
        object.origin = origin("elsewhere");
        object.meta.generation += 1;
    }
    replace(&updates, "all", again).await;
    assert_quiet(&running, &mut changes).await;
    let after = running.handle.mesh();
    for (before, after) in before.services().zip(after.services()) {
        assert!(Arc::ptr_eq(before, after));
    }
    for (before, after) in before.rules().zip(after.rules()) {
        assert!(Arc::ptr_eq(before, after));
    }
    let source = &after.sources(&key("web"))[0];
    assert_eq!(
        after.origin(source),
        Some(&origin("elsewhere")),
        "where it stands is kept up to date"
    );
}

#[tokio::test(start_paused = true)]
async fn mesh_config_is_part_of_the_mesh() {
    let running = start();
    let mut changes = running.handle.subscribe();
    running.handle.set_mesh_config(Arc::default());
    assert_quiet(&running, &mut changes).await;
    let config = Arc::new(MeshConfig {
        proxy_http_port: Some(15007),
        ..MeshConfig::default()
    });
    running.handle.set_mesh_config(Arc::clone(&config));
    let change = next(&mut changes).await;
    assert_eq!(
        change.touched,
        Touched {
            config: true,
            ..Touched::default()
        }
    );
    assert_eq!(change.mesh.config(), &config);
}

#[tokio::test(start_paused = true)]
async fn losing_one_registry_does_not_touch_another() {
    let running = start();
    let (a, b) = (running.registry("a"), running.registry("b"));
    replace(
        &a,
        "all",
        vec![service("web"), part("web", "1", &["10.0.0.1"])],
    )
    .await;
    replace(
        &b,
        "all",
        vec![service("web"), part("web", "1", &["10.0.0.2"])],
    )
    .await;
    running.handle.registries().await.unwrap();
    assert_eq!(
        endpoints(&running.handle.mesh(), "web"),
        ["10.0.0.1", "10.0.0.2"]
    );
    a.close().await.unwrap();
    running.handle.registries().await.unwrap();
    assert_eq!(endpoints(&running.handle.mesh(), "web"), ["10.0.0.2"]);
}

#[tokio::test(start_paused = true)]
async fn readiness_waits_for_every_required_registry() {
    let running = start();
    let readiness = running.handle.readiness().clone();
    let (a, b) = (running.registry("a"), running.registry("b"));
    replace(&a, "all", vec![service("web")]).await;
    a.synced().await.unwrap();
    running.handle.registries().await.unwrap();
    running.registry("b");
    running.handle.registries().await.unwrap();
    let pending: Vec<_> = readiness
        .pending()
        .into_iter()
        .map(|step| step.name.to_string())
        .collect();
    assert_eq!(pending, ["registry Test/b"]);

    replace(&b, "all", vec![service("db")]).await;
    b.synced().await.unwrap();
    readiness.ready().await;
    assert_eq!(
        running.handle.mesh().service_count(),
        2,
        "what was delivered is published"
    );
}

#[tokio::test(start_paused = true)]
async fn an_optional_registry_is_waited_for_until_its_deadline() {
    let running = start();
    let begin = tokio::time::Instant::now();
    let id = RegistryId::new("Test", "slow");
    let _updates = running
        .handle
        .updates(&id, Need::Optional(Duration::from_secs(7)));
    running.handle.readiness().ready().await;
    assert_eq!(begin.elapsed().as_secs(), 7);
    let step = &running.handle.readiness().progress()[0];
    assert_eq!(step.note.as_deref(), Some("started without it"));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stops_makes_nothing_ready_and_tells_everybody() {
    let mut running = start();
    let updates = running.registry("a");
    let mut changes = running.handle.subscribe();
    running.stop.cancel();
    running.tasks.join_next().await.unwrap().unwrap();
    assert!(!running.handle.readiness().is_ready());
    assert!(changes.next().await.is_none());
    assert!(updates.synced().await.is_err());
    assert!(running.handle.registries().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_new_run_keeps_what_it_does_not_replace_until_it_is_synced() {
    let running = start();
    let updates = running.registry("a");
    replace(&updates, "one", vec![service("one")]).await;
    replace(&updates, "two", vec![service("two")]).await;
    updates.synced().await.unwrap();
    running.handle.registries().await.unwrap();

    let updates = running.registry("a");
    replace(&updates, "one", vec![service("one")]).await;
    running.handle.registries().await.unwrap();
    assert_eq!(running.handle.mesh().service_count(), 2);
    updates.synced().await.unwrap();
    let view = running.view("a").await;
    assert_eq!((view.runs, view.synced_runs), (2, 2));
    assert_eq!(running.handle.mesh().service_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_set_that_fails_outlives_a_run_that_cannot_replace_it() {
    let running = start();
    let updates = running.registry("a");
    replace(&updates, "one", vec![service("one")]).await;
    updates.synced().await.unwrap();

    let updates = running.registry("a");
    updates.failing(
        Some(&SetId::new("one")),
        &std::io::Error::other("forbidden"),
    );
    updates.synced().await.unwrap();
    let failing = |view: RegistryView| {
        view.sets[0]
            .failing
            .as_ref()
            .map(|failing| failing.why.to_string())
    };
    assert_eq!(failing(running.view("a").await), Some("forbidden".into()));
    assert_eq!(running.handle.mesh().service_count(), 1);

    let mut tx = updates.begin();
    tx.readable(&SetId::new("one"));
    tx.commit().await.unwrap();
    assert_eq!(failing(running.view("a").await), None);
    assert_eq!(running.handle.mesh().service_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn warnings_of_an_adapter_reject_nothing() {
    let running = start();
    let updates = running.registry("a");
    let set = SetId::new("all");
    let web = service("web");
    let source = crate::mesh::Source {
        registry: updates.id().clone(),
        object: web.meta.key.clone(),
    };
    let warning = Problem::warning("spec", "odd");
    let mut tx = updates.begin();
    tx.replace(set.clone(), vec![web.clone()]);
    tx.reject(
        &set,
        Some(web.meta.key.clone()),
        origin("here"),
        vec![warning.clone()],
    );
    tx.commit().await.unwrap();
    running.view("a").await;
    let status = running.handle.status().get();
    let said = status.object(&source).expect("a warning");
    assert_eq!(
        (said.rejected.len(), &said.warnings),
        (0, &[warning].into())
    );
    assert!(running.handle.mesh().service(&key("web")).is_some());

    replace(&updates, "all", vec![web]).await;
    running.view("a").await;
    assert!(running.handle.status().get().object(&source).is_none());
}
