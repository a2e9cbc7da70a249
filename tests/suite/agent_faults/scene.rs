//! What tests of faults do with an agent: give it a script in place of Envoy, send signals, and see how things end.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{bail, ensure};
use pilothouse_tests::agent::{self, Agent, Options};
use pilothouse_tests::envoy::Binary;
use pilothouse_tests::process::Process;
use pilothouse_tests::wait::eventually;
use tokio::sync::OnceCell;

use crate::world::SOON;

/// A sidecar `client.default` with the newest Envoy, which drains no longer than connections need.
pub(super) async fn options(discovery: SocketAddr, dir: &Path) -> Options {
    Options::new(binary().await, &Binary::find().unwrap(), "client", dir)
        .unwrap()
        .discovery(discovery)
        .arg("--id", "client.default")
        .env("MINIMUM_DRAIN_DURATION", "200ms")
}

/// The same with a shell script in place of Envoy.
pub(super) async fn scripted(discovery: SocketAddr, dir: &Path, script: &str) -> Options {
    let path = dir.join("script");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    options(discovery, dir).await.arg("--binaryPath", path)
}

/// The binary under test, built once.
pub(super) async fn binary() -> &'static Path {
    static BINARY: OnceCell<PathBuf> = OnceCell::const_new();
    let build = || async {
        tokio::task::spawn_blocking(agent::binary)
            .await
            .unwrap()
            .unwrap()
    };
    BINARY.get_or_init(build).await
}

/// What an agent has logged.
pub(super) fn log(agent: &mut Agent) -> String {
    agent.process().log_text().unwrap()
}

/// Waits until it has logged this.
pub(super) async fn logs(agent: &mut Agent, text: &str) {
    let file = agent.process().log_path().to_owned();
    let logged = async || {
        let found = std::fs::read_to_string(&file)?.contains(text);
        ensure!(found, "{text:?} is not in {}", file.display());
        Ok(())
    };
    let process = agent.process();
    process.until(text, SOON, logged).await.unwrap();
}

/// Waits until it is not ready, and says this among its reasons.
pub(super) async fn says_why_not(agent: &mut Agent, reason: &str) {
    let said = async || {
        let answer = agent.page("/healthz/ready").await?;
        let found = answer.status == 503 && answer.body.contains(reason);
        ensure!(found, "{answer:?}");
        Ok(())
    };
    eventually(reason, SOON, said).await.unwrap();
}

/// Sends a signal to a process.
pub(super) fn signal(id: u32, signal: &str) {
    let sent = Command::new("sh")
        .args(["-c", "kill -\"$0\" \"$1\"", signal, &id.to_string()])
        .status()
        .unwrap();
    assert!(sent.success(), "{id} could not be sent SIG{signal}");
}

/// Waits until a process has ended by itself.
pub(super) async fn ended(process: &mut Process) -> ExitStatus {
    let ended = async || match process.check_running() {
        Ok(()) => bail!("it runs"),
        Err(_) => Ok(()),
    };
    eventually("the process ends", SOON, ended).await.unwrap();
    // It has ended, so this only says how.
    process.kill().unwrap()
}

/// Waits until a process has ended, whoever has to wait for it.
pub(super) async fn gone(id: u32) {
    let gone = async || {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else {
            return Ok(());
        };
        // The name before the state may contain anything.
        let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        ensure!(state.starts_with('Z'), "{stat}");
        Ok(())
    };
    eventually("the process has ended", SOON, gone)
        .await
        .unwrap();
}
