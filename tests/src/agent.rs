//! `pilot-agent proxy` as a process of its own, with a real Envoy under it.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::discovery::build;
use crate::envoy;
use crate::http::{self, Answer};
use crate::ports::free_address;
use crate::process::Process;
use crate::wait::eventually;

/// How long it may take to serve its pages, and to be ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// The binary of this workspace, brought up to date: `PILOT_AGENT_BIN` if that is set, otherwise what cargo builds.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("PILOT_AGENT_BIN") {
        return Ok(path.into());
    }
    build("pilot-agent", "pilot-agent")
}

/// How to run it.
#[derive(Debug, Clone)]
pub struct Options {
    binary: PathBuf,
    args: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    log: PathBuf,
    config_path: PathBuf,
    addresses: Addresses,
}

/// Where the agent and its Envoy serve, all reachable over loopback.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Envoy's admin page.
    pub admin: SocketAddr,
    /// The agent's pages.
    pub status: SocketAddr,
    /// Envoy's readiness.
    pub readiness: SocketAddr,
    /// Envoy's metrics.
    pub prometheus: SocketAddr,
}

impl Options {
    /// A sidecar called `name` at 127.0.0.1 whose traffic is not captured, of the given binaries; its files go to `work`. Free ports are
    /// chosen once, here. Nothing of the environment reaches it but the PATH.
    pub fn new(binary: &Path, envoy: &envoy::Binary, name: &str, work: &Path) -> Result<Self> {
        let addresses = Addresses {
            admin: free_address()?,
            status: free_address()?,
            readiness: free_address()?,
            prometheus: free_address()?,
        };
        let config_path = work.join(name);
        let mut this = Self {
            binary: binary.to_owned(),
            args: ["proxy", "sidecar"].map(OsString::from).into(),
            environment: Vec::new(),
            log: work.join(format!("{name}.log")),
            config_path: config_path.clone(),
            addresses,
        };
        if let Some(path) = std::env::var_os("PATH") {
            this = this.env("PATH", path);
        }
        Ok(this
            .arg("--binaryPath", envoy.path())
            .arg("--configPath", config_path)
            .arg("--ip", "127.0.0.1")
            .arg("--interception-mode", "NONE")
            .arg("--proxyAdminPort", addresses.admin.port().to_string())
            .arg("--statusPort", addresses.status.port().to_string())
            .arg("--concurrency", "1")
            .env("ENVOY_STATUS_PORT", addresses.readiness.port().to_string())
            .env(
                "ENVOY_PROMETHEUS_PORT",
                addresses.prometheus.port().to_string(),
            ))
    }

    /// A router in place of a sidecar.
    #[must_use]
    pub fn router(mut self) -> Self {
        if let Some(role) = self.args.get_mut(1) {
            *role = "router".into();
        }
        self
    }

    /// One more flag with its value; the last value of a flag counts.
    #[must_use]
    pub fn arg(mut self, flag: &str, value: impl Into<OsString>) -> Self {
        self.args.extend([flag.into(), value.into()]);
        self
    }

    /// Without a flag that has a value.
    #[must_use]
    pub fn without(mut self, flag: &str) -> Self {
        while let Some(at) = self.args.iter().position(|arg| arg == flag) {
            self.args.drain(at..self.args.len().min(at + 2));
        }
        self
    }

    /// One more flag without a value.
    #[must_use]
    pub fn switch(mut self, flag: &str) -> Self {
        self.args.push(flag.into());
        self
    }

    /// One more variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Takes its configuration from there.
    #[must_use]
    pub fn discovery(self, address: SocketAddr) -> Self {
        self.arg("--discoveryAddress", address.to_string())
    }

    /// The directory of its bootstrap and its sockets.
    pub fn config_path(&self) -> &Path {
        &self.config_path
    }

    /// Where it will serve.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// What runs it, for tests that run it somewhere else than here: in a network namespace, under another user.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// An agent process, killed when dropped, and its Envoy with it.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    addresses: Addresses,
}

impl Agent {
    /// Starts it, and waits for nothing.
    pub fn spawn(options: &Options) -> Result<Self> {
        let process = Process::spawn("agent", &mut options.command(), &options.log)?;
        Ok(Self {
            process,
            addresses: options.addresses,
        })
    }

    /// Starts it and waits until it is ready, which takes a discovery.
    pub async fn start(options: &Options) -> Result<Self> {
        let mut this = Self::spawn(options)?;
        this.wait_ready().await?;
        Ok(this)
    }

    /// Where it serves.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Its process, for its id and its log.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Waits until it calls itself ready.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let address = self.addresses.status;
        let ready = self
            .process
            .until("the agent is ready", PATIENCE, async || {
                let answer = page(address, "/healthz/ready").await?;
                ensure!(
                    answer.status == 200,
                    "it answers {}: {}",
                    answer.status,
                    answer.body.trim()
                );
                Ok(())
            });
        ready.await
    }

    /// `GET path` of its own pages.
    pub async fn page(&self, path: &str) -> Result<Answer> {
        page(self.addresses.status, path).await
    }

    /// `GET path` of Envoy's admin page.
    pub async fn admin(&self, path: &str) -> Result<Answer> {
        page(self.addresses.admin, path).await
    }

    /// The same as JSON.
    pub async fn admin_json(&self, path: &str) -> Result<Value> {
        http::get_json(self.addresses.admin, path, PAGE_TIMEOUT).await
    }

    /// The process id of its Envoy, which is its one child, whichever of its threads has started it.
    pub fn envoy_id(&self) -> Result<u32> {
        let path = format!("/proc/{}/task", self.process.id());
        let mut children = Vec::new();
        for thread in std::fs::read_dir(&path).with_context(|| format!("listing {path}"))? {
            let file = thread?.path().join("children");
            // A thread may end meanwhile.
            let text = std::fs::read_to_string(file).unwrap_or_default();
            children.extend(text.split_whitespace().map(str::to_owned));
        }
        ensure!(
            children.len() == 1,
            "the agent has these children: {children:?}"
        );
        Ok(children.concat().parse()?)
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub async fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        self.process.terminate(patience).await
    }

    /// Waits until it has ended by itself, and fails with the end of its log if that takes longer.
    pub async fn wait_ended(&mut self, within: Duration) -> Result<String> {
        eventually("the agent ends", within, async || {
            match self.process.check_running() {
                Ok(()) => anyhow::bail!("it runs"),
                Err(ended) => Ok(format!("{ended:#}")),
            }
        })
        .await
    }
}

async fn page(address: SocketAddr, path: &str) -> Result<Answer> {
    http::get(address, &address.to_string(), path, PAGE_TIMEOUT).await
}
