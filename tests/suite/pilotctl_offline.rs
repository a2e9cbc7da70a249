//! `pilotctl translate`: from files, resource by resource what discovery sends for them, and a file that every pinned Envoy takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use envoy_types::pb::envoy::config::core::v3::Node;
use pilothouse_tests::ads::{CLUSTER, DeltaClient, ENDPOINT, LISTENER, ROUTE};
use pilothouse_tests::discovery;
use pilothouse_tests::envoy::{Binary, VERSIONS};
use pilothouse_tests::sidecar::{Holds, Sidecar};
use pilothouse_xds::json::{any_to_json, to_json};
use prost::{Message, Name};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::world::{Scratch, World};

/// Every shape of service.
const SHAPES: [(&str, &str); 3] = [
    ("http.yaml", include_str!("acceptance/meshes/http.yaml")),
    ("tcp.yaml", include_str!("acceptance/meshes/tcp.yaml")),
    (
        "inbound.yaml",
        include_str!("acceptance/meshes/inbound.yaml"),
    ),
];

const STRICT: &str = "
outboundTrafficPolicy: { mode: REGISTRY_ONLY }
inboundTrafficPolicy: { mode: LOCALHOST }
accessLogFile: /dev/null
proxyHttpPort: 17999
connectTimeout: 3s
";

/// What is printed, and the type of each.
const KINDS: [(&str, &str); 4] = [
    ("clusters", CLUSTER),
    ("endpoints", ENDPOINT),
    ("listeners", LISTENER),
    ("routes", ROUTE),
];

#[tokio::test]
async fn it_is_what_discovery_sends() {
    check(None, &sidecars()).await;
}

#[tokio::test]
async fn it_is_what_discovery_sends_under_another_mesh_config() {
    check(Some(STRICT), &sidecars()).await;
}

#[tokio::test]
async fn every_envoy_takes_it_as_a_file() {
    let dir = Scratch::new();
    let mesh = dir.path().join("mesh");
    fs::create_dir(&mesh).unwrap();
    for (name, text) in SHAPES {
        fs::write(mesh.join(name), text).unwrap();
    }
    let strict = dir.path().join("strict.yaml");
    fs::write(&strict, STRICT).unwrap();
    for sidecar in sidecars() {
        let node = node_file(&sidecar, dir.path());
        for mesh_config in [None, Some(strict.as_path())] {
            let bootstrap = translate(&mesh, &node, mesh_config, "envoy").await;
            let dynamic = ["eds_cluster_config", "rds", "ads", "dynamic_resources"];
            let open = fields(&bootstrap);
            assert!(
                dynamic.iter().all(|field| !open.contains(*field)),
                "{open:?}"
            );
            for version in VERSIONS {
                let binary = Binary::find_version(version).unwrap();
                let name = format!("{}-{version}", sidecar.id());
                binary
                    .validate(&name, &bootstrap, dir.path())
                    .await
                    .unwrap();
            }
        }
    }
}

/// Captured in each way, not captured, and of a namespace that sees another part of the mesh.
fn sidecars() -> [Sidecar; 5] {
    let captured = |name| Sidecar::new(name, "shop").at([10, 1, 0, 1].into());
    [
        captured("redirect").interception("REDIRECT"),
        captured("tproxy").interception("TPROXY"),
        captured("dual")
            .interception("REDIRECT")
            .with("INSTANCE_IPS", "10.1.0.1,fd00::1:1"),
        Sidecar::new("none", "shop")
            .at([10, 1, 0, 8].into())
            .with("UNPRIVILEGED_POD", "true"),
        Sidecar::new("foreign", "rivals")
            .at([10, 1, 0, 9].into())
            .interception("REDIRECT"),
    ]
}

/// What is printed for each of these is what discovery sends to it: the same resources, each with the same content.
async fn check(mesh_config: Option<&str>, sidecars: &[Sidecar]) {
    let world = World::start_with(&SHAPES, mesh_config, &[]).await;
    let file = world.dir().join("mesh.yaml");
    let mesh_config = mesh_config.map(|_| file.as_path());
    for sidecar in sidecars {
        let node = node_file(sidecar, world.dir());
        let printed = translate(world.mesh.path(), &node, mesh_config, "json").await;
        let sent = sent(&world, sidecar, &printed).await;
        for (kind, _) in KINDS {
            let (printed, sent) = (by_name(&printed[kind]), &sent[kind]);
            assert!(printed.keys().eq(sent.keys()), "{kind} of {}", sidecar.id());
            for (name, printed) in &printed {
                assert_eq!(printed, &sent[name], "{name} of {}", sidecar.id());
            }
        }
    }
}

/// By kind and name, the resources that a proxy gets over ADS. Types without a wildcard are asked for by the names that
/// discovery says it has for the proxy.
async fn sent(
    world: &World,
    sidecar: &Sidecar,
    printed: &Value,
) -> BTreeMap<&'static str, BTreeMap<String, Value>> {
    let address = world.discovery.addresses().grpc;
    let mut client = DeltaClient::connect(address, sidecar.node().unwrap())
        .await
        .unwrap();
    client.subscribe(CLUSTER, &[]).unwrap();
    client.accept(CLUSTER).await.unwrap();
    let page = format!("/debug/config_dump?proxyID={}", sidecar.id());
    let holds = Holds::read(&world.discovery.debug(&page).await.unwrap()).unwrap();
    let assignments: Vec<_> = holds.assignments.keys().map(String::as_str).collect();
    let routes: Vec<_> = holds.routes.keys().map(String::as_str).collect();
    for (type_url, names) in [(ENDPOINT, assignments), (LISTENER, vec![]), (ROUTE, routes)] {
        assert!(type_url == LISTENER || !names.is_empty(), "{printed:#}");
        client.subscribe(type_url, &names).unwrap();
        client.accept(type_url).await.unwrap();
    }
    let held = |type_url| {
        let held = client.held(type_url).iter();
        held.map(|(name, (_, any))| (name.clone(), any_to_json(&any.encode_to_vec()).unwrap()))
            .collect()
    };
    KINDS.map(|(kind, type_url)| (kind, held(type_url))).into()
}

/// Printed resources by their names.
fn by_name(printed: &Value) -> BTreeMap<String, Value> {
    let all = printed.as_array().unwrap().iter().map(|resource| {
        let name = resource
            .get("name")
            .or_else(|| resource.get("cluster_name"));
        (name.unwrap().as_str().unwrap().to_owned(), resource.clone())
    });
    all.collect()
}

/// What the command prints for these files and this node.
async fn translate(mesh: &Path, node: &Path, mesh_config: Option<&Path>, form: &str) -> Value {
    let mut command = Command::new(binary().await);
    command.arg("translate").arg("-f").arg(mesh);
    command.arg("--node").arg(node).args(["-o", form]);
    if let Some(path) = mesh_config {
        command.arg("--mesh-config").arg(path);
    }
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    // The shapes have one service that another declares otherwise.
    let said = String::from_utf8_lossy(&stderr);
    let errors: Vec<_> = said
        .lines()
        .filter(|line| line.contains(": error: ") || line.starts_with("pilotctl: "))
        .collect();
    assert_eq!(
        (status.code(), errors.len()),
        (Some(1), 1),
        "{command:?}: {said}"
    );
    assert!(
        errors[0].contains("ServiceEntry shop/tls-rival: "),
        "{said}"
    );
    serde_json::from_slice(&stdout).unwrap()
}

fn node_file(sidecar: &Sidecar, dir: &Path) -> PathBuf {
    let bytes = sidecar.node().unwrap().encode_to_vec();
    let json = to_json(&Node::full_name(), &bytes).unwrap();
    let path = dir.join(format!("{}.node.json", sidecar.id()));
    fs::write(&path, json.to_string()).unwrap();
    path
}

/// The names of all fields, however deep.
fn fields(value: &Value) -> BTreeSet<String> {
    let mut open = vec![value];
    let mut names = BTreeSet::new();
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => {
                names.extend(fields.keys().cloned());
                open.extend(fields.values());
            }
            _ => {}
        }
    }
    names
}

async fn binary() -> &'static Path {
    static BINARY: OnceCell<PathBuf> = OnceCell::const_new();
    let build = || async {
        let build = || discovery::build("pilotctl", "pilotctl");
        tokio::task::spawn_blocking(build).await.unwrap().unwrap()
    };
    BINARY.get_or_init(build).await
}
