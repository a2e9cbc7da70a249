//! `pilotctl diff`: what discovery predicts of a change is what the change then does, and predicting it does nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::ensure;
use pilothouse_tests::ads::{CLUSTER, DeltaClient, node};
use pilothouse_tests::discovery::build;
use pilothouse_tests::http;
use pilothouse_tests::wait::eventually;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::world::{SOON, World};

/// A service in two versions, with routes that only its own namespace sees.
const MESH: &str = include_str!("../../bins/pilotctl/tests/diff/mesh.yaml");

const NEAR: &str = "sidecar~10.0.0.9~web-1.shop~shop.svc.cluster.local";
const FAR: &str = "sidecar~10.0.0.8~other-1.far~far.svc.cluster.local";

/// Type and name.
type Key = (String, String);

/// Other weights and a subset more. One proxy sees only what is not of the routes.
#[tokio::test]
async fn what_is_predicted_happens_and_nothing_before() {
    let world = World::start(&[("mesh.yaml", MESH)]).await;
    let _clients = [connected(&world, NEAR).await, connected(&world, FAR).await];
    let change = MESH
        .replace("weight: 80", "weight: 20")
        .replace("weight: 20 }\n  - route", "weight: 80 }\n  - route")
        .replace(
            "subsets: [",
            "subsets: [{ name: v3, labels: { version: v3 } }, ",
        );
    assert_ne!(change, MESH);
    let file = world.dir().join("change.yaml");
    std::fs::write(&file, &change).unwrap();
    let before = [held(&world, NEAR).await, held(&world, FAR).await];
    let pages = pages(&world).await;

    let output = diff(&world, &["-f", path(&file), "-o", "json", "--exit-code"]).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let predicted = [predicted(&answer, NEAR), predicted(&answer, FAR)];
    let v3 = "outbound|80|v3|reviews.test";
    let names = |of: &BTreeMap<Key, Value>| -> Vec<Key> { of.keys().cloned().collect() };
    let key = |of: &str, name: &str| (of.to_owned(), name.to_owned());
    let [near, far] = &predicted;
    assert_eq!(
        names(near),
        [key("cds", v3), key("eds", v3), key("rds", "80")]
    );
    assert_eq!(names(far), [key("cds", v3), key("eds", v3)]);
    assert_eq!(self::pages(&world).await, pages);
    assert_eq!([held(&world, NEAR).await, held(&world, FAR).await], before);
    let text = diff(&world, &["-f", path(&file)]).await;
    let text = String::from_utf8(text.stdout).unwrap();
    let sentence = "subset v2 (20 % before) for 1 proxy in ns shop";
    assert!(text.contains(sentence), "{text}");

    world.mesh.write("mesh.yaml", &change).unwrap();
    for ((proxy, before), predicted) in [NEAR, FAR].into_iter().zip(before).zip(&predicted) {
        let mut expected = before;
        expected.extend(predicted.clone());
        let there = async || {
            let now = held(&world, proxy).await;
            let differing = differing(&now, &expected);
            ensure!(differing.is_empty(), "{proxy}: {differing:?}");
            Ok(())
        };
        eventually("what was predicted is there, and nothing else", SOON, there)
            .await
            .unwrap();
    }
    let again = diff(&world, &["-f", path(&file), "--exit-code"]).await;
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    let said = String::from_utf8(again.stdout).unwrap();
    assert_eq!(said, "nothing differs for 2 proxies\n");
}

#[tokio::test]
async fn a_rule_that_goes() {
    let world = World::start(&[("mesh.yaml", MESH)]).await;
    let _client = connected(&world, NEAR).await;
    let delete = ["--delete", "DestinationRule", "reviews", "-n", "shop"];
    let output = diff(&world, &[&delete[..], &["-o", "json"]].concat()).await;
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let gone: BTreeSet<_> = predicted(&answer, NEAR)
        .into_iter()
        .filter(|(_, after)| after.is_null())
        .map(|((of, name), _)| format!("{of} {name}"))
        .collect();
    let all = ["cds", "eds"].into_iter().flat_map(|of| {
        ["v1", "v2"].map(|subset| format!("{of} outbound|80|{subset}|reviews.test"))
    });
    assert_eq!(gone, all.collect());
}

#[tokio::test]
async fn what_cannot_be_asked() {
    let world = World::start(&[("mesh.yaml", MESH)]).await;
    let address = world.discovery.addresses().debug;
    let host = address.to_string();
    let get = http::get(address, &host, "/debug/diff", SOON)
        .await
        .unwrap();
    assert_eq!(get.status, 405);
    let pages = pages(&world).await;
    let output = diff(&world, &["--delete", "Sidecar", "none"]).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("there is no Sidecar default/none, so it cannot be deleted"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(self::pages(&world).await, pages);
}

/// A client that has asked for all clusters: it is connected, and has what it is to have.
async fn connected(world: &World, id: &str) -> DeltaClient {
    let address = world.discovery.addresses().grpc;
    let mut client = DeltaClient::connect(address, node(id, &[])).await.unwrap();
    client.subscribe(CLUSTER, &[]).unwrap();
    client.accept(CLUSTER).await.unwrap();
    client
}

/// What a proxy is to have.
async fn held(world: &World, id: &str) -> BTreeMap<Key, Value> {
    let page = format!("/debug/config_dump?proxyID={id}");
    let dump = world.discovery.debug(&page).await.unwrap();
    let mut held = BTreeMap::new();
    for section in dump["configs"].as_array().unwrap() {
        let entries = [
            ("cds", "dynamic_active_clusters", "/cluster", "name"),
            ("lds", "dynamic_listeners", "/active_state/listener", "name"),
            ("rds", "dynamic_route_configs", "/route_config", "name"),
            (
                "eds",
                "dynamic_endpoint_configs",
                "/endpoint_config",
                "cluster_name",
            ),
        ];
        for (of, list, inner, name) in entries {
            for entry in section[list].as_array().into_iter().flatten() {
                let resource = entry.pointer(inner).unwrap();
                let name = resource[name].as_str().unwrap();
                held.insert((of.to_owned(), name.to_owned()), resource.clone());
            }
        }
    }
    assert!(held.len() > 5, "{held:?}");
    held
}

/// The resources in which both differ.
fn differing(a: &BTreeMap<Key, Value>, b: &BTreeMap<Key, Value>) -> Vec<Key> {
    let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
    let differ = keys.into_iter().filter(|key| a.get(*key) != b.get(*key));
    differ.cloned().collect()
}

/// What is predicted to become of what a proxy has.
fn predicted(answer: &Value, id: &str) -> BTreeMap<Key, Value> {
    let groups = answer["groups"].as_array().unwrap().iter();
    let group = groups
        .clone()
        .find(|group| group["proxies"].as_array().unwrap().contains(&json!(id)));
    let places = group.unwrap()["changes"].as_array().unwrap().iter();
    let changes = places.map(|place| {
        let place: usize = place.as_u64().unwrap().try_into().unwrap();
        let change = &answer["changes"][place];
        let text = |field: &str| change[field].as_str().unwrap().to_owned();
        ((text("type"), text("name")), change["after"].clone())
    });
    changes.collect()
}

/// What discovery says of the mesh and of what is made of it.
async fn pages(world: &World) -> [Value; 2] {
    [
        world.discovery.debug("/debug/configz").await.unwrap(),
        world.discovery.debug("/debug/resourcez").await.unwrap(),
    ]
}

async fn diff(world: &World, args: &[&str]) -> Output {
    static BINARY: OnceCell<PathBuf> = OnceCell::const_new();
    let build = || async {
        tokio::task::spawn_blocking(|| build("pilotctl", "pilotctl"))
            .await
            .unwrap()
            .unwrap()
    };
    let binary = BINARY.get_or_init(build).await;
    tokio::process::Command::new(binary)
        .args(["diff", "--discovery"])
        .arg(world.discovery.addresses().debug.to_string())
        .args(args)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}
