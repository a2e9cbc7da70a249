//! The service as gRPC has it: streams wait for what Envoy says and for secrets that change.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_server::SecretDiscoveryService;
use futures::{Stream, stream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::keeper::Secrets;
use super::subscription::{Delta, Sotw, Variant};
use super::wanted::{Lease, Wanted};

/// How long a single question waits for files.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Service {
    secrets: watch::Receiver<Secrets>,
    wanted: Arc<Wanted>,
    stop: CancellationToken,
}

impl Service {
    pub(super) fn new(
        secrets: watch::Receiver<Secrets>,
        wanted: Arc<Wanted>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            secrets,
            wanted,
            stop,
        }
    }

    fn stream<V: Variant>(&self, requests: Streaming<V::Request>) -> Responses<V::Response> {
        let open = Open {
            requests,
            secrets: self.secrets.clone(),
            lease: Lease::new(Arc::clone(&self.wanted)),
            stop: self.stop.clone(),
            state: V::default(),
        };
        Box::pin(stream::unfold(Some(open), |open| async {
            let mut open = open?;
            match open.next().await {
                Ok(Some(response)) => Some((Ok(response), Some(open))),
                Ok(None) => None,
                Err(status) => Some((Err(status), None)),
            }
        }))
    }
}

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

struct Open<V: Variant> {
    requests: Streaming<V::Request>,
    secrets: watch::Receiver<Secrets>,
    lease: Lease,
    stop: CancellationToken,
    state: V,
}

impl<V: Variant> Open<V> {
    /// The next response; `None` when Envoy has no more to say.
    async fn next(&mut self) -> Result<Option<V::Response>, Status> {
        loop {
            let secrets = Secrets::clone(&self.secrets.borrow_and_update());
            if let Some(response) = self.state.response(&secrets) {
                return Ok(Some(response));
            }
            tokio::select! {
                // The end first, then what is asked, then what is new.
                biased;
                () = self.stop.cancelled() => return Err(Status::unavailable("the agent is shutting down")),
                request = self.requests.message() => {
                    let Some(request) = request? else {
                        return Ok(None);
                    };
                    if let Some(why) = self.state.request(request) {
                        tracing::warn!(target: "sds", why, "Envoy refuses a secret");
                    }
                    self.lease.renew(self.state.names());
                }
                changed = self.secrets.changed() => {
                    changed.map_err(|_| Status::unavailable("the agent is shutting down"))?;
                }
            }
        }
    }
}

#[tonic::async_trait]
impl SecretDiscoveryService for Service {
    type DeltaSecretsStream = Responses<DeltaDiscoveryResponse>;
    type StreamSecretsStream = Responses<DiscoveryResponse>;

    async fn delta_secrets(
        &self,
        requests: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaSecretsStream>, Status> {
        Ok(Response::new(self.stream::<Delta>(requests.into_inner())))
    }

    async fn stream_secrets(
        &self,
        requests: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamSecretsStream>, Status> {
        Ok(Response::new(self.stream::<Sotw>(requests.into_inner())))
    }

    async fn fetch_secrets(
        &self,
        request: Request<DiscoveryRequest>,
    ) -> Result<Response<DiscoveryResponse>, Status> {
        let mut state = Sotw::default();
        state.request(request.into_inner());
        let mut lease = Lease::new(Arc::clone(&self.wanted));
        lease.renew(state.names());
        let mut secrets = self.secrets.clone();
        let all = secrets.wait_for(|secrets| state.names().all(|name| secrets.contains_key(name)));
        // What is not there by then is left out.
        let _ = timeout(PATIENCE, all).await;
        let found = Secrets::clone(&secrets.borrow());
        state
            .response(&found)
            .map(Response::new)
            .ok_or_else(|| Status::not_found("no secret of these names can be served"))
    }
}
