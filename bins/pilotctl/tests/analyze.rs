//! `pilotctl analyze`, seen from a shell: what it prints and what it exits with.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot run the binary has failed"
)]

use std::fs;
use std::process::Command;

use serde_json::Value;

const MESH: &str = "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: web, namespace: shop }
spec:
  hosts: [web.test]
  ports: [{ name: http, number: 80, protocol: HTTP }, { name: tcp, number: 81, protocol: TCP }]
  resolution: STATIC
  endpoints: [{ address: 10.0.0.1 }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: first, namespace: shop }
spec:
  hosts: [web.test]
  http:
  - route: [{ destination: { host: gone.test } }]
  - route: [{ destination: { host: web.test, port: { number: 80 } } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: second, namespace: shop }
spec:
  hosts: [web.test]
  http:
  - route: [{ destination: { host: web.test, port: { number: 80 } } }]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: strict, namespace: shop }
spec: { mtls: { mode: STRICT } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: quiet
  namespace: shop
  annotations: { galley.istio.io/analyze-suppress: IST0174 }
spec: { host: gone.test }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: bad, namespace: shop }
spec: { hots: web.test }
";

fn analyze(args: &[&str]) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mesh.yaml"), MESH).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pilotctl"))
        .arg("analyze")
        .args(args)
        .current_dir(dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), text)
}

/// Code, object and line of what is found.
fn found(args: &[&str]) -> (i32, Vec<String>) {
    let (code, text) = analyze(&[&["-f", "mesh.yaml", "-o", "json"], args].concat());
    let found: Value = serde_json::from_str(&text).unwrap();
    let lines = found["findings"].as_array().unwrap().iter().map(|one| {
        let name = one["object"]["name"].as_str().unwrap();
        format!("{} {name} {}", one["code"].as_str().unwrap(), one["line"])
    });
    (code, lines.collect())
}

#[test]
fn everything_has_its_code_and_place() {
    let all = [
        "IST0134 web 6",
        "IST0101 first 10",
        "IST0130 first 17",
        "IST0109 second 19",
        "PLT0103 second 19",
        "PLT0102 strict 27",
        "IST0106 bad 43",
    ];
    assert_eq!(found(&[]), (1, all.map(str::to_owned).to_vec()));
    let (code, text) = analyze(&["-f", "mesh.yaml", "--output-threshold", "error"]);
    let expected = "mesh.yaml:10: error [IST0101]: VirtualService shop/first: spec.http[0].route[0].destination.host: no service that shop sees has the host gone.test
  hint: what is routed there fails
mesh.yaml:19: error [IST0109]: VirtualService shop/second: spec.hosts: VirtualService shop/first, which is older, says how sidecars route web.test: what this one says of it is not used
  hint: say it in one of them, or give each hosts of its own
mesh.yaml:43:15: error [IST0106]: DestinationRule shop/bad: spec.hots: unknown field \"hots\"
  hint: known here: host, trafficPolicy, subsets, exportTo, workloadSelector
5 objects in 1 file: 3 errors
";
    assert_eq!((code, text.as_str()), (1, expected));
}

#[test]
fn merging_leaves_no_loser() {
    let (_, lines) = found(&["--virtual-service-merge", "namespace"]);
    let second: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("second"))
        .collect();
    assert_eq!(second, Vec::<&String>::new());
}

#[test]
fn findings_can_be_left_out_and_do_not_fail_then() {
    let none = [
        "-S",
        "IST0101=VirtualService first.shop",
        "-S",
        "IST0109=VirtualService *.shop",
        "-S",
        "IST0106=*",
    ];
    let (code, lines) = found(&none);
    assert_eq!(code, 0, "only warnings are left: {lines:?}");
    assert_eq!(lines.len(), 4);
    let strict = [&none[..], &["--failure-threshold", "warning"]].concat();
    assert_eq!(found(&strict).0, 1);
    assert_eq!(analyze(&["-f", "mesh.yaml", "-S", "x"]).0, 64);
}

#[test]
fn codes_are_listed_and_documented() {
    let (code, text) = analyze(&["-L"]);
    assert_eq!(code, 0);
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/analyze.md");
    let page = fs::read_to_string(page).unwrap();
    for line in text.lines() {
        let (id, rest) = line.split_once("  ").unwrap();
        let (level, rest) = rest.trim().split_once("  ").unwrap();
        let (name, about) = rest.trim().split_once(": ").unwrap();
        let row = format!("| {id} | {name} | {} | {about} |", level.trim());
        assert!(page.contains(&row), "docs/analyze.md lacks {row}");
    }
    assert!(text.contains("IST0101"));
    let (_, yaml) = analyze(&["-f", "mesh.yaml", "-o", "yaml"]);
    assert!(yaml.contains("IST0101"), "{yaml}");
}
