//! A store, a publisher and a proxy, in one process: what operators and authors see of it.

use std::time::Duration;

use pilothouse_core::debounce;
use pilothouse_core::mesh::Source;
use pilothouse_core::registry::{
    EndpointPart, Meta, Need, Object, Origin, Problem, RegistryId, SetId, Updates, Value,
};
use pilothouse_core::status::ObjectStatus;
use pilothouse_core::store::{self, Store, StoreHandle};
use prometheus_client::encoding::text::encode;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::publisher::Publisher;
use crate::resource::ResourceType;
use crate::sample::{With, endpoint, grpc_client, sidecar, tcp};
use crate::server::{Attachment, Source as _};

struct World {
    exposition: Registry,
    store: StoreHandle,
    updates: Updates,
    hub: crate::hub::Hub,
    _tasks: JoinSet<()>,
}

impl World {
    fn start() -> Self {
        let mut exposition = Registry::default();
        let metrics = Metrics::new(&mut exposition, "1.2.3");
        let (store, handle) = Store::new(store::Settings::default());
        let (publisher, hub) =
            Publisher::new(&handle, debounce::Settings::default(), metrics.clone());
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let ended = stop.clone();
        tasks.spawn(async move { publisher.run(ended).await.unwrap() });
        tasks.spawn(metrics.follow(handle.clone(), stop.clone()));
        tasks.spawn(store.run(stop));
        let updates = handle.updates(&RegistryId::new("Test", "one"), Need::Required);
        Self {
            exposition,
            store: handle,
            updates,
            hub,
            _tasks: tasks,
        }
    }

    async fn put(&self, objects: Vec<Object>) {
        let mut tx = self.updates.begin();
        tx.replace(SetId::new("all"), objects);
        tx.commit().await.unwrap();
    }

    async fn connect(&self, proxy: Proxy) -> Box<dyn Attachment> {
        self.eventually(|| self.hub.is_ready()).await;
        let attached = self.hub.connect(Arc::new(proxy)).unwrap();
        self.eventually(|| attached.current().is_some()).await;
        attached
    }

    fn status(&self, host: &str) -> Option<Arc<ObjectStatus>> {
        let source = Source {
            registry: RegistryId::new("Test", "one"),
            object: service(host, None, &[]).meta.key,
        };
        self.store.status().get().object(&source).cloned()
    }

    /// Waits until a scrape has these lines.
    async fn scraped(&self, lines: &[&str]) {
        let scrape = || {
            let mut text = String::new();
            encode(&mut text, &self.exposition).unwrap();
            text
        };
        let missing = || {
            let text = scrape();
            let line = lines
                .iter()
                .find(|line| !text.lines().any(|l| l == **line))?;
            Some(format!("{line} is missing in:\n{text}"))
        };
        for _ in 0..1_000 {
            if missing().is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{}", missing().unwrap_or_default());
    }

    /// Time is paused, so that what is waited for here takes none.
    async fn eventually(&self, condition: impl Fn() -> bool) {
        for _ in 0..10_000 {
            if condition() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("what was waited for has not happened");
    }
}

fn service(host: &str, created: Option<i64>, addresses: &[&str]) -> Object {
    let service = crate::sample::service(host, [tcp(80)]).at(addresses);
    let service = match created {
        Some(second) => service.created(second),
        None => service,
    };
    Object {
        meta: Meta::new("Service", "shop", host),
        origin: Origin::new("test"),
        value: Value::from(service),
    }
}

fn part(host: &str, addresses: &[&str]) -> Object {
    let Value::Service(service) = service(host, None, &[]).value else {
        unreachable!()
    };
    let endpoints = addresses.iter().map(|address| Endpoint {
        health: if address.ends_with('9') {
            Health::Unhealthy
        } else {
            Health::Healthy
        },
        ..endpoint(address)
    });
    Object {
        meta: Meta::new("Endpoints", "shop", host),
        origin: Origin::new("test"),
        value: Value::Endpoints(EndpointPart {
            service: service.key.clone(),
            part: "1".into(),
            endpoints: endpoints.collect(),
        }),
    }
}

#[tokio::test(start_paused = true)]
async fn a_scrape_tells_what_changes_have_done() {
    let world = World::start();
    world.scraped(&["pilothouse_registries_pending 1"]).await;
    let old = service("old.com", Some(1), &["10.1.0.1"]);
    let young = service("young.com", Some(2), &["10.1.0.1"]);
    let mut tx = world.updates.begin();
    let set = SetId::new("all");
    tx.replace(
        set.clone(),
        vec![
            old.clone(),
            young.clone(),
            part("old.com", &["10.0.0.8", "10.0.0.9"]),
        ],
    );
    let bad = service("bad.com", None, &[]).meta.key;
    tx.reject(
        &set,
        Some(bad),
        Origin::new("test"),
        vec![Problem::error("spec", "is bad")],
    );
    tx.commit().await.unwrap();
    world.updates.synced().await.unwrap();
    let attached = world.connect(sidecar()).await;
    world
        .scraped(&[
            "istio_build{component=\"pilot\",tag=\"1.2.3\"} 1",
            "pilot_services 2",
            "pilot_inbound_updates{type=\"svc\"} 2",
            "pilot_inbound_updates{type=\"eds\"} 1",
            "pilot_total_rejected_configs 1",
            "pilothouse_registries_pending 0",
            "pilot_eds_no_instances 1",
            "pilot_endpoint_not_ready 1",
            "pilot_no_ip 1",
            "pilot_conflict_outbound_listener_tcp_over_current_tcp 1",
            "pilot_conflict_inbound_listener 0",
            "pilothouse_registry_failing_seconds{registry=\"Test/one\"} 0.0",
            "pilothouse_registry_held_seconds{registry=\"Test/one\"} 0.0",
        ])
        .await;

    // The proxy's own address is an endpoint of a service, and nothing is in conflict any more.
    let moved = service("young.com", Some(2), &["10.1.0.2"]);
    world
        .put(vec![old, moved, part("young.com", &["10.0.0.1"])])
        .await;
    world
        .scraped(&[
            "pilot_eds_no_instances 1",
            "pilot_endpoint_not_ready 0",
            "pilot_no_ip 0",
            "pilot_conflict_outbound_listener_tcp_over_current_tcp 0",
            "pilot_total_rejected_configs 0",
        ])
        .await;
    drop(attached);

    let mut tx = world.updates.begin();
    tx.clear(SetId::new("all"));
    tx.doubtful("the list is empty".to_owned());
    tx.commit().await.unwrap();
    world
        .updates
        .failing(None, &std::io::Error::other("the link is down"));
    let before = tokio::time::Instant::now();
    let age = |text: &str, what: &str| {
        let name = format!("pilothouse_registry_{what}_seconds{{registry=\"Test/one\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name))?;
        value.parse::<f64>().ok()
    };
    world
        .eventually(|| {
            let mut text = String::new();
            encode(&mut text, &world.exposition).unwrap();
            ["failing", "held"]
                .iter()
                .all(|what| age(&text, what).is_some_and(|seconds| seconds > 30.0))
        })
        .await;
    assert!(
        before.elapsed() < Duration::from_secs(35),
        "it grows while nothing happens"
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_loses_its_address_is_told_who_has_it() {
    let world = World::start();
    let all = |young: &[&str]| {
        vec![
            service("old.com", Some(1), &["10.1.0.1"]),
            service("young.com", Some(2), young),
        ]
    };
    world.put(all(&["10.1.0.1"])).await;
    world.updates.synced().await.unwrap();
    let _attached = world.connect(sidecar()).await;
    world
        .eventually(|| world.status("young.com").is_some())
        .await;
    let status = world.status("young.com").unwrap();
    let lost: Vec<_> = status
        .lost
        .iter()
        .map(|lost| (lost.to.object.to_string(), lost.why.to_string()))
        .collect();
    let why = "shop/old.com gets the connections to 10.1.0.1_80: of services that nothing tells apart there, the oldest is used";
    assert_eq!(lost, [("Service shop/old.com".to_owned(), why.to_owned())]);
    assert!(
        status.is_accepted(),
        "it is there, on other ports and addresses"
    );
    assert!(world.status("old.com").is_none());

    world.put(all(&["10.1.0.2"])).await;
    world
        .eventually(|| world.status("young.com").is_none())
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_grpc_client_shares_load_assignments_with_envoys_and_nothing_else() {
    let world = World::start();
    world.updates.begin().commit().await.unwrap();
    world.updates.synced().await.unwrap();
    let grpc = world.connect(grpc_client()).await;
    let names = |resource_type| -> Vec<String> {
        let snapshot = grpc.current().unwrap();
        let all = snapshot.set(resource_type).iter();
        all.map(|resource| resource.name.to_string()).collect()
    };
    let nothing: Vec<String> = ResourceType::ALL.into_iter().flat_map(names).collect();
    assert_eq!(nothing, Vec::<String>::new(), "of no mesh");

    let envoy = world.connect(sidecar()).await;
    world
        .put(vec![
            service("a.com", None, &[]),
            part("a.com", &["10.0.0.8"]),
        ])
        .await;
    let cluster = "outbound|80||a.com".to_owned();
    world
        .eventually(|| names(ResourceType::Listener).len() == 1)
        .await;
    assert_eq!(names(ResourceType::Listener), ["a.com:80"]);
    for resource_type in [
        ResourceType::Cluster,
        ResourceType::Endpoint,
        ResourceType::Route,
    ] {
        assert_eq!(
            names(resource_type),
            [cluster.as_str()],
            "{resource_type:?}"
        );
    }
    let assignment = |attached: &dyn Attachment| {
        let snapshot = attached.current().unwrap();
        snapshot.assignments.bodies.get(&cluster).cloned()
    };
    let (hers, his) = (assignment(&*grpc).unwrap(), assignment(&*envoy).unwrap());
    assert!(Arc::ptr_eq(&hers, &his));
}

#[tokio::test(start_paused = true)]
async fn rules_for_some_clients_and_by_locality_reach_those_that_are_connected() {
    let world = World::start();
    let mut all = vec![
        service("a.com", None, &[]),
        part("a.com", &["10.0.0.8", "10.0.0.7"]),
    ];
    if let Value::Endpoints(part) = &mut all[1].value {
        part.endpoints[0].locality = Locality::parse("r/far");
        part.endpoints[1].locality = Locality::parse("r/near");
    }
    world.put(all.clone()).await;
    world.updates.synced().await.unwrap();
    let client = |last: u8, app: &str| Proxy {
        addresses: vec![ip(last)],
        labels: [("app", app)].into_iter().collect(),
        locality: Locality::parse("r/near"),
        ..sidecar()
    };
    let (web, other) = (
        world.connect(client(1, "web")).await,
        world.connect(client(2, "db")).await,
    );
    let has = |attached: &dyn Attachment| {
        let snapshot = attached.current().unwrap();
        let name = "outbound|80||a.com";
        let json = |body| crate::json::any_to_json(body).unwrap().to_string();
        let cluster = json(&snapshot.clusters.get(name).unwrap().body);
        let assignment = json(&snapshot.assignments.bodies.get(name).unwrap().body);
        (
            cluster.contains("outlier_detection"),
            assignment.contains(r#""priority":1"#),
        )
    };
    let rule = |app: &str| {
        let spec = json!({
            "host": "a.com",
            "trafficPolicy": {"outlierDetection": {}},
            "workloadSelector": {"matchLabels": {"app": app}},
        });
        let kind = "DestinationRule";
        let (spec, _) = RuleSpec::parse("networking.istio.io/v1", kind, &spec).unwrap();
        Object {
            meta: Meta::new(kind, "shop", "it"),
            origin: Origin::new("test"),
            value: Value::Rule(spec),
        }
    };
    let check = async |rules: Vec<Object>, expected: [bool; 2]| {
        let objects = all.iter().cloned().chain(rules).collect();
        world.put(objects).await;
        let expected = expected.map(|governed| (governed, governed));
        world
            .eventually(|| [has(&*web), has(&*other)] == expected)
            .await;
    };
    check(vec![rule("web")], [true, false]).await;
    check(vec![rule("db")], [false, true]).await;
    check(vec![rule("nobody")], [false, false]).await;
    check(vec![rule("web")], [true, false]).await;
    check(vec![], [false, false]).await;
}
