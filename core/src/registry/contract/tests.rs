//! The suite itself: an adapter in memory passes, and each way of breaking the contract is found by its check.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Broken, Fixture, PORT, World, every_check};
use crate::model::{Address, Endpoint, Host, Protocol, Service, ServiceKey, ServicePort};
use crate::registry::{
    EndpointPart, Meta, Object, Origin, Problem, Registry, RegistryId, RunError, SetId, Updates,
    Value,
};

/// What an adapter does wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    SyncedTooSoon,
    NeverSynced,
    EmptyWhenBroken,
    SilentWhenBroken,
    EmptyBeforeHealed,
    SpoiltIsGone,
    SpoiltIsSilent,
    Deaf,
    OtherEachRun,
    ClearsFirst,
    StepsBack,
}

#[derive(Debug, Clone, Default)]
struct State {
    world: World,
    broken: bool,
    spoilt: Option<&'static str>,
}

struct Memory {
    state: watch::Sender<State>,
    fault: Fault,
}

struct MemoryRegistry {
    id: RegistryId,
    state: watch::Receiver<State>,
    fault: Fault,
}

fn key(service: &str) -> ServiceKey {
    ServiceKey {
        namespace: "shop".into(),
        host: Host::new(service).unwrap(),
    }
}

#[async_trait]
impl Fixture for Memory {
    fn registry(&self) -> Arc<dyn Registry> {
        let id = RegistryId::new("Memory", "test");
        Arc::new(MemoryRegistry {
            id,
            state: self.state.subscribe(),
            fault: self.fault,
        })
    }

    fn key(&self, service: &str) -> ServiceKey {
        key(service)
    }

    async fn apply(&mut self, world: &World) {
        self.state.send_modify(|state| {
            state.world = world.clone();
            state.spoilt = None;
        });
        // The adapter sees every state, as it would on a platform that is slower than this.
        tokio::task::yield_now().await;
    }

    async fn break_source(&mut self) {
        self.state.send_modify(|state| state.broken = true);
    }

    async fn heal_source(&mut self) {
        self.state.send_modify(|state| state.broken = false);
    }

    async fn apply_spoilt(&mut self, world: &World, spoilt: &str) -> bool {
        self.state.send_modify(|state| {
            state.world = world.clone();
            state.spoilt = world.services.keys().find(|name| **name == spoilt).copied();
        });
        true
    }
}

#[async_trait]
impl Registry for MemoryRegistry {
    fn id(&self) -> &RegistryId {
        &self.id
    }

    async fn run(&self, updates: Updates, stop: CancellationToken) -> Result<(), RunError> {
        let mut state = self.state.clone();
        state.mark_changed();
        let set = SetId::new("all");
        let mut synced = false;
        let mut was_broken = false;
        let mut last = World::default();
        if self.fault == Fault::SyncedTooSoon {
            updates.synced().await?;
            read_something().await;
        }
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled(), if self.fault != Fault::Deaf => return Ok(()),
                changed = state.changed() => changed?,
            }
            let State {
                world,
                broken,
                spoilt,
            } = state.borrow_and_update().clone();
            if broken && self.fault != Fault::EmptyWhenBroken {
                was_broken = true;
                if self.fault != Fault::SilentWhenBroken {
                    updates.failing(None, &std::io::Error::other("no connection"));
                }
                continue;
            }
            if (was_broken && self.fault == Fault::EmptyBeforeHealed)
                || self.fault == Fault::ClearsFirst
            {
                self.write(&updates, &set, &World::default(), None).await?;
                read_something().await;
                was_broken = false;
            }
            let world = if broken { World::default() } else { world };
            self.write(&updates, &set, &world, spoilt).await?;
            if self.fault == Fault::StepsBack {
                read_something().await;
                self.write(&updates, &set, &last, spoilt).await?;
                read_something().await;
                self.write(&updates, &set, &world, spoilt).await?;
            }
            last = world;
            if broken {
                updates.failing(None, &std::io::Error::other("no connection"));
            }
            if !synced && self.fault != Fault::NeverSynced {
                updates.synced().await?;
                synced = true;
            }
        }
    }
}

impl MemoryRegistry {
    async fn write(
        &self,
        updates: &Updates,
        set: &SetId,
        world: &World,
        spoilt: Option<&str>,
    ) -> Result<(), RunError> {
        let objects = world.services.keys().filter(|name| Some(**name) != spoilt);
        let mut tx = updates.begin();
        tx.replace(
            set.clone(),
            objects.flat_map(|name| self.objects(world, name)).collect(),
        );
        match (spoilt, self.fault) {
            (None, _) | (_, Fault::SpoiltIsGone) => {}
            (Some(name), Fault::SpoiltIsSilent) => {
                let before = World::of(&[("beta", &[2])]);
                self.objects(&before, name)
                    .into_iter()
                    .for_each(|object| tx.put(set, object));
            }
            (Some(name), _) => {
                for object in self.objects(world, name) {
                    let why = vec![Problem::error("", "spoilt")];
                    tx.reject(set, Some(object.meta.key), Origin::new("memory"), why);
                }
            }
        }
        Ok(tx.commit().await?)
    }

    fn objects(&self, world: &World, name: &str) -> [Object; 2] {
        let port = ServicePort {
            port: PORT,
            name: "http".into(),
            protocol: Protocol::Http,
            target_port: None,
            target_name: None,
        };
        let mut service = Service::new(key(name), vec![port]);
        if self.fault == Fault::OtherEachRun {
            let run = format!("{:p}", &raw const *self);
            service.labels = [("run", run)].into_iter().collect();
        }
        let ips = world.services.get(name).into_iter().flatten();
        let endpoints = ips
            .map(|ip| Endpoint::at(Address::Ip((*ip).into())))
            .collect();
        let part = EndpointPart {
            service: key(name),
            part: "all".into(),
            endpoints,
        };
        [
            ("Service", Value::from(service)),
            ("Endpoints", Value::Endpoints(part)),
        ]
        .map(|(kind, value)| Object {
            meta: Meta::new(kind, "shop", name),
            origin: Origin::new("memory"),
            value,
        })
    }
}

/// Reading a source takes its time.
async fn read_something() {
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
}

/// What the suite says of an adapter with this fault.
async fn verdict(fault: Fault) -> Result<(), Broken> {
    every_check(async || Memory {
        state: watch::channel(State::default()).0,
        fault,
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_good_adapter_passes() {
    assert_eq!(verdict(Fault::None).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn each_fault_is_found_by_its_check() {
    for (fault, check) in [
        (Fault::SyncedTooSoon, "first full sets before synced"),
        (Fault::NeverSynced, "first full sets before synced"),
        (Fault::ClearsFirst, "changes arrive in order"),
        (Fault::StepsBack, "changes arrive in order"),
        (Fault::EmptyWhenBroken, "a lost source changes nothing"),
        (Fault::SilentWhenBroken, "a lost source changes nothing"),
        (Fault::EmptyBeforeHealed, "a lost source changes nothing"),
        (Fault::SpoiltIsGone, "a partial failure stays partial"),
        (Fault::SpoiltIsSilent, "a partial failure stays partial"),
        (Fault::Deaf, "stopping is prompt"),
        (Fault::OtherEachRun, "run twice gives the same"),
    ] {
        assert_eq!(
            verdict(fault).await.err().map(|broken| broken.check),
            Some(check),
            "{fault:?}"
        );
    }
}
