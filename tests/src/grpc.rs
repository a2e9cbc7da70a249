//! Clients and servers of Python's gRPC, which shares no code with Envoy: `tests/grpc` has their programs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use pilothouse_core::model::Locality;
use pilothouse_xds::bootstrap::{DiscoveryAddress, GrpcBootstrapParams, grpc_bootstrap_json};
use serde_json::{Map, Value};

use crate::process::Process;

/// How long Python may take to begin, and a server to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Python that has gRPC.
#[derive(Debug, Clone)]
pub struct Python(PathBuf);

impl Python {
    /// What `GRPC_PYTHON` names, otherwise one that `tests/fetch-grpc` makes once in `.cache/`.
    pub fn find() -> Result<Self> {
        if let Some(path) = std::env::var_os("GRPC_PYTHON") {
            return Ok(Self(path.into()));
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fetch-grpc");
        let output = Command::new("python3")
            .arg(&script)
            .stderr(Stdio::inherit())
            .output()
            .context("running python3, which fetches gRPC; install Python 3, or set GRPC_PYTHON to a Python that has grpcio")?;
        if !output.status.success() {
            let (status, script) = (output.status, script.display());
            bail!("gRPC could not be fetched ({status}); {script} has said why");
        }
        let path = String::from_utf8_lossy(&output.stdout);
        Ok(Self(path.trim().into()))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(&self.0);
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("grpc");
        command.arg(programs.join(program));
        command
    }
}

/// A server that answers its name, killed when dropped.
#[derive(Debug)]
pub struct GrpcServer {
    process: Process,
    address: SocketAddr,
}

impl GrpcServer {
    /// Serves on a free port of 127.0.0.1.
    pub async fn start(python: &Python, name: &str, dir: &Path) -> Result<Self> {
        let mut command = python.command("server.py");
        command.args([name, "127.0.0.1:0"]);
        let log = dir.join(format!("server-{name}.log"));
        let mut process = Process::spawn(name, &mut command, &log)?;
        let listens = format!("{name} listens");
        let address = process.until(&listens, PATIENCE, async || {
            let text = std::fs::read_to_string(&log).context("reading the log of a server")?;
            let line = text.lines().find_map(|l| l.strip_prefix("listens at "));
            let address = line.with_context(|| format!("it has written {text:?}"))?;
            address
                .parse()
                .with_context(|| format!("{address:?} is no address"))
        });
        let address = address.await?;
        Ok(Self { process, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets calls finish, takes no more, and ends.
    pub async fn stop(mut self) -> Result<()> {
        let status = self.process.terminate(PATIENCE).await?;
        ensure!(status.success(), "a server ended with {status}");
        Ok(())
    }
}

/// Who a client is.
#[derive(Debug, Clone)]
pub struct Caller {
    name: String,
    namespace: String,
    header: Option<String>,
}

impl Caller {
    /// A client in a namespace.
    pub fn new(name: &str, namespace: &str) -> Self {
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            header: None,
        }
    }

    /// Each of its calls has a header, `NAME=VALUE`, or `NAME` with another value each time.
    #[must_use]
    pub fn header(mut self, header: &str) -> Self {
        self.header = Some(header.to_owned());
        self
    }

    /// What debug pages call it.
    pub fn id(&self) -> String {
        format!("{}.{}", self.name, self.namespace)
    }

    /// What it starts with.
    pub fn bootstrap(&self, discovery: SocketAddr) -> Result<Value> {
        let node = format!(
            "sidecar~127.0.0.1~{}~{}.svc.cluster.local",
            self.id(),
            self.namespace
        );
        Ok(grpc_bootstrap_json(&GrpcBootstrapParams {
            node: node.parse().context("the node id of a client")?,
            cluster: self.id(),
            metadata: Map::from_iter([("NAMESPACE".to_owned(), self.namespace.clone().into())]),
            locality: Locality::default(),
            discovery: DiscoveryAddress::Ip(discovery),
        }))
    }

    /// Begins to call these targets, such as `xds:///HOST:PORT`, all the time.
    pub fn call(
        &self,
        python: &Python,
        targets: &[&str],
        discovery: SocketAddr,
        dir: &Path,
    ) -> Result<GrpcClient> {
        self.call_with(&self.bootstrap(discovery)?, python, targets, dir)
    }

    /// The same with a bootstrap from elsewhere.
    pub fn call_with(
        &self,
        bootstrap: &Value,
        python: &Python,
        targets: &[&str],
        dir: &Path,
    ) -> Result<GrpcClient> {
        let file = dir.join(format!("{}.bootstrap.json", self.name));
        std::fs::write(&file, format!("{bootstrap:#}"))
            .with_context(|| format!("writing {}", file.display()))?;
        let mut command = python.command("client.py");
        command.env("GRPC_XDS_BOOTSTRAP", file);
        if let Some(header) = &self.header {
            command.args(["--header", header]);
        }
        command.args(targets);
        let log = dir.join(format!("client-{}.log", self.name));
        let process = Process::spawn(&self.name, &mut command, &log)?;
        Ok(GrpcClient { process, read: 0 })
    }
}

/// A client that calls all the time, killed when dropped.
#[derive(Debug)]
pub struct GrpcClient {
    process: Process,
    /// How many lines of its log have been looked at.
    read: usize,
}

/// What became of calls.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Calls {
    /// How often each answer came.
    pub answers: BTreeMap<String, u64>,
    /// What the others failed with.
    pub failures: Vec<String>,
}

impl Calls {
    /// How many have been answered.
    pub fn answered(&self) -> u64 {
        self.answers.values().sum()
    }

    /// The part of the answers that is `name`.
    pub fn share(&self, name: &str) -> f64 {
        let count = self.answers.get(name).copied().unwrap_or_default();
        count as f64 / self.answered().max(1) as f64
    }
}

impl GrpcClient {
    /// What became of the calls since this was asked last, by target.
    pub fn take(&mut self) -> Result<BTreeMap<String, Calls>> {
        self.process.check_running()?;
        let text = self.process.log_text()?;
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut all: BTreeMap<String, Calls> = BTreeMap::new();
        for line in whole.lines().skip(self.read) {
            self.read += 1;
            // Its library writes lines of its own there.
            let Some((target, rest)) = line.split_once(' ').filter(|(t, _)| t.starts_with("xds:"))
            else {
                continue;
            };
            let calls = all.entry(target.to_owned()).or_default();
            match rest.split_once(' ') {
                Some(("ok", answer)) => *calls.answers.entry(answer.to_owned()).or_default() += 1,
                Some(("failed", why)) => calls.failures.push(why.to_owned()),
                _ => bail!("the client wrote {line:?}"),
            }
        }
        Ok(all)
    }

    /// The same for its only target.
    pub fn take_calls(&mut self) -> Result<Calls> {
        let mut all = self.take()?;
        ensure!(all.len() < 2, "there are several targets: {all:?}");
        Ok(all.pop_first().map(|(_, calls)| calls).unwrap_or_default())
    }
}
