//! A small, correct xDS client: every request is the test's own decision, every response is handed over as it came.
//!
//! [`DeltaClient`] and [`SotwClient`] speak the two variants of the protocol, over ADS or over the service of one type. They keep what a
//! client must keep (the node for the first request, the resources it holds) and nothing that a test would have to know.

mod delta;
mod sotw;

pub use delta::DeltaClient;
pub use sotw::SotwClient;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use envoy_types::pb::envoy::config::core::v3::{BuildVersion, Node, node};
use envoy_types::pb::envoy::r#type::v3::SemanticVersion;
use envoy_types::pb::google::protobuf::{Any, Struct, Value, value};
use envoy_types::pb::google::rpc::Status as Refusal;
use futures::channel::mpsc;
use futures::future::BoxFuture;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status, Streaming};

/// The type URL of clusters.
pub const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
/// The type URL of load assignments.
pub const ENDPOINT: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
/// The type URL of listeners.
pub const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
/// The type URL of route tables.
pub const ROUTE: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
/// The type URL of name tables.
pub const NAME_TABLE: &str = "type.googleapis.com/istio.networking.nds.v1.NameTable";

/// An unscoped mesh comes in one response, as it does to Envoy.
const MAX: usize = 256 << 20;

/// How long a client waits for a response that a test expects.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which gRPC service a stream belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// All types over one stream.
    Aggregated,
    /// Clusters only.
    Cluster,
    /// Load assignments only.
    Endpoint,
    /// Listeners only.
    Listener,
    /// Route tables only.
    Route,
}

/// What a client holds of one type: version and content by name.
pub type Held = BTreeMap<String, (String, Any)>;

/// A node as a sidecar announces it.
pub fn node(id: &str, metadata: &[(&str, &str)]) -> Node {
    let text = |text: &str| Value {
        kind: Some(value::Kind::StringValue(text.to_owned())),
    };
    let fields = metadata
        .iter()
        .map(|(key, value)| ((*key).to_owned(), text(value)))
        .collect();
    let version = SemanticVersion {
        major_number: 1,
        minor_number: 40,
        patch: 0,
    };
    Node {
        id: id.to_owned(),
        cluster: "test".to_owned(),
        metadata: Some(Struct { fields }),
        user_agent_name: "envoy".to_owned(),
        user_agent_version_type: Some(node::UserAgentVersionType::UserAgentBuildVersion(
            BuildVersion {
                version: Some(version),
                metadata: None,
            },
        )),
        ..Node::default()
    }
}

async fn channel(address: SocketAddr) -> Result<Channel> {
    Endpoint::from_shared(format!("http://{address}"))
        .context("the address of discovery")?
        .connect()
        .await
        .with_context(|| format!("connecting to discovery at {address}"))
}

/// One stream: requests go into a queue, responses are awaited one by one.
struct Stream<Q, P> {
    requests: mpsc::UnboundedSender<Q>,
    responses: Responses<P>,
    /// For the first request.
    node: Option<Node>,
}

/// The server may withhold its headers until it has something to say.
enum Responses<P> {
    Opening(Opening<P>),
    Open(Box<Streaming<P>>),
}

/// What is asked of a response of either variant.
trait Answer {
    fn type_url(&self) -> &str;

    /// What is in it, for people.
    fn contents(&self) -> String;
}

type Opening<P> = BoxFuture<'static, Result<Response<Streaming<P>>, Status>>;

impl<Q, P> fmt::Debug for Stream<Q, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl<Q, P: Answer> Stream<Q, P> {
    fn new(node: Node, requests: mpsc::UnboundedSender<Q>, opening: Opening<P>) -> Self {
        Self {
            requests,
            responses: Responses::Opening(opening),
            node: Some(node),
        }
    }

    fn send(&self, request: Q) -> Result<()> {
        self.requests
            .unbounded_send(request)
            .map_err(|_| anyhow::anyhow!("the stream has ended"))
    }

    /// The next response; `None` when the server has ended the stream well.
    async fn receive(&mut self) -> Result<Option<P>, Status> {
        if let Responses::Opening(opening) = &mut self.responses {
            self.responses = Responses::Open(Box::new(opening.await?.into_inner()));
        }
        match &mut self.responses {
            Responses::Opening(_) => Ok(None),
            Responses::Open(stream) => stream.message().await,
        }
    }

    async fn next(&mut self) -> Result<P> {
        match timeout(PATIENCE, self.receive())
            .await
            .with_context(|| format!("no response within {PATIENCE:?}"))?
        {
            Ok(Some(response)) => Ok(response),
            Ok(None) => bail!("the server has ended the stream"),
            Err(status) => bail!("the server has ended the stream: {status:?}"),
        }
    }

    /// Fails if anything comes within this time.
    async fn expect_nothing(&mut self, quiet: Duration) -> Result<()> {
        match timeout(quiet, self.receive()).await {
            Err(_) => Ok(()),
            Ok(Ok(Some(response))) => bail!(
                "nothing was expected, but {} of {} came",
                response.contents(),
                response.type_url()
            ),
            Ok(Ok(None)) => bail!("the server has ended the stream"),
            Ok(Err(status)) => bail!("the server has ended the stream: {status:?}"),
        }
    }

    /// Closes this side and awaits the other's end.
    async fn finish(mut self) -> Result<(), Status> {
        self.requests.close_channel();
        let ended = async {
            while self.receive().await?.is_some() {}
            Ok(())
        };
        timeout(PATIENCE, ended).await.unwrap_or_else(|_| {
            Err(Status::deadline_exceeded(
                "the server does not end the stream",
            ))
        })
    }
}

/// Fails if the response is of another type.
fn of_type<P: Answer>(response: P, type_url: &str) -> Result<P> {
    ensure!(
        response.type_url() == type_url,
        "a response of type {} came, {type_url} was expected",
        response.type_url()
    );
    Ok(response)
}

fn refusal(why: &str) -> Refusal {
    Refusal {
        code: tonic::Code::InvalidArgument.into(),
        message: why.to_owned(),
        details: Vec::new(),
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
