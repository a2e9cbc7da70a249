//! What most suites begin with: a directory of manifests, discovery on it, and a place for everybody's files.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pilothouse_tests::discovery::{self, Discovery, Options};
use pilothouse_tests::http;
use pilothouse_tests::mesh_dir::{MeshDir, ServiceEntry};
use pilothouse_tests::wait::eventually;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// How long anything may take that takes a moment on an idle machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// See the [module](self). Dropping it ends discovery and removes all files; a test that fails keeps them.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) mesh: MeshDir,
    pub(crate) discovery: Discovery,
    dir: Scratch,
}

impl World {
    /// Discovery on these files.
    pub(crate) async fn start(files: &[(&str, &str)]) -> Self {
        Self::start_with(files, None, &[]).await
    }

    /// Discovery on these service entries.
    pub(crate) async fn of(entries: &[&ServiceEntry]) -> Self {
        let files: Vec<_> = entries
            .iter()
            .map(|entry| {
                (
                    format!("{}.{}.yaml", entry.namespace, entry.name),
                    entry.to_yaml(),
                )
            })
            .collect();
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        Self::start(&files).await
    }

    /// Discovery on these files, with this mesh config, and with more flags.
    pub(crate) async fn start_with(
        files: &[(&str, &str)],
        mesh_config: Option<&str>,
        flags: &[(&str, &str)],
    ) -> Self {
        let dir = Scratch::new();
        let mesh = MeshDir::create(dir.path()).unwrap();
        for (name, text) in files {
            mesh.write(name, text).unwrap();
        }
        let mut options = Options::new(binary().await, mesh.path(), dir.path()).unwrap();
        if let Some(text) = mesh_config {
            let path = dir.path().join("mesh.yaml");
            std::fs::write(&path, text).unwrap();
            options = options.arg("--mesh-config", path);
        }
        for (flag, value) in flags {
            options = options.arg(flag, *value);
        }
        let discovery = Discovery::start(options).await.unwrap();
        Self {
            mesh,
            discovery,
            dir,
        }
    }

    /// Replaces mesh config by an atomic rename.
    pub(crate) fn write_mesh_config(&self, text: &str) {
        let staged = self.dir().join("mesh.yaml.new");
        std::fs::write(&staged, text).unwrap();
        std::fs::rename(staged, self.dir().join("mesh.yaml")).unwrap();
    }

    /// Where logs and bootstraps go.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What `/debug/syncz` says of a proxy.
    pub(crate) async fn syncz(&self, proxy: &str) -> Result<Value> {
        let page = self
            .discovery
            .debug(&format!("/debug/syncz?proxyID={proxy}"))
            .await?;
        page.as_array()
            .and_then(|all| all.last())
            .cloned()
            .with_context(|| format!("{proxy} is not connected"))
    }

    /// Waits until a proxy has acknowledged the newest of everything that it has asked for.
    pub(crate) async fn synced(&self, proxy: &str) -> Result<()> {
        eventually(
            &format!("{proxy} has acknowledged everything"),
            SOON,
            async || self.is_synced(proxy).await,
        )
        .await
    }

    pub(crate) async fn is_synced(&self, proxy: &str) -> Result<()> {
        let client = self.syncz(proxy).await?;
        let generation = &client["generation"];
        ensure!(
            generation["sent"] == generation["newest"],
            "{proxy} is behind: {client:#}"
        );
        let types = client["types"].as_array().context("no types")?;
        ensure!(
            types.iter().any(|report| report["status"] == "SYNCED"),
            "{proxy} has acknowledged nothing: {client:#}"
        );
        let open = types
            .iter()
            .find(|report| report["status"] != "SYNCED" && report["status"] != "NOT SENT");
        ensure!(
            open.is_none(),
            "{proxy} has not acknowledged: {:#}",
            open.unwrap_or(&Value::Null)
        );
        Ok(())
    }

    /// Puts what discovery says of itself beside its log, for whoever looks at a failed test.
    pub(crate) async fn keep_pages(&self) {
        for page in ["registryz", "configz", "syncz", "resourcez"] {
            let text = match self.discovery.debug(&format!("/debug/{page}")).await {
                Ok(page) => format!("{page:#}"),
                Err(error) => format!("{error:#}"),
            };
            std::fs::write(self.dir().join(format!("{page}.json")), text).unwrap();
        }
    }

    /// A counter of `/metrics`, such as `pilot_xds_pushes{type="cds"}`, with or without the suffix `_total`.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.discovery.metrics().await.unwrap();
        metric(&text, name).unwrap_or_else(|| panic!("no metric {name} in\n{text}"))
    }
}

/// The value of a metric in a page of them.
fn metric(text: &str, name: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// The binary under test, built once.
pub(crate) async fn binary() -> &'static Path {
    static BINARY: OnceCell<PathBuf> = OnceCell::const_new();
    let build = || async {
        tokio::task::spawn_blocking(discovery::binary)
            .await
            .unwrap()
            .unwrap()
    };
    BINARY.get_or_init(build).await
}

/// A directory that is removed unless its test fails.
#[derive(Debug)]
pub(crate) struct Scratch(Option<TempDir>);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(Some(
            tempfile::Builder::new()
                .prefix("pilothouse-")
                .tempdir()
                .unwrap(),
        ))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for Scratch {
    #[expect(
        clippy::print_stderr,
        reason = "whoever looks at a failed test wants to know"
    )]
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(dir) = self.0.take()
        {
            eprintln!("logs and files are kept in {}", dir.keep().display());
        }
    }
}

/// Waits until requests for `host` that go to `via` are answered with `body`.
pub(crate) async fn answers(via: SocketAddr, host: &str, body: &str) {
    let asked = async || {
        let answer = http::get(via, host, "/", SOON).await?;
        ensure!(answer.body == body, "it answers {answer:?}");
        Ok(())
    };
    eventually(&format!("{host} answers {body:?} at {via}"), SOON, asked)
        .await
        .unwrap();
}
