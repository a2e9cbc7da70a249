//! What happens to those who ask for too much, or take too long.

use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tonic::Code;

use super::harness::{Running, clusters, names, node, soon, start, until};
use crate::resource::ResourceType;
use crate::server::Limits;

fn server(limits: Limits) -> Running {
    start(limits, Some(clusters(&[("a", "1")])))
}

/// A request with its first bytes, whose stream is ended with this status.
async fn check(
    limits: Limits,
    request: DeltaDiscoveryRequest,
    code: Code,
    message: &str,
) -> Running {
    let server = server(limits);
    let mut client = server.delta().await;
    client.send(request);
    let (got, text) = client.end().await;
    assert_eq!(got, code, "{text}");
    assert!(text.contains(message), "{text}");
    server
}

fn request() -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: node(),
        type_url: ResourceType::Cluster.url().to_owned(),
        ..DeltaDiscoveryRequest::default()
    }
}

#[tokio::test]
async fn a_message_has_a_size() {
    let large = DeltaDiscoveryRequest {
        resource_names_subscribe: vec!["x".repeat(1_000)],
        ..request()
    };
    let limits = Limits {
        message: 1_000,
        ..Limits::default()
    };
    let server = check(
        limits,
        large,
        Code::ResourceExhausted,
        "larger than the 1000",
    )
    .await;
    assert_eq!(server.limited("message_size"), 1);
}

#[tokio::test]
async fn a_node_has_a_size() {
    let limits = Limits {
        node: 10,
        ..Limits::default()
    };
    let server = check(
        limits,
        request(),
        Code::ResourceExhausted,
        "more than the 10",
    )
    .await;
    assert_eq!(server.limited("node"), 1);
}

#[tokio::test]
async fn names_have_limits() {
    let long = DeltaDiscoveryRequest {
        resource_names_subscribe: vec!["x".repeat(5_000)],
        ..request()
    };
    let server = check(
        Limits::default(),
        long,
        Code::ResourceExhausted,
        "5000 bytes",
    )
    .await;
    assert_eq!(server.limited("names"), 1);
}

#[tokio::test]
async fn a_stream_begins_with_a_node_and_a_type() {
    let nobody = DeltaDiscoveryRequest {
        node: None,
        ..request()
    };
    check(
        Limits::default(),
        nobody,
        Code::InvalidArgument,
        "set node.id",
    )
    .await;
    let nothing = DeltaDiscoveryRequest {
        type_url: String::new(),
        ..request()
    };
    check(
        Limits::default(),
        nothing,
        Code::InvalidArgument,
        "type_url is empty",
    )
    .await;
}

#[tokio::test]
async fn requests_have_a_rate() {
    let limits = Limits {
        rate: 0.001,
        burst: 3.0,
        ..Limits::default()
    };
    let server = server(limits);
    let mut client = server.delta().await;
    for _ in 0..4 {
        client.subscribe();
    }
    assert_eq!(client.end().await.0, Code::ResourceExhausted);
    assert_eq!(server.limited("rate"), 1);
}

#[tokio::test]
async fn more_connections_than_may_be_are_closed() {
    let server = server(Limits {
        connections: 1,
        ..Limits::default()
    });
    let mut first = server.delta().await;
    let mut second = TcpStream::connect(server.address).await.unwrap();
    // Closed at once; where the client was faster, with a reset.
    let read = soon("the end", second.read(&mut [0; 16])).await;
    assert!(!matches!(read, Ok(1..)), "{read:?}");
    assert_eq!(server.limited("connections"), 1);
    first.subscribe();
    assert_eq!(first.next().await.resources.len(), 1);
}

#[tokio::test]
async fn a_connection_that_never_speaks_http_is_closed() {
    let server = server(Limits::default());
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut babbling = TcpStream::connect(server.address).await.unwrap();
    babbling.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    soon("the end", babbling.read_to_end(&mut answer))
        .await
        .unwrap_or_default();
    until("one connection", || server.connections.len() == 1).await;
    server
        .connections
        .sweep(Instant::now() + Duration::from_secs(11));
    soon("the end", silent.read_to_end(&mut answer))
        .await
        .unwrap_or_default();
    assert_eq!(server.limited("handshake"), 1);
}

#[tokio::test]
async fn a_peer_that_gives_no_sign_of_life_is_closed() {
    let server = server(Limits {
        keepalive: Duration::from_millis(50),
        keepalive_timeout: Duration::from_millis(50),
        ..Limits::default()
    });
    let mut living = server.delta().await;
    living.subscribe();
    let mut dead = TcpStream::connect(server.address).await.unwrap();
    dead.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    until("both", || server.connections.len() == 2).await;
    let mut frames = Vec::new();
    soon("the end", dead.read_to_end(&mut frames))
        .await
        .unwrap_or_default();
    assert!(!frames.is_empty(), "it was asked first");
    assert_eq!(server.limited("handshake"), 0);
    assert_eq!(living.next().await.resources.len(), 1);
}

#[tokio::test]
async fn a_first_message_has_to_come() {
    let server = server(Limits::default());
    let mut client = server.delta().await;
    server
        .connections
        .sweep(Instant::now() + Duration::from_secs(14));
    server
        .connections
        .sweep(Instant::now() + Duration::from_secs(16));
    assert_eq!(client.end().await.0, Code::DeadlineExceeded);
    assert_eq!(server.limited("first_message"), 1);
}

#[tokio::test]
async fn an_old_connection_is_asked_to_go() {
    let server = server(Limits::default());
    let mut client = server.delta().await;
    client.subscribe();
    client.next().await;
    server
        .connections
        .sweep(Instant::now() + Duration::from_secs(25 * 60));
    server
        .connections
        .sweep(Instant::now() + Duration::from_secs(35 * 60));
    let (code, message) = client.end().await;
    assert_eq!(code, Code::Unavailable);
    assert!(message.contains("maximum age"), "{message}");
    until("the connection to end", || server.connections.is_empty()).await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_closed_and_harms_nobody() {
    let large = "x".repeat(2_000);
    let many: Vec<_> = (0..200)
        .map(|n| (format!("cluster-{n}"), &*large))
        .collect();
    let server = start(Limits::default(), Some(clusters(&many)));
    let mut reader = server.delta().await;
    reader.subscribe();
    let all = reader.next().await;
    reader.ack(&all);
    assert_eq!(names(&all).len(), 200);

    let stalled = super::harness::delta_over(server.channel(65_535).await).await;
    stalled.subscribe();
    until("a response for both", || {
        let clients = server.connections.clients();
        clients.len() == 2 && clients.iter().all(|client| client.bytes_sent > 400_000)
    })
    .await;

    server.script.publish(clusters(&[("new", "1")]));
    let change = reader.next().await;
    reader.ack(&change);
    assert_eq!(names(&change), [("new".to_owned(), "1".to_owned())]);

    let start = Instant::now();
    // The window lets through what fits; from the moment nothing moves, the time runs.
    until("the stall to be noticed", || {
        server.connections.sweep(start);
        server.connections.sweep(start + Duration::from_secs(29));
        server.connections.sweep(start + Duration::from_secs(60));
        server.metrics.write_timeout.get() == 1
    })
    .await;
    until("the connection to end", || server.connections.len() == 1).await;
    assert_eq!(server.script.seats(), 1);
}

#[tokio::test]
async fn initial_transfers_take_turns() {
    let server = server(Limits {
        initial_transfers: 1,
        ..Limits::default()
    });
    let types = ResourceType::ALL.map(|of| {
        let names = if of.has_wildcard() {
            vec![]
        } else {
            vec!["a".to_owned()]
        };
        DeltaDiscoveryRequest {
            node: node(),
            type_url: of.url().to_owned(),
            resource_names_subscribe: names,
            ..DeltaDiscoveryRequest::default()
        }
    });
    let (mut first, mut second) = (server.delta().await, server.delta().await);
    first.subscribe();
    let unanswered = first.next().await;
    second.subscribe();
    until("the second to wait", || {
        server.metrics.admission_waiting.get() == 1
    })
    .await;

    for request in &types[1..] {
        first.send(request.clone());
    }
    first.ack(&unanswered);
    tokio::select! {
        response = second.next() => assert_eq!(names(&response).len(), 1),
        () = async { loop { let response = first.next().await; first.ack(&response); } } => {}
    }
    assert_eq!(server.metrics.admission_waiting.get(), 0);
}
