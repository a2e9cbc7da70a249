//! A relay of ADS that stands between proxies and discovery and can lose what it carries: a response, all streams, one name.

use std::collections::BTreeSet;
use std::fmt;
use std::future::ready;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use futures::{Stream, StreamExt, stream};
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

/// As large as a response may be.
const MAX: usize = 256 << 20;

/// A relay; dropping it ends its streams and closes its port.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

/// What becomes of the next response of a type; it happens once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// All streams end in its place, and none is carried until [`Relay::heal`].
    CutBefore(&'static str),
    /// The same once it has been delivered.
    CutAfter(&'static str),
}

/// What a response carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// Its type.
    pub type_url: String,
    /// The resources in it.
    pub upserts: Vec<String>,
    /// The names that it takes away.
    pub removals: Vec<String>,
}

struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    down: bool,
    cut: CancellationToken,
    fault: Option<Fault>,
    lost: BTreeSet<(&'static str, String)>,
    carried: Vec<Carried>,
}

impl Relay {
    /// Carries what comes to a free port of loopback to `upstream`.
    pub async fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("binding a relay")?;
        let address = listener
            .local_addr()
            .context("asking for a bound address")?;
        let shared = Arc::new(Shared {
            upstream,
            state: Mutex::default(),
        });
        let service =
            AggregatedDiscoveryServiceServer::from_arc(Arc::new(Carrier(Arc::clone(&shared))))
                .max_decoding_message_size(MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let served = Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpIncoming::from(listener));
            // Its clients see what has gone wrong.
            served.await.ok();
        });
        Ok(Self {
            address,
            shared,
            _tasks: tasks,
        })
    }

    /// Where proxies find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes something go wrong, once.
    pub fn fault(&self, fault: Fault) {
        self.shared.lock().fault = Some(fault);
    }

    /// Takes a resource out of every response.
    pub fn lose(&self, type_url: &'static str, name: &str) {
        self.shared.lock().lost.insert((type_url, name.to_owned()));
    }

    /// Ends all streams and carries none until [`Relay::heal`].
    pub fn cut(&self) {
        self.shared.lock().cut();
    }

    /// Whether streams are carried.
    pub fn is_down(&self) -> bool {
        self.shared.lock().down
    }

    /// Carries streams again, and everything in them.
    pub fn heal(&self) {
        let mut state = self.shared.lock();
        state.down = false;
        state.fault = None;
        state.lost.clear();
    }

    /// What it has delivered since it was last asked.
    pub fn take_carried(&self) -> Vec<Carried> {
        std::mem::take(&mut self.shared.lock().carried)
    }
}

impl State {
    fn cut(&mut self) {
        self.down = true;
        std::mem::take(&mut self.cut).cancel();
    }

    /// Whether a response is to be delivered. A fault may end all streams here.
    fn delivers(&mut self, response: &mut impl Discovered) -> bool {
        let type_url = response.type_url().to_owned();
        for (lost, name) in &self.lost {
            if *lost == type_url {
                response.lose(name);
            }
        }
        let fault = self.fault.filter(|fault| {
            let (Fault::CutBefore(of) | Fault::CutAfter(of)) = fault;
            *of == type_url
        });
        if fault.is_some() {
            self.fault = None;
            self.cut();
        }
        let delivered = !matches!(fault, Some(Fault::CutBefore(_)));
        if delivered {
            self.carried.push(Carried {
                type_url,
                upserts: response.upserts(),
                removals: response.removals(),
            });
        }
        delivered
    }
}

impl Shared {
    /// A test that panicked has its own trace.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token of a new stream, and the way to discovery.
    async fn open(
        &self,
    ) -> Result<(CancellationToken, AggregatedDiscoveryServiceClient<Channel>), Status> {
        let cut = {
            let state = self.lock();
            if state.down {
                return Err(Status::unavailable("the relay is cut"));
            }
            state.cut.clone()
        };
        let endpoint = Endpoint::from_shared(format!("http://{}", self.upstream))
            .map_err(|error| Status::internal(error.to_string()))?;
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        Ok((
            cut,
            AggregatedDiscoveryServiceClient::new(channel).max_decoding_message_size(MAX),
        ))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("upstream", &self.upstream)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Carrier(Arc<Shared>);

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl AggregatedDiscoveryService for Carrier {
    type StreamAggregatedResourcesStream = Responses<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Responses<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        requests: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        let (cut, mut client) = self.0.open().await?;
        let opening = client.stream_aggregated_resources(readable(requests));
        let responses = tokio::select! {
            opened = opening => opened?.into_inner(),
            () = cut.cancelled() => return Err(Status::unavailable("the relay is cut")),
        };
        Ok(Response::new(carry(Arc::clone(&self.0), cut, responses)))
    }

    async fn delta_aggregated_resources(
        &self,
        requests: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let (cut, mut client) = self.0.open().await?;
        let opening = client.delta_aggregated_resources(readable(requests));
        let responses = tokio::select! {
            opened = opening => opened?.into_inner(),
            () = cut.cancelled() => return Err(Status::unavailable("the relay is cut")),
        };
        Ok(Response::new(carry(Arc::clone(&self.0), cut, responses)))
    }
}

/// The requests of a stream, as long as they can be read.
fn readable<T: Send + 'static>(requests: Request<Streaming<T>>) -> impl Stream<Item = T> + Send {
    let readable = requests
        .into_inner()
        .take_while(|request| ready(request.is_ok()));
    readable.filter_map(|request| ready(request.ok()))
}

fn carry<T: Discovered>(
    shared: Arc<Shared>,
    cut: CancellationToken,
    responses: Streaming<T>,
) -> Responses<T> {
    let end = || {
        Some((
            Err(Status::unavailable("the relay has cut the stream")),
            None,
        ))
    };
    let carried = stream::unfold(Some((shared, cut, responses)), move |open| async move {
        let (shared, cut, mut responses) = open?;
        let next = tokio::select! {
            biased;
            () = cut.cancelled() => return end(),
            next = responses.message() => next,
        };
        match next {
            Ok(Some(mut response)) => {
                let delivers = shared.lock().delivers(&mut response);
                if delivers {
                    Some((Ok(response), Some((shared, cut, responses))))
                } else {
                    end()
                }
            }
            Ok(None) => None,
            Err(status) => Some((Err(status), None)),
        }
    });
    Box::pin(carried)
}

/// What the two variants have in common.
trait Discovered: Send + 'static {
    fn type_url(&self) -> &str;
    fn upserts(&self) -> Vec<String>;
    fn removals(&self) -> Vec<String>;
    fn lose(&mut self, name: &str);
}

impl Discovered for DeltaDiscoveryResponse {
    fn type_url(&self) -> &str {
        &self.type_url
    }

    fn upserts(&self) -> Vec<String> {
        self.resources
            .iter()
            .map(|resource| resource.name.clone())
            .collect()
    }

    fn removals(&self) -> Vec<String> {
        self.removed_resources.clone()
    }

    fn lose(&mut self, name: &str) {
        self.resources.retain(|resource| resource.name != name);
    }
}

impl Discovered for DiscoveryResponse {
    fn type_url(&self) -> &str {
        &self.type_url
    }

    fn upserts(&self) -> Vec<String> {
        self.resources
            .iter()
            .map(|resource| name_of(&resource.value))
            .collect()
    }

    fn removals(&self) -> Vec<String> {
        Vec::new()
    }

    fn lose(&mut self, name: &str) {
        self.resources
            .retain(|resource| name_of(&resource.value) != name);
    }
}

/// The first field of each of the four types is its name.
fn name_of(resource: &[u8]) -> String {
    #[derive(Clone, PartialEq, Message)]
    struct Named {
        #[prost(string, tag = "1")]
        name: String,
    }
    Named::decode(resource)
        .map(|named| named.name)
        .unwrap_or_default()
}
