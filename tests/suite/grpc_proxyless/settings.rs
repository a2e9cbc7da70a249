//! Settings of clusters, as rules make them: what is made of them is served as it is, to a stock client.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use pilothouse_core::model::{
    Address, Endpoint, EndpointPort, Host, Labels, Protocol, Proxy, ServiceKey, ServicePort,
};
use pilothouse_tests::grpc::{Caller, Calls, GrpcServer, Python};
use pilothouse_xds::encode::encode;
use pilothouse_xds::fanout::{Layer, Set};
use pilothouse_xds::inputs::Input;
use pilothouse_xds::inputs::assignments::AssignmentInput;
use pilothouse_xds::inputs::grpc::{
    GrpcCluster, GrpcDiscovery, GrpcInput, GrpcListener, GrpcRoute, LoadBalancing,
};
use pilothouse_xds::metrics::Metrics;
use pilothouse_xds::protocol::{Interest, Refused};
use pilothouse_xds::resource::{Name, ResourceType};
use pilothouse_xds::server::{Attachment, Context, NotReady, Observer, Server, Source, StreamId};
use pilothouse_xds::snapshot::{Assignments, Snapshot};
use pilothouse_xds::translate::translate;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{python, until_calls};
use crate::world::Scratch;

const TARGET: &str = "xds:///echo.example.com:7070";
/// The header by which a ring chooses.
const KEY: &str = "key";
/// How many calls have to get to the same server.
const MANY: u64 = 60;

/// What the cluster of [`TARGET`] is set to.
#[derive(Debug, Clone, Copy)]
struct Settings {
    load_balancing: LoadBalancing,
    max_requests: Option<u32>,
}

/// Serves one snapshot to everybody, and remembers what is refused of it.
struct Discovery {
    address: SocketAddr,
    refused: Arc<Refusals>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Refusals(Mutex<Vec<String>>);

impl Observer for Refusals {
    fn refused(&self, _: &StreamId, resource_type: ResourceType, refused: &[Refused]) {
        let names = refused
            .iter()
            .map(|one| format!("{resource_type:?}: {one:?}"));
        self.0.lock().unwrap().extend(names);
    }
}

#[derive(Debug, Clone)]
struct Fixed(Arc<Snapshot>);

impl Source for Fixed {
    fn connect(&self, _: Arc<Proxy>) -> Result<Box<dyn Attachment>, NotReady> {
        Ok(Box::new(self.clone()))
    }
}

impl Attachment for Fixed {
    fn current(&self) -> Option<Arc<Snapshot>> {
        Some(self.0.clone())
    }

    fn register(&self, _: &Waker) {}

    fn regroup(&self, _: ResourceType, _: Interest) {}
}

impl Discovery {
    fn start(settings: Settings, servers: &[GrpcServer]) -> Self {
        let refused = Arc::new(Refusals::default());
        let mut exposition = prometheus_client::registry::Registry::default();
        let mut server = Server::new(Context {
            source: Arc::new(Fixed(Arc::new(snapshot(settings, servers)))),
            observer: refused.clone(),
            fanout: Arc::default(),
            metrics: Arc::new(Metrics::new(&mut exposition, "test")),
            limits: Default::default(),
            settings: Default::default(),
        });
        let address = server.listen(([127, 0, 0, 1], 0).into()).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(CancellationToken::new(), Duration::ZERO));
        Self {
            address,
            refused,
            _tasks: tasks,
        }
    }
}

fn snapshot(settings: Settings, servers: &[GrpcServer]) -> Snapshot {
    let service = ServiceKey {
        namespace: "default".into(),
        host: Host::new("echo.example.com").unwrap(),
    };
    let port = ServicePort {
        port: 7070,
        name: "grpc".into(),
        protocol: Protocol::Grpc,
        target_port: None,
        target_name: None,
    };
    let name = Name::from("outbound|7070||echo.example.com");
    let clusters = set(Input::Grpc(GrpcInput::Cluster(GrpcCluster {
        service: service.clone(),
        port: port.clone(),
        discovery: GrpcDiscovery::Assignment,
        load_balancing: settings.load_balancing,
        max_requests: settings.max_requests,
        subset: None,
        labels: Labels::default(),
        rules: Vec::new(),
    })));
    let endpoint = |server: &GrpcServer| Endpoint {
        ports: Some(Arc::new([EndpointPort {
            name: port.name.clone(),
            port: server.address().port(),
        }])),
        ..Endpoint::at(Address::Ip(server.address().ip()))
    };
    let bodies = set(Input::Assignment(AssignmentInput {
        name: name.clone(),
        service: service.clone(),
        port: port.clone(),
        publish_not_ready: false,
        endpoints: Some(Arc::new(servers.iter().map(endpoint).collect())),
        for_grpc: None,
        labels: Labels::default(),
        spread: None,
    }));
    Snapshot {
        generation: 1,
        since: Instant::now(),
        clusters: clusters.clone(),
        assignments: Assignments { clusters, bodies },
        listeners: set(Input::Grpc(GrpcInput::Listener(GrpcListener {
            name: "echo.example.com:7070".into(),
            service: service.clone(),
            route: name,
        }))),
        routes: set(Input::Grpc(GrpcInput::Route(GrpcRoute {
            service,
            port: port.port,
            spellings: vec!["echo.example.com".to_owned()],
            hash_header: Some(KEY.into()),
            routed: Vec::new(),
        }))),
        names: Arc::default(),
    }
}

fn set(input: Input) -> Arc<Set> {
    let resource = Arc::new(encode(translate(&input)));
    Arc::new(Set::new(vec![Arc::new(Layer::new([resource]))]))
}

async fn three(python: &Python, dir: &Scratch) -> Vec<GrpcServer> {
    let names = ["one", "two", "three"];
    let started = names.map(|name| GrpcServer::start(python, name, dir.path()));
    futures::future::try_join_all(started).await.unwrap()
}

#[tokio::test]
async fn a_ring_keeps_equal_calls_together() {
    let Some(python) = python() else { return };
    let dir = Scratch::new();
    let servers = three(&python, &dir).await;
    let settings = Settings {
        load_balancing: LoadBalancing::RingHash {
            minimum: 1024,
            maximum: 8192,
        },
        max_requests: None,
    };
    let discovery = Discovery::start(settings, &servers);
    let call = |name: &str, header: &str| {
        let caller = Caller::new(name, "default").header(header);
        caller
            .call(&python, &[TARGET], discovery.address, dir.path())
            .unwrap()
    };
    let mut same = call("same", &format!("{KEY}=value"));
    let many = |calls: &Calls| calls.answered() > MANY;
    let calls = until_calls(&mut same, "many equal calls", many).await;
    assert_eq!((calls.answers.len(), calls.failures.len()), (1, 0));
    let mut others = call("others", KEY);
    let everywhere = |calls: &Calls| calls.answers.len() == servers.len();
    until_calls(&mut others, "other calls get to all", everywhere).await;
    assert_eq!(*discovery.refused.0.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_circuit_breaker_is_the_clusters() {
    let Some(python) = python() else { return };
    let dir = Scratch::new();
    let servers = three(&python, &dir).await;
    let settings = Settings {
        load_balancing: LoadBalancing::RoundRobin,
        max_requests: Some(0),
    };
    let discovery = Discovery::start(settings, &servers);
    let caller = Caller::new("caller", "default");
    let mut client = caller
        .call(&python, &[TARGET], discovery.address, dir.path())
        .unwrap();
    let broken = |why: &String| why.starts_with("UNAVAILABLE") && why.contains("circuit breaker");
    let failed = |calls: &Calls| calls.failures.iter().any(broken);
    let calls = until_calls(&mut client, "calls are dropped", failed).await;
    assert_eq!(calls.answered(), 0, "{calls:?}");
    assert_eq!(*discovery.refused.0.lock().unwrap(), Vec::<String>::new());
}
