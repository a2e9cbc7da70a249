//! Probes over gRPC: one call of the standard health service.
//!
//! It is one request with one short message each way, for which a client with channels and stubs would be more than it needs.

use ::http::{Method, Request, Version, header};
use anyhow::{Context, Result, bail, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Longer than any answer of a health service.
const LIMIT: usize = 4096;
/// A frame's head: whether it is compressed, and its length.
const HEAD: usize = 5;
/// `grpc.health.v1.HealthCheckResponse.ServingStatus.SERVING`.
const SERVING: i32 = 1;

/// `grpc.health.v1.HealthCheckRequest`
#[derive(Clone, PartialEq, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

/// `grpc.health.v1.HealthCheckResponse`
#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Asks after `service`, or after the whole server where that is empty.
pub(super) async fn ask(stream: TcpStream, service: &str) -> Result<()> {
    let authority = stream.peer_addr()?.to_string();
    let (mut sender, connection) =
        http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .context("the application does not speak HTTP/2 there")?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = Request::builder()
        .method(Method::POST)
        .version(Version::HTTP_2)
        .uri(format!("http://{authority}/grpc.health.v1.Health/Check"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header(header::USER_AGENT, "kube-probe/pilot-agent")
        .body(Full::new(frame(&HealthCheckRequest {
            service: service.to_owned(),
        })))?;
    let response = sender
        .send_request(request)
        .await
        .context("the application does not answer")?;
    ensure!(
        response.status().is_success(),
        "the application answers {}",
        response.status()
    );
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LIMIT)
        .collect()
        .await
        .map_err(|error| anyhow::anyhow!("its answer broke off: {error}"))?;
    // An answer without a message has its trailers as headers.
    let trailers = body.trailers().cloned().unwrap_or(head.headers);
    let code = trailers
        .get("grpc-status")
        .and_then(|code| code.to_str().ok())
        .unwrap_or("missing")
        .to_owned();
    if code != "0" {
        let message = trailers
            .get("grpc-message")
            .and_then(|message| message.to_str().ok())
            .unwrap_or("");
        bail!("its health service answers with the gRPC status {code}: {message}");
    }
    let body = body.to_bytes();
    let message = body
        .get(HEAD..)
        .context("its health service answers without a message")?;
    let answer = HealthCheckResponse::decode(message).context("its health service answers")?;
    ensure!(
        answer.status == SERVING,
        "its health service says {}",
        match answer.status {
            2 => "NOT_SERVING",
            3 => "SERVICE_UNKNOWN",
            _ => "UNKNOWN",
        }
    );
    Ok(())
}

fn frame(message: &impl Message) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEAD + message.encoded_len());
    frame.put_u8(0);
    // A name of a service that is longer than 4 GiB does not get through the environment.
    frame.put_u32(u32::try_from(message.encoded_len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(&message.encode_to_vec());
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::{HeaderMap, HeaderValue};
    use axum::response::Response;
    use axum::routing::post;
    use tokio::net::TcpListener;

    use super::*;

    /// A health service in the words of the protocol: knows `slow`, `broken` and the server itself.
    async fn health(body: Bytes) -> Response {
        let request = HealthCheckRequest::decode(&body[HEAD..]).unwrap();
        let status = match request.service.as_str() {
            "" => SERVING,
            "broken" => 2,
            _ => {
                // What is not found has no message, and its trailers are headers.
                return Response::builder()
                    .header(header::CONTENT_TYPE, "application/grpc")
                    .header("grpc-status", "5")
                    .header("grpc-message", "unknown service")
                    .body(Body::empty())
                    .unwrap();
            }
        };
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let body = Full::new(frame(&HealthCheckResponse { status }))
            .with_trailers(std::future::ready(Some(Ok(trailers))));
        Response::builder()
            .header(header::CONTENT_TYPE, "application/grpc")
            .body(Body::new(body))
            .unwrap()
    }

    async fn check(router: Router, service: &str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await });
        let stream = TcpStream::connect(at).await.unwrap();
        ask(stream, service)
            .await
            .map_err(|error| format!("{error:#}"))
    }

    #[tokio::test]
    async fn what_a_health_service_says() {
        let router = || Router::new().route("/grpc.health.v1.Health/Check", post(health));
        assert_eq!(check(router(), "").await, Ok(()));
        for (service, expected) in [
            ("broken", "says NOT_SERVING"),
            ("other", "the gRPC status 5: unknown service"),
        ] {
            let error = check(router(), service).await.unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let error = check(Router::new(), "").await.unwrap_err();
        assert!(error.contains("404"), "{error}");
    }
}
