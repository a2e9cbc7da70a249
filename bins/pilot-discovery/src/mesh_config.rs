//! The file of mesh-wide settings, read again whenever it changes.
//!
//! The last good settings stay in force while the file is wrong or gone. A process that has seen no good version yet is not
//! ready: serving defaults in their place would change every proxy.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use pilothouse_core::mesh::MeshConfig;
use pilothouse_core::readiness::Guard;
use pilothouse_core::registry::Problem;
use pilothouse_core::rules::resolve;
use pilothouse_static::watch_file;
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// How the file is doing, for debug pages. Clones show the same.
#[derive(Debug, Clone)]
pub struct MeshConfigFile {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Clone, Default, Serialize)]
struct State {
    /// Whether a good version is in force.
    loaded: bool,
    /// What is wrong with the current text; the last good version is in force all the same.
    problems: Vec<String>,
}

/// What debug pages show of it.
#[derive(Debug, Clone, Serialize)]
pub struct MeshConfigView {
    path: String,
    #[serde(flatten)]
    state: State,
}

impl MeshConfigFile {
    /// The file at `path`, not read yet.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            state: Arc::default(),
        }
    }

    /// Which file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it is doing.
    pub fn view(&self) -> MeshConfigView {
        MeshConfigView {
            path: self.path.display().to_string(),
            state: self.state.lock().clone(),
        }
    }

    /// Gives each good version to `apply`, until `stop`; the first one releases `waiting`.
    pub async fn follow(self, waiting: Guard, apply: impl Fn(MeshConfig), stop: CancellationToken) {
        let mut file = watch_file(&self.path);
        let mut waiting = Some(waiting);
        while let Some(news) = stop.run_until_cancelled(file.changed()).await {
            let read = match news {
                Ok(text) => read(&text),
                Err(error) => Err(vec![error.to_string()]),
            };
            match read {
                Ok((config, warnings)) => {
                    self.accepted(&warnings);
                    apply(config);
                    drop(waiting.take());
                }
                Err(problems) => self.refused(problems),
            }
        }
        if let Some(waiting) = waiting {
            waiting.abandon();
        }
    }

    fn accepted(&self, warnings: &[Problem]) {
        let path = self.path.display().to_string();
        tracing::info!(path, "mesh config read");
        for problem in warnings {
            tracing::warn!(path, %problem, "mesh config");
        }
        *self.state.lock() = State {
            loaded: true,
            problems: warnings.iter().map(ToString::to_string).collect(),
        };
    }

    fn refused(&self, problems: Vec<String>) {
        let path = self.path.display().to_string();
        let mut state = self.state.lock();
        let meanwhile = if state.loaded {
            "the last good version stays"
        } else {
            "not ready before it is right"
        };
        for problem in &problems {
            // Parsers show the place below their first line.
            let (problem, snippet) = problem.split_once('\n').unwrap_or((problem, ""));
            if snippet.is_empty() {
                tracing::error!(path, problem, meanwhile, "mesh config cannot be used");
            } else {
                tracing::error!(
                    path,
                    problem,
                    meanwhile,
                    snippet,
                    "mesh config cannot be used"
                );
            }
        }
        state.problems = problems;
    }
}

/// Reads mesh config as an operator writes it.
///
/// # Errors
/// All that is wrong with it.
fn read(text: &str) -> Result<(MeshConfig, Vec<Problem>), Vec<String>> {
    // A file of comments alone is a mesh config that says nothing.
    let written: Option<Value> =
        serde_saphyr::from_str(text).map_err(|error| vec![error.to_string()])?;
    resolve::mesh_config(&written.unwrap_or(Value::Null))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use pilothouse_core::mesh::OutboundPolicy;
    use pilothouse_core::readiness::Readiness;
    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn texts() {
        let outbound = |text: &str| read(text).map(|(config, _)| config.outbound);
        assert_eq!(outbound(""), Ok(OutboundPolicy::AllowAny));
        assert_eq!(outbound("# nothing\n"), Ok(OutboundPolicy::AllowAny));
        assert_eq!(
            outbound("outboundTrafficPolicy:\n  mode: REGISTRY_ONLY\n"),
            Ok(OutboundPolicy::RegistryOnly)
        );
        let problem = |text: &str| read(text).unwrap_err().join("\n");
        assert!(
            problem("outboundTrafficPolicy: [").contains("line"),
            "the place is missing"
        );
        assert!(problem("trustDomain: 'a b'\nrootNamespace: 'a b'\n").contains("trustDomain"));
        assert_eq!(
            read("trustDomain: 'a b'\nrootNamespace: 'a b'\n")
                .unwrap_err()
                .len(),
            2
        );
    }

    #[tokio::test]
    async fn the_last_good_version_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.yaml");
        let readiness = Readiness::new();
        let file = MeshConfigFile::new(&path);
        let (sent, mut received) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let following = file.clone().follow(
            readiness.guard("mesh config"),
            move |config| sent.send(config.trust_domain).unwrap(),
            stop.clone(),
        );
        let steps = async {
            let problems = |wanted: bool| {
                let file = file.clone();
                async move {
                    while file.state.lock().problems.is_empty() == wanted {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            };
            // Not there yet: nothing is served.
            problems(true).await;
            assert!(!readiness.is_ready());
            fs::write(&path, "trustDomain: one.example\n").unwrap();
            assert_eq!(received.recv().await.as_deref(), Some("one.example"));
            readiness.ready().await;
            assert!(file.view().state.loaded);
            fs::write(&path, "trustDomain: [\n").unwrap();
            problems(true).await;
            assert!(file.view().state.loaded);
            fs::write(&path, "trustDomain: two.example\n").unwrap();
            assert_eq!(received.recv().await.as_deref(), Some("two.example"));
            problems(false).await;
            stop.cancel();
        };
        tokio::join!(following, steps);
    }
}
