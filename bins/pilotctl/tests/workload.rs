//! `pilotctl workload configure`: what an agent on a machine is started with.

#![allow(clippy::unwrap_used, reason = "a test states what must hold")]

use std::path::Path;

use clap::Parser;
use pilotctl::cli::{self, CommandLine};

const GROUP: &str = "
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: { name: web, namespace: shop }
spec:
  metadata: { labels: { app: web, version: v2 } }
  template: { ports: { http: 8080, admin: 9000 }, serviceAccount: web-sa, network: east }
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: { name: other, namespace: shop }
spec: { template: {} }
";

const CONFIGS: &str = "
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: { name: all, namespace: istio-system }
spec: { concurrency: 4, environmentVariables: { A: root, B: root } }
---
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: { name: shop, namespace: shop }
spec: { environmentVariables: { B: shop, C: shop } }
---
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: { name: web, namespace: shop, creationTimestamp: '2024-01-01T00:00:00Z' }
spec: { selector: { matchLabels: { app: web } }, concurrency: 2, environmentVariables: { C: web } }
---
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: { name: younger, namespace: shop, creationTimestamp: '2025-01-01T00:00:00Z' }
spec: { selector: { matchLabels: { app: web } }, concurrency: 9 }
";

const MESH: &str = "
trustDomain: acme.example
defaultConfig: { discoveryAddress: 'pilot.example:15010', concurrency: 1, proxyMetadata: { Z: mesh } }
";

async fn run(dir: &Path, more: &[&str]) -> Result<(u8, String, String), String> {
    for (name, text) in [
        ("group.yaml", GROUP),
        ("configs.yaml", CONFIGS),
        ("mesh.yaml", MESH),
    ] {
        std::fs::write(dir.join(name), text).unwrap();
    }
    let path = |name: &str| dir.join(name).display().to_string();
    let (group, configs, mesh) = (path("group.yaml"), path("configs.yaml"), path("mesh.yaml"));
    let line = [
        "pilotctl",
        "workload",
        "configure",
        "-f",
        &group,
        "-f",
        &configs,
        "--mesh-config",
        &mesh,
    ];
    let line = CommandLine::try_parse_from(line.iter().chain(more)).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = cli::run(line, &mut out, &mut err).await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    code.map(|code| (code, text(out), text(err)))
        .map_err(|error| format!("{error:#}"))
}

#[tokio::test]
async fn files_say_what_holds_for_the_workload() {
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().join("made");
    let into = into.display().to_string();
    let flags = [
        "--name",
        "web",
        "--ingress-ip",
        "10.0.0.9",
        "--internal-ip",
        "10.0.0.2",
        "--capture-dns",
        "-o",
        &into,
    ];
    let (code, out, err) = run(dir.path(), &flags).await.unwrap();
    assert_eq!((code, out.lines().count()), (0, 3), "{err}");
    assert!(
        err.contains("ProxyConfig shop/younger") && err.contains("the oldest counts"),
        "{err}"
    );
    let read = |name: &str| std::fs::read_to_string(Path::new(&into).join(name)).unwrap();
    assert_eq!(read("hosts"), "10.0.0.9 pilot.example\n");
    assert_eq!(
        read("cluster.env"),
        "CANONICAL_REVISION='v2'
CANONICAL_SERVICE='web'
INSTANCE_IP='10.0.0.2'
ISTIO_INBOUND_PORTS='8080,9000'
ISTIO_LOCAL_EXCLUDE_PORTS='22,15090,15021,15020'
ISTIO_METAJSON_LABELS='{\"app\":\"web\",\"service.istio.io/canonical-name\":\"web\",\"service.istio.io/canonical-revision\":\"v2\",\"version\":\"v2\"}'
ISTIO_META_AUTO_REGISTER_GROUP='web'
ISTIO_META_CLUSTER_ID='default'
ISTIO_META_DNS_CAPTURE='true'
ISTIO_META_NETWORK='east'
ISTIO_META_WORKLOAD_NAME='web'
ISTIO_NAMESPACE='shop'
ISTIO_SERVICE='web.shop'
ISTIO_SERVICE_CIDR='*'
POD_NAMESPACE='shop'
SERVICE_ACCOUNT='web-sa'
TRUST_DOMAIN='acme.example'
"
    );
    let mesh = read("mesh.yaml");
    assert!(mesh.starts_with("# With what these say: ProxyConfig istio-system/all, ProxyConfig shop/shop, ProxyConfig shop/web\n"), "{mesh}");
    let mesh: serde_json::Value = serde_saphyr::from_str(&mesh).unwrap();
    let expected = serde_json::json!({"defaultConfig": {
        "concurrency": 2, "discoveryAddress": "pilot.example:15010", "drainDuration": "45s", "proxyAdminPort": 15000,
        "proxyMetadata": {"A": "root", "B": "shop", "C": "web", "Z": "mesh"}, "statusPort": 15020,
        "terminationDrainDuration": "5s",
    }});
    assert_eq!(mesh, expected);
}

#[tokio::test]
async fn a_group_has_to_be_meant() {
    let dir = tempfile::tempdir().unwrap();
    let several = run(dir.path(), &[]).await.unwrap_err();
    assert!(several.contains("--name"), "{several}");
    let none = run(dir.path(), &["--name", "nobody"]).await.unwrap_err();
    assert!(none.contains("no WorkloadGroup"), "{none}");
    let (code, out, _) = run(dir.path(), &["--name", "other"]).await.unwrap();
    assert_eq!(code, 0);
    assert!(
        out.contains("# cluster.env\n") && out.contains("concurrency: 4"),
        "{out}"
    );
    assert!(
        out.contains("SERVICE_ACCOUNT='default'") && !out.contains("# hosts"),
        "{out}"
    );
}
