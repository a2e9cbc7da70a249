//! A real Envoy: found, started, asked, ended.

mod binary;

pub use binary::{Binary, VERSIONS};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::http::{self, Answer};
use crate::process::Process;
use crate::wait::eventually;

/// How long Envoy may take for one answer of its admin page.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take to open that page.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A running Envoy, killed when dropped.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: SocketAddr,
}

impl Envoy {
    /// Starts Envoy with `bootstrap` and waits for its admin page, which the bootstrap must give an address (port 0 is best). Its files
    /// go to `dir`, with names that begin with `name`. It may not be ready yet: see [`Envoy::wait_ready`].
    pub async fn start(binary: &Binary, name: &str, bootstrap: &Value, dir: &Path) -> Result<Self> {
        let config = write_bootstrap(name, bootstrap, dir)?;
        let address_file = dir.join(format!("{name}.admin"));
        // An older run's must not be taken for this one's.
        std::fs::remove_file(&address_file).ok();
        let mut command = Command::new(binary.path());
        command
            .arg("--config-path")
            .arg(config)
            .arg("--admin-address-path")
            .arg(&address_file);
        // Draining takes minutes by default; what is removed in a test shall be gone.
        command.args([
            "--disable-hot-restart",
            "--concurrency",
            "1",
            "--log-level",
            "info",
            "--drain-time-s",
            "2",
        ]);
        let mut process = Process::spawn(name, &mut command, &dir.join(format!("{name}.log")))?;
        let opened = format!("{name} opens its admin page");
        let admin = process.until(&opened, START_TIMEOUT, async || {
            let text = std::fs::read_to_string(&address_file)
                .with_context(|| format!("reading {}", address_file.display()))?;
            text.trim()
                .parse()
                .with_context(|| format!("{} has no address: {text:?}", address_file.display()))
        });
        let admin = admin.await?;
        Ok(Self { process, admin })
    }

    /// The address of its admin page.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Its process, for its id and its log.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// `GET path` on its admin page.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        http::get(self.admin, "envoy", path, ADMIN_TIMEOUT).await
    }

    /// `GET path` on its admin page, as JSON: `/config_dump`, `/listeners?format=json`, `/clusters?format=json` …
    pub async fn get_json(&self, path: &str) -> Result<Value> {
        http::get_json(self.admin, path, ADMIN_TIMEOUT).await
    }

    /// Waits until it has its first configuration and serves.
    pub async fn wait_ready(&self, within: Duration) -> Result<()> {
        eventually("Envoy is ready", within, async || {
            let answer = self.get("/ready").await?;
            ensure!(answer.status == 200, "it says {:?}", answer.body.trim());
            Ok(())
        })
        .await
    }

    /// Its counters and gauges whose names match the regular expression `filter`.
    pub async fn stats(&self, filter: &str) -> Result<BTreeMap<String, u64>> {
        let page = self
            .get_json(&format!(
                "/stats?format=json&filter={}",
                percent_encode(filter)
            ))
            .await?;
        let entries = page["stats"]
            .as_array()
            .context("the page of statistics has no list")?;
        Ok(entries
            .iter()
            .filter_map(|entry| {
                Some((entry["name"].as_str()?.to_owned(), entry["value"].as_u64()?))
            })
            .collect())
    }

    /// One counter or gauge; one that does not exist yet is 0.
    pub async fn stat(&self, name: &str) -> Result<u64> {
        let filter = format!("^{}$", name.replace('.', "\\.").replace('|', "\\|"));
        Ok(self
            .stats(&filter)
            .await?
            .get(name)
            .copied()
            .unwrap_or_default())
    }

    /// Waits until the counter or gauge `name` is as `wanted` says.
    pub async fn wait_stat(
        &self,
        name: &str,
        within: Duration,
        wanted: impl Fn(u64) -> bool,
    ) -> Result<u64> {
        eventually(&format!("{name} is as wanted"), within, async || {
            let value = self.stat(name).await?;
            ensure!(wanted(value), "it is {value}");
            Ok(value)
        })
        .await
    }

    /// What it has logged about fields and features that are deprecated.
    pub fn deprecations(&self) -> Result<Vec<String>> {
        Ok(deprecations(&self.process.log_text()?))
    }
}

impl Binary {
    /// Lets Envoy check `bootstrap` without running it; what it refuses, and what it calls deprecated, is an error.
    pub async fn validate(&self, name: &str, bootstrap: &Value, dir: &Path) -> Result<()> {
        self.validate_file(&write_bootstrap(name, bootstrap, dir)?)
            .await
    }

    /// The same for a file, whose extension says whether it is JSON or YAML.
    pub async fn validate_file(&self, config: &Path) -> Result<()> {
        let mut command = tokio::process::Command::new(self.path());
        command
            .args([
                "--mode",
                "validate",
                "--disable-hot-restart",
                "--log-level",
                "warning",
                "--config-path",
            ])
            .arg(config)
            .kill_on_drop(true);
        let output = command
            .output()
            .await
            .with_context(|| format!("running {}", self.path().display()))?;
        let text = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!(
                "Envoy {} refuses {}:\n{text}",
                self.version(),
                config.display()
            );
        }
        let deprecated = deprecations(&text);
        ensure!(
            deprecated.is_empty(),
            "Envoy {} calls parts of {} deprecated:\n{}",
            self.version(),
            config.display(),
            deprecated.join("\n")
        );
        Ok(())
    }
}

fn write_bootstrap(name: &str, bootstrap: &Value, dir: &Path) -> Result<PathBuf> {
    let path = dir.join(format!("{name}.json"));
    std::fs::write(&path, format!("{bootstrap:#}"))
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

/// The lines of a log that warn of something deprecated.
fn deprecations(log: &str) -> Vec<String> {
    let warns = |line: &&str| {
        (line.contains("[warning]") || line.contains("[error]"))
            && line.to_lowercase().contains("deprecated")
    };
    log.lines().filter(warns).map(str::to_owned).collect()
}

/// Makes a text fit for a query.
fn percent_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}
