//! The client: what it sends and what it makes of answers.

use std::time::Duration;

use pilothouse_consul::client::{Block, Client, ConsulApi, Error, Index, Query, Settings};

use crate::agent::{Agent, Fault, instance};

#[tokio::test]
async fn a_blocking_query_returns_with_what_is_newer() {
    let agent = Agent::start().await;
    let client = agent.client(Settings::default());
    let first = client.services(&Query::default()).await.unwrap();
    let query = Query {
        block: first.index.map(|index| Block {
            index,
            wait: Duration::from_secs(60),
        }),
        ..Query::default()
    };
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { client.services(&query).await });
    agent.asked("/v1/catalog/services", 1).await;
    agent.change(|catalog| {
        catalog
            .services
            .insert("web".into(), vec![instance("web", "10.0.0.1", 80)])
    });
    let second = tasks.join_next().await.unwrap().unwrap().unwrap();
    assert!(second.index > first.index);
    assert_eq!(second.value.keys().collect::<Vec<_>>(), ["consul", "web"]);
}

#[tokio::test]
async fn keys_are_written_only_over_what_was_read() {
    let agent = Agent::start().await;
    let client = agent.client(Settings::default());
    let query = Query::default();
    assert_eq!(client.get("a b/ü", &query).await.unwrap().value, None);
    assert!(
        client
            .put("a b/ü", b"one".to_vec(), 0, &query)
            .await
            .unwrap()
    );
    assert!(
        !client
            .put("a b/ü", b"two".to_vec(), 0, &query)
            .await
            .unwrap()
    );
    let pair = client.get("a b/ü", &query).await.unwrap().value.unwrap();
    assert_eq!(pair.value, b"one");
    assert!(
        client
            .put("a b/ü", b"two".to_vec(), pair.modify_index, &query)
            .await
            .unwrap()
    );
    assert!(
        !client
            .delete("a b/ü", pair.modify_index, &query)
            .await
            .unwrap()
    );
    let all = client.list("a b/", &query).await.unwrap();
    assert_eq!(all.value.len(), 1);
    assert!(
        client
            .delete("a b/ü", all.value[0].modify_index, &query)
            .await
            .unwrap()
    );
    let none = client.list("a b/", &query).await.unwrap();
    assert!(none.value.is_empty() && none.index.is_some_and(|index| index > Index::new(1)));
}

#[tokio::test]
async fn an_error_says_what_was_asked_and_what_was_said() {
    let agent = Agent::start().await;
    agent.behave(|catalog| {
        catalog
            .faults
            .insert("/v1/".into(), Fault::Status(500, "No cluster leader"))
    });
    let error = agent
        .client(Settings::default())
        .services(&Query::default())
        .await
        .unwrap_err();
    assert!(error.is_leaderless() && !error.is_denied());
    assert_eq!(
        error.to_string(),
        "GET /v1/catalog/services: 500 Internal Server Error: No cluster leader"
    );
    let nowhere = Client::new(Settings {
        address: "127.0.0.1:1".parse().unwrap(),
        ..Settings::default()
    });
    let error = nowhere.services(&Query::default()).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }));
    assert_eq!(
        error.to_string(),
        "GET /v1/catalog/services: http://127.0.0.1:1 cannot be reached"
    );
}

#[tokio::test]
async fn a_socket_in_the_file_system_is_asked() {
    let agent = Agent::start().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("consul.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let target = agent.address;
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(target).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    });
    let client = Client::new(Settings {
        address: format!("unix://{}", path.display()).parse().unwrap(),
        ..Settings::default()
    });
    assert_eq!(client.datacenters().await.unwrap(), ["dc1", "dc2"]);
}
