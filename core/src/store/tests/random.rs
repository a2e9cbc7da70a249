//! Properties under random writing: the store agrees with a naive model of its contract, what it computes step by step is
//! what it computes at once, and the order in which registries arrive does not matter.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::build::{
    a_service, http, key, origin, part, selecting, service_entry, workload, workload_entry,
};
use super::build::{object, rule};
use crate::mesh::{Mesh, MeshConfig, VirtualServiceMerge};
use crate::model::{
    Endpoint, Labels, Locality, Namespace, Network, NetworkGateway, Node, Protocol, Service,
    ServicePort, ServiceSource, Workload,
};
use crate::registry::{
    Command, Kind, Need, Object, ObjectKey, Op, Problem, RegistryId, SetId, Transaction, Value,
};
use crate::rules::{self, RuleSpec, spec};
use crate::status::StatusHandle;
use crate::store::join::Join;
use crate::store::shard::Effect;
use crate::store::{GuardSettings, Settings, Store, StoreHandle, merge};

const REGISTRIES: [&str; 3] = ["a", "b", "c"];

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Replace {
        set: u8,
        objects: Vec<Object>,
        rejected: Vec<ObjectKey>,
        unreadable: bool,
    },
    Change {
        set: u8,
        put: Vec<Object>,
        deleted: Vec<ObjectKey>,
    },
    Begin,
    Synced,
    Close,
    TrustDomain(bool),
}

fn names() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["web", "db"])
}

fn ips() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["10.0.0.1", "10.0.0.2", "10.0.0.3"])
}

fn apps() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["x", "y"])
}

fn objects() -> impl Strategy<Value = Object> {
    let ports = prop::sample::select(vec![
        http(80),
        ServicePort {
            name: "web".into(),
            ..http(80)
        },
        ServicePort {
            protocol: Protocol::Tcp,
            ..http(80)
        },
        http(81),
        ServicePort {
            target_port: Some(8080),
            ..http(80)
        },
    ]);
    let selectors = prop::option::weighted(0.3, apps());
    let services = (names(), ports, selectors).prop_map(|(name, port, app)| {
        object(
            "Service",
            name,
            Value::from(Service {
                ports: vec![port],
                workload_selector: app.map(|app| Labels::from_iter([("app", app)])),
                ..a_service(name)
            }),
        )
    });
    let parts = (names(), prop::collection::vec(ips(), 0..3), 0..2_u8)
        .prop_map(|(of, ips, n)| part(of, &n.to_string(), &ips));
    let workloads =
        (names(), ips(), apps(), prop::option::of(names())).prop_map(|(name, ip, app, node)| {
            let mut object = workload(name, ip, app);
            if let Value::Workload(workload) = &mut object.value {
                let workload = Arc::make_mut(workload);
                workload.node = node.map(Into::into);
                workload.service_account = node.map(Into::into);
            }
            object
        });
    let vms = (names(), ips(), apps()).prop_map(|(name, ip, app)| workload_entry(name, ip, app));
    let selecting = (names(), apps()).prop_map(|(name, app)| selecting(name, app));
    let broken =
        names().prop_map(|name| object("ServiceEntry", name, rule(spec::ServiceEntry::default())));
    let virtuals = (names(), prop::sample::select(virtual_services())).prop_map(|(name, spec)| {
        let read = RuleSpec::parse("networking.istio.io/v1", "VirtualService", &spec);
        let (spec, _) = read.unwrap();
        object("VirtualService", name, Value::Rule(spec))
    });
    let namespaces = apps().prop_map(|label| {
        let labels = [("l", label)].into_iter().collect();
        let value = Namespace {
            name: "shop".into(),
            labels,
            network: None,
        };
        object("Namespace", "shop", Value::Namespace(value))
    });
    let nodes = (names(), apps()).prop_map(|(name, region)| {
        let node = Node {
            name: name.into(),
            locality: Locality::parse(region),
        };
        object("Node", name, Value::Node(node))
    });
    let networks = ips().prop_map(|ip| {
        let gateways = vec![NetworkGateway {
            address: ip.parse().unwrap(),
            port: 15443,
        }];
        object(
            "Network",
            "n",
            Value::Network(Network {
                id: "n".into(),
                gateways,
            }),
        )
    });
    let kinds = prop_oneof![
        4 => services,
        4 => parts,
        3 => workloads,
        2 => vms,
        2 => selecting,
        2 => names().prop_map(service_entry),
        2 => virtuals,
        1 => broken,
        1 => namespaces,
        1 => networks,
        2 => nodes,
    ];
    (kinds, prop::option::of(1..3i64), 0..3i64).prop_map(|(mut object, created, generation)| {
        object.meta.created = created.map(|second| Timestamp::from_second(second).unwrap());
        object.meta.generation = generation;
        object.origin = origin(&format!("v{generation}"));
        if let Value::Service(service) = &mut object.value {
            Arc::make_mut(service).created = object.meta.created;
        }
        object
    })
}

/// Rules that compete for hosts, delegate to each other and are seen or not.
fn virtual_services() -> Vec<serde_json::Value> {
    let http = json!([{"route": [{"destination": {"host": "web"}}]}]);
    let delegating = json!([{"delegate": {"name": "web"}}, {"delegate": {"name": "db"}}]);
    vec![
        json!({"hosts": ["a.com"], "http": http}),
        json!({"hosts": ["a.com", "*.com"], "http": http, "exportTo": ["."]}),
        json!({"hosts": ["a.com"], "gateways": ["mesh", "edge"], "http": delegating}),
        json!({"http": http}),
        json!({"http": http, "exportTo": ["elsewhere"]}),
        json!({"http": []}),
    ]
}

fn keys() -> impl Strategy<Value = ObjectKey> {
    objects().prop_map(|object| object.meta.key)
}

fn steps() -> impl Strategy<Value = (usize, Step)> {
    let replace = (
        0..2u8,
        prop::collection::vec(objects(), 0..6),
        prop::collection::vec(keys(), 0..2),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(set, objects, rejected, unreadable)| Step::Replace {
            set,
            objects,
            rejected,
            unreadable,
        });
    let change = (
        0..2u8,
        prop::collection::vec(objects(), 0..3),
        prop::collection::vec(keys(), 0..3),
    )
        .prop_map(|(set, put, deleted)| Step::Change { set, put, deleted });
    let step = prop_oneof![
        8 => replace,
        8 => change,
        1 => Just(Step::Begin),
        2 => Just(Step::Synced),
        1 => Just(Step::Close),
        1 => any::<bool>().prop_map(Step::TrustDomain),
    ];
    (0..REGISTRIES.len(), step)
}

/// A store without a task.
struct Engine {
    store: Store,
    handle: StoreHandle,
}

impl Engine {
    fn new() -> Self {
        let guard = GuardSettings {
            enabled: false,
            ..GuardSettings::default()
        };
        let (store, handle) = Store::new(Settings {
            guard,
            ..Settings::default()
        });
        Self { store, handle }
    }

    /// Sends what a step says. The store applies it with the next [`settle`](Self::settle).
    fn send(&self, registry: usize, step: &Step) {
        let id = RegistryId::new("Test", REGISTRIES[registry]);
        if let Some(transaction) = transaction(step) {
            self.handle
                .inlet
                .send(Command::Commit(id, transaction))
                .unwrap();
            return;
        }
        match step {
            Step::Synced => self.handle.inlet.send(Command::Synced(id)).unwrap(),
            Step::Close => {
                self.handle.inlet.send(Command::Close(id.clone())).unwrap();
                self.handle.updates(&id, Need::Required);
            }
            Step::TrustDomain(other) => {
                let trust_domain = if *other { "other" } else { "cluster.local" }.into();
                self.handle.set_mesh_config(Arc::new(MeshConfig {
                    trust_domain,
                    virtual_service_merge: match other {
                        true => VirtualServiceMerge::Namespace,
                        false => VirtualServiceMerge::Off,
                    },
                    ..MeshConfig::default()
                }));
            }
            _ => drop(self.handle.updates(&id, Need::Required)),
        }
    }

    fn settle(&mut self) {
        let mut batch = Vec::new();
        while let Ok(envelope) = self.store.commands.try_recv() {
            batch.push(envelope);
        }
        self.store.apply(&mut batch);
    }

    /// Statuses, without the count of their changes.
    fn said(&self) -> serde_json::Value {
        let mut status = serde_json::to_value(self.handle.status().get()).unwrap();
        status["revision"].take();
        status
    }
}

/// All registries are open, and addresses are given from the start.
fn opened() -> Engine {
    let mut engine = Engine::new();
    engine.store.join.complete();
    for name in REGISTRIES {
        engine
            .handle
            .updates(&RegistryId::new("Test", name), Need::Required);
    }
    engine
}

fn transaction(step: &Step) -> Option<Transaction> {
    let id = |set: &u8| SetId::new(set.to_string());
    let problems = || vec![Problem::error("", "unreadable")];
    let ops = match step {
        Step::Replace {
            set,
            objects,
            rejected,
            unreadable,
        } => {
            let mut ops = vec![Op::Replace(
                id(set),
                objects.iter().cloned().map(Arc::new).collect(),
            )];
            ops.extend(
                rejected
                    .iter()
                    .map(|key| Op::Reject(id(set), Some(key.clone()), origin("bad"), problems())),
            );
            ops.extend(unreadable.then(|| Op::Reject(id(set), None, origin("bad"), problems())));
            ops
        }
        Step::Change { set, put, deleted } => {
            let put = put
                .iter()
                .map(|object| Op::Put(id(set), Arc::new(object.clone())));
            put.chain(deleted.iter().map(|key| Op::Delete(id(set), key.clone())))
                .collect()
        }
        _ => return None,
    };
    Some(Transaction {
        ops,
        doubtful: None,
        still_doubtful: false,
    })
}

/// The contract of a registry's sets, as simply as it can be written.
#[derive(Default)]
struct Model {
    run: u64,
    sets: BTreeMap<u8, (u64, BTreeMap<ObjectKey, Object>)>,
}

impl Model {
    fn apply(&mut self, step: &Step) {
        let good = |object: &Object| match &object.value {
            Value::Rule(rule) => !rules::check(&object.meta, rule)
                .iter()
                .any(|p| p.severity == crate::registry::Severity::Error),
            _ => true,
        };
        match step {
            Step::Replace {
                set,
                objects,
                rejected,
                unreadable,
            } => {
                let (run, held) = self.sets.entry(*set).or_default();
                *run = self.run;
                let before = std::mem::take(held);
                for object in objects.iter().filter(|object| good(object)) {
                    let known = held
                        .entry(object.meta.key.clone())
                        .or_insert_with(|| object.clone());
                    if object.meta.created < known.meta.created {
                        *known = object.clone();
                    }
                }
                for (key, object) in before {
                    let bad = objects
                        .iter()
                        .any(|object| object.meta.key == key && !good(object));
                    if bad || rejected.contains(&key) || *unreadable {
                        held.entry(key).or_insert(object);
                    }
                }
            }
            Step::Change { set, put, deleted } => {
                let (run, held) = self.sets.entry(*set).or_insert((self.run, BTreeMap::new()));
                let _ = run;
                let last: BTreeMap<_, _> = put
                    .iter()
                    .map(|object| (object.meta.key.clone(), object))
                    .collect();
                for (key, object) in last {
                    if good(object) {
                        held.insert(key, object.clone());
                    }
                }
                deleted.iter().for_each(|key| drop(held.remove(key)));
            }
            Step::Synced => self.sets.retain(|_, (run, _)| *run == self.run),
            Step::Close => {
                *self = Self {
                    run: 1,
                    ..Self::default()
                }
            }
            Step::Begin => self.run += 1,
            Step::TrustDomain(_) => {}
        }
        // A set of which nothing is left is created afresh.
        self.sets.retain(|_, (_, held)| !held.is_empty());
    }

    fn in_force(&self) -> BTreeMap<ObjectKey, Object> {
        let mut all: BTreeMap<ObjectKey, Object> = BTreeMap::new();
        for object in self.sets.values().flat_map(|(_, held)| held.values()) {
            let known = all
                .entry(object.meta.key.clone())
                .or_insert_with(|| object.clone());
            if object.meta.created < known.meta.created {
                *known = object.clone();
            }
        }
        all
    }
}

/// The mesh of all that is in force, computed at once, the registries in another order.
fn at_once(store: &Store) -> Mesh {
    let mut join = Join::new(StatusHandle::new());
    join.complete();
    join.configure(Arc::clone(store.join.mesh().config()));
    for (id, shard) in store.shards.iter().rev() {
        for object in shard.in_force() {
            join.apply(
                id,
                Effect {
                    before: None,
                    after: Some(Arc::clone(object)),
                },
            );
        }
    }
    join.settle();
    join.mesh().clone()
}

/// The endpoints of a service, found by looking at everything.
fn endpoints_by_looking(mesh: &Mesh, store: &Store, name: &str) -> Vec<Endpoint> {
    let key = key(name);
    let Some(service) = mesh.service(&key) else {
        return Vec::new();
    };
    let mut declared = BTreeMap::new();
    let mut parts = Vec::new();
    for (id, shard) in &store.shards {
        for object in shard.in_force() {
            let source = crate::mesh::Source {
                registry: id.clone(),
                object: object.meta.key.clone(),
            };
            match &object.value {
                Value::Service(service) if service.key == key => {
                    declared.insert(source, Arc::clone(service));
                }
                Value::Endpoints(part) if part.service == key => {
                    parts.push((source, part.endpoints.clone()))
                }
                Value::Rule(RuleSpec::ServiceEntry(entry))
                    if mesh
                        .rule(&object.meta.key)
                        .is_some_and(|rule| rule.source == source) =>
                {
                    let cluster = id.cluster.clone();
                    let all = rules::resolve::services(
                        &object.meta,
                        entry,
                        &cluster,
                        &mesh.config().trust_domain,
                    );
                    for (service, endpoints) in
                        all.into_iter().filter(|(service, _)| service.key == key)
                    {
                        parts.push((source.clone(), endpoints.to_vec()));
                        declared.insert(source.clone(), Arc::new(service));
                    }
                }
                _ => {}
            }
        }
    }
    let merged = merge::services(&declared).unwrap();
    let automatic = service.automatic;
    assert_eq!(
        &Arc::new(Service {
            automatic,
            ..Service::clone(&merged.service)
        }),
        service
    );
    let lost = |source: &crate::mesh::Source| merged.lost.iter().any(|(lost, _)| lost == source);
    let mut ips = Vec::new();
    for (source, endpoints) in &parts {
        let service = crate::mesh::Source {
            object: ObjectKey::new(Kind::new("Service"), source.object.namespace.clone(), name),
            registry: source.registry.clone(),
        };
        if !lost(source) && (declared.contains_key(source) || !lost(&service)) {
            ips.extend(endpoints.clone());
        }
    }
    for (source, service) in declared.iter().filter(|(source, _)| !lost(source)) {
        let Some(selector) = &service.workload_selector else {
            continue;
        };
        let stated = |(part, _): &(crate::mesh::Source, Vec<Endpoint>)| {
            part.registry == source.registry && !declared.contains_key(part)
        };
        let stated = parts.iter().any(stated);
        for workload in mesh.workloads() {
            let (by, kind) = declared_by(workload, store);
            let platforms = kind == "Workload" && service.source == ServiceSource::Platform;
            if workload.key.namespace == key.namespace
                && workload.labels.selected_by(selector)
                && !(platforms && (stated || by != source.registry))
            {
                let kind = match kind {
                    "Workload" => ServiceSource::Platform,
                    _ => ServiceSource::Rule,
                };
                ips.extend(rules::resolve::endpoint_of(service, workload, kind));
            }
        }
    }
    ips
}

/// The registry whose declaration of a workload counts, and the kind of that.
fn declared_by(workload: &Workload, store: &Store) -> (RegistryId, &'static str) {
    let mut all = Vec::new();
    for (id, shard) in &store.shards {
        for object in shard.in_force() {
            let meta = &object.meta;
            let place = match &object.value {
                Value::Workload(_) => (0, "Workload"),
                Value::Rule(RuleSpec::WorkloadEntry(_)) => (1, "WorkloadEntry"),
                _ => continue,
            };
            if meta.key.name == workload.key.name && id.cluster == workload.cluster {
                all.push((place, meta.created, id.clone()));
            }
        }
    }
    let ((_, kind), _, by) = all.into_iter().min().unwrap();
    (by, kind)
}

fn addresses<'a>(
    endpoints: impl IntoIterator<Item = &'a Endpoint>,
) -> std::collections::BTreeSet<String> {
    endpoints
        .into_iter()
        .filter_map(Endpoint::address)
        .map(ToString::to_string)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_store_agrees_with_its_contract_and_with_a_full_recompute(steps in prop::collection::vec(steps(), 1..25)) {
        let mut engine = opened();
        let mut models: Vec<_> = REGISTRIES.map(|_| Model { run: 1, ..Model::default() }).into();
        for (registry, step) in &steps {
            engine.send(*registry, step);
            engine.settle();
            models[*registry].apply(step);

            for (name, model) in REGISTRIES.iter().zip(&models) {
                let shard = &engine.store.shards[&RegistryId::new("Test", name)];
                let in_force = shard.in_force().into_iter().map(|object| (object.meta.key.clone(), Object::clone(object))).collect();
                prop_assert_eq!(&model.in_force(), &in_force);
            }
            let mesh = engine.handle.mesh();
            prop_assert_eq!(&*mesh, &at_once(&engine.store));
            for name in ["web", "db"] {
                let expected = addresses(&endpoints_by_looking(&mesh, &engine.store, name));
                let found = mesh.endpoints(&key(name)).into_iter().flat_map(|all| all.iter());
                prop_assert_eq!(addresses(found), expected);
            }
        }
    }

    #[test]
    fn what_is_touched_is_what_differs(steps in prop::collection::vec(steps(), 1..25)) {
        let mut engine = opened();
        engine.settle();
        for (registry, step) in &steps {
            let before = engine.handle.mesh();
            let mut changes = engine.handle.subscribe();
            engine.send(*registry, step);
            engine.settle();
            let after = engine.handle.mesh();
            let touched = changes.take().map(|change| change.touched).unwrap_or_default();
            for name in ["web", "db"] {
                let key = key(name);
                let same = |a: Option<*const ()>, b: Option<*const ()>| a == b;
                let service = |mesh: &Mesh| mesh.service(&key).map(|value| Arc::as_ptr(value).cast::<()>());
                let endpoints = |mesh: &Mesh| mesh.endpoints(&key).map(|value| Arc::as_ptr(value).cast::<()>());
                prop_assert_eq!(touched.services.contains(&key), !same(service(&before), service(&after)));
                prop_assert_eq!(touched.services.contains(&key), before.service(&key) != after.service(&key));
                prop_assert_eq!(touched.endpoints.contains(&key), !same(endpoints(&before), endpoints(&after)));
                prop_assert_eq!(touched.endpoints.contains(&key), before.endpoints(&key) != after.endpoints(&key));
            }
        }
    }

    #[test]
    fn the_order_of_registries_does_not_matter(
        steps in prop::collection::vec(steps(), 1..20),
        order in Just(REGISTRIES).prop_map(|_| [0, 1, 2]).prop_shuffle(),
        together in any::<bool>(),
    ) {
        let mut interleaved = opened();
        for (registry, step) in &steps {
            interleaved.send(*registry, step);
            if !together {
                interleaved.settle();
            }
        }
        let mut one_by_one = opened();
        for next in order {
            for (_, step) in steps.iter().filter(|(registry, step)| *registry == next && !matches!(step, Step::TrustDomain(_))) {
                one_by_one.send(next, step);
                one_by_one.settle();
            }
        }
        for (registry, step) in steps.iter().filter(|(_, step)| matches!(step, Step::TrustDomain(_))) {
            one_by_one.send(*registry, step);
        }
        interleaved.settle();
        one_by_one.settle();
        prop_assert_eq!(&*interleaved.handle.mesh(), &*one_by_one.handle.mesh());
        prop_assert_eq!(interleaved.said(), one_by_one.said());
    }
}
