//! One connection: HTTP/2 on a socket, and the way from a request to a stream.

use std::convert::Infallible;
use std::future::{Future, Ready, poll_fn, ready};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::TaskTracker;
use tonic::Status;

use super::Shared;
use super::body::Body;
use super::connections::{Connection, Open, Order};
use super::limits::Limits;
use super::per_type;

/// Serves a connection until one of its ends has had enough. All its streams have ended when this has.
pub(crate) async fn serve(
    io: impl AsyncRead + AsyncWrite + Unpin + 'static,
    open: Open,
    shared: Arc<Shared>,
) {
    let streams = TaskTracker::new();
    let connection = &open.connection;
    {
        let service = Service {
            shared: Arc::clone(&shared),
            connection: Arc::clone(connection),
        };
        let http2 = builder(&shared.context.limits, Streams(streams.clone()));
        let mut http2 = pin!(http2.serve_connection(TokioIo::new(io), service));
        let mut leaving = false;
        let served = poll_fn(|cx| {
            match connection.poll_order(cx.waker()) {
                Order::Serve => {}
                Order::Leave if leaving => {}
                Order::Leave => {
                    leaving = true;
                    http2.as_mut().graceful_shutdown();
                }
                Order::Close => return Poll::Ready(Ok(())),
            }
            http2.as_mut().poll(cx)
        });
        if let Err(error) = served.await {
            tracing::debug!(target: "ads", peer = %connection.peer, %error, "connection ends");
        }
        // Dropped here, HTTP/2 tells the streams that their connection is gone.
    }
    streams.close();
    streams.wait().await;
}

fn builder(limits: &Limits, streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.keepalive)
        .keep_alive_timeout(limits.keepalive_timeout)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.headers)
        .max_pending_accept_reset_streams(limits.pending_resets)
        .max_local_error_reset_streams(limits.error_resets)
        .auto_date_header(false);
    builder
}

/// Runs streams, and lets their connection wait for them.
#[derive(Debug, Clone)]
struct Streams(TaskTracker);

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}

struct Service {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        ready(Ok(self.respond(request)))
    }
}

impl Service {
    fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        if request.method() != Method::POST {
            return plain(StatusCode::METHOD_NOT_ALLOWED);
        }
        let content_type = request
            .headers()
            .get(CONTENT_TYPE)
            .map(HeaderValue::as_bytes);
        if !content_type.is_some_and(|content_type| content_type.starts_with(b"application/grpc")) {
            return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        let Some(method) = per_type::method(request.uri().path()) else {
            return Status::unimplemented("this server has the discovery services of Envoy's clusters, endpoints, listeners and routes").into_http();
        };
        if self.connection.ordered() != Order::Serve || self.shared.connections.draining() {
            return Status::unavailable("this server is shutting down; connect to another")
                .into_http();
        }
        let body = Body::stream(&self.shared, &self.connection, method, request.into_body());
        let mut response = Response::new(body);
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        response
    }
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = status;
    response
}
