//! The process seen from a shell: what it prints and what it exits with.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot run the binary has failed"
)]

use std::fs;
use std::process::{Command, Output};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pilot-agent"))
        .args(args)
        .env_clear()
        .output()
        .unwrap()
}

/// `args` end with `code`, and one of the outputs says `text`.
fn check(args: &[&str], code: i32, text: &str) {
    let output = run(args);
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(said.contains(text), "{args:?}: {said}");
}

#[test]
fn usage_errors_exit_with_64_and_advise() {
    check(
        &["proxy", "--discoveryAdress", "a:1"],
        64,
        "'--discoveryAddress'",
    );
    check(
        &["proxy", "gateway"],
        64,
        "[possible values: sidecar, router]",
    );
    check(&["prxy"], 64, "'proxy'");
    check(
        &["proxy", "--proxy-log-level", "loud"],
        64,
        "pilot-agent proxy [OPTIONS]",
    );
    check(&[], 64, "Usage");
}

#[test]
fn what_is_printed() {
    check(&["version", "--short"], 0, env!("CARGO_PKG_VERSION"));
    check(&["completion", "bash"], 0, "--discovery-address");
    let own = ["bootstrap", "--ip", "10.0.0.1", "--id", "web-1.shop"];
    check(&own, 0, "sidecar~10.0.0.1~web-1.shop~");
    check(
        &["bootstrap", "--grpc", "--ip", "10.0.0.1"],
        0,
        "xds_servers",
    );
    check(
        &[
            "bootstrap",
            "--ip",
            "10.0.0.1",
            "--parentShutdownDuration",
            "1s",
        ],
        0,
        "--parentShutdownDuration has no effect",
    );
}

#[test]
fn what_cannot_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display().to_string();
    let with = |flags: &[&str], text: &str| {
        let line = [
            "proxy",
            "--ip",
            "10.0.0.1",
            "--statusPort",
            "0",
            "--configPath",
            &path,
        ];
        check(&[&line[..], flags].concat(), 1, text);
    };
    with(
        &["--binaryPath", "/nowhere/envoy"],
        "there is no Envoy at /nowhere/envoy",
    );
    with(&["--templateFile", "/nowhere"], "--template-file /nowhere");
    let template = dir.path().join("a.tmpl").display().to_string();
    for (text, problem) in [
        (
            "a: {{ .Nope }}",
            "line 1, column 7: there is no field .Nope",
        ),
        ("a: {{ toYaml .Labels }}", "there is no function toYaml"),
        (
            "static_resources: { clusters: [{ name: a, hosts: [] }] }",
            "API v2, which no supported Envoy reads:\n  static_resources.clusters[0].hosts: write load_assignment",
        ),
        ("a: {{ .NodeIP }}", "no configuration of Envoy"),
    ] {
        fs::write(&template, text).unwrap();
        with(&["--templateFile", &template], problem);
        assert!(!dir.path().join("envoy.yaml").exists(), "{text}");
    }
}
