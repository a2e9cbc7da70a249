//! A cluster whose pods are machines: discovery and the pods' sidecars stand on one network, the API server beside it.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, ensure};
use pilothouse_tests::backend::Backend;
use pilothouse_tests::kube::KubeCluster;
use pilothouse_tests::kube::objects::Pod as PodObject;
use pilothouse_tests::netns::{Forward, Machine};
use pilothouse_tests::traffic::{Target, Traffic};
use pilothouse_tests::wait::eventually;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::crds;
use crate::capture::mesh::{Ground, Mesh, Pod, REDIRECT};
use crate::world::SOON;

/// The namespace of everything.
pub(super) const SHOP: &str = "shop";
/// The port that applications listen on.
pub(super) const PORT: u16 = 8080;

/// See the [module](self).
pub(super) struct Setting {
    pub(super) cluster: KubeCluster,
    pub(super) mesh: Mesh,
    machines: Vec<Option<Machine>>,
    _forwards: Vec<Forward>,
}

/// An application in a pod that has no sidecar.
pub(super) struct Server {
    name: String,
    pub(super) backend: Backend,
    _machine: Machine,
}

impl Setting {
    /// A cluster with controllers, the kinds of rules and a node, and discovery on it, with room for so many pods.
    pub(super) async fn start(pods: usize) -> Self {
        Self::start_beside(pods, None).await
    }

    /// The same, with discovery on the Consul at this address of loopback, too.
    pub(super) async fn start_beside(pods: usize, consul: Option<SocketAddr>) -> Self {
        let mut ground = Ground::new();
        let machine = ground.machine("discovery");
        let machines = (0..pods).map(|number| Some(ground.machine(&format!("pod{number}"))));
        let machines = machines.collect();
        let cluster = KubeCluster::start_with_controllers().await.unwrap();
        let kinds = crds::printed(&[]).await.unwrap();
        crds::apply(&cluster, &kinds).await.unwrap();
        cluster.node("node", "eu", "eu-a").await.unwrap();
        cluster.namespace(SHOP, &[]).await.unwrap();
        let mut forwards = vec![reach(&machine, cluster.address())];
        let kubeconfig = cluster.kubeconfig();
        let mut args = vec!["--kubeconfig".as_ref(), kubeconfig.as_os_str()];
        let address = consul.map(|address| address.to_string());
        match (consul, &address) {
            (Some(consul), Some(text)) => {
                forwards.push(reach(&machine, consul));
                let more = [
                    "--registries",
                    "Kubernetes,Consul",
                    "--consul-address",
                    text,
                ];
                args.extend(more.map(OsStr::new));
            }
            _ => args.extend(["--registries", "Kubernetes"].map(OsStr::new)),
        }
        let mesh = ground.discovery(machine, &args).await;
        Self {
            cluster,
            mesh,
            machines,
            _forwards: forwards,
        }
    }

    /// A machine that nobody has used.
    pub(super) fn machine(&mut self) -> Machine {
        let mut unused = self.machines.iter_mut().filter_map(Option::take);
        unused.next().expect("as many machines as were asked for")
    }

    /// A service `NAME` of pods with the label `app: NAME`, on port 80. It answers its virtual address.
    pub(super) async fn service(&self, name: &str) -> Ipv4Addr {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": SHOP},
            "spec": {
                "selector": {"app": name},
                "ports": [{"name": "http", "port": 80, "targetPort": "web"}],
            },
        });
        let service = self.cluster.create(&service).await.unwrap();
        let address = service["spec"]["clusterIP"].as_str();
        address.and_then(|address| address.parse().ok()).unwrap()
    }

    /// A pod `NAME` of the application `app`, ready, whose server says its name.
    pub(super) async fn server(&mut self, name: &str, app: &str, version: &str) -> Server {
        let machine = self.machine();
        let listener = machine.listen((machine.v4(), PORT).into()).unwrap();
        let server = Server {
            name: name.to_owned(),
            backend: Backend::start_on(name, listener).unwrap(),
            _machine: machine,
        };
        let mut pod = PodObject::new(SHOP, name, app, server.backend.address().ip());
        pod.labels.push(("version", version));
        pod.ports.push(("web", PORT));
        self.cluster.pod(&pod).await.unwrap();
        server
    }

    /// A machine with a sidecar, called after the pod `name` that may come later.
    pub(super) async fn sidecar(&mut self, name: &str) -> Arc<Client> {
        let machine = self.machine();
        let pod = self.mesh.sidecar(name, machine, REDIRECT).await;
        Arc::new(Client(pod))
    }

    /// The pod of a sidecar.
    pub(super) async fn pod_of(&self, name: &str, client: &Client) {
        let pod = PodObject::new(SHOP, name, name, client.0.machine().v4());
        self.cluster.pod(&pod).await.unwrap();
    }

    /// Writes a rule.
    pub(super) async fn rule(&self, kind: &str, name: &str, spec: Value) {
        let rule = json!({
            "apiVersion": "networking.istio.io/v1", "kind": kind,
            "metadata": {"name": name, "namespace": SHOP}, "spec": spec,
        });
        self.cluster.apply(&rule.to_string()).await.unwrap();
    }
}

impl Server {
    /// Deletes its pod, in the time that its containers would have; its server goes on.
    pub(super) async fn terminate(&self, cluster: &KubeCluster) {
        cluster.terminate_pod(SHOP, &self.name).await.unwrap();
    }
}

/// A captured machine, as the source of requests.
pub(super) struct Client(pub(super) Pod);

impl Client {
    /// Waits until exactly these answer for a host at a virtual address, over so many requests.
    pub(super) async fn only(&self, to: Ipv4Addr, host: &str, expected: &[&str]) {
        const REQUESTS: usize = 24;
        eventually(
            &format!("exactly {expected:?} answer for {host}"),
            2 * SOON,
            async || {
                let mut seen = std::collections::BTreeSet::new();
                for _ in 0..REQUESTS {
                    seen.insert(self.0.http((to, 80), host).await?);
                }
                ensure!(seen.iter().eq(expected), "{seen:?} answer");
                Ok(())
            },
        )
        .await
        .unwrap();
    }

    /// Requests for a host at a virtual address, one after the other, until they are stopped.
    pub(super) async fn traffic(self: &Arc<Self>, to: Ipv4Addr, host: &str) -> (Traffic, Forward) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let via = listener.local_addr().unwrap();
        let this = Arc::clone(self);
        let forward = Forward::start(listener, move || {
            let this = Arc::clone(&this);
            let to = SocketAddr::from((to, 80));
            async move { this.0.machine().connect(to, SOON).await }
        });
        let target = Target {
            via,
            host: host.to_owned(),
            path: "/".to_owned(),
        };
        let pause = std::time::Duration::from_millis(5);
        (Traffic::start(vec![target], pause), forward)
    }
}

/// Gives a machine what listens on loopback, at the same address, so that what is configured with it holds there, too.
fn reach(machine: &Machine, address: SocketAddr) -> Forward {
    Forward::start(machine.listen(address).unwrap(), move || async move {
        let stream = TcpStream::connect(address).await;
        stream.with_context(|| format!("connecting to {address}"))
    })
}

/// Whether all that is needed is there.
pub(super) fn possible() -> bool {
    !KubeCluster::missing() && crate::capture::mesh::possible()
}
