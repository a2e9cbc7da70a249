//! A real Consul: a cluster of three servers, each on a loopback address of its own, with whatever a test registers.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use http::Method;
use serde_json::{Value, json};

use crate::http as client;
use crate::process::Process;
use crate::wait::eventually;

/// How long a cluster may take to have a leader, and a request to be answered.
const PATIENCE: Duration = Duration::from_secs(60);
const PAGE: Duration = Duration::from_secs(10);
/// The port of the HTTP API, on each server's own address.
const HTTP: u16 = 8500;

/// A Consul that can be started.
#[derive(Debug, Clone)]
pub struct Binary(PathBuf);

impl Binary {
    /// What `CONSUL_BIN` names, one on `PATH`, or else Debian's, which `tests/fetch-consul` fetches once into `.cache/`.
    pub fn find() -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fetch-consul");
        let output = Command::new("python3")
            .arg(&script)
            .stderr(Stdio::inherit())
            .output()
            .context("running python3, which fetches Consul; install Python 3, or set CONSUL_BIN to a Consul binary")?;
        if !output.status.success() {
            bail!(
                "Consul could not be fetched; {} has said why",
                script.display()
            );
        }
        Ok(Self(String::from_utf8_lossy(&output.stdout).trim().into()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// Servers that make a cluster, three unless something else is said; they end when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    binary: Binary,
    dir: PathBuf,
    datacenter: String,
    more: Value,
    servers: Vec<Server>,
    /// The token that requests bear.
    token: Option<String>,
}

#[derive(Debug)]
struct Server {
    ip: Ipv4Addr,
    process: Option<Process>,
}

impl Cluster {
    /// Three servers of `datacenter`, with `more` in their configuration, where `{ip}` is each one's address; returns when they have
    /// a leader. Files are put below `dir`.
    pub async fn start(binary: &Binary, datacenter: &str, more: Value, dir: &Path) -> Result<Self> {
        Self::of(3, binary, datacenter, more, dir).await
    }

    /// The same of so many servers.
    pub async fn of(
        count: u8,
        binary: &Binary,
        datacenter: &str,
        more: Value,
        dir: &Path,
    ) -> Result<Self> {
        let net = network();
        let servers = (2..2 + count).map(|host| Server {
            ip: Ipv4Addr::new(127, net.0, net.1, host),
            process: None,
        });
        let mut cluster = Self {
            binary: binary.clone(),
            dir: dir.join(format!("consul-{datacenter}")),
            datacenter: datacenter.into(),
            more,
            servers: servers.collect(),
            token: None,
        };
        for at in 0..cluster.servers.len() {
            cluster.start_server(at)?;
        }
        cluster.has_leader().await?;
        Ok(cluster)
    }

    /// The same cluster, asked with a token from here on.
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }

    /// The HTTP API of the first server.
    pub fn address(&self) -> SocketAddr {
        self.server_address(0)
    }

    /// The HTTP API of a server.
    pub fn server_address(&self, at: usize) -> SocketAddr {
        let ip = self
            .servers
            .get(at)
            .map_or(Ipv4Addr::LOCALHOST, |server| server.ip);
        SocketAddr::from((ip, HTTP))
    }

    /// Starts a server that is not running, on the data that it left.
    pub fn start_server(&mut self, at: usize) -> Result<()> {
        let peers: Vec<String> = self
            .servers
            .iter()
            .map(|server| server.ip.to_string())
            .collect();
        let server = self.servers.get_mut(at).context("no such server")?;
        let data = self.dir.join(format!("server-{at}"));
        std::fs::create_dir_all(&data)?;
        let mut config = json!({
            "server": true,
            "bootstrap_expect": peers.len(),
            "datacenter": self.datacenter,
            "node_name": format!("{}-server-{at}", self.datacenter),
            "data_dir": data.join("data"),
            "bind_addr": server.ip.to_string(),
            "client_addr": server.ip.to_string(),
            "retry_join": peers,
            "retry_interval": "1s",
            "leave_on_terminate": false,
            "skip_leave_on_interrupt": true,
            "disable_update_check": true,
            "log_level": "warn",
            "performance": {"raft_multiplier": 1},
            "limits": {"http_max_conns_per_client": 1000},
            "ports": {"http": HTTP, "dns": -1, "grpc": -1},
        });
        if let (Some(config), Some(more)) = (config.as_object_mut(), self.more.as_object()) {
            config.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        let file = data.join("config.json");
        let config = config.to_string().replace("{ip}", &server.ip.to_string());
        std::fs::write(&file, config)?;
        let mut command = Command::new(&self.binary.0);
        command.args([
            OsStr::new("agent"),
            OsStr::new("-config-file"),
            file.as_os_str(),
        ]);
        server.process = Some(Process::spawn("consul", &mut command, &data.join("log"))?);
        Ok(())
    }

    /// Kills a server at once.
    pub fn kill_server(&mut self, at: usize) -> Result<()> {
        let process = self
            .servers
            .get_mut(at)
            .and_then(|server| server.process.take());
        process.context("no such server is running")?.kill()?;
        Ok(())
    }

    /// Waits until there is a leader, and returns which server it is.
    pub async fn has_leader(&self) -> Result<usize> {
        eventually("the cluster has a leader", PATIENCE, async || {
            for (at, server) in self.servers.iter().enumerate() {
                if server.process.is_none() {
                    continue;
                }
                let leader = self.get_from(at, "/v1/status/leader").await?;
                let ip = leader
                    .as_str()
                    .unwrap_or_default()
                    .split(':')
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                let leads =
                    |server: &Server| server.ip.to_string() == ip && server.process.is_some();
                if let Some(leader) = self.servers.iter().position(leads) {
                    return Ok(leader);
                }
            }
            bail!("nobody leads")
        })
        .await
    }

    /// Registers an instance with an agent: the first server. `definition` is what goes into a service's definition file.
    pub async fn register(&self, definition: Value) -> Result<()> {
        let name = definition["id"]
            .as_str()
            .unwrap_or("service")
            .replace('/', "_");
        let file = self.dir.join(format!("{name}.json"));
        std::fs::write(&file, json!({"service": definition}).to_string())?;
        self.run(["services", "register"], &[file.as_os_str()])
    }

    /// Takes an instance away.
    pub async fn deregister(&self, id: &str) -> Result<()> {
        self.put(&format!("/v1/agent/service/deregister/{id}"))
            .await
    }

    /// Runs one of Consul's own commands against the first server that runs.
    pub fn run<const N: usize>(&self, command: [&str; N], args: &[&OsStr]) -> Result<()> {
        let mut process = Command::new(&self.binary.0);
        let at = self
            .servers
            .iter()
            .position(|server| server.process.is_some())
            .unwrap_or(0);
        process
            .args(command)
            .arg(format!("-http-addr=http://{}", self.server_address(at)))
            .args(args);
        if let Some(token) = &self.token {
            process.env("CONSUL_HTTP_TOKEN", token);
        }
        let output = process.output().context("running consul")?;
        ensure!(
            output.status.success(),
            "consul {command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// Sends a PUT without a body to the first server.
    pub async fn put(&self, path: &str) -> Result<()> {
        let address = self.address();
        let path = self.with_its_token(path);
        let answer = client::send(Method::PUT, address, &address.to_string(), &path, PAGE).await?;
        ensure!(
            answer.status == 200,
            "PUT {path}: {}: {}",
            answer.status,
            answer.body
        );
        Ok(())
    }

    /// What the first server answers, with its token.
    pub async fn get(&self, path: &str) -> Result<Value> {
        client::get_json(self.address(), &self.with_its_token(path), PAGE).await
    }

    fn with_its_token(&self, path: &str) -> String {
        let mark = if path.contains('?') { '&' } else { '?' };
        match &self.token {
            Some(token) => format!("{path}{mark}token={token}"),
            None => path.to_owned(),
        }
    }

    async fn get_from(&self, at: usize, path: &str) -> Result<Value> {
        client::get_json(self.server_address(at), path, PAGE).await
    }
}

/// A network of loopback that no other cluster has: by process and by count.
fn network() -> (u8, u8) {
    static TAKEN: AtomicU8 = AtomicU8::new(0);
    let [low, high, ..] = std::process::id().to_le_bytes();
    let count = TAKEN.fetch_add(1, Ordering::Relaxed);
    // 127.0.0 is everybody's.
    (64 | (high & 0x3f), low.wrapping_add(count.wrapping_mul(37)))
}
