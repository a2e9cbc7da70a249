//! Discovery on a machine of its own, and machines with sidecars.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use pilothouse_tests::agent;
use pilothouse_tests::envoy::Binary;
use pilothouse_tests::netns::{Machine, Network, User, check_tools};
use pilothouse_tests::process::Process;
use pilothouse_tests::wait::eventually;
use tokio::io::AsyncReadExt;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::world::{self, SOON, Scratch};

/// Where the pages of Envoy are.
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 15000);

/// Where the pages of the agent are.
const STATUS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 15020);
/// The flag that brings names to the agent, which has to be told to answer them.
pub(crate) const REDIRECT_DNS: &str = "--redirect-dns";
/// The user that the agent and Envoy run as.
const PROXY: u32 = 1337;

/// A network, and a place for everybody's files.
#[derive(Debug)]
pub(crate) struct Ground {
    network: Network,
    dir: Scratch,
}

/// A network with discovery.
#[derive(Debug)]
pub(crate) struct Mesh {
    discovery: Process,
    machine: Machine,
    ground: Ground,
}

/// How a machine is captured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capture<'a> {
    /// `REDIRECT` or `TPROXY`.
    pub(crate) mode: &'a str,
    /// Whether IPv6 is captured, too.
    pub(crate) dual: bool,
    /// Who the agent and Envoy run as.
    pub(crate) user: User,
    /// More flags of `pilot-agent iptables`.
    pub(crate) flags: &'a [&'a str],
}

/// What most machines do: IPv4 is redirected, and Envoy runs as its own user.
pub(crate) const REDIRECT: Capture<'_> = Capture {
    mode: "REDIRECT",
    dual: false,
    user: User::Proxy,
    flags: &[],
};

/// A machine whose traffic is captured.
#[derive(Debug)]
pub(crate) struct Pod {
    agent: Process,
    machine: Machine,
}

/// Whether there can be machines whose traffic is captured; in CI there must be.
#[expect(clippy::print_stderr, reason = "a suite that is skipped says so")]
pub(crate) fn possible() -> bool {
    let tools = check_tools().and_then(|()| {
        let found = Command::new("iptables-restore").arg("--version").output();
        found
            .map(drop)
            .context("iptables-restore is missing: install the package iptables")
    });
    match tools {
        Ok(()) => true,
        Err(error) if std::env::var_os("CI").is_some() => panic!("{error:#}"),
        Err(error) => {
            eprintln!("skipped: {error:#}");
            false
        }
    }
}

/// The agent, built once.
pub(crate) async fn agent() -> &'static Path {
    static BINARY: OnceCell<PathBuf> = OnceCell::const_new();
    let build = || async {
        tokio::task::spawn_blocking(agent::binary)
            .await
            .unwrap()
            .unwrap()
    };
    BINARY.get_or_init(build).await
}

impl Ground {
    pub(crate) fn new() -> Self {
        Self {
            network: Network::create().unwrap(),
            dir: Scratch::new(),
        }
    }

    /// A machine without anything on it.
    pub(crate) fn machine(&mut self, name: &str) -> Machine {
        self.network.machine(name).unwrap()
    }

    /// Where everybody's files are.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Discovery on one file of manifests.
    pub(crate) async fn start(mut self, manifests: &str, mesh_config: &str) -> Mesh {
        let machine = self.machine("discovery");
        let files = self.dir().join("mesh");
        std::fs::create_dir(&files).unwrap();
        std::fs::write(files.join("mesh.yaml"), manifests).unwrap();
        let config = self.dir().join("config.yaml");
        std::fs::write(&config, mesh_config).unwrap();
        let args = [
            "--registries".as_ref(),
            "Static".as_ref(),
            "--config-dir".as_ref(),
            files.as_os_str(),
            "--mesh-config".as_ref(),
            config.as_os_str(),
        ];
        self.discovery(machine, &args).await
    }

    /// Discovery with these flags.
    pub(crate) async fn discovery(self, machine: Machine, args: &[&OsStr]) -> Mesh {
        let mut command = machine.command(User::Root, world::binary().await);
        command.arg("discovery").args(args);
        let log = self.dir().join("discovery.log");
        let mut discovery = Process::spawn("discovery", &mut command, &log).unwrap();
        let page = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        let ready = discovery.until("discovery is ready", SOON, async || {
            is_ok(machine.get(page, "discovery", "/ready", SOON).await?)
        });
        ready.await.unwrap();
        Mesh {
            discovery,
            machine,
            ground: self,
        }
    }
}

impl Mesh {
    /// Captures a machine's traffic, as root, and starts the agent on it.
    pub(crate) async fn sidecar(
        &mut self,
        name: &str,
        machine: Machine,
        capture: Capture<'_>,
    ) -> Pod {
        let (id, ip) = (format!("{name}.shop"), machine.v4().to_string());
        let identity = [
            "--namespace",
            "shop",
            "--domain",
            "shop.svc.cluster.local",
            "--id",
            &id,
            "--ip",
            &ip,
        ];
        self.sidecar_of(name, machine, capture, &identity).await
    }

    /// A page of discovery, such as `/debug/syncz`.
    pub(crate) async fn page(&self, path: &str) -> Result<String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9876));
        let answer = self.machine.get(address, "localhost", path, SOON).await?;
        ensure!(answer.status == 200, "{path}: {}", answer.body);
        Ok(answer.body)
    }

    /// The same of an agent that is told by these flags who it is.
    pub(crate) async fn sidecar_of(
        &mut self,
        name: &str,
        machine: Machine,
        capture: Capture<'_>,
        identity: &[&str],
    ) -> Pod {
        self.discovery.check_running().unwrap();
        capture_traffic(&machine, capture).await;
        let dir = self.ground.dir.path();
        let own = dir.join(name);
        std::fs::create_dir(&own).unwrap();
        std::os::unix::fs::chown(&own, Some(PROXY), Some(PROXY)).unwrap();
        let mut command = machine.command(capture.user, agent().await);
        // What a developer's own surroundings say is not meant for it.
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.current_dir(&own);
        command.args(["proxy", "sidecar"]).args(identity);
        command.args([
            "--discoveryAddress",
            &format!("{}:15010", self.machine.v4()),
        ]);
        command.args(["--interception-mode", capture.mode, "--concurrency", "1"]);
        command.args(["--proxyLogLevel", "info"]);
        if capture.flags.contains(&REDIRECT_DNS) {
            command.arg("--dns-capture");
        }
        command
            .arg("--binaryPath")
            .arg(Binary::find().unwrap().path());
        command.arg("--configPath").arg(&own);
        let agent = Process::spawn(name, &mut command, &dir.join(format!("{name}.log"))).unwrap();
        let mut pod = Pod { agent, machine };
        pod.wait_ready().await;
        pod
    }
}

/// Runs our tool, which must succeed.
pub(crate) async fn capture_traffic(machine: &Machine, capture: Capture<'_>) {
    let agent = agent().await.display().to_string();
    let mut line = vec![
        agent.as_str(),
        "iptables",
        "-i",
        "*",
        "-b",
        "*",
        "-m",
        capture.mode,
    ];
    if capture.dual {
        line.push("--dual-stack");
    }
    line.extend(capture.flags);
    machine.run(User::Root, &line).await.unwrap();
}

impl Pod {
    async fn wait_ready(&mut self) {
        let machine = &self.machine;
        let ready = self.agent.until("the sidecar is ready", SOON, async || {
            is_ok(machine.get(STATUS, "agent", "/healthz/ready", SOON).await?)
        });
        ready.await.unwrap();
    }

    /// Where it runs.
    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// A counter or gauge of its Envoy; one that does not exist yet is 0.
    pub(crate) async fn stat(&self, name: &str) -> u64 {
        let page = self
            .machine
            .get(ADMIN, "envoy", "/stats", SOON)
            .await
            .unwrap();
        let line = |line: &str| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok();
        page.body.lines().find_map(line).unwrap_or_default()
    }

    /// Waits until a counter has this value.
    pub(crate) async fn wait_stat(&self, name: &str, wanted: u64) {
        let seen = async || {
            let value = self.stat(name).await;
            ensure!(value == wanted, "it is {value}");
            Ok(())
        };
        eventually(&format!("{name} is {wanted}"), SOON, seen)
            .await
            .unwrap();
    }

    /// Asks by HTTP, as the application would; an answer other than 200 is an error.
    pub(crate) async fn http(&self, to: impl Into<SocketAddr>, host: &str) -> Result<String> {
        ask(&self.machine, to, host).await
    }

    /// Connects, and reads until the other side hangs up.
    pub(crate) async fn tcp(&self, to: impl Into<SocketAddr>) -> Result<String> {
        hear(&self.machine, to).await
    }

    /// Fails, with its log, unless it still runs.
    pub(crate) fn check(&mut self) {
        self.agent.check_running().unwrap();
    }
}

/// Asks from a machine by HTTP.
pub(crate) async fn ask(from: &Machine, to: impl Into<SocketAddr>, host: &str) -> Result<String> {
    let answer = from.get(to.into(), host, "/", SOON).await?;
    if answer.status != 200 {
        bail!("status {}", answer.status);
    }
    Ok(answer.body)
}

/// Connects from a machine, and reads until the other side hangs up.
pub(crate) async fn hear(from: &Machine, to: impl Into<SocketAddr>) -> Result<String> {
    let to = to.into();
    let mut stream = from.connect(to, SOON).await?;
    let mut text = String::new();
    timeout(SOON, stream.read_to_string(&mut text))
        .await
        .with_context(|| format!("{to} says nothing"))??;
    Ok(text)
}

fn is_ok(answer: pilothouse_tests::http::Answer) -> Result<()> {
    ensure!(answer.status == 200, "it says {:?}", answer.body.trim());
    Ok(())
}
