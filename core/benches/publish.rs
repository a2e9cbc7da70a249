//! What it costs to publish one change: 10,000 services of 10 endpoints, one endpoint list edited at a time.
//!
//! The time is that from the commit to the change in a subscriber's hands, on one thread, so that it holds the store's work
//! and nothing of the scheduler's. `cargo bench -p pilothouse-core`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement for people, on input of its own"
)]

use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::model::{
    Address, Endpoint, Host, Labels, Location, Protocol, Resolution, Service, ServiceKey,
    ServicePort, ServiceSource,
};
use pilothouse_core::registry::{
    EndpointPart, Meta, Need, Object, Origin, RegistryId, SetId, Updates, Value,
};
use pilothouse_core::rules::{RuleSpec, spec};
use pilothouse_core::store::{Changes, Settings, Store};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const SERVICES: usize = 10_000;
const ENDPOINTS: usize = 10;
const ROUNDS: usize = 2_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (store, handle) = Store::new(Settings::default());
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(store.run(stop.clone()));
    let updates = handle.updates(&RegistryId::new("Bench", "bench"), Need::Required);
    let mut changes = handle.subscribe();

    let begin = Instant::now();
    let mut tx = updates.begin();
    tx.replace(
        SetId::new("platform"),
        (0..SERVICES)
            .flat_map(|n| [service(n), part(n, 0)])
            .collect(),
    );
    tx.replace(
        SetId::new("rules"),
        (0..SERVICES).map(|n| entry(n, 0)).collect(),
    );
    tx.commit().await.unwrap();
    let change = changes.next().await.unwrap();
    println!(
        "{} services in one transaction: {:?}",
        change.mesh.service_count(),
        begin.elapsed()
    );
    let begin = Instant::now();
    updates.synced().await.unwrap();
    let given = changes.next().await.unwrap().touched.services.len();
    println!("{given} automatic addresses: {:?}", begin.elapsed());

    // Somebody keeps every version alive for a while, as consumers do.
    let mut kept = Vec::new();
    for (name, edit) in [
        (
            "endpoints of a platform's service",
            part as fn(usize, usize) -> Object,
        ),
        ("a platform's service that is equal", |n, _| service(n)),
        ("a ServiceEntry with its endpoints", entry),
        ("a ServiceEntry of a new host", |n, round| {
            entry(n + SERVICES * (1 + round % 5), round)
        }),
    ] {
        let cpu = cpu_time();
        let mut times = Vec::with_capacity(ROUNDS);
        for round in 1..=ROUNDS {
            let object = edit(round * 7 % SERVICES, round);
            times.push(publish(&updates, &mut changes, &handle, object).await);
            kept.push(handle.mesh());
            if kept.len() > 8 {
                kept.clear();
            }
        }
        times.sort();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        let cpu = cpu
            .zip(cpu_time())
            .map(|(before, after)| (after - before) / ROUNDS as u32);
        println!(
            "{name}: p50 {:?}, p99 {:?}, max {:?}; CPU {cpu:?}",
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
    stop.cancel();
    tasks.join_all().await;
}

/// The time that this thread has had on a processor, where Linux tells: unlike the clock's, it is the same on a busy machine.
fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

/// Commits one object and returns when the store has published what came of it.
async fn publish(
    updates: &Updates,
    changes: &mut Changes,
    handle: &pilothouse_core::store::StoreHandle,
    object: Object,
) -> Duration {
    let set = SetId::new(if matches!(object.value, Value::Rule(_)) {
        "rules"
    } else {
        "platform"
    });
    let mut activity = handle.activity();
    activity.borrow_and_update();
    let begin = Instant::now();
    let mut tx = updates.begin();
    tx.put(&set, object);
    tx.commit().await.unwrap();
    activity.changed().await.unwrap();
    changes.take();
    begin.elapsed()
}

fn key(n: usize) -> ServiceKey {
    let namespace = format!("ns{}", n % 100).as_str().into();
    ServiceKey {
        namespace,
        host: Host::new(&format!("service-{n}.ns{}.svc.cluster.local", n % 100)).unwrap(),
    }
}

fn object(kind: &str, n: usize, value: Value) -> Object {
    Object {
        meta: Meta::new(kind, &format!("ns{}", n % 100), &format!("service-{n}")),
        origin: Origin::new("bench"),
        value,
    }
}

fn service(n: usize) -> Object {
    let port = ServicePort {
        port: 80,
        name: "http".into(),
        protocol: Protocol::Http,
        target_port: None,
        target_name: None,
    };
    let service = Service {
        key: key(n),
        name: format!("service-{n}").into(),
        source: ServiceSource::Platform,
        created: None,
        labels: Labels::default(),
        ports: vec![port],
        addresses: [("".into(), vec![ip(n, 0).parse().unwrap()])].into(),
        automatic: None,
        resolution: Resolution::ClientSide,
        location: Location::Internal,
        export_to: None,
        subject_alt_names: Default::default(),
        workload_selector: None,
        publish_not_ready: false,
        prefers: Default::default(),
    };
    object("Service", n, Value::from(service))
}

fn part(n: usize, round: usize) -> Object {
    let endpoint = |e| Endpoint::at(Address::Ip(ip(n, e + round % 7).parse().unwrap()));
    let endpoints = (0..ENDPOINTS).map(endpoint).collect();
    object(
        "Endpoints",
        n,
        Value::Endpoints(EndpointPart {
            service: key(n),
            part: "1".into(),
            endpoints,
        }),
    )
}

fn entry(n: usize, round: usize) -> Object {
    let endpoint = |e| spec::WorkloadEntry {
        address: ip(n, 40 + e + round % 7),
        ..Default::default()
    };
    let entry = spec::ServiceEntry {
        hosts: vec![format!("external-{n}.example.com")],
        ports: vec![spec::ServicePort {
            number: 80,
            protocol: "HTTP".into(),
            name: "http".into(),
            target_port: 0,
        }],
        resolution: spec::Resolution::Static,
        endpoints: (0..ENDPOINTS).map(endpoint).collect(),
        ..Default::default()
    };
    object(
        "ServiceEntry",
        n,
        Value::Rule(RuleSpec::ServiceEntry(Arc::new(entry))),
    )
}

fn ip(n: usize, e: usize) -> String {
    format!("10.{}.{}.{}", n / 250, n % 250, e)
}
