//! gRPC clients without a proxy: stock libraries whose targets are `xds:///HOST:PORT`.

mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Result, ensure};
use envoy_types::pb::envoy::config::core::v3::Node;
use pilothouse_tests::ads::{LISTENER, ROUTE, SotwClient};
use pilothouse_tests::agent;
use pilothouse_tests::grpc::{Caller, Calls, GrpcClient, GrpcServer, Python};
use pilothouse_tests::mesh_dir::{Port, ServiceEntry};
use pilothouse_tests::relay::Relay;
use pilothouse_tests::wait::eventually;

use crate::world::{SOON, World};

/// How many calls shares are taken of.
const MANY: u64 = 600;
/// By how much the share of an endpoint may differ from its weight's.
const NEARLY: f64 = 0.06;

/// The tool of this suite. Where it cannot be had, the suite says so, and fails in continuous integration.
#[expect(clippy::print_stderr, reason = "a suite that is left out says why")]
fn python() -> Option<Python> {
    match Python::find() {
        Ok(python) => Some(python),
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("left out: {error:#}");
            None
        }
        Err(error) => panic!("{error:#}"),
    }
}

fn entry(name: &str, host: &str, port: u16) -> ServiceEntry {
    ServiceEntry {
        ports: vec![Port {
            name: "grpc".to_owned(),
            number: port,
            protocol: "GRPC",
        }],
        ..ServiceEntry::http(name, host, port)
    }
}

async fn servers<const N: usize>(
    python: &Python,
    names: [&str; N],
    world: &World,
) -> [GrpcServer; N] {
    let started = names.map(|name| GrpcServer::start(python, name, world.dir()));
    let started = futures::future::try_join_all(started).await.unwrap();
    started.try_into().unwrap()
}

/// Waits until, since `calls` were taken last, they are as wanted.
async fn until(
    client: &mut GrpcClient,
    what: &str,
    wanted: impl Fn(&BTreeMap<String, Calls>) -> bool,
) -> BTreeMap<String, Calls> {
    let mut all: BTreeMap<String, Calls> = BTreeMap::new();
    let seen = async || -> Result<()> {
        for (target, calls) in client.take()? {
            let sum = all.entry(target).or_default();
            sum.failures.extend(calls.failures);
            for (answer, count) in calls.answers {
                *sum.answers.entry(answer).or_default() += count;
            }
        }
        ensure!(wanted(&all), "so far: {all:?}");
        Ok(())
    };
    eventually(what, SOON, seen).await.unwrap();
    all
}

/// The same for the only target of a client.
async fn until_calls(
    client: &mut GrpcClient,
    what: &str,
    wanted: impl Fn(&Calls) -> bool,
) -> Calls {
    let calls = until(client, what, |all| all.values().any(&wanted)).await;
    calls.into_values().next().unwrap_or_default()
}

#[tokio::test]
async fn a_service_is_called_by_its_names() {
    let Some(python) = python() else { return };
    let world = World::of(&[]).await;
    let [far, near] = servers(&python, ["far", "near"], &world).await;
    let example = entry("example", "echo.example.com", 7070).endpoint(far.address());
    let local = entry("local", "echo.default.svc.cluster.local", 7171).endpoint(near.address());
    let noise: Vec<_> = (0..20)
        .map(|n| {
            entry(
                &format!("other-{n}"),
                &format!("other-{n}.example.com"),
                7070,
            )
        })
        .collect();
    for entry in noise.iter().chain([&example, &local]) {
        world.mesh.write_entry(entry).unwrap();
    }
    let relay = Relay::start(world.discovery.addresses().grpc)
        .await
        .unwrap();
    let caller = Caller::new("caller", "default");
    let targets = [
        ("xds:///echo.example.com:7070", "far"),
        ("xds:///echo.default.svc.cluster.local:7171", "near"),
        ("xds:///echo:7171", "near"),
        ("xds:///echo.default:7171", "near"),
    ];
    let nowhere = "xds:///nowhere.example.com:7070";
    let all: Vec<_> = targets.iter().map(|t| t.0).chain([nowhere]).collect();
    let mut client = caller
        .call(&python, &all, relay.address(), world.dir())
        .unwrap();
    let calls = until(&mut client, "every target is answered", |calls| {
        let answers =
            |target, answer| -> Option<_> { calls.get(target)?.answers.get::<str>(answer) };
        targets
            .iter()
            .all(|(target, answer)| answers(*target, answer).is_some())
    })
    .await;
    for (target, answer) in targets {
        let answers: Vec<_> = calls[target].answers.keys().collect();
        assert_eq!(answers, [answer], "{target}");
    }

    let carried: BTreeSet<String> = relay
        .take_carried()
        .into_iter()
        .flat_map(|response| response.upserts)
        .collect();
    let expected = [
        "echo.example.com:7070",
        "echo.default.svc.cluster.local:7171",
        "echo:7171",
        "echo.default:7171",
        "outbound|7070||echo.example.com",
        "outbound|7171||echo.default.svc.cluster.local",
    ];
    assert_eq!(
        carried,
        expected.map(str::to_owned).into(),
        "nothing else is sent"
    );

    // What is called before it exists is there once it does, and gone once it does not.
    let entry = entry("nowhere", "nowhere.example.com", 7070).endpoint(far.address());
    world.mesh.write_entry(&entry).unwrap();
    let answered = |calls: &BTreeMap<String, Calls>| {
        calls.get(nowhere).is_some_and(|calls| calls.answered() > 0)
    };
    let before = until(&mut client, "it is there", answered).await;
    world.synced(&caller.id()).await.unwrap();
    world.mesh.remove_entry(&entry).unwrap();
    let is_gone = |why: &String| why.starts_with("UNAVAILABLE");
    let after = until(&mut client, "it is gone", |calls| {
        calls
            .get(nowhere)
            .is_some_and(|calls| calls.failures.iter().any(is_gone))
    })
    .await;
    for (target, _) in targets {
        for calls in [&before, &after] {
            let failures = calls.get(target).map(|calls| &calls.failures);
            assert!(failures.is_none_or(Vec::is_empty), "{target}: {failures:?}");
        }
    }
}

#[tokio::test]
async fn a_host_name_is_resolved_by_the_client() {
    let Some(python) = python() else { return };
    let world = World::of(&[]).await;
    let [server] = servers(&python, ["server"], &world).await;
    let mut entry = entry("echo", "echo.example.com", 7070).endpoint(server.address());
    entry.resolution = "DNS";
    entry.endpoints[0].address = "localhost".to_owned();
    world.mesh.write_entry(&entry).unwrap();
    let caller = Caller::new("caller", "default");
    let discovery = world.discovery.addresses().grpc;
    let target = "xds:///echo.example.com:7070";
    let mut client = caller
        .call(&python, &[target], discovery, world.dir())
        .unwrap();
    let answered = |calls: &Calls| calls.answered() > 0;
    let calls = until_calls(&mut client, "calls are answered", answered).await;
    assert_eq!(calls.failures, Vec::<String>::new());

    // The same cluster of known endpoints, of which there are none.
    entry.resolution = "STATIC";
    entry.endpoints.clear();
    world.mesh.write_entry(&entry).unwrap();
    let failed = |calls: &Calls| {
        calls
            .failures
            .iter()
            .any(|why| why.starts_with("UNAVAILABLE"))
    };
    until_calls(&mut client, "calls fail", failed).await;
    world.synced(&caller.id()).await.unwrap();
}

#[tokio::test]
async fn a_client_starts_with_what_the_agent_prints() {
    let Some(python) = python() else { return };
    let world = World::of(&[]).await;
    let [server] = servers(&python, ["server"], &world).await;
    let host = "echo.default.svc.cluster.local";
    let entry = entry("echo", host, 7070).endpoint(server.address());
    world.mesh.write_entry(&entry).unwrap();
    let agent = tokio::task::spawn_blocking(agent::binary).await.unwrap();
    let discovery = world.discovery.addresses().grpc.to_string();
    let output = Command::new(agent.unwrap())
        .args(["bootstrap", "--grpc", "--discoveryAddress", &discovery])
        .args(["--controlPlaneAuthPolicy", "NONE", "--ip", "127.0.0.1"])
        .args(["--id", "caller.default"])
        .args(["--domain", "default.svc.cluster.local"])
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let bootstrap = serde_json::from_slice(&output.stdout).unwrap();
    let caller = Caller::new("caller", "default");
    let mut client = caller
        .call_with(&bootstrap, &python, &["xds:///echo:7070"], world.dir())
        .unwrap();
    let answered = |calls: &Calls| calls.answered() > 0;
    until_calls(&mut client, "calls are answered", answered).await;
    world.synced(&caller.id()).await.unwrap();
}

/// A client that comes back and has use of nothing may ask for nothing, which means everything from an Envoy.
#[tokio::test]
async fn only_names_are_asked_for() {
    let entries = ["one", "two"].map(|name| entry(name, &format!("{name}.example.com"), 7070));
    let world = World::of(&entries.each_ref()).await;
    let node = Node {
        id: "sidecar~127.0.0.1~caller.default~default.svc.cluster.local".to_owned(),
        user_agent_name: "gRPC Go".to_owned(),
        ..Node::default()
    };
    let discovery = world.discovery.addresses().grpc;
    let mut client = SotwClient::connect(discovery, node).await.unwrap();
    client.subscribe(LISTENER, &[]).unwrap();
    client
        .subscribe(ROUTE, &["outbound|7070||one.example.com"])
        .unwrap();
    // Listeners go before routes.
    client.expect(ROUTE).await.unwrap();
    client
        .subscribe(LISTENER, &["one.example.com:7070"])
        .unwrap();
    let response = client.expect(LISTENER).await.unwrap();
    assert_eq!(response.resources.len(), 1, "{response:?}");
}

#[tokio::test]
async fn calls_go_by_weight_and_locality() {
    let Some(python) = python() else { return };
    let world = World::of(&[]).await;
    let [heavy, light, abroad] = servers(&python, ["heavy", "light", "abroad"], &world).await;
    let endpoint = |server: &GrpcServer, weight, locality| {
        let (ip, port) = (server.address().ip(), server.address().port());
        format!(
            "  - {{ address: {ip}, ports: {{ grpc: {port} }}, weight: {weight}, locality: {locality} }}\n"
        )
    };
    let text = entry("echo", "echo.example.com", 7070).to_yaml()
        + "  endpoints:\n"
        + &endpoint(&heavy, 3, "eu/eu-1")
        + &endpoint(&light, 1, "eu/eu-1")
        + &endpoint(&abroad, 4, "us/us-1/a");
    world.mesh.write("echo.yaml", &text).unwrap();
    let caller = Caller::new("caller", "default");
    let discovery = world.discovery.addresses().grpc;
    let target = "xds:///echo.example.com:7070";
    let mut client = caller
        .call(&python, &[target], discovery, world.dir())
        .unwrap();
    let reached = |calls: &Calls| calls.answers.len() == 3;
    until_calls(&mut client, "all are reached", reached).await;
    let calls = until_calls(&mut client, "many calls", |calls| calls.answered() > MANY).await;
    assert_eq!(calls.failures, Vec::<String>::new());
    for (name, expected) in [("heavy", 3.0 / 8.0), ("light", 1.0 / 8.0), ("abroad", 0.5)] {
        let share = calls.share(name);
        assert!(
            (share - expected).abs() < NEARLY,
            "{name} has {share}: {calls:?}"
        );
    }
}

#[tokio::test]
async fn endpoints_come_and_go_under_calls() {
    let Some(python) = python() else { return };
    let world = World::of(&[]).await;
    let [first, second] = servers(&python, ["first", "second"], &world).await;
    let none = entry("echo", "echo.example.com", 7070);
    let (one, two) = (first.address(), second.address());
    world.mesh.write_entry(&none.clone().endpoint(one)).unwrap();
    let caller = Caller::new("caller", "default");
    let discovery = world.discovery.addresses().grpc;
    let target = "xds:///echo.example.com:7070";
    let mut client = caller
        .call(&python, &[target], discovery, world.dir())
        .unwrap();
    let answered = |calls: &Calls| calls.answered() > 0;
    until_calls(&mut client, "calls are answered", answered).await;
    let mut failures = Vec::new();

    let both = none.clone().endpoint(one).endpoint(two);
    world.mesh.write_entry(&both).unwrap();
    let reached = |calls: &Calls| calls.answers.contains_key("second");
    failures.extend(
        until_calls(&mut client, "the second is reached", reached)
            .await
            .failures,
    );

    world.mesh.write_entry(&none.clone().endpoint(two)).unwrap();
    // Answers come in order: once many in a row are the second's, the first gets none.
    let left = eventually("the first gets no calls", SOON, async || {
        let calls = client.take_calls()?;
        failures.extend(calls.failures.clone());
        ensure!(
            calls.answered() > 0 && calls.share("second") == 1.0,
            "{calls:?}"
        );
        world.is_synced(&caller.id()).await
    });
    left.await.unwrap();
    first.stop().await.unwrap();
    let many = |calls: &Calls| calls.answered() > 50;
    failures.extend(until_calls(&mut client, "calls flow", many).await.failures);
    assert_eq!(failures, Vec::<String>::new());

    // A service without endpoints fails its calls at once, and has not gone.
    world.mesh.write_entry(&none).unwrap();
    let failed = |calls: &Calls| !calls.failures.is_empty();
    let calls = until_calls(&mut client, "calls fail", failed).await;
    assert!(calls.failures[0].starts_with("UNAVAILABLE"), "{calls:?}");
    world.mesh.write_entry(&none.endpoint(two)).unwrap();
    until_calls(&mut client, "calls are answered again", answered).await;
}

#[tokio::test]
async fn discovery_may_go_away_and_come_back() {
    let Some(python) = python() else { return };
    let mut world = World::of(&[]).await;
    let [first, second] = servers(&python, ["first", "second"], &world).await;
    let echo = entry("echo", "echo.example.com", 7070);
    let alone = echo.clone().endpoint(first.address());
    world.mesh.write_entry(&alone).unwrap();
    let caller = Caller::new("caller", "default");
    let discovery = world.discovery.addresses().grpc;
    let target = "xds:///echo.example.com:7070";
    let mut client = caller
        .call(&python, &[target], discovery, world.dir())
        .unwrap();
    let answered = |calls: &Calls| calls.answered() > 0;
    until_calls(&mut client, "calls are answered", answered).await;
    let mut failures = Vec::new();
    for kill in [true, false] {
        if kill {
            world.discovery.kill().unwrap();
        } else {
            world.discovery.stop().await.unwrap();
        }
        let many = |calls: &Calls| calls.answered() > 50;
        let without = until_calls(&mut client, "calls flow without discovery", many).await;
        world.discovery.restart().await.unwrap();
        world.synced(&caller.id()).await.unwrap();
        let with = until_calls(&mut client, "calls flow with discovery", many).await;
        failures.extend(without.failures.into_iter().chain(with.failures));
    }
    // It listens to the new discovery.
    world
        .mesh
        .write_entry(&echo.endpoint(second.address()))
        .unwrap();
    let reached = |calls: &Calls| calls.answers.contains_key("second");
    failures.extend(
        until_calls(&mut client, "the second is reached", reached)
            .await
            .failures,
    );
    assert_eq!(failures, Vec::<String>::new());
    assert_eq!(
        world.metric("pilot_total_xds_rejects{type=\"cds\"}").await,
        0.0
    );
}
