//! Envoy's side: a connection on the socket, and each of its streams joined to one of discovery's.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pilothouse_process::causes;
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, watch};
use tonic::Status;

use super::connection::{Connection, NotOpened};
use super::names::{self, Subscription, Table};
use super::requests::Requests;
use super::responses::{OpenStream, Responses};
use super::sieve::Sieve;
use super::tasks::Tasks;
use super::{Counters, Limits, Variant};

/// What every stream of Envoy's needs. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Downstream {
    upstream: watch::Receiver<Option<Connection>>,
    table: Option<Arc<Table>>,
    counters: Arc<Counters>,
    permits: Arc<Semaphore>,
    streams: u32,
    window: u32,
    tasks: Tasks,
}

impl Downstream {
    pub(super) fn new(
        upstream: watch::Receiver<Option<Connection>>,
        table: Option<Arc<Table>>,
        counters: Arc<Counters>,
        limits: &Limits,
        tasks: Tasks,
    ) -> Self {
        Self {
            upstream,
            table,
            counters,
            permits: Arc::new(Semaphore::new(limits.streams)),
            streams: u32::try_from(limits.streams).unwrap_or(u32::MAX),
            window: limits.window,
            tasks,
        }
    }

    /// Serves a connection until it ends.
    pub(super) async fn serve(self, stream: UnixStream) {
        let mut builder = http2::Builder::new(self.tasks.clone());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(self.window)
            .initial_connection_window_size(
                self.window
                    .saturating_mul(self.streams)
                    .min(i32::MAX as u32),
            )
            .max_concurrent_streams(self.streams)
            .auto_date_header(false);
        let service = service_fn(move |request| {
            let this = self.clone();
            async move { Ok::<_, Infallible>(this.respond(request).await) }
        });
        if let Err(error) = builder
            .serve_connection(TokioIo::new(stream), service)
            .await
        {
            tracing::debug!(target: "xdsproxy", error = causes(&error), "a connection of Envoy's ends");
        }
    }

    async fn respond(mut self, request: Request<Incoming>) -> Response<Responses> {
        if request.method() != Method::POST {
            return plain(StatusCode::METHOD_NOT_ALLOWED);
        }
        let content_type = request.headers().get(CONTENT_TYPE);
        if !content_type.is_some_and(|found| found.as_bytes().starts_with(b"application/grpc")) {
            return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            let why = format!("this agent carries {} streams at a time", self.streams);
            return Status::resource_exhausted(why).into_http();
        };
        let mut open = OpenStream::new(Arc::clone(&self.counters), permit);
        let own = self.own(request.uri().path());
        let subscription = own
            .as_ref()
            .map(|(_, subscription)| Arc::clone(subscription));
        let mut request = Box::new(self.to_discovery(request, subscription));
        // Nothing of the request is read before there is a discovery to read it.
        let response = loop {
            let found = self
                .upstream
                .wait_for(|found| found.as_ref().is_some_and(Connection::is_open))
                .await
                .map(|found| found.clone());
            let Ok(Some(mut connection)) = found else {
                return Status::unavailable("the agent is shutting down").into_http();
            };
            open.over(&connection.health);
            match connection.open(*request).await {
                Ok(response) => break response,
                Err(NotOpened::Unsent(unsent)) => request = unsent,
                Err(NotOpened::Lost(error)) => {
                    let why = causes(&error);
                    return Status::unavailable(format!("discovery is lost: {why}")).into_http();
                }
            }
        };
        if response.status() != StatusCode::OK {
            open.turned_away(&format!("HTTP status {}", response.status()));
        }
        open.refused(response.headers());
        response.map(|body| Responses::new(body, own, open))
    }

    /// The agent's own part in a stream: it has one in those that carry all types.
    fn own(&self, path: &str) -> Option<(Sieve, Arc<Subscription>)> {
        const ADS: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/";
        let table = self.table.as_ref()?;
        let variant = match path.strip_prefix(ADS)? {
            "DeltaAggregatedResources" => Variant::Delta,
            "StreamAggregatedResources" => Variant::Sotw,
            _ => return None,
        };
        let subscription =
            Subscription::new(variant, Arc::clone(table), Arc::clone(&self.counters));
        let sieve = Sieve::new(variant, names::TYPE, table.limit());
        Some((sieve, Arc::new(subscription)))
    }

    fn to_discovery(
        &self,
        request: Request<Incoming>,
        subscription: Option<Arc<Subscription>>,
    ) -> Request<Requests> {
        let counters = Arc::clone(&self.counters);
        let mut request = request.map(|body| Requests::new(body, subscription, counters));
        let headers = request.headers_mut();
        headers.remove(HOST);
        // What is compressed cannot be looked into, and Envoy asks for nothing of the kind.
        headers.remove("grpc-accept-encoding");
        request
    }
}

fn plain(status: StatusCode) -> Response<Responses> {
    let mut response = Response::new(Responses::default());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
