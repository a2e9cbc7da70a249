//! Following a resource of a real API server: through pages and streams, restarts and compactions.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use http::{Request, Response};
use http_body_util::{BodyDataStream, StreamBody};
use hyper::body::Frame;
use kube::client::Body;
use pilothouse_kubernetes::watch::{Event, Resource, Scope, Settings, StreamingLists, follow};
use pilothouse_tests::kube::{ADMIN, KubeCluster, Options, PILOTHOUSE};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a test waits for what is to come: an API server that starts on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(90);

fn config_map(name: &str, says: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default", "labels": {"of": "test"}},
        "data": {"says": says},
    })
}

/// The config maps that the tests make, and what they say.
struct Following {
    events: BoxStream<'static, Event<(String, String)>>,
    known: BTreeMap<String, String>,
    /// What kinds of events came.
    seen: Vec<&'static str>,
}

impl Following {
    fn new(client: kube::Client, settings: &Settings) -> Self {
        let resource = Resource {
            group: "",
            version: "v1".into(),
            plural: "configmaps",
            kind: "ConfigMap",
            metadata_only: false,
        };
        let scope = Scope {
            labels: Some("of=test".into()),
            ..Scope::default()
        };
        let says = |raw: pilothouse_kubernetes::watch::Raw<'_>| {
            let object: Value = serde_json::from_str(raw.text.get()).unwrap();
            let says = object["data"]["says"].as_str().unwrap_or_default();
            (raw.metadata.name, says.to_owned())
        };
        Self {
            events: Box::pin(follow(client, resource, scope, settings, says)),
            known: BTreeMap::new(),
            seen: Vec::new(),
        }
    }

    async fn event(&mut self) -> &'static str {
        let event = timeout(PATIENCE, self.events.next()).await;
        let Ok(Some(event)) = event else {
            panic!(
                "nothing comes after {:?}; known is {:?}",
                self.seen, self.known
            );
        };
        let seen = match event {
            Event::Listed(all) => {
                self.known = all.into_iter().collect();
                "listed"
            }
            Event::Applied((name, says)) => {
                self.known.insert(name, says);
                "applied"
            }
            Event::Deleted(metadata) => {
                self.known.remove(&metadata.name);
                "deleted"
            }
            Event::Absent => "absent",
            Event::Failing(_) => "failing",
            Event::Recovered => "recovered",
            Event::Unreadable(why) => panic!("{why}"),
        };
        self.seen.push(seen);
        seen
    }

    /// Waits until this is known.
    async fn until(&mut self, expected: &[(&str, &str)]) {
        let own = |(name, says): &(&str, &str)| ((*name).to_owned(), (*says).to_owned());
        let expected: BTreeMap<_, _> = expected.iter().map(own).collect();
        while self.known != expected {
            self.event().await;
        }
    }

    async fn until_seen(&mut self, expected: &str) {
        while self.event().await != expected {}
    }
}

/// A client whose way to the server can be closed, which breaks what is under way.
fn gated(client: kube::Client) -> (watch::Sender<bool>, kube::Client) {
    let (gate, open) = watch::channel(true);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (client, mut open) = (client.clone(), open.clone());
        async move {
            if !*open.borrow_and_update() {
                return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
            }
            let answer = client.send(request).await.map_err(io::Error::other)?;
            let (head, body) = answer.into_parts();
            let begun = Some((BodyDataStream::new(body), open));
            let data = stream::unfold(begun, |state| async move {
                let (mut body, mut open) = state?;
                let closes = async { drop(open.wait_for(|open| !open).await) };
                tokio::select! {
                    part = body.next() => Some((part?.map_err(io::Error::other), Some((body, open)))),
                    () = closes => Some((Err(io::ErrorKind::ConnectionReset.into()), None)),
                }
            });
            Ok(Response::from_parts(
                head,
                StreamBody::new(data.map_ok(Frame::data)),
            ))
        }
    });
    (gate, kube::Client::new(service, "default"))
}

#[tokio::test]
async fn two_thousand_objects_come_by_pages_and_as_a_stream() {
    let Some(cluster) = KubeCluster::get(Options::default()).await else {
        return;
    };
    let names = |from: usize| (from..2000).step_by(8).map(|at| format!("number-{at}"));
    let makers = (0..8).map(async |from| {
        for name in names(from) {
            cluster.create(&config_map(&name, "one")).await.unwrap();
        }
    });
    futures::future::join_all(makers).await;
    for streaming in [StreamingLists::tried(), StreamingLists::never()] {
        let settings = Settings {
            consistent: true,
            streaming,
            ..Settings::default()
        };
        let mut maps = Following::new(cluster.client_of(ADMIN).unwrap(), &settings);
        assert_eq!(maps.event().await, "listed");
        assert_eq!(maps.known.len(), 2000);
        let tried = settings.streaming.is_tried();
        let text = format!("{tried}");
        cluster.write(&config_map("number-7", &text)).await.unwrap();
        while maps.known["number-7"] != text {
            assert_eq!(maps.event().await, "applied");
        }
        assert_eq!(maps.known.len(), 2000);
    }
}

#[tokio::test]
async fn a_compaction_while_nobody_listens_is_one_list() {
    let options = Options {
        without_watch_cache: true,
        api_server: vec!["--feature-gates=WatchList=false".into()],
        ..Options::default()
    };
    let Some(cluster) = KubeCluster::get(options).await else {
        return;
    };
    for name in ["a", "b"] {
        cluster.create(&config_map(name, "1")).await.unwrap();
    }
    let settings = Settings::default();
    let (gate, client) = gated(cluster.client_of(ADMIN).unwrap());
    let mut maps = Following::new(client, &settings);
    maps.until(&[("a", "1"), ("b", "1")]).await;
    assert_eq!(maps.seen, ["listed"]);
    assert!(!settings.streaming.is_tried(), "it has refused");
    cluster.write(&config_map("a", "2")).await.unwrap();
    maps.until(&[("a", "2"), ("b", "1")]).await;

    gate.send_replace(false);
    maps.until_seen("failing").await;
    cluster.write(&config_map("a", "3")).await.unwrap();
    cluster.delete(&config_map("b", "")).await.unwrap();
    cluster.create(&config_map("c", "1")).await.unwrap();
    cluster.compact().await.unwrap();
    gate.send_replace(true);
    maps.until(&[("a", "3"), ("c", "1")]).await;
    assert_eq!(maps.seen, ["listed", "applied", "failing", "listed"]);
    cluster.delete(&config_map("c", "")).await.unwrap();
    maps.until(&[("a", "3")]).await;
}

#[tokio::test]
async fn a_restart_of_the_api_server_changes_nothing() {
    let Some(mut cluster) = KubeCluster::get(Options::default()).await else {
        return;
    };
    cluster.create(&config_map("a", "1")).await.unwrap();
    let settings = Settings::default();
    let mut maps = Following::new(cluster.client_of(ADMIN).unwrap(), &settings);
    maps.until(&[("a", "1")]).await;
    assert!(settings.streaming.is_tried(), "this server streams lists");
    cluster.stop_api_server().unwrap();
    maps.until_seen("failing").await;
    assert_eq!(maps.known["a"], "1");
    cluster.start_api_server().await.unwrap();
    cluster.write(&config_map("a", "2")).await.unwrap();
    maps.until(&[("a", "2")]).await;
}

#[tokio::test]
async fn rights_that_are_missing_are_reported_and_rights_that_are_given_used() {
    let Some(cluster) = KubeCluster::get(Options::default()).await else {
        return;
    };
    cluster.create(&config_map("a", "1")).await.unwrap();
    let mut maps = Following::new(cluster.client_of(PILOTHOUSE).unwrap(), &Settings::default());
    assert_eq!(maps.event().await, "failing");
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "reader"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"]}],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": PILOTHOUSE}],
    });
    cluster.create(&role).await.unwrap();
    cluster.create(&binding).await.unwrap();
    maps.until(&[("a", "1")]).await;
}

#[tokio::test]
async fn a_kind_that_a_crd_defines_later_is_waited_for() {
    let Some(cluster) = KubeCluster::get(Options::default()).await else {
        return;
    };
    let settings = Settings::default();
    let resource = Resource {
        group: "example.com",
        version: "v1".into(),
        plural: "things",
        kind: "Thing",
        metadata_only: true,
    };
    let name = |raw: pilothouse_kubernetes::watch::Raw<'_>| raw.metadata.name;
    let client = cluster.client_of(ADMIN).unwrap();
    let mut things = Box::pin(follow(client, resource, Scope::default(), &settings, name));
    let mut next = async || timeout(PATIENCE, things.next()).await.unwrap().unwrap();
    assert!(matches!(next().await, Event::Absent));
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com", "scope": "Cluster", "names": {"kind": "Thing", "plural": "things"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    });
    cluster.create(&crd).await.unwrap();
    settings.poke.poke();
    let Event::Listed(none) = next().await else {
        panic!("it is not listed");
    };
    assert_eq!(none, Vec::<String>::new());
    let thing =
        json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "first"}});
    cluster.create(&thing).await.unwrap();
    let Event::Applied(first) = next().await else {
        panic!("it is not applied");
    };
    assert_eq!(first, "first");
    cluster.delete(&crd).await.unwrap();
    assert!(matches!(next().await, Event::Deleted(metadata) if metadata.name == "first"));
    assert!(matches!(next().await, Event::Absent));
}
