//! A cluster, discovery on it, and a service of real backends.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use pilothouse_tests::backend::Backend;
use pilothouse_tests::consul::{Binary, Cluster};
use pilothouse_tests::discovery::{Discovery, Options};
use pilothouse_tests::envoy::{self, Envoy};
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::wait::eventually;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::world::{SOON, Scratch, binary};

/// See the [module](self).
pub(crate) struct Setting {
    pub(crate) cluster: Cluster,
    pub(crate) discovery: Discovery,
    pub(crate) dir: Scratch,
}

impl Setting {
    /// Discovery on a cluster that has whatever `prepare` registers.
    pub(crate) async fn start(prepare: impl AsyncFnOnce(&Cluster)) -> Self {
        let dir = Scratch::new();
        let consul = Binary::find().unwrap();
        let cluster = Cluster::start(&consul, "dc1", json!({}), dir.path())
            .await
            .unwrap();
        prepare(&cluster).await;
        let discovery = discovery_on(&cluster, dir.path(), &[]).await;
        Self {
            cluster,
            discovery,
            dir,
        }
    }

    /// An Envoy of a client.
    pub(crate) async fn client(&self) -> Envoy {
        let binary = envoy::Binary::find().unwrap();
        let sidecar = Sidecar::new("client", "default");
        let grpc = self.discovery.addresses().grpc;
        sidecar.start(&binary, grpc, self.dir.path()).await.unwrap()
    }
}

/// Discovery on a cluster.
pub(crate) async fn discovery_on(
    cluster: &Cluster,
    dir: &Path,
    flags: &[(&str, &str)],
) -> Discovery {
    discovery_at(&cluster.address().to_string(), dir, flags).await
}

/// Discovery on the cluster behind an address.
pub(crate) async fn discovery_at(address: &str, dir: &Path, flags: &[(&str, &str)]) -> Discovery {
    let mut options = Options::of(binary().await, "Consul", dir).unwrap();
    options = options.arg("--consul-address", address);
    for (flag, value) in flags {
        options = options.arg(flag, *value);
    }
    Discovery::start(options).await.unwrap()
}

/// Waits until discovery says that something of Consul fails or is held, with this in the reason; `None`: that nothing does.
pub(crate) async fn failing(discovery: &Discovery, why: Option<&str>) {
    eventually(&format!("discovery says {why:?}"), 2 * SOON, async || {
        says(discovery, why).await
    })
    .await
    .unwrap();
}

/// Whether it says so at this moment.
pub(crate) async fn says(discovery: &Discovery, why: Option<&str>) -> Result<()> {
    let page = discovery.debug("/debug/registryz").await?;
    let said = page["registries"].to_string();
    let fails = said.contains("\"failing\":{") || said.contains("\"held\":{");
    match why {
        Some(why) => ensure!(fails && said.contains(why), "{said}"),
        None => ensure!(!fails, "{said}"),
    }
    Ok(())
}

/// Backends of these names, each on an address of its own and all on one port.
pub(crate) async fn backends<const N: usize>(names: [&str; N]) -> Vec<Backend> {
    let mut all: Vec<Backend> = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 77, u8::try_from(at + 1).unwrap()));
        let port = all.first().map_or(0, |first| first.address().port());
        all.push(
            Backend::start_at(name, SocketAddr::new(ip, port))
                .await
                .unwrap(),
        );
    }
    all
}

/// The definition of an instance behind a backend, without a check of its own: its node's counts.
pub(crate) fn unchecked(service: &str, backend: &Backend) -> Value {
    let mut definition = instance(service, backend);
    if let Some(fields) = definition.as_object_mut() {
        fields.remove("check");
    }
    definition
}

/// The definition of an instance behind a backend, with a check that a test passes and fails.
pub(crate) fn instance(service: &str, backend: &Backend) -> Value {
    json!({
        "id": format!("{service}-{}", backend.name()),
        "name": service,
        "address": backend.address().ip().to_string(),
        "port": backend.address().port(),
        "meta": {"protocol": "http"},
        "tags": ["version|v1"],
        "check": {"id": format!("check-{}", backend.name()), "name": "own", "ttl": "24h", "status": "passing"},
    })
}

/// A connection that can be cut: while it is, what goes over it is closed, and nothing new gets through.
pub(crate) struct Wire {
    address: SocketAddr,
    is_cut: Arc<watch::Sender<bool>>,
    _tasks: JoinSet<()>,
}

impl Wire {
    pub(crate) async fn to(far: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let is_cut = Arc::new(watch::Sender::new(false));
        let state = is_cut.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let mut state = state.subscribe();
                carried.spawn(async move {
                    let carry = async {
                        let mut far = TcpStream::connect(far).await?;
                        tokio::io::copy_bidirectional(&mut near, &mut far).await
                    };
                    tokio::select! {
                        _ = state.wait_for(|is_cut| *is_cut) => {}
                        _ = carry => {}
                    }
                });
            }
        });
        Self {
            address,
            is_cut,
            _tasks: tasks,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn cut(&self, is_cut: bool) {
        self.is_cut.send_replace(is_cut);
    }
}
