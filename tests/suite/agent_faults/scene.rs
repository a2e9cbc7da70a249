//! An agent as a process, with an Envoy that is real or a script.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result, bail, ensure};
use pilothouse_tests::discovery;
use pilothouse_tests::envoy::Binary;
use pilothouse_tests::http::{self, Answer};
use pilothouse_tests::ports::free_address;
use pilothouse_tests::process::Process;
use pilothouse_tests::wait::eventually;
use tokio::sync::OnceCell;

use crate::world::SOON;

/// How to start an agent: a sidecar called `client` in the namespace `default`, whose traffic is not captured.
pub(super) struct Options {
    envoy: PathBuf,
    discovery: SocketAddr,
    dir: PathBuf,
    config_path: PathBuf,
    flags: Vec<OsString>,
    /// A program that starts the agent, and its arguments.
    through: Vec<&'static str>,
}

impl Options {
    /// With the newest Envoy; files go to `dir`.
    pub(super) fn new(discovery: SocketAddr, dir: &Path) -> Self {
        Self {
            envoy: Binary::find().unwrap().path().to_owned(),
            discovery,
            dir: dir.to_owned(),
            config_path: dir.join("agent"),
            flags: Vec::new(),
            through: Vec::new(),
        }
    }

    pub(super) fn envoy(mut self, binary: &Path) -> Self {
        binary.clone_into(&mut self.envoy);
        self
    }

    /// With a shell script in place of Envoy.
    pub(super) fn script(self, text: &str) -> Self {
        let path = self.dir.join("script");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        self.envoy(&path)
    }

    pub(super) fn config_path(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.config_path);
        self
    }

    pub(super) fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(OsString::from));
        self
    }

    pub(super) fn through(mut self, program: &[&'static str]) -> Self {
        program.clone_into(&mut self.through);
        self
    }

    /// Starts it; it may not be ready yet.
    pub(super) async fn start(self) -> Agent {
        let (admin, status) = (free_address().unwrap(), free_address().unwrap());
        let agent = binary().await;
        let mut command = match self.through.split_first() {
            None => Command::new(agent),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(agent);
                command
            }
        };
        command
            .args([
                "proxy",
                "sidecar",
                "--id",
                "client.default",
                "--namespace",
                "default",
            ])
            .args(["--domain", "default.svc.cluster.local", "--ip", "127.0.0.1"])
            .args(["--interception-mode", "NONE", "--concurrency", "1"])
            .arg("--discoveryAddress")
            .arg(self.discovery.to_string())
            .arg("--binaryPath")
            .arg(self.envoy)
            .arg("--configPath")
            .arg(self.config_path)
            .arg("--proxyAdminPort")
            .arg(admin.port().to_string())
            .arg("--statusPort")
            .arg(status.port().to_string())
            .args(self.flags)
            .env("ENVOY_STATUS_PORT", port())
            .env("ENVOY_PROMETHEUS_PORT", port())
            .env("MINIMUM_DRAIN_DURATION", "200ms");
        let process = Process::spawn("agent", &mut command, &self.dir.join("agent.log")).unwrap();
        Agent { process, status }
    }
}

fn port() -> String {
    free_address().unwrap().port().to_string()
}

/// The binary under test, built once.
async fn binary() -> &'static Path {
    static BINARY: OnceCell<PathBuf> = OnceCell::const_new();
    let build = || async {
        tokio::task::spawn_blocking(|| discovery::build("pilot-agent", "pilot-agent"))
            .await
            .unwrap()
            .unwrap()
    };
    BINARY.get_or_init(build).await
}

/// An agent, killed when dropped.
pub(super) struct Agent {
    process: Process,
    status: SocketAddr,
}

impl Agent {
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn log(&self) -> String {
        self.process.log_text().unwrap()
    }

    /// Waits until it has logged this.
    pub(super) async fn logs(&mut self, text: &str) {
        let log = self.process.log_path().to_owned();
        let logged = async || {
            let found = std::fs::read_to_string(&log)?.contains(text);
            ensure!(found, "{text:?} is not in {}", log.display());
            Ok(())
        };
        self.process.until(text, SOON, logged).await.unwrap();
    }

    /// A page of it.
    pub(super) async fn get(&self, path: &str) -> Result<Answer> {
        http::get(self.status, "localhost", path, SOON).await
    }

    /// Waits until it is ready.
    pub(super) async fn ready(&mut self) {
        let status = self.status;
        let ready = async || {
            let answer = http::get(status, "localhost", "/healthz/ready", SOON).await?;
            ensure!(answer.status == 200, "{}", answer.body);
            Ok(())
        };
        self.process
            .until("the agent is ready", SOON, ready)
            .await
            .unwrap();
    }

    /// Waits until it is not ready, and says this among its reasons.
    pub(super) async fn says_why_not(&mut self, reason: &str) {
        let status = self.status;
        let said = async || {
            let answer = http::get(status, "localhost", "/healthz/ready", SOON).await?;
            ensure!(
                answer.status == 503 && answer.body.contains(reason),
                "{answer:?}"
            );
            Ok(())
        };
        self.process.until(reason, SOON, said).await.unwrap();
    }

    /// Waits until its Envoy runs, and says under which process id.
    pub(super) async fn envoy(&mut self) -> u32 {
        let id = self.id();
        let started = async || {
            let children = children(id);
            // A moment before it is Envoy it is the agent, which binds its life.
            let child = children.first().context("it has no child")?;
            let command = std::fs::read_to_string(format!("/proc/{child}/cmdline"))?;
            ensure!(!command.contains("exec-envoy"), "{command}");
            ensure!(children.len() == 1, "it has the children {children:?}");
            Ok(*child)
        };
        self.process
            .until("Envoy runs", SOON, started)
            .await
            .unwrap()
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: &str) {
        kill(self.id(), signal);
    }

    /// Waits until it has ended by itself.
    pub(super) async fn ended(&mut self) -> ExitStatus {
        let process = &mut self.process;
        let ended = async || match process.check_running() {
            Ok(()) => bail!("it runs"),
            Err(_) => Ok(()),
        };
        eventually("the agent ends", SOON, ended).await.unwrap();
        // It has ended, so this only says how.
        self.process.kill().unwrap()
    }
}

/// Sends a signal to a process.
pub(super) fn kill(id: u32, signal: &str) {
    let sent = Command::new("sh")
        .args(["-c", "kill -\"$0\" \"$1\"", signal, &id.to_string()])
        .status()
        .unwrap();
    assert!(sent.success(), "{id} could not be sent SIG{signal}");
}

/// Waits until a process has ended, whoever has to wait for it.
pub(super) async fn gone(id: u32) {
    eventually("the process has ended", SOON, async || match stat(id) {
        Some((state, _)) if state != 'Z' => bail!("it is in the state {state}"),
        _ => Ok(()),
    })
    .await
    .unwrap();
}

fn children(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|id| stat(*id).is_some_and(|(_, found)| found == parent))
        .collect()
}

/// The state and the parent of a process.
fn stat(id: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before it may contain anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
