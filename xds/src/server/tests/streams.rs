//! What is asked for and what comes.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::service::cluster::v3::cluster_discovery_service_client::ClusterDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_client::SecretDiscoveryServiceClient;
use envoy_types::pb::google::rpc::Status;
use futures::channel::mpsc::unbounded;
use prost::Message;
use tonic::Code;

use super::harness::{clusters, names, node, soon, start, start_with, until};
use crate::resource::ResourceType;
use crate::server::Limits;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

#[tokio::test]
async fn delta_sends_what_is_new() {
    let server = start(Limits::default(), Some(clusters(&[("a", "1"), ("b", "1")])));
    let mut client = server.delta().await;
    client.subscribe();
    let first = client.next().await;
    assert_eq!(names(&first), pairs(&[("a", "1"), ("b", "1")]));
    client.ack(&first);
    assert_eq!(server.script.interest(ResourceType::Cluster), ["*"]);

    server.script.publish(clusters(&[("a", "2"), ("c", "1")]));
    let mut changed = Vec::new();
    let mut removed = Vec::new();
    while changed.len() < 2 || removed.is_empty() {
        let response = client.next().await;
        client.ack(&response);
        changed.extend(names(&response));
        removed.extend(response.removed_resources);
    }
    assert_eq!(
        (changed, removed),
        (pairs(&[("a", "2"), ("c", "1")]), vec!["b".to_owned()])
    );
    until("the metric", || {
        server.metrics.pushes.of(ResourceType::Cluster).get() >= 2
    })
    .await;

    let [seen] = &server.connections.clients()[..] else {
        panic!("one client")
    };
    assert_eq!(seen.proxy.namespace, "shop".into());
    assert!(
        seen.stream
            .starts_with("sidecar~10.0.0.1~app.shop~shop.svc.cluster.local-")
    );
    drop(client);
    until("the stream to detach", || server.script.seats() == 0).await;
    until("the connection to end", || server.connections.is_empty()).await;
}

#[tokio::test]
async fn state_of_the_world_sends_everything() {
    let server = start(Limits::default(), Some(clusters(&[("a", "1")])));
    let mut client = server.sotw().await;
    let request = DiscoveryRequest {
        node: node(),
        type_url: ResourceType::Cluster.url().to_owned(),
        ..DiscoveryRequest::default()
    };
    client.requests.unbounded_send(request.clone()).unwrap();
    let mut expected = vec!["a"];
    for _ in 0..2 {
        let response = soon("a response", client.responses.message())
            .await
            .unwrap()
            .unwrap();
        let got: Vec<_> = response
            .resources
            .iter()
            .map(|any| Cluster::decode(&any.value[..]).unwrap().name)
            .collect();
        assert_eq!(got, expected);
        let ack = DiscoveryRequest {
            version_info: response.version_info,
            response_nonce: response.nonce,
            node: None,
            ..request.clone()
        };
        client.requests.unbounded_send(ack).unwrap();
        server.script.publish(clusters(&[("a", "1"), ("b", "1")]));
        expected = vec!["a", "b"];
    }
}

#[tokio::test]
async fn a_version_is_believed_unless_the_client_was_cut_off_while_it_refused() {
    let server = start(Limits::default(), Some(clusters(&[("a", "1")])));
    let back = |version: &str| DiscoveryRequest {
        node: node(),
        type_url: ResourceType::Cluster.url().to_owned(),
        version_info: version.to_owned(),
        ..DiscoveryRequest::default()
    };
    let mut client = server.sotw().await;
    client.requests.unbounded_send(back("")).unwrap();
    let accepted = soon("a response", client.responses.message())
        .await
        .unwrap()
        .unwrap();
    let answer = |nonce: &str, error_detail| DiscoveryRequest {
        response_nonce: nonce.to_owned(),
        error_detail,
        node: None,
        ..back(&accepted.version_info)
    };
    client
        .requests
        .unbounded_send(answer(&accepted.nonce, None))
        .unwrap();

    // It refuses what comes next, of which it may have applied a part, and is gone.
    server.script.publish(clusters(&[("b", "1")]));
    let refused = soon("a response", client.responses.message())
        .await
        .unwrap()
        .unwrap();
    let error = Status {
        message: "no".to_owned(),
        ..Status::default()
    };
    client
        .requests
        .unbounded_send(answer(&refused.nonce, Some(error)))
        .unwrap();
    until("the rejection", || !server.script.refused().is_empty()).await;
    drop(client);
    until("the stream to detach", || server.script.seats() == 0).await;

    // Everything is again as it says: it is told so all the same, once.
    server.script.publish(clusters(&[("a", "1")]));
    let mut client = server.sotw().await;
    client
        .requests
        .unbounded_send(back(&accepted.version_info))
        .unwrap();
    let whole = soon("a response", client.responses.message())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(whole.version_info, accepted.version_info);
    client
        .requests
        .unbounded_send(answer(&whole.nonce, None))
        .unwrap();
    until("the acknowledgement", || {
        let clients = server.connections.clients();
        clients
            .iter()
            .any(|client| client.report.types[ResourceType::Cluster.index()].unacknowledged == 0)
    })
    .await;
    drop(client);
    until("the stream to detach", || server.script.seats() == 0).await;

    let mut client = server.sotw().await;
    client
        .requests
        .unbounded_send(back(&accepted.version_info))
        .unwrap();
    until("the stream", || server.script.seats() == 1).await;
    server.script.publish(clusters(&[("c", "1")]));
    let next = soon("a response", client.responses.message())
        .await
        .unwrap()
        .unwrap();
    assert_ne!(next.version_info, accepted.version_info);
}

#[tokio::test]
async fn services_of_one_type_know_it() {
    let server = start(Limits::default(), Some(clusters(&[("a", "1")])));
    let mut client = ClusterDiscoveryServiceClient::new(server.channel(1 << 20).await);
    let (requests, receiver) = unbounded();
    let mut responses = client.delta_clusters(receiver).await.unwrap().into_inner();
    let first = DeltaDiscoveryRequest {
        node: node(),
        ..DeltaDiscoveryRequest::default()
    };
    requests.unbounded_send(first).unwrap();
    let response = soon("a response", responses.message())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(names(&response), pairs(&[("a", "1")]));
    assert_eq!(response.type_url, ResourceType::Cluster.url());

    let other = DeltaDiscoveryRequest {
        type_url: ResourceType::Route.url().to_owned(),
        ..DeltaDiscoveryRequest::default()
    };
    requests.unbounded_send(other).unwrap();
    let error = soon("the end", responses.message()).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn nothing_is_served_before_the_source_is_ready() {
    let server = start(Limits::default(), None);
    let mut early = server.delta().await;
    early.subscribe();
    assert_eq!(
        early.end().await,
        (Code::Unavailable, "not ready: the test".to_owned())
    );
    server.script.publish(clusters(&[("a", "1")]));
    let mut later = server.delta().await;
    later.subscribe();
    assert_eq!(names(&later.next().await), pairs(&[("a", "1")]));
}

#[tokio::test]
async fn a_client_that_says_nothing_more_is_answered_and_let_go() {
    let server = start(Limits::default(), Some(clusters(&[("a", "1")])));
    let mut client = server.delta().await;
    client.subscribe();
    client.requests.close_channel();
    assert_eq!(names(&client.next().await), pairs(&[("a", "1")]));
    assert_eq!(client.end().await.0, Code::Ok);
}

#[tokio::test]
async fn a_rejection_is_counted_and_told_until_it_is_over() {
    let server = start(Limits::default(), Some(clusters(&[("a", "1"), ("b", "1")])));
    let mut client = server.delta().await;
    client.subscribe();
    let response = client.next().await;
    client.send(DeltaDiscoveryRequest {
        type_url: response.type_url.clone(),
        response_nonce: response.nonce.clone(),
        error_detail: Some(Status {
            code: 13,
            message: "Error adding/updating cluster(s) b: something".to_owned(),
            ..Status::default()
        }),
        ..DeltaDiscoveryRequest::default()
    });
    until("the observer to be told", || {
        server.script.refused() == ["b"]
    })
    .await;
    assert_eq!(server.metrics.rejects.of(ResourceType::Cluster).get(), 1);
    assert_eq!(server.metrics.rejected.of(ResourceType::Cluster).get(), 1);
    let again = client.next().await;
    assert_eq!(
        names(&again),
        pairs(&[("a", "1")]),
        "the neighbour is sent once more"
    );
    client.ack(&again);
    server.script.publish(clusters(&[("a", "1"), ("b", "2")]));
    let better = client.next().await;
    assert_eq!(names(&better), pairs(&[("b", "2")]));
    client.ack(&better);
    until("the observer to be told", || {
        server.script.refused().is_empty()
    })
    .await;
    until("the gauge", || {
        server.metrics.rejected.of(ResourceType::Cluster).get() == 0
    })
    .await;
}

#[tokio::test]
async fn other_methods_are_not_implemented() {
    let server = start(Limits::default(), Some(clusters(&[("a", "1")])));
    let mut client = SecretDiscoveryServiceClient::new(server.channel(1 << 20).await);
    let (_requests, receiver) = unbounded();
    let error = client.delta_secrets(receiver).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
    let unary = ClusterDiscoveryServiceClient::new(server.channel(1 << 20).await)
        .fetch_clusters(DiscoveryRequest::default())
        .await;
    assert_eq!(unary.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn unix_sockets_are_served_as_well() {
    let path = std::env::temp_dir().join(format!("pilothouse-server-{}.sock", std::process::id()));
    let snapshot = Some(clusters(&[("a", "1")]));
    let _server = start_with(
        Limits::default(),
        snapshot,
        std::time::Duration::ZERO,
        |server| {
            server.listen_unix(&path).unwrap();
        },
    );
    let endpoint =
        tonic::transport::Endpoint::from_shared(format!("unix://{}", path.display())).unwrap();
    let mut client = super::harness::delta_over(endpoint.connect().await.unwrap()).await;
    client.subscribe();
    assert_eq!(names(&client.next().await), pairs(&[("a", "1")]));
}
