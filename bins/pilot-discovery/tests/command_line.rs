//! The process seen from a shell: what it prints and what it exits with.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot run the binary has failed"
)]

use std::process::{Command, Output};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pilot-discovery"))
        .args(args)
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
    check(&["discovery", "--config-dri", "m"], 64, "'--config-dir'");
    check(&["discovery", "--meshConfg", "m"], 64, "'--meshConfig'");
    check(&["discover"], 64, "'discovery'");
    check(&[], 64, "Usage");
}

#[test]
fn versions() {
    check(&["version"], 0, env!("CARGO_PKG_VERSION"));
    check(&["version", "--output", "json"], 0, "\"version\":");
    check(&["--version"], 0, env!("CARGO_PKG_VERSION"));
}

#[test]
fn scripts_are_printed() {
    check(&["completion", "bash"], 0, "--config-dir");
    check(&["completion", "tcsh"], 64, "fish");
}

#[test]
fn what_cannot_start_says_why() {
    check(
        &["discovery", "--config-dir", "/nowhere"],
        1,
        "--config-dir: the configuration directory /nowhere does not exist",
    );
    let here = env!("CARGO_MANIFEST_DIR");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check(
        &["discovery", "--config-dir", here, "--grpc-addr", &address],
        1,
        "(--grpc-addr)",
    );
}
