//! Everything that is generated is accepted by real Envoys: over ADS in both variants of the protocol, and by their own check of a file.

mod one_file;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use pilothouse_tests::ads::{CLUSTER, DeltaClient};
use pilothouse_tests::envoy::{Binary, Envoy, VERSIONS};
use pilothouse_tests::sidecar::{Holds, Sidecar};
use pilothouse_xds::bootstrap::Variant;
use serde_json::Value;

use crate::world::{SOON, World};

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
accessLogEncoding: JSON
proxyHttpPort: 17999
connectTimeout: 3s
dnsRefreshRate: 7s
protocolDetectionTimeout: 0.1s
";

const REPORTS: &str = r#"
extensionProviders:
- { name: text, envoyFileAccessLog: { path: /dev/null, logFormat: { text: "%START_TIME% %REQ_WITHOUT_QUERY(:PATH)%" } } }
- { name: labels, envoyFileAccessLog: { path: /dev/null, logFormat: { labels: { a: "%PROTOCOL%", b: { c: "%BYTES_SENT%" } } }, omitEmptyValues: true } }
- { name: http-als, envoyHttpAls: { service: collector.shop.svc.cluster.local, port: 17417, additionalRequestHeadersToLog: [x-a], filterStateObjectsToLog: [b] } }
- { name: tcp-als, envoyTcpAls: { service: shop/collector.shop.svc.cluster.local, port: 17417, logName: tcp } }
- { name: zipkin, zipkin: { service: collector.shop.svc.cluster.local, port: 17411, maxTagLength: 64, enable64bitTraceId: true, traceContextOption: USE_B3_WITH_W3C_PROPAGATION } }
- { name: otel-http, opentelemetry: { service: collector.shop.svc.cluster.local, port: 17411, http: { path: /v1/traces, headers: [{ name: a, value: b }] }, resourceDetectors: { environment: {}, dynatrace: {} } } }
- { name: otel-grpc, opentelemetry: { service: collector.shop.svc.cluster.local, port: 17417, maxTagLength: 9, grpc: { timeout: 3s, initialMetadata: [{ name: a, value: b }] } } }
"#;

#[tokio::test]
async fn captured_traffic() {
    check(&SHAPES, None, &[captured("redirect")]).await;
}

#[tokio::test]
async fn captured_traffic_of_a_foreign_namespace() {
    check(
        &SHAPES,
        None,
        &[Sidecar::new("foreign", "rivals")
            .at([10, 1, 0, 9].into())
            .interception("REDIRECT")],
    )
    .await;
}

#[tokio::test]
async fn traffic_that_is_not_captured() {
    check(
        &SHAPES,
        None,
        &[
            bound("none"),
            bound("http-proxy").with("HTTP_PROXY_PORT", "17998"),
        ],
    )
    .await;
}

#[tokio::test]
async fn transparent_and_dual_stack() {
    let dual = captured("dual").with("INSTANCE_IPS", "10.1.0.1,fd00::1:1");
    let six = Sidecar::new("six", "shop")
        .at("fd00::1:1".parse().unwrap())
        .interception("REDIRECT");
    check(
        &SHAPES,
        None,
        &[captured("tproxy").interception("TPROXY"), dual, six],
    )
    .await;
}

#[tokio::test]
async fn a_strict_mesh() {
    check(
        &SHAPES,
        Some(STRICT),
        &[captured("redirect"), bound("none")],
    )
    .await;
}

#[tokio::test]
async fn everything_that_destination_rules_say() {
    let rules = include_str!("acceptance/meshes/destination.yaml");
    let files: Vec<_> = SHAPES
        .into_iter()
        .chain([("destination.yaml", rules)])
        .collect();
    check(&files, None, &[captured("redirect"), bound("none")]).await;
}

#[tokio::test]
async fn everything_that_sidecars_say() {
    let rules = include_str!("acceptance/meshes/sidecar.yaml");
    let files: Vec<_> = SHAPES
        .into_iter()
        .chain([("sidecar.yaml", rules)])
        .collect();
    let labels = || serde_json::json!({ "app": "ingress" });
    let foreign = Sidecar::new("foreign", "rivals")
        .at([10, 1, 0, 9].into())
        .interception("REDIRECT");
    let sidecars = [
        captured("redirect"),
        bound("none"),
        captured("ingress").with("LABELS", labels()),
        bound("ingress-none")
            .at([127, 0, 0, 1].into())
            .with("LABELS", labels()),
        foreign,
    ];
    check(&files, None, &sidecars).await;
}

#[tokio::test]
async fn everything_that_virtual_services_say() {
    let rules = include_str!("acceptance/meshes/virtual.yaml");
    let files: Vec<_> = SHAPES
        .into_iter()
        .chain([("virtual.yaml", rules)])
        .collect();
    let web = || serde_json::json!({ "app": "web" });
    let sidecars = [
        captured("redirect").with("LABELS", web()),
        bound("none").with("HTTP_PROXY_PORT", "17998"),
    ];
    check(&files, None, &sidecars).await;
    check(&files, Some(STRICT), &[bound("strict")]).await;
}

#[tokio::test]
async fn certificates_of_destination_rules() {
    let rules = include_str!("acceptance/meshes/destination_tls.yaml");
    let files = [SHAPES[0], ("destination.yaml", rules)];
    let world = World::start_with(&files, None, &[]).await;
    let dump = validate(&world, &captured("redirect")).await;
    for secret in [
        "file-root:system",
        "file-cert:/etc/certs/cert.pem~/etc/certs/key.pem",
        "outbound_.17081_._.web.shop.svc.cluster.local",
        "own.example.com",
    ] {
        assert!(dump.to_string().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn everything_that_routers_listen_on() {
    let rules = include_str!("acceptance/meshes/gateway.yaml");
    let files: Vec<_> = SHAPES
        .into_iter()
        .chain([
            ("gateway.yaml", rules),
            (
                "ingress.yaml",
                include_str!("acceptance/meshes/ingress.yaml"),
            ),
        ])
        .collect();
    check(&files, None, &[router("edge")]).await;
}

#[tokio::test]
async fn names_that_requests_say() {
    let mesh = include_str!("acceptance/meshes/dynamic.yaml");
    let files = [SHAPES[0], SHAPES[2], ("dynamic.yaml", mesh)];
    let proxy = bound("http-proxy").with("HTTP_PROXY_PORT", "17997");
    check(
        &files,
        None,
        &[captured("redirect"), bound("none"), proxy, router("edge")],
    )
    .await;
}

#[tokio::test]
async fn certificates_of_routers() {
    let rules = include_str!("acceptance/meshes/gateway_tls.yaml");
    let files = [SHAPES[0], ("gateway.yaml", rules)];
    let world = World::start_with(&files, None, &[]).await;
    let dump = validate(&world, &router("edge")).await;
    for what in [
        "file-root:/etc/certs/root.pem",
        "file-cert:/etc/certs/cert.pem~/etc/certs/key.pem",
        "https.17443.simple.edge.shop",
        "https.17444.mesh.edge.shop",
        "ROOTCA",
    ] {
        assert!(dump.to_string().contains(what), "{what}");
    }
}

#[tokio::test]
async fn every_form_of_access_log() {
    let config = |more: &str| format!("accessLogFile: /dev/null\n{more}");
    for more in [
        "",
        "accessLogEncoding: TEXT\naccessLogFormat: \"[%START_TIME%] %REQ(:METHOD)% %RESPONSE_FLAGS%\"\n",
        "accessLogEncoding: JSON\naccessLogFormat: '{\"when\": \"%START_TIME%\", \"nested\": {\"flags\": \"%RESPONSE_FLAGS%\", \"list\": [\"%PROTOCOL%\", 1, true, null]}}'\n",
    ] {
        let world = World::start_with(&SHAPES, Some(&config(more)), &[]).await;
        for sidecar in [captured("redirect"), bound("none")] {
            validate(&world, &sidecar).await;
        }
    }
}

#[tokio::test]
async fn everything_that_is_reported() {
    let files: Vec<_> = SHAPES
        .into_iter()
        .chain([(
            "telemetry.yaml",
            include_str!("acceptance/meshes/telemetry.yaml"),
        )])
        .collect();
    let foreign = Sidecar::new("foreign", "rivals")
        .at([10, 1, 0, 9].into())
        .interception("REDIRECT");
    check(
        &files,
        Some(REPORTS),
        &[captured("redirect"), bound("none"), foreign],
    )
    .await;
}

#[tokio::test]
async fn every_example() {
    let examples = examples();
    assert!(!examples.is_empty(), "no example has a mesh");
    for dir in examples {
        let files: Vec<_> = files(&dir);
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        check(&files, None, &[captured("redirect"), bound("none")]).await;
    }
}

/// A sidecar whose workload is at 10.1.0.1.
fn captured(name: &str) -> Sidecar {
    Sidecar::new(name, "shop")
        .at([10, 1, 0, 1].into())
        .interception("REDIRECT")
}

/// A sidecar that binds what its clients dial, as far as that needs no privilege.
fn bound(name: &str) -> Sidecar {
    Sidecar::new(name, "shop")
        .at([10, 1, 0, 8].into())
        .with("UNPRIVILEGED_POD", "true")
}

/// A router that gateways select.
fn router(name: &str) -> Sidecar {
    let labels = serde_json::json!({ "istio": "ingressgateway" });
    Sidecar::new(name, "shop").router().with("LABELS", labels)
}

/// Every sidecar, in both variants of the protocol, with every version of Envoy; and what each is to have, as one file.
async fn check(files: &[(&str, &str)], mesh_config: Option<&str>, sidecars: &[Sidecar]) {
    let world = World::start_with(files, mesh_config, &[]).await;
    for sidecar in sidecars {
        let dump = validate(&world, sidecar).await;
        if let Some(why) = cannot_bind(&dump) {
            skipped(&sidecar.id(), why);
            continue;
        }
        for version in VERSIONS {
            let binary = Binary::find_version(version).unwrap();
            let delta = accepts(&world, &binary, sidecar, Variant::Delta);
            let sotw = accepts(&world, &binary, sidecar, Variant::Sotw);
            tokio::join!(delta, sotw);
        }
    }
}

async fn accepts(world: &World, binary: &Binary, sidecar: &Sidecar, variant: Variant) {
    let name = format!(
        "{variant:?}-{}-{}",
        binary.version().replace('.', "-"),
        sidecar.id()
    )
    .to_lowercase();
    let sidecar = sidecar.clone().named(&name).variant(variant);
    let what = || format!("{variant:?}, Envoy {}, {}", binary.version(), sidecar.id());
    let envoy = sidecar
        .start(binary, world.discovery.addresses().grpc, world.dir())
        .await
        .unwrap();
    envoy
        .wait_ready(SOON)
        .await
        .unwrap_or_else(|error| panic!("{}: {error:#}", what()));
    world
        .synced(&sidecar.id())
        .await
        .unwrap_or_else(|error| panic!("{}: {error:#}", what()));
    envoy
        .wait_settled(SOON)
        .await
        .unwrap_or_else(|error| panic!("{}: {error:#}", what()));
    holds_everything(world, &envoy, &sidecar, variant).await;
}

/// Envoy holds what the snapshot has, and nothing else.
async fn holds_everything(world: &World, envoy: &Envoy, sidecar: &Sidecar, variant: Variant) {
    let (dump, expected) = world.snapshot(sidecar).await;
    let named = named_routes(&dump);
    let mut expected = expected;
    expected.routes.retain(|name, _| named.contains(name));
    let mut held = envoy.holds().await.unwrap();
    // In the other variant a response has a version, and its resources have none of their own.
    if variant == Variant::Sotw {
        for holds in [&mut expected, &mut held] {
            for versions in [&mut holds.clusters, &mut holds.listeners, &mut holds.routes] {
                versions.values_mut().for_each(String::clear);
            }
        }
    }
    // Endpoints that Envoy finds by itself are on the same page.
    held.assignments
        .retain(|name, _| expected.assignments.contains_key(name));
    assert_eq!(held, expected, "{variant:?}, {}", sidecar.id());
    assert!(!expected.clusters.is_empty() && !expected.listeners.is_empty());
}

/// What a proxy like this is to have is accepted as a file, by every version of Envoy.
async fn validate(world: &World, sidecar: &Sidecar) -> Value {
    let sidecar = sidecar
        .clone()
        .named(&format!("file-{}", sidecar.id().replace('.', "-")));
    let mut client =
        DeltaClient::connect(world.discovery.addresses().grpc, sidecar.node().unwrap())
            .await
            .unwrap();
    client.subscribe(CLUSTER, &[]).unwrap();
    client.expect(CLUSTER).await.unwrap();
    let (dump, _) = world.snapshot(&sidecar).await;
    let file = one_file::bootstrap(&dump);
    for version in VERSIONS {
        let binary = Binary::find_version(version).unwrap();
        let name = format!("{}-{version}", sidecar.id());
        binary.validate(&name, &file, world.dir()).await.unwrap();
    }
    dump
}

impl World {
    /// What a connected proxy is to have.
    async fn snapshot(&self, sidecar: &Sidecar) -> (Value, Holds) {
        let page = format!("/debug/config_dump?proxyID={}", sidecar.id());
        let dump = self.discovery.debug(&page).await.unwrap();
        let holds = Holds::read(&dump).unwrap();
        (dump, holds)
    }
}

/// The route tables that listeners name, wherever in them.
fn named_routes(dump: &Value) -> BTreeSet<String> {
    let mut open = vec![dump];
    let mut names = BTreeSet::new();
    while let Some(value) = open.pop() {
        if let Some(name) = value["rds"]["route_config_name"].as_str() {
            names.insert(name.to_owned());
        }
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => open.extend(fields.values()),
            _ => {}
        }
    }
    names
}

/// Why this process cannot open the sockets that a proxy needs, if it cannot.
fn cannot_bind(dump: &Value) -> Option<&'static str> {
    let text = dump.to_string();
    if text.contains("\"transparent\":true") && !has_net_admin() {
        return Some("transparent sockets need CAP_NET_ADMIN");
    }
    if text.contains("\"address\":\"::") && TcpListener::bind("[::1]:0").is_err() {
        return Some("there is no IPv6");
    }
    None
}

fn has_net_admin() -> bool {
    const CAP_NET_ADMIN: u64 = 1 << 12;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & CAP_NET_ADMIN != 0)
}

/// In CI nothing may be missing.
#[expect(clippy::print_stderr, reason = "whoever looks at the tests is to know")]
fn skipped(what: &str, why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "{what} cannot be run: {why}"
    );
    eprintln!("{what} is only checked as a file: {why}");
}

/// The directories of manifests among the examples.
fn examples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut found: Vec<_> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("mesh"))
        .filter(|dir| dir.is_dir())
        .collect();
    found.sort();
    found
}

fn files(dir: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.is_file())
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                std::fs::read_to_string(path).unwrap(),
            )
        })
        .collect()
}
