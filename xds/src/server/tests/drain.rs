//! How clients are let go.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;

use super::harness::{clusters, soon, start_with, until};
use crate::server::Limits;

#[tokio::test]
async fn clients_leave_one_after_another_and_then_the_server_does() {
    let grace = Duration::from_millis(1_000);
    let mut server = start_with(
        Limits::default(),
        Some(clusters(&[("a", "1")])),
        grace,
        |_| {},
    );
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = server.delta().await;
        client.subscribe();
        client.next().await;
        clients.push(client);
    }
    let start = Instant::now();
    server.stop.cancel();
    let ends = futures::future::join_all(clients.iter_mut().map(|client| async move {
        let (code, message) = client.end().await;
        assert_eq!(code, Code::Unavailable, "{message}");
        start.elapsed()
    }))
    .await;
    for (place, end) in ends.iter().enumerate() {
        assert!(
            *end >= Duration::from_millis(200 * place as u64),
            "{ends:?}"
        );
    }
    soon("the server", server.tasks.join_next())
        .await
        .unwrap()
        .unwrap();
    assert!(start.elapsed() < grace, "nobody was left to wait for");
    assert!(
        tokio::net::TcpStream::connect(server.address)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn who_does_not_leave_is_closed() {
    let large = "x".repeat(500_000);
    let grace = Duration::from_millis(200);
    let mut server = start_with(
        Limits::default(),
        Some(clusters(&[("a", &*large)])),
        grace,
        |_| {},
    );
    let stalled = super::harness::delta_over(server.channel(65_535).await).await;
    stalled.subscribe();
    until("a response", || {
        server
            .connections
            .clients()
            .iter()
            .any(|client| client.bytes_sent > 0)
    })
    .await;
    server.stop.cancel();
    soon("the server", server.tasks.join_next())
        .await
        .unwrap()
        .unwrap();
    assert!(server.connections.is_empty());
}
