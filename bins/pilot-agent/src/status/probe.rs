//! The application's probes and lifecycle hooks, asked on behalf of a kubelet that cannot reach its ports.
//!
//! The kubelet asks `/app-health/CONTAINER/livez` here; the agent asks what the manifest had said and passes on how that
//! went: the status code alone, for the answer itself is not meant for whoever reaches this port.

mod connect;
mod grpc;
mod http;
mod redirect;
mod spec;
mod tls;

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use connect::Place;
use spec::Kind;
pub use spec::{Probers, SpecError};

/// The application beside this agent.
pub(super) struct Application {
    probers: Probers,
    place: Place,
    /// The port that this agent is asked at, which is not the application's.
    own_port: u16,
    tls: tls::Unverified,
}

impl Application {
    pub(super) fn new(probers: Probers, at: IpAddr, own_port: u16) -> Result<Self> {
        Ok(Self {
            probers,
            place: Place::new(at),
            own_port,
            tls: tls::Unverified::new().context("preparing TLS for the application's probes")?,
        })
    }

    /// Asks what stands for `path`, with the headers of the request that came here.
    pub(super) async fn probe(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return StatusCode::METHOD_NOT_ALLOWED.into_response();
        }
        let Some(prober) = self.probers.get(path) else {
            return (StatusCode::NOT_FOUND, "no probe has this path\n").into_response();
        };
        let asked = async {
            match &prober.kind {
                Kind::Http(get) => http::ask(get, self, headers).await,
                Kind::Tcp(tcp) => self
                    .place
                    .connect(tcp.host.as_deref(), tcp.port)
                    .await
                    .map(|_| StatusCode::OK.into_response()),
                Kind::Grpc(grpc) => {
                    let stream = self.place.connect(None, grpc.port).await?;
                    grpc::ask(stream, &grpc.service)
                        .await
                        .map(|()| StatusCode::OK.into_response())
                }
            }
        };
        let outcome = match prober.within() {
            Some(within) => timeout(within, asked)
                .await
                .unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {within:?}"))),
            // A hook may take as long as the kubelet waits for it.
            None => asked.await,
        };
        outcome.unwrap_or_else(|error| {
            tracing::debug!(path, error = %format!("{error:#}"), "a probe of the application failed");
            (StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}\n")).into_response()
        })
    }
}

/// What a probe without a time-out of its own may take, which is Kubernetes' default.
const WITHIN: Duration = Duration::from_secs(1);
