//! `pilotctl explain` on files, as a shell sees it. `INSTA_UPDATE=always` writes what is expected.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot run the binary has failed"
)]

use std::process::Command;

const MESH: &str = include_str!("explain/mesh.yaml");
const PROXY: &str = "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local";

/// What a command exits with and prints.
fn explain(args: &[&str]) -> String {
    explain_mesh(MESH, args)
}

fn explain_mesh(mesh: &str, args: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mesh.yaml"), mesh).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pilotctl"))
        .args(["explain", "-f", "mesh.yaml"])
        .args(args)
        .current_dir(dir.path())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    format!(
        "{}{}exit code {}\n",
        text(output.stdout),
        text(output.stderr),
        output.status.code().unwrap()
    )
}

fn of_sidecar(args: &[&str]) -> String {
    explain(&[&["--proxy", PROXY], args].concat())
}

#[test]
fn a_route_by_header() {
    insta::assert_snapshot!(of_sidecar(&[
        "http://reviews.test/api",
        "-H",
        "end-user: jason"
    ]));
}

#[test]
fn weights() {
    insta::assert_snapshot!(of_sidecar(&["http://reviews.test/", "--random", "85"]));
}

#[test]
fn a_redirect() {
    insta::assert_snapshot!(of_sidecar(&["POST", "http://reviews.test/login"]));
}

#[test]
fn connections() {
    insta::assert_snapshot!(of_sidecar(&["tcp://db.test:5432"]));
}

#[test]
fn what_is_unknown_passes() {
    insta::assert_snapshot!(of_sidecar(&["https://api.example.com/x"]));
}

#[test]
fn a_service_without_endpoints() {
    insta::assert_snapshot!(of_sidecar(&["http://empty.test/"]));
}

#[test]
fn requests_to_the_workload() {
    insta::assert_snapshot!(of_sidecar(&["http://10.0.0.1:9000/x", "--inbound"]));
}

#[test]
fn an_ingress_on_a_router() {
    let mesh = include_str!("explain/ingress.yaml");
    let router = [
        "--proxy",
        "router~10.0.0.9~edge.shop~shop.svc.cluster.local",
    ];
    let labels = ["--label", "istio=ingressgateway"];
    let of = |request| explain_mesh(mesh, &[&router[..], &labels, &[request]].concat());
    insta::assert_snapshot!(of("http://shop.test/cart/1"));
}

#[test]
fn json() {
    let text = of_sidecar(&["http://reviews.test/login", "-o", "json"]);
    let value: serde_json::Value =
        serde_json::from_str(text.strip_suffix("exit code 0\n").unwrap()).unwrap();
    assert_eq!(value["walk"]["outcome"]["kind"], "answered");
    assert_eq!(value["walk"]["outcome"]["status"], 301);
    assert_eq!(value["rules"][0]["object"], "VirtualService shop/reviews");
    assert_eq!(value["rules"][0]["field"], "spec.http[0].match[0]");
    assert_eq!(value["rules"][0]["at"], "mesh.yaml:32");
}

#[test]
fn what_is_not_understood_is_said() {
    for (args, expected) in [
        (
            &["--proxy", PROXY, "ftp://a"][..],
            "\"ftp\" is not understood",
        ),
        (&["--proxy", PROXY, "tcp://a"], "has no port"),
        (
            &["--proxy", "web", "http://a"],
            "--proxy with files is a node id",
        ),
        (&["http://a"], "say which proxy"),
    ] {
        let said = explain(args);
        assert!(said.contains(expected), "{said}");
        assert!(said.ends_with("exit code 1\n"), "{said}");
    }
}
