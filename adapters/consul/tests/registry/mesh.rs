//! A registry on an agent, and the store that it writes to.

use std::sync::Arc;
use std::time::Duration;

use pilothouse_consul::client::Settings;
use pilothouse_consul::{ConsulConfig, ConsulRegistry};
use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Address, Health, Host, ServiceKey};
use pilothouse_core::registry::{Need, Registry};
use pilothouse_core::store::{self, Changes, RegistryView, Store, StoreHandle};
use pilothouse_core::supervisor::{self, Supervisor};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;

/// Nothing here takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// See the [module](self).
pub(crate) struct Running {
    pub(crate) store: StoreHandle,
    changes: Changes,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    /// A registry of these settings; returns when it has delivered.
    pub(crate) async fn start(agent: &Agent, config: ConsulConfig, settings: Settings) -> Self {
        let running = Self::begin(agent, config, settings);
        let ready = timeout(PATIENCE, running.store.readiness().ready()).await;
        ready.expect("the registry delivers");
        running
    }

    /// The same without waiting.
    pub(crate) fn begin(agent: &Agent, config: ConsulConfig, settings: Settings) -> Self {
        let (store, handle) = Store::new(store::Settings::default());
        let changes = handle.subscribe();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(store.run(stop.clone()));
        let registry: Arc<dyn Registry> = Arc::new(ConsulRegistry::new(
            config,
            Arc::new(agent.client(settings)),
        ));
        let supervised = Supervisor::new(
            [(registry, Need::Required)],
            &handle,
            supervisor::Settings::default(),
        );
        let token = stop.clone();
        tasks.spawn(async move { supervised.run(token).await.unwrap() });
        Self {
            store: handle,
            changes,
            stop,
            tasks,
        }
    }

    /// Waits until a service has these healthy endpoints, or is not there.
    pub(crate) async fn until(&mut self, service: &str, expected: Option<&[&str]>) {
        let expected =
            expected.map(|ips| ips.iter().map(|ip| (*ip).to_owned()).collect::<Vec<_>>());
        let wait = async {
            while endpoints(&self.store.mesh(), service) != expected {
                self.changes.next().await.unwrap();
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!(
                "{service} is {:?}, never {expected:?}",
                endpoints(&self.store.mesh(), service)
            );
        }
    }

    /// Waits until the mesh satisfies this.
    pub(crate) async fn until_mesh(&mut self, holds: impl Fn(&Mesh) -> bool) {
        let wait = async {
            while !holds(&self.store.mesh()) {
                self.changes.next().await.unwrap();
            }
        };
        timeout(PATIENCE, wait).await.expect("the mesh becomes so");
    }

    /// What the store says of the registry, once it satisfies this.
    pub(crate) async fn until_view(
        &self,
        what: &str,
        holds: impl Fn(&RegistryView) -> bool,
    ) -> RegistryView {
        let wait = async {
            loop {
                let views = self.store.registries().await.unwrap();
                if let Some(view) = views.into_iter().find(|view| holds(view)) {
                    return view;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("it never {what}"))
    }

    /// What is wrong with a set.
    pub(crate) async fn failing(&self, set: &str) -> String {
        let why = |view: &RegistryView| {
            let set = view.sets.iter().find(|known| known.id.as_str() == set)?;
            set.failing.as_ref().map(|failing| failing.why.to_string())
        };
        let view = self
            .until_view(&format!("fails {set}"), |view| why(view).is_some())
            .await;
        why(&view).unwrap_or_default()
    }

    /// Why the guard holds what a set has lost.
    pub(crate) async fn held(&self, set: &str) -> String {
        let why = |view: &RegistryView| {
            let set = view.sets.iter().find(|known| known.id.as_str() == set)?;
            set.held.as_ref().map(|held| held.why.to_string())
        };
        let what = format!("holds something of {set}");
        let view = self.until_view(&what, |view| why(view).is_some()).await;
        why(&view).unwrap_or_default()
    }

    /// Waits until nothing is held.
    pub(crate) async fn nothing_held(&self) {
        let holds = |view: &RegistryView| view.sets.iter().all(|set| set.held.is_none());
        self.until_view("lets go of what it holds", holds).await;
    }

    /// A person agrees with what is held.
    pub(crate) async fn confirm(&self) {
        let id = ConsulConfig::default().id();
        assert!(self.store.confirm(&id).await.unwrap(), "nothing was held");
    }

    /// The healthy endpoints of a service.
    pub(crate) fn endpoints(&self, service: &str) -> Option<Vec<String>> {
        endpoints(&self.store.mesh(), service)
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

fn endpoints(mesh: &Mesh, service: &str) -> Option<Vec<String>> {
    let key = ServiceKey {
        namespace: "default".into(),
        host: Host::new(&format!("{service}.service.consul")).unwrap(),
    };
    mesh.service(&key)?;
    let all = mesh.endpoints(&key).into_iter().flat_map(|all| all.iter());
    let healthy = all.filter(|endpoint| endpoint.health == Health::Healthy);
    let ips = healthy.flat_map(|endpoint| endpoint.addresses.iter().filter_map(Address::ip));
    Some(ips.map(|ip| ip.to_string()).collect())
}
