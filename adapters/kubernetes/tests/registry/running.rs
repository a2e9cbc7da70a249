//! The registry on the scripted server, and the store that it writes to.

use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::mesh::{Mesh, MeshConfig, Touched};
use pilothouse_core::model::{Address, Health, Host, ServiceKey};
use pilothouse_core::registry::{Need, Registry};
use pilothouse_core::store::{self, Changes, RegistryView, Store, StoreHandle};
use pilothouse_core::supervisor::{self, Supervisor};
use pilothouse_kubernetes::{KubernetesConfig, KubernetesRegistry};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::fake::Fake;

/// Nothing here takes nearly as long, and the clock of these tests may be turned.
const PATIENCE: Duration = Duration::from_secs(300);

/// A registry, the store it writes to, and the settings of the mesh.
pub(crate) struct Running {
    pub(crate) store: StoreHandle,
    pub(crate) mesh_config: watch::Sender<Option<Arc<MeshConfig>>>,
    changes: Changes,
    _stop: tokio_util::sync::DropGuard,
    _tasks: JoinSet<()>,
}

impl Running {
    /// A registry of this server; returns when it has delivered.
    pub(crate) async fn start(fake: &Fake) -> Self {
        let mut running = Self::begin(fake, KubernetesConfig::default());
        running.configure(MeshConfig::default());
        running.ready().await;
        running
    }

    /// The same without settings of the mesh, and without waiting.
    pub(crate) fn begin(fake: &Fake, config: KubernetesConfig) -> Self {
        let (store, handle) = Store::new(store::Settings::default());
        let changes = handle.subscribe();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(store.run(stop.clone()));
        let mesh_config = watch::Sender::default();
        let registry = KubernetesRegistry::new(config, fake.client(), mesh_config.subscribe());
        let registry: Arc<dyn Registry> = Arc::new(registry);
        let supervised = Supervisor::new(
            [(registry, Need::Required)],
            &handle,
            supervisor::Settings::default(),
        );
        let token = stop.clone();
        tasks.spawn(async move { supervised.run(token).await.unwrap() });
        Self {
            store: handle,
            mesh_config,
            changes,
            _stop: stop.drop_guard(),
            _tasks: tasks,
        }
    }

    /// These are the settings of the mesh.
    pub(crate) fn configure(&self, config: MeshConfig) {
        self.mesh_config.send_replace(Some(Arc::new(config)));
    }

    pub(crate) async fn ready(&mut self) {
        let ready = timeout(PATIENCE, self.store.readiness().ready()).await;
        if ready.is_err() {
            panic!("not ready: {:#?}", self.view().await);
        }
        self.changes.take();
    }

    /// Waits until the mesh is like this, and returns all that was touched on the way.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        mut like: impl FnMut(&Mesh) -> bool,
    ) -> Touched {
        let mut touched = Touched::default();
        let wait = async {
            if let Some(change) = self.changes.take() {
                touched.merge(change.touched);
            }
            while !like(&self.store.mesh()) {
                touched.merge(self.changes.next().await.unwrap().touched);
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!("never {what}: {:#?}", self.view().await);
        }
        touched
    }

    /// Waits until a service has these healthy endpoints, or is not there.
    pub(crate) async fn until_service(&mut self, name: &str, expected: Option<&[&str]>) -> Touched {
        let what = format!("{name} is {expected:?}");
        let like = |mesh: &Mesh| {
            let found = endpoints(mesh, name);
            found
                .as_deref()
                .map(|ips| ips.iter().map(String::as_str).collect::<Vec<_>>())
                == expected.map(<[_]>::to_vec)
        };
        self.until(&what, like).await
    }

    /// Waits until these are all rules, written `Kind namespace/name`.
    pub(crate) async fn until_rules(&mut self, expected: &[&str]) -> Touched {
        self.until(&format!("{expected:?}"), |mesh| rules(mesh) == expected)
            .await
    }

    /// Waits until the registry is like this.
    pub(crate) async fn until_view(&mut self, what: &str, like: impl Fn(&RegistryView) -> bool) {
        let wait = async {
            while !like(&self.view().await) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!("never {what}: {:#?}", self.view().await);
        }
    }

    /// Everything that was touched since the last look.
    pub(crate) fn touched(&mut self) -> Touched {
        let change = self.changes.take();
        change.map(|change| change.touched).unwrap_or_default()
    }

    pub(crate) async fn view(&self) -> RegistryView {
        self.store.registries().await.unwrap().remove(0)
    }
}

/// A service's healthy endpoints; `None`: there is no such service. `name` may say its namespace.
pub(crate) fn endpoints(mesh: &Mesh, name: &str) -> Option<Vec<String>> {
    let key = key(name);
    mesh.service(&key)?;
    let all = mesh.endpoints(&key).into_iter().flat_map(|all| all.iter());
    let healthy = all.filter(|endpoint| endpoint.health == Health::Healthy);
    let ips = healthy.flat_map(|endpoint| &endpoint.addresses);
    let mut ips: Vec<_> = ips
        .filter_map(Address::ip)
        .map(|ip| ip.to_string())
        .collect();
    ips.sort();
    Some(ips)
}

/// What a service is called in the mesh: `NAMESPACE/NAME`, or a name in `shop`.
pub(crate) fn key(name: &str) -> ServiceKey {
    let (namespace, name) = name.split_once('/').unwrap_or(("shop", name));
    ServiceKey {
        namespace: namespace.into(),
        host: Host::new(&format!("{name}.{namespace}.svc.cluster.local")).unwrap(),
    }
}

/// All rules, written `Kind namespace/name`.
pub(crate) fn rules(mesh: &Mesh) -> Vec<String> {
    let mut all: Vec<_> = mesh
        .rules()
        .map(|rule| rule.source.object.to_string())
        .collect();
    all.sort();
    all
}

/// A namespace.
pub(crate) fn namespace(name: &str, labels: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// A service `NAMESPACE/NAME`, or one in `shop`.
pub(crate) fn service(name: &str) -> Value {
    let (namespace, name) = name.split_once('/').unwrap_or(("shop", name));
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "http", "port": 8080}]},
    })
}

/// All of its endpoints, and whether they are ready.
pub(crate) fn slice(name: &str, endpoints: &[(&str, bool)]) -> Value {
    let (namespace, name) = name.split_once('/').unwrap_or(("shop", name));
    let endpoints: Vec<_> = endpoints
        .iter()
        .map(|(ip, ready)| json!({"addresses": [ip], "conditions": {"ready": ready, "serving": ready, "terminating": false}}))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": format!("{name}-1"), "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4", "endpoints": endpoints,
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    })
}

/// A pod of `shop`.
pub(crate) fn pod(name: &str, ip: &str, ready: bool) -> Value {
    let ready = if ready { "True" } else { "False" };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": "web"}},
        "spec": {"nodeName": "one", "serviceAccountName": "web", "containers": [{"name": "app"}]},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [{"type": "Ready", "status": ready}]},
    })
}

/// A rule of `shop`.
pub(crate) fn virtual_service(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": name, "namespace": "shop"}, "spec": spec,
    })
}
