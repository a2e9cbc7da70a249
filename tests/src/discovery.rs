//! `pilot-discovery` as a process of its own, which can be stopped, killed and started again on the same ports.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::http;
use crate::ports::free_address;
use crate::process::Process;

/// How long it may take to be ready, and to end when asked.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// How to run it.
#[derive(Debug, Clone)]
pub struct Options {
    binary: PathBuf,
    args: Vec<OsString>,
    log: PathBuf,
    addresses: Addresses,
}

/// Where it serves, all on loopback.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// xDS.
    pub grpc: SocketAddr,
    /// `/ready`, `/healthz`, `/version`, `/metrics`.
    pub http: SocketAddr,
    /// The same pages, on the port of monitoring.
    pub monitoring: SocketAddr,
    /// `/debug/...`.
    pub debug: SocketAddr,
}

impl Options {
    /// The given binary on the static registry of `config_dir`, its log in `work`.
    pub fn new(binary: &Path, config_dir: &Path, work: &Path) -> Result<Self> {
        Ok(Self::of(binary, "Static", work)?.arg("--config-dir", config_dir))
    }

    /// The given binary on these registries, its log in `work`; free ports are chosen once, here.
    pub fn of(binary: &Path, registries: &str, work: &Path) -> Result<Self> {
        let addresses = Addresses {
            grpc: free_address()?,
            http: free_address()?,
            monitoring: free_address()?,
            debug: free_address()?,
        };
        let mut this = Self {
            binary: binary.to_owned(),
            args: vec!["discovery".into()],
            log: work.join("discovery.log"),
            addresses,
        };
        this = this.arg("--registries", registries);
        for (flag, address) in [
            ("--grpc-addr", addresses.grpc),
            ("--http-addr", addresses.http),
            ("--monitoring-addr", addresses.monitoring),
            ("--debug-addr", addresses.debug),
        ] {
            this = this.arg(flag, address.to_string());
        }
        Ok(this)
    }

    /// One more flag, without a value or with one after `=`.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.args.push(flag.into());
        self
    }

    /// One more flag with its value.
    #[must_use]
    pub fn arg(mut self, flag: &str, value: impl Into<OsString>) -> Self {
        self.args.extend([flag.into(), value.into()]);
        self
    }
}

/// A discovery process, killed when dropped.
#[derive(Debug)]
pub struct Discovery {
    options: Options,
    process: Process,
}

impl Discovery {
    /// Starts it and waits until it is ready.
    pub async fn start(options: Options) -> Result<Self> {
        let process = options.spawn().await?;
        Ok(Self { options, process })
    }

    /// Where it serves.
    pub fn addresses(&self) -> Addresses {
        self.options.addresses
    }

    /// Its process, for its id and its log; a restart makes a new one.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Starts it again on the same ports, after [`Discovery::kill`] or [`Discovery::stop`], and waits until it is ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = self.options.spawn().await?;
        Ok(())
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill().map(drop)
    }

    /// Asks it to end and waits until it has, which must be with success.
    pub async fn stop(&mut self) -> Result<()> {
        let status = self.process.terminate(PATIENCE).await?;
        ensure!(
            status.success(),
            "discovery ended with {status} after SIGTERM"
        );
        Ok(())
    }

    /// A page of the debug listener, such as `/debug/syncz`.
    pub async fn debug(&self, path: &str) -> Result<Value> {
        http::get_json(self.options.addresses.debug, path, PAGE_TIMEOUT).await
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> Result<String> {
        let address = self.options.addresses.monitoring;
        Ok(
            http::get(address, &address.to_string(), "/metrics", PAGE_TIMEOUT)
                .await?
                .body,
        )
    }
}

impl Options {
    async fn spawn(&self) -> Result<Process> {
        let mut process = Process::spawn(
            "discovery",
            Command::new(&self.binary).args(&self.args),
            &self.log,
        )?;
        let address = self.addresses.http;
        let ready = process.until("discovery is ready", PATIENCE, async || {
            let answer = http::get(address, &address.to_string(), "/ready", PAGE_TIMEOUT).await?;
            ensure!(
                answer.status == 200,
                "/ready answers {}: {}",
                answer.status,
                answer.body.trim()
            );
            Ok(())
        });
        ready.await?;
        Ok(process)
    }
}

/// The binary of this workspace, brought up to date: `PILOT_DISCOVERY_BIN` if that is set, otherwise what cargo builds in the profile
/// that this process was built in.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("PILOT_DISCOVERY_BIN") {
        return Ok(path.into());
    }
    build("pilot-discovery", "pilot-discovery")
}

/// Builds a binary of this workspace in the profile that this process was built in, and says where it is. What `PREBUILT` lists
/// has been built together with this process: building it by itself would compile all it depends on a second time, because tests ask
/// for more features.
pub fn build(package: &str, name: &str) -> Result<PathBuf> {
    let this = std::env::current_exe().context("asking where this program is")?;
    // target/PROFILE/program, or target/PROFILE/deps/test-program.
    let mut profile = this.parent().context("this program is in no directory")?;
    if profile.ends_with("deps") {
        profile = profile
            .parent()
            .context("this program is in no target directory")?;
    }
    let prebuilt = std::env::var("PREBUILT").unwrap_or_default();
    if prebuilt.split_whitespace().any(|built| built == name) {
        let binary = profile.join(name);
        ensure!(
            binary.exists(),
            "PREBUILT lists {name}, and {} is not there",
            binary.display()
        );
        return Ok(binary);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args([
        "build",
        "--quiet",
        "--package",
        package,
        "--bin",
        name,
    ]);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("running cargo to build {name}"))?;
    if !status.success() {
        bail!("cargo could not build {name} ({status})");
    }
    Ok(profile.join(name))
}
