//! `pilotctl proxy-config`, `proxy-status` and `version` against what really runs.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use pilothouse_tests::backend::Backend;
use pilothouse_tests::discovery::build;
use pilothouse_tests::envoy::{Binary, Envoy, VERSIONS};
use pilothouse_tests::mesh_dir::ServiceEntry;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::sync::OnceCell;

use crate::every_envoy::on_every_envoy;
use crate::world::{SOON, World, answers};

/// Every shape of service.
const SHAPES: [(&str, &str); 3] = [
    ("http.yaml", include_str!("acceptance/meshes/http.yaml")),
    ("tcp.yaml", include_str!("acceptance/meshes/tcp.yaml")),
    (
        "inbound.yaml",
        include_str!("acceptance/meshes/inbound.yaml"),
    ),
];

/// Services of each shape that a table tells apart; the dumps of pilotctl's own tests are of this mesh.
const MESH: &str = include_str!("../../bins/pilotctl/tests/data/mesh.yaml");

on_every_envoy! {
    a_dump_reads_as_its_envoy
    a_refusal_is_shown_with_its_object
}

/// Every table and every form of data, from the Envoy, from a file and from standard input.
async fn a_dump_reads_as_its_envoy(binary: &Binary, variant: Variant) {
    let (world, sidecar) = (World::start(&SHAPES).await, captured());
    let sidecar = sidecar.variant(variant);
    let envoy = started(&world, &sidecar, binary).await;
    let admin = envoy.admin().to_string();
    let dump = envoy.get("/config_dump?include_eds").await.unwrap().body;
    let file = world.dir().join("dump.json");
    std::fs::write(&file, &dump).unwrap();
    let file = file.to_str().unwrap();
    for kind in [
        "cluster",
        "listener",
        "route",
        "endpoint",
        "bootstrap",
        "all",
    ] {
        for form in ["short", "json", "yaml"] {
            let of = ["proxy-config", kind, "-o", form];
            let live = ctl(&of, &["--proxy-admin", &admin]).await;
            assert!(live.lines().count() > 5, "{kind} {form}: {live}");
            assert!(!live.contains('\u{1b}'), "{kind} {form}: {live}");
            assert_eq!(ctl(&of, &[&admin]).await, live, "{kind} {form}");
            assert_eq!(ctl(&of, &["-f", file]).await, live, "{kind} {form}");
            let piped = outcome(&[&of[..], &["-f", "-"]].concat(), Some(&dump)).await;
            assert_eq!(printed(&piped), live, "{kind} {form}");
        }
    }

    // What discovery is to give has the same form.
    let holds = format!("/debug/config_dump?proxyID={}", sidecar.id());
    let holds = world.discovery.debug(&holds).await.unwrap().to_string();
    let of = ["proxy-config", "listener", "-o", "short", "-f", "-"];
    let of_discovery = outcome(&of, Some(&holds)).await;
    let live = ctl(&["proxy-config", "listener"], &[&admin]).await;
    assert_eq!(printed(&of_discovery), live);

    let name = sidecar.id();
    let discovery = world.discovery.addresses().debug.to_string();
    let status = ctl(&["proxy-status", "--discovery", &discovery], &[]).await;
    let row: Vec<_> = status.lines().last().unwrap().split_whitespace().collect();
    let synced = ["SYNCED"; 4];
    let expected = [
        &[&*name, "-"],
        &synced[..],
        &[&*discovery, binary.version()],
    ]
    .concat();
    assert_eq!(row, expected, "{status}");

    let of = ["proxy-status", &name, "--discovery", &discovery];
    let compared = ctl(&of, &["--proxy-admin", &admin]).await;
    for of in ["Clusters", "Listeners", "Routes", "Endpoints"] {
        assert!(compared.contains(&format!("{of} match (")), "{compared}");
    }
    let version = ctl(&["version", "--discovery", &discovery], &[]).await;
    let line = format!("data plane version: {} (1 proxy)", binary.version());
    assert_eq!(version.lines().last(), Some(&*line), "{version}");
}

/// A listener on a port of another program: Envoy refuses it, and everybody says so.
async fn a_refusal_is_shown_with_its_object(binary: &Binary, variant: Variant) {
    let good = free_address().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bad = taken.local_addr().unwrap();
    let backend = Backend::start("web", [127, 0, 0, 1].into()).await.unwrap();
    let entry = |name: &str, via: SocketAddr| {
        ServiceEntry::http(name, &format!("{name}.test"), via.port()).endpoint(backend.address())
    };
    let world = World::of(&[&entry("good", good)]).await;
    let sidecar = Sidecar::new("client", "default").variant(variant);
    let envoy = started(&world, &sidecar, binary).await;
    answers(good, "good.test", "web").await;
    let discovery = world.discovery.addresses().debug.to_string();
    let admin = envoy.admin().to_string();
    let of = ["proxy-status", "--discovery", &discovery];
    let status = ctl(&of, &[]).await;
    assert!(!status.contains("ERROR"), "{status}");

    world
        .mesh
        .write("bad.yaml", &entry("bad", bad).to_yaml())
        .unwrap();
    let listener = format!("127.0.0.1_{}", bad.port());
    let shown = async || {
        let status = ctl(&of, &[]).await;
        ensure!(
            status.contains(&format!("ERROR LDS {listener}\n")),
            "{status}"
        );
        Ok(status)
    };
    let status = eventually("the refusal is shown", SOON, shown)
        .await
        .unwrap();
    let row: Vec<_> = status.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(
        row.get(2..6),
        Some(&["SYNCED", "ERROR", "SYNCED", "SYNCED"][..]),
        "{status}"
    );
    for part in [
        "  refused by: client.default\n",
        "Address already in use",
        "  made from: ServiceEntry default/bad (",
        "bad.yaml",
    ] {
        assert!(status.contains(part), "{part}: {status}");
    }
    let data: Value = serde_json::from_str(&ctl(&of, &["-o", "json"]).await).unwrap();
    let refused = &data[0]["types"]["lds"]["refused"][0];
    assert_eq!(refused["resource"], *listener, "{data:#}");
    assert_eq!(
        refused["objects"][0]["object"], "ServiceEntry default/bad",
        "{data:#}"
    );

    // Envoy says so, too, and does not have what it is to have.
    let listeners = ctl(&["proxy-config", "listener"], &[&admin]).await;
    let note = format!("REFUSED listener {listener}: ");
    assert!(listeners.contains(&note), "{listeners}");
    let name = sidecar.id();
    let of = [
        "proxy-status",
        &name,
        "--discovery",
        &discovery,
        "--proxy-admin",
        &admin,
    ];
    let compared = outcome(&of, None).await;
    let text = String::from_utf8_lossy(&compared.stdout);
    assert_eq!(compared.status.code(), Some(1), "{text}");
    assert!(text.contains("Listeners do not match:\n"), "{text}");
    assert!(
        text.contains(&format!("  - {listener}: Envoy does not have it\n")),
        "{text}"
    );
    assert!(text.contains("Clusters match ("), "{text}");
}

/// An Envoy that stands still has not acknowledged what it was sent; once it goes on, it has.
#[tokio::test]
async fn a_stopped_envoy_is_stale() {
    let via = free_address().unwrap();
    let backend = Backend::start("web", [127, 0, 0, 1].into()).await.unwrap();
    let web = ServiceEntry::http("web", "web.test", via.port());
    let world = World::of(&[&web]).await;
    let binary = Binary::find().unwrap();
    let sidecar = Sidecar::new("client", "default");
    let envoy = started(&world, &sidecar, &binary).await;
    let discovery = world.discovery.addresses().debug.to_string();
    let of = ["proxy-status", "--discovery", &discovery];

    signal(&envoy, "-STOP");
    world
        .mesh
        .write_entry(&web.endpoint(backend.address()))
        .unwrap();
    let stale = async || {
        let status = ctl(&of, &[]).await;
        // With its age, which is some seconds at most.
        ensure!(
            status.contains("STALE (") && status.contains("s) "),
            "{status}"
        );
        Ok(())
    };
    eventually("it is stale", SOON, stale).await.unwrap();
    let (name, admin) = (sidecar.id(), envoy.admin().to_string());
    let compare = [&of[..], &[&name, "--proxy-admin", &admin]].concat();
    signal(&envoy, "-CONT");
    let synced = async || {
        let status = ctl(&of, &[]).await;
        ensure!(
            !status.contains("STALE") && status.contains("SYNCED"),
            "{status}"
        );
        Ok(())
    };
    eventually("it is not stale", SOON, synced).await.unwrap();
    ctl(&compare, &[]).await;
}

#[tokio::test]
async fn log_levels_are_set_and_reset() {
    for version in VERSIONS {
        let world = World::of(&[]).await;
        let binary = Binary::find_version(version).unwrap();
        let envoy = started(&world, &Sidecar::new("client", "default"), &binary).await;
        let admin = envoy.admin().to_string();
        let of = ["proxy-config", "log", &admin, "-o", "json"];
        let levels =
            async |more: &[&str]| -> Value { serde_json::from_str(&ctl(&of, more).await).unwrap() };
        let before = levels(&[]).await;
        // As the harness starts it.
        assert_eq!(before["http"], "info", "{before:#}");
        let after = levels(&["--level", "http:debug,router:trace"]).await;
        let mut expected = before.clone();
        expected["http"] = "debug".into();
        expected["router"] = "trace".into();
        assert_eq!(after, expected);
        assert_eq!(levels(&[]).await, expected);
        let off = levels(&["--level", "error"]).await;
        assert!(
            off.as_object()
                .unwrap()
                .values()
                .all(|level| level == "error"),
            "{off:#}"
        );
        assert_eq!(levels(&["--reset"]).await, before);
        let wrong = outcome(&[&of[..], &["--level", "nobody:info"]].concat(), None).await;
        assert_eq!(wrong.status.code(), Some(1));
    }
}

/// An address of another Envoy is found out before everything seems to differ.
#[tokio::test]
async fn another_envoy_is_not_compared() {
    let world = World::of(&[]).await;
    let binary = Binary::find().unwrap();
    let one = Sidecar::new("one", "default");
    let other = Sidecar::new("other", "default");
    let _envoy = started(&world, &one, &binary).await;
    let envoy = started(&world, &other, &binary).await;
    let (discovery, admin) = (
        world.discovery.addresses().debug.to_string(),
        envoy.admin().to_string(),
    );
    let of = [
        "proxy-status",
        "one.default",
        "--discovery",
        &discovery,
        "--proxy-admin",
        &admin,
    ];
    let answer = outcome(&of, None).await;
    let said = String::from_utf8_lossy(&answer.stderr);
    assert_eq!(answer.status.code(), Some(1), "{said}");
    assert!(
        said.contains("other.default") && said.contains("not the one"),
        "{said}"
    );
    let nobody = outcome(&["proxy-status", "nobody", "--discovery", &discovery], None).await;
    let said = String::from_utf8_lossy(&nobody.stderr);
    assert!(
        said.contains("no proxy \"nobody\"") && said.contains("one.default, other.default"),
        "{said}"
    );
}

/// Writes the dumps that pilotctl's own tests read, with the Envoys of this workspace.
#[tokio::test]
#[ignore = "writes files of the repository: bins/pilotctl/tests/data/envoy-VERSION.json"]
async fn write_dumps() {
    let world = World::start(&[("mesh.yaml", MESH)]).await;
    for version in VERSIONS {
        let binary = Binary::find_version(version).unwrap();
        let envoy = started(&world, &captured(), &binary).await;
        for (page, name) in [
            ("config_dump?include_eds", "envoy"),
            ("clusters?format=json", "clusters"),
        ] {
            let mut page = envoy.get_json(&format!("/{page}")).await.unwrap();
            if let Some(bootstrap) = page.pointer_mut("/configs/0/bootstrap/node") {
                // Tens of kilobytes that no table shows.
                bootstrap.as_object_mut().unwrap().remove("extensions");
            }
            let text = format!("{page}\n").replace(
                ",{\"@type\":\"type.googleapis.com/envoy.admin",
                ",\n{\"@type\":\"type.googleapis.com/envoy.admin",
            );
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bins/pilotctl/tests/data");
            std::fs::write(path.join(format!("{name}-{version}.json")), text).unwrap();
        }
    }
}

/// A sidecar whose workload is at 10.1.0.1.
fn captured() -> Sidecar {
    Sidecar::new("web-1", "shop")
        .at([10, 1, 0, 1].into())
        .interception("REDIRECT")
}

async fn started(world: &World, sidecar: &Sidecar, binary: &Binary) -> Envoy {
    let envoy = sidecar
        .start(binary, world.discovery.addresses().grpc, world.dir())
        .await
        .unwrap();
    envoy.wait_ready(SOON).await.unwrap();
    world.synced(&sidecar.id()).await.unwrap();
    envoy.wait_settled(SOON).await.unwrap();
    envoy
}

fn signal(envoy: &Envoy, signal: &str) {
    let id = envoy.process().id().to_string();
    let sent = std::process::Command::new("kill")
        .args([signal, &id])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// What it prints, which must be with success.
async fn ctl(args: &[&str], more: &[&str]) -> String {
    printed(&outcome(&[args, more].concat(), None).await)
}

fn printed(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

async fn outcome(args: &[&str], input: Option<&str>) -> Output {
    run(args, input).await.unwrap()
}

async fn run(args: &[&str], input: Option<&str>) -> Result<Output> {
    let mut child = tokio::process::Command::new(binary().await)
        .args(args)
        .stdin(input.map_or_else(Stdio::null, |_| Stdio::piped()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("starting pilotctl")?;
    if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(text.as_bytes()).await.context("writing")?;
    }
    child.wait_with_output().await.context("waiting")
}

/// The binary under test, built once.
async fn binary() -> &'static Path {
    static BINARY: OnceCell<PathBuf> = OnceCell::const_new();
    let build = || async {
        tokio::task::spawn_blocking(|| build("pilotctl", "pilotctl"))
            .await
            .unwrap()
            .unwrap()
    };
    BINARY.get_or_init(build).await
}
