//! The writer with a store, and with a server that hands back what is written, as watches do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::model::AutomaticAddress;
use pilothouse_core::registry::{
    Meta, Need, Object, ObjectKey, Origin, RegistryId, SetId, Updates, Value as Kept,
};
use pilothouse_core::rules::RuleSpec;
use pilothouse_core::store::{self, Store, StoreHandle};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Fake;
use crate::status::known::{Entry, Known, Place};
use crate::status::lease::Leadership;
use crate::status::verdicts::Verdicts;
use crate::status::writer::Writer;
use crate::status::{Writes, verdicts};

const BELOW: &str = "/apis/networking.istio.io/v1/namespaces/shop/serviceentries";

struct World {
    fake: Fake,
    known: Known,
    store: StoreHandle,
    updates: Updates,
    others: watch::Sender<BTreeMap<String, Verdicts>>,
    lead: watch::Sender<Option<Instant>>,
    _tasks: JoinSet<()>,
}

fn registry() -> RegistryId {
    RegistryId::new("Kubernetes", "east")
}

fn meta(name: &str) -> Meta {
    Meta::new("ServiceEntry", "shop", name)
}

fn spec(host: &str) -> Value {
    json!({
        "hosts": [host], "ports": [{"number": 80, "name": "http"}], "resolution": "STATIC",
        "endpoints": [{"address": "10.0.0.1"}],
    })
}

fn place() -> Arc<Place> {
    Arc::new(Place {
        api_version: "networking.istio.io/v1".into(),
        plural: "serviceentries".into(),
    })
}

fn entry(object: &Value) -> (ObjectKey, Entry) {
    let name = object["metadata"]["name"].as_str().unwrap();
    let generation = object["metadata"]["generation"].as_i64().unwrap();
    let version = object["metadata"]["resourceVersion"].as_str().unwrap();
    let entry = Entry::of(place(), generation, version, &object["status"]);
    (meta(name).key, entry)
}

/// Hands over what the server has whenever it differs, as a watch does.
async fn watching(fake: Fake, known: Known) {
    let mut seen = BTreeMap::new();
    loop {
        for object in fake.below(&format!("{BELOW}/")) {
            let (key, entry) = entry(&object);
            if seen.insert(key.clone(), object.clone()).as_ref() != Some(&object) {
                known.applied(key, entry);
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn start(writes: Writes) -> World {
    let (store, handle) = Store::new(store::Settings::default());
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(store.run(stop.clone()));
    let updates = handle.updates(&registry(), Need::Required);
    let (fake, known) = (Fake::default(), Known::default());
    tasks.spawn(watching(fake.clone(), known.clone()));
    let (lead, leading) = Leadership::new();
    lead.send_replace(Some(Instant::now() + Duration::from_secs(1_000_000)));
    let (others, hear) = watch::channel(BTreeMap::new());
    let writer = Writer::new(fake.api(), registry(), known.clone(), writes, 5);
    tasks.spawn(writer.run(handle.clone(), leading, hear, stop));
    World {
        fake,
        known,
        store: handle,
        updates,
        others,
        lead,
        _tasks: tasks,
    }
}

impl World {
    /// Objects as the server and the store have them.
    async fn apply(&self, generation: i64, objects: &[(&str, Value)]) {
        let mut tx = self.updates.begin();
        let set = SetId::new("serviceentries");
        for (name, spec) in objects {
            let (rule, _) =
                RuleSpec::parse("networking.istio.io/v1", "ServiceEntry", spec).unwrap();
            tx.put(
                &set,
                Object {
                    meta: meta(name),
                    origin: Origin::new("1"),
                    value: Kept::Rule(rule),
                },
            );
        }
        tx.commit().await.unwrap();
        for (name, spec) in objects {
            let path = format!("{BELOW}/{name}");
            let status = self.fake.get(&path).map(|object| object["status"].clone());
            self.fake.put(
                &path,
                json!({
                    "metadata": {"name": name, "generation": generation},
                    "spec": spec,
                    "status": status.unwrap_or_default(),
                }),
            );
        }
    }

    fn conditions(&self, name: &str) -> Vec<String> {
        let object = self.fake.get(&format!("{BELOW}/{name}")).unwrap();
        let text = |one: &Value| {
            let text = |field: &str| one[field].as_str().unwrap_or_default().to_owned();
            format!(
                "{}={} {} {}",
                text("type"),
                text("status"),
                text("reason"),
                one["observedGeneration"]
            )
        };
        let all = object["status"]["conditions"].as_array();
        all.into_iter().flatten().map(text).collect()
    }

    /// Everything has been written that is to be.
    async fn settled(&self) {
        sleep(Duration::from_secs(10)).await;
    }
}

const ACCEPTED: &str = "pilothouse.dev/Accepted=True Accepted 1";
const INVALID: &str = "pilothouse.dev/Accepted=False Invalid 2";

#[tokio::test(start_paused = true)]
async fn every_object_is_told_once() {
    let world = start(Writes::Auto).await;
    world
        .apply(1, &[("web", spec("web.shop")), ("db", spec("db.shop"))])
        .await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(
        world.fake.changes(),
        [""; 0],
        "not before everything is there"
    );
    world.updates.synced().await.unwrap();
    world.settled().await;
    let path = |name: &str| format!("PATCH {BELOW}/{name}/status");
    let mut changes = world.fake.changes();
    changes.sort();
    // Addresses and conditions.
    assert_eq!(changes, [path("db"), path("db"), path("web"), path("web")]);
    assert_eq!(world.conditions("web"), [ACCEPTED]);

    let work = world.store.work();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(world.fake.changes(), [""; 0], "nothing differs");
    assert_eq!(world.store.work(), work, "and the mesh has nothing to do");

    let bad = json!({"hosts": [], "ports": []});
    world.apply(2, &[("web", bad)]).await;
    world.settled().await;
    assert_eq!(world.fake.changes(), [path("web")]);
    assert_eq!(world.conditions("web"), [INVALID]);
    world.apply(2, &[("web", spec("web.shop"))]).await;
    world.settled().await;
    assert_eq!(world.conditions("web"), [ACCEPTED.replace('1', "2")]);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_hold_the_lease_writes_nothing() {
    let world = start(Writes::Auto).await;
    world.lead.send_replace(None);
    world.apply(1, &[("web", spec("web.shop"))]).await;
    world.updates.synced().await.unwrap();
    world.settled().await;
    assert_eq!(world.fake.changes(), [""; 0]);
    world
        .lead
        .send_replace(Some(Instant::now() + Duration::from_secs(9)));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.conditions("web"), [ACCEPTED]);
    sleep(Duration::from_secs(10)).await;
    world.fake.changes();
    world.apply(2, &[("web", spec("web.shop"))]).await;
    world.settled().await;
    assert_eq!(world.fake.changes(), [""; 0], "the lease has run out");
}

#[tokio::test(start_paused = true)]
async fn proxies_of_all_replicas_are_counted() {
    let world = start(Writes::Auto).await;
    world.apply(1, &[("web", spec("web.shop"))]).await;
    world.updates.synced().await.unwrap();
    let source = pilothouse_core::mesh::Source {
        registry: registry(),
        object: meta("web").key,
    };
    let type_url = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
    world
        .store
        .status()
        .nacked(&source, "p1", type_url, "bad port");
    let other = verdicts::of(&world.store.status().get(), &registry());
    world.others.send_replace([("b".to_owned(), other)].into());
    world.settled().await;
    let object = world.fake.get(&format!("{BELOW}/web")).unwrap();
    let refused = &object["status"]["conditions"][1];
    assert_eq!(refused["type"], "pilothouse.dev/Refused");
    assert_eq!(refused["message"], "2 proxies, Cluster: bad port");
    world.store.status().disconnected("p1");
    world.others.send_replace(BTreeMap::new());
    world.settled().await;
    assert_eq!(world.conditions("web"), [ACCEPTED]);
}

/// As Istio's own controller writes.
fn with_theirs(world: &World, name: &str) {
    let path = format!("{BELOW}/{name}");
    let mut object = world.fake.get(&path).unwrap();
    let list = object["status"]["conditions"].as_array().cloned();
    let mut list = list.unwrap_or_default();
    list.push(json!({"type": "Reconciled", "status": "True"}));
    object["status"]["conditions"] = list.into();
    world.fake.put(&path, object);
}

const THEIRS: &str = "Reconciled=True  null";

#[tokio::test(start_paused = true)]
async fn another_controllers_conditions_are_left_alone() {
    let check = async |writes, atomic: bool, expected: &[&str]| {
        let world = start(writes).await;
        if atomic {
            world.fake.atomic();
        }
        world.apply(1, &[("web", spec("web.shop"))]).await;
        with_theirs(&world, "web");
        world.updates.synced().await.unwrap();
        world.settled().await;
        assert_eq!(world.conditions("web"), expected, "{writes:?} {atomic}");
        world.fake.changes();
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(world.fake.changes(), [""; 0], "{writes:?} {atomic}");
    };
    check(Writes::Auto, false, &[THEIRS]).await;
    check(Writes::Auto, true, &[THEIRS]).await;
    check(Writes::On, false, &[THEIRS, ACCEPTED]).await;
    check(Writes::On, true, &[THEIRS, ACCEPTED]).await;
}

#[tokio::test(start_paused = true)]
async fn ours_go_when_another_controller_comes() {
    for atomic in [false, true] {
        let world = start(Writes::Auto).await;
        if atomic {
            world.fake.atomic();
        }
        world.apply(1, &[("web", spec("web.shop"))]).await;
        world.updates.synced().await.unwrap();
        world.settled().await;
        assert_eq!(world.conditions("web"), [ACCEPTED]);
        with_theirs(&world, "web");
        world.settled().await;
        assert_eq!(world.conditions("web"), [THEIRS], "{atomic}");
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_who_undoes_it_is_not_fought() {
    let world = start(Writes::Auto).await;
    world.apply(1, &[("web", spec("web.shop"))]).await;
    world.updates.synced().await.unwrap();
    world.settled().await;
    world.fake.changes();
    let path = format!("{BELOW}/web");
    for _ in 0..3600 {
        let mut object = world.fake.get(&path).unwrap();
        if object["status"]["conditions"].is_array() {
            object["status"]["conditions"] = Value::Null;
            world.fake.put(&path, object);
        }
        sleep(Duration::from_secs(1)).await;
    }
    let writes = world.fake.changes().len();
    assert!((8..=16).contains(&writes), "{writes} in an hour");
}

#[tokio::test(start_paused = true)]
async fn many_objects_are_written_a_few_a_second_the_bad_ones_first() {
    let world = start(Writes::Auto).await;
    let names: Vec<_> = (0..100).map(|n| format!("web{n:03}")).collect();
    let with_address = |host: &str| {
        let mut spec = spec(host);
        spec["addresses"] = json!(["10.1.1.1"]);
        spec
    };
    let objects: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), with_address(&format!("{name}.shop"))))
        .chain([("zzz", json!({"hosts": []}))])
        .collect();
    world.apply(1, &objects).await;
    world.updates.synced().await.unwrap();
    sleep(Duration::from_secs(10)).await;
    let changes = world.fake.changes();
    assert_eq!(changes[0], format!("PATCH {BELOW}/zzz/status"));
    assert!((40..=55).contains(&changes.len()), "{}", changes.len());
    sleep(Duration::from_secs(15)).await;
    assert_eq!(world.fake.changes().len() + changes.len(), 101);
}

#[tokio::test(start_paused = true)]
async fn addresses_are_kept_with_their_object() {
    let world = start(Writes::Auto).await;
    world.apply(1, &[("web", spec("web.shop"))]).await;
    world.updates.synced().await.unwrap();
    world.settled().await;
    let given = |world: &World| {
        let mesh = world.store.mesh();
        mesh.services().next().unwrap().automatic.unwrap()
    };
    let object = world.fake.get(&format!("{BELOW}/web")).unwrap();
    let kept = crate::status::kept(&object["status"]);
    let kept: Vec<AutomaticAddress> = kept.unwrap().values().copied().collect();
    assert_eq!(kept, [given(&world)]);
    let mut own = spec("web.shop");
    own["addresses"] = json!(["10.1.1.1"]);
    world.apply(2, &[("web", own)]).await;
    world.settled().await;
    assert_eq!(world.known.all().len(), 1);
    let object = world.fake.get(&format!("{BELOW}/web")).unwrap();
    assert_eq!(crate::status::kept(&object["status"]), None);
}

#[tokio::test(start_paused = true)]
async fn addresses_of_another_are_left_alone() {
    let world = start(Writes::Auto).await;
    world.apply(1, &[("web", spec("web.shop"))]).await;
    with_theirs(&world, "web");
    let path = format!("{BELOW}/web");
    let mut object = world.fake.get(&path).unwrap();
    object["status"]["addresses"] = json!([{"host": "web.shop", "value": "10.9.9.9"}]);
    world.fake.put(&path, object);
    world.fake.refuse(Some(409));
    world.updates.synced().await.unwrap();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(world.fake.changes(), [format!("PATCH {path}/status")]);
}
