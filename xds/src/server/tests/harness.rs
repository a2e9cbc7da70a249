//! A running server, a source that serves what a test says, and clients that say what a test says.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use futures::channel::mpsc::{UnboundedSender, unbounded};
use parking_lot::Mutex;
use pilothouse_core::model::Proxy;
use prometheus_client::registry::Registry;
use prost::Message;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Streaming};

use crate::fanout::{Fanout, Layer, Set};
use crate::metrics::Metrics;
use crate::protocol::{Interest, Refused, Settings};
use crate::resource::{Name, Resource, ResourceType, Uses, Version};
use crate::server::{
    Attachment, Connections, Context, Limits, NotReady, Observer, Server, Source, StreamId,
};
use crate::snapshot::{Assignments, Snapshot};

/// What nothing here takes unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that happens unless the server is broken.
pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// Waits until `condition` holds.
pub(super) async fn until(what: &str, condition: impl Fn() -> bool) {
    soon(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Serves one snapshot to all.
#[derive(Default)]
pub(super) struct Script(Mutex<State>);

#[derive(Default)]
struct State {
    snapshot: Option<Arc<Snapshot>>,
    next: u64,
    seats: BTreeMap<u64, Option<Waker>>,
    interests: BTreeMap<ResourceType, Vec<String>>,
    refused: Vec<String>,
}

struct Seat(Arc<Script>, u64);

/// The source, as the server has it.
struct Scripted(Arc<Script>);

impl Script {
    pub(super) fn publish(&self, snapshot: Snapshot) {
        let mut state = self.0.lock();
        state.snapshot = Some(Arc::new(snapshot));
        for waker in state.seats.values_mut().filter_map(Option::take) {
            waker.wake();
        }
    }

    pub(super) fn seats(&self) -> usize {
        self.0.lock().seats.len()
    }

    /// The names that were asked for last, `*` for all.
    pub(super) fn interest(&self, resource_type: ResourceType) -> Vec<String> {
        self.0
            .lock()
            .interests
            .get(&resource_type)
            .cloned()
            .unwrap_or_default()
    }

    /// What clients refuse, as the observer was told last.
    pub(super) fn refused(&self) -> Vec<String> {
        self.0.lock().refused.clone()
    }
}

impl Source for Scripted {
    fn connect(&self, _: Arc<Proxy>) -> Result<Box<dyn Attachment>, NotReady> {
        let mut state = self.0.0.lock();
        if state.snapshot.is_none() {
            return Err(NotReady {
                waiting_for: "the test".to_owned(),
            });
        }
        state.next += 1;
        let seat = state.next;
        state.seats.insert(seat, None);
        Ok(Box::new(Seat(Arc::clone(&self.0), seat)))
    }
}

impl Attachment for Seat {
    fn current(&self) -> Option<Arc<Snapshot>> {
        self.0.0.lock().snapshot.clone()
    }

    fn register(&self, waker: &Waker) {
        self.0.0.lock().seats.insert(self.1, Some(waker.clone()));
    }

    fn regroup(&self, resource_type: ResourceType, interest: Interest) {
        let names = match interest {
            Interest::None => vec![],
            Interest::Wildcard => vec!["*".to_owned()],
            Interest::Names(names) => names.iter().map(|name| name.as_str().to_owned()).collect(),
        };
        self.0.0.lock().interests.insert(resource_type, names);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.0.lock().seats.remove(&self.1);
    }
}

impl Observer for Scripted {
    fn refused(&self, _: &StreamId, _: ResourceType, refused: &[Refused]) {
        self.0.0.lock().refused = refused
            .iter()
            .map(|refused| refused.name.as_str().to_owned())
            .collect();
    }
}

/// A snapshot of clusters: name and alternative statistics name, which tells versions apart and makes them large.
pub(super) fn clusters<S: AsRef<str>>(clusters: &[(S, &str)]) -> Snapshot {
    let resources = clusters.iter().map(|(name, alt_stat_name)| {
        let cluster = Cluster {
            name: name.as_ref().to_owned(),
            alt_stat_name: (*alt_stat_name).to_owned(),
            ..Cluster::default()
        };
        let mut body = Vec::new();
        prost::encoding::string::encode(1, &ResourceType::Cluster.url().to_owned(), &mut body);
        prost::encoding::bytes::encode(2, &cluster.encode_to_vec(), &mut body);
        Arc::new(Resource {
            name: Name::from(name.as_ref()),
            version: Version::of(&body),
            body: body.into(),
            uses: Uses::default(),
            causes: Arc::new([]),
        })
    });
    let clusters = Arc::new(Set::new(vec![Arc::new(Layer::new(resources))]));
    Snapshot {
        generation: 1,
        since: Instant::now(),
        assignments: Assignments {
            clusters: Arc::clone(&clusters),
            bodies: Arc::default(),
        },
        clusters,
        listeners: Arc::default(),
        routes: Arc::default(),
        names: Arc::default(),
    }
}

/// A server that runs until it is dropped.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) script: Arc<Script>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) connections: Connections,
    pub(super) stop: CancellationToken,
    pub(super) tasks: JoinSet<()>,
}

pub(super) fn start(limits: Limits, snapshot: Option<Snapshot>) -> Running {
    start_with(limits, snapshot, Duration::ZERO, |_| {})
}

pub(super) fn start_with(
    limits: Limits,
    snapshot: Option<Snapshot>,
    grace: Duration,
    prepare: impl FnOnce(&mut Server),
) -> Running {
    let script = Arc::new(Script::default());
    if let Some(snapshot) = snapshot {
        script.publish(snapshot);
    }
    let metrics = Arc::new(Metrics::new(&mut Registry::default(), "test"));
    let mut server = Server::new(Context {
        source: Arc::new(Scripted(Arc::clone(&script))),
        observer: Arc::new(Scripted(Arc::clone(&script))),
        fanout: Arc::new(Fanout::default()),
        metrics: Arc::clone(&metrics),
        limits,
        settings: Settings::default(),
    });
    prepare(&mut server);
    let address = server.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let connections = server.connections();
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(server.run(stop.clone(), grace));
    Running {
        address,
        script,
        metrics,
        connections,
        stop,
        tasks,
    }
}

impl Running {
    /// A connection of its own, with windows of this size.
    pub(super) async fn channel(&self, window: u32) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address))
            .unwrap()
            .initial_stream_window_size(window)
            .initial_connection_window_size(window);
        soon("a connection", endpoint.connect()).await.unwrap()
    }

    pub(super) async fn delta(&self) -> Delta {
        delta_over(self.channel(1 << 20).await).await
    }

    pub(super) async fn sotw(&self) -> Sotw {
        let mut client = AggregatedDiscoveryServiceClient::new(self.channel(1 << 20).await);
        let (requests, receiver) = unbounded();
        let responses = client
            .stream_aggregated_resources(receiver)
            .await
            .unwrap()
            .into_inner();
        Sotw {
            requests,
            responses,
        }
    }

    pub(super) fn limited(&self, limit: &str) -> u64 {
        self.metrics.limited.get(limit).unwrap().get()
    }
}

pub(super) async fn delta_over(channel: Channel) -> Delta {
    let mut client =
        AggregatedDiscoveryServiceClient::new(channel).max_decoding_message_size(usize::MAX);
    let (requests, receiver) = unbounded();
    let responses = soon("headers", client.delta_aggregated_resources(receiver))
        .await
        .unwrap()
        .into_inner();
    Delta {
        requests,
        responses,
    }
}

/// An aggregated delta stream.
pub(super) struct Delta {
    pub(super) requests: UnboundedSender<DeltaDiscoveryRequest>,
    pub(super) responses: Streaming<DeltaDiscoveryResponse>,
}

/// An aggregated state-of-the-world stream.
pub(super) struct Sotw {
    pub(super) requests: UnboundedSender<DiscoveryRequest>,
    pub(super) responses: Streaming<DiscoveryResponse>,
}

pub(super) fn node() -> Option<Node> {
    Some(Node {
        id: "sidecar~10.0.0.1~app.shop~shop.svc.cluster.local".to_owned(),
        ..Node::default()
    })
}

impl Delta {
    /// The first request: for all clusters.
    pub(super) fn subscribe(&self) {
        self.send(DeltaDiscoveryRequest {
            node: node(),
            type_url: ResourceType::Cluster.url().to_owned(),
            ..DeltaDiscoveryRequest::default()
        });
    }

    pub(super) fn send(&self, request: DeltaDiscoveryRequest) {
        self.requests.unbounded_send(request).unwrap();
    }

    pub(super) fn ack(&self, response: &DeltaDiscoveryResponse) {
        self.send(DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            ..DeltaDiscoveryRequest::default()
        });
    }

    pub(super) async fn next(&mut self) -> DeltaDiscoveryResponse {
        soon("a response", self.responses.message())
            .await
            .unwrap()
            .expect("the stream has ended")
    }

    /// The status with which the stream ends; what comes before is passed over.
    pub(super) async fn end(&mut self) -> (Code, String) {
        soon("the end", async {
            loop {
                match self.responses.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return (Code::Ok, String::new()),
                    Err(status) => return (status.code(), status.message().to_owned()),
                }
            }
        })
        .await
    }
}

/// Names of the clusters of a response, each with what tells its versions apart.
pub(super) fn names(response: &DeltaDiscoveryResponse) -> Vec<(String, String)> {
    let cluster =
        |any: &envoy_types::pb::google::protobuf::Any| Cluster::decode(&any.value[..]).unwrap();
    let mut names: Vec<_> = response
        .resources
        .iter()
        .map(|resource| cluster(resource.resource.as_ref().unwrap()))
        .map(|cluster| (cluster.name, cluster.alt_stat_name))
        .collect();
    names.sort();
    names
}
