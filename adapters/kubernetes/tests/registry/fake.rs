//! An API server that does what a script says: it lists by pages, watches, streams lists and takes writes as the real one does,
//! and has every fault that a healthy one will not show on demand.
//!
//! It is spoken to within the process ([`Fake::client`], with a clock that may stand still) or over TCP ([`Fake::serve`]).

mod answer;
mod cluster;
mod fault;
mod holes;
mod path;
mod watching;
mod write;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::ServiceExt;

pub(crate) use cluster::{Cluster, Key};
pub(crate) use fault::{Fault, On, What};
pub(crate) use holes::holes;
pub(crate) use path::Asked;

/// The server. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) cluster: Arc<watch::Sender<Cluster>>,
    /// What it was asked for, in this order.
    asked: Arc<watch::Sender<Vec<Asked>>>,
    /// How many watches of each resource are open.
    open: Arc<watch::Sender<BTreeMap<String, usize>>>,
}

/// A server on a port of its own, as long as this lives.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Fake {
    /// A server that holds nothing, and has streaming lists.
    pub(crate) fn new() -> Self {
        Self {
            cluster: Arc::new(watch::Sender::new(Cluster::new())),
            asked: Arc::default(),
            open: Arc::default(),
        }
    }

    /// A client within the process. While the server is down it finds nobody.
    pub(crate) fn client(&self) -> kube::Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let fake = fake.clone();
            async move {
                if fake.cluster.borrow().down {
                    return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
                }
                let answered = fake.router().oneshot(request.map(Body::new)).await;
                answered.map_err(|never| match never {})
            }
        });
        kube::Client::new(service, "default")
    }

    /// Serves on a port of loopback.
    pub(crate) async fn serve(&self) -> Served {
        self.serve_at("127.0.0.1:0".parse().unwrap()).await
    }

    /// Serves on this address.
    pub(crate) async fn serve_at(&self, address: SocketAddr) -> Served {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = self.router();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Served {
            address,
            _tasks: tasks,
        }
    }

    fn router(&self) -> Router {
        Router::new()
            .fallback(answer::answer)
            .with_state(self.clone())
    }

    /// Something happens to the server.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Cluster) -> R) -> R {
        let mut result = None;
        self.cluster
            .send_modify(|cluster| result = Some(change(cluster)));
        result.unwrap()
    }

    /// Writes an object of a resource such as `pods` or `virtualservices.networking.istio.io`.
    pub(crate) fn put(&self, resource: &str, object: Value) {
        self.change(|cluster| cluster.put(resource, object));
    }

    /// Takes an object away.
    pub(crate) fn remove(&self, resource: &str, namespace: &str, name: &str) {
        self.change(|cluster| cluster.remove(&Key::new(resource, namespace, name)));
    }

    /// This goes wrong from now on.
    pub(crate) fn fault(&self, fault: Fault) {
        self.change(|cluster| cluster.faults.push(fault));
    }

    /// Nothing goes wrong any more.
    pub(crate) fn heal(&self) {
        self.change(|cluster| {
            cluster.faults.clear();
            cluster.down = false;
        });
    }

    /// What it was asked for so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    /// Waits until it was asked for something like this, this often since the beginning.
    pub(crate) async fn until_asked(&self, times: usize, like: impl Fn(&Asked) -> bool) {
        let mut asked = self.asked.subscribe();
        let often = |asked: &Vec<Asked>| asked.iter().filter(|asked| like(asked)).count() >= times;
        let waited = timeout(PATIENCE, asked.wait_for(often)).await;
        if waited.is_err() {
            panic!("asked for something else: {:#?}", self.asked());
        }
    }

    /// Waits until so many watches of a resource are open.
    pub(crate) async fn until_open(&self, resource: &str, watches: usize) {
        let mut open = self.open.subscribe();
        let so_many =
            |open: &BTreeMap<String, usize>| open.get(resource).copied().unwrap_or(0) == watches;
        let waited = timeout(PATIENCE, open.wait_for(so_many)).await;
        assert!(waited.is_ok(), "{resource}: {:?}", self.open.borrow());
    }
}

/// How long a test waits for something to be asked: longer than all pauses of what it tests.
const PATIENCE: Duration = Duration::from_secs(120);
