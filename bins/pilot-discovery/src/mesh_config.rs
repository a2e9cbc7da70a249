//! Mesh-wide settings, read again whenever they change: from a file, or from a ConfigMap.
//!
//! The last good settings stay in force while the text is wrong or gone. A process that has seen no good version yet is not
//! ready: serving defaults in their place would change every proxy. A ConfigMap that nobody has asked for may be absent from the
//! start: then defaults are what is meant.

use std::path::Path;
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use pilothouse_core::mesh::MeshConfig;
use pilothouse_core::readiness::Guard;
use pilothouse_core::registry::Problem;
use pilothouse_core::rules::resolve;
use pilothouse_kubernetes::{MeshConfigMap, MeshConfigNews};
use pilothouse_static::watch_file;
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::config::MeshConfigPlace;

/// Where the settings stand and how they are doing, for debug pages. Clones show the same.
#[derive(Debug, Clone)]
pub struct MeshConfigSource {
    name: Arc<str>,
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

/// What comes of a source.
#[derive(Debug)]
pub enum News {
    /// The text as it stands.
    Text(String),
    /// There is none, and none is needed: nothing is said.
    Nothing,
    /// It cannot be read, and why.
    Failing(String),
}

/// What comes of a place. A ConfigMap is read with `client`, and never found without.
pub fn news(place: &MeshConfigPlace, client: Option<kube::Client>) -> BoxStream<'static, News> {
    match (place, client) {
        (MeshConfigPlace::File(path), _) => of_file(path).boxed(),
        (MeshConfigPlace::ConfigMap { map, needed }, Some(client)) => {
            of_config_map(map, client, *needed).boxed()
        }
        (MeshConfigPlace::ConfigMap { .. }, None) => {
            let why = News::Failing("no cluster is read".to_owned());
            futures::stream::once(async { why })
                .chain(futures::stream::pending())
                .boxed()
        }
    }
}

/// The text of the file at `path`, and every change of it.
fn of_file(path: &Path) -> impl Stream<Item = News> + Send + use<> {
    let file = watch_file(path);
    futures::stream::unfold(file, |mut file| async move {
        let news = match file.changed().await {
            Ok(text) => News::Text(text),
            Err(error) => News::Failing(error.to_string()),
        };
        Some((news, file))
    })
}

/// The text in a ConfigMap, and every change of it. `needed`: there must be one.
fn of_config_map(
    map: &MeshConfigMap,
    client: kube::Client,
    needed: bool,
) -> impl Stream<Item = News> + Send + use<> {
    let news = map.follow(client, &Default::default());
    news.map(move |news| match news {
        MeshConfigNews::Text(text) => News::Text(text),
        MeshConfigNews::Absent(_) if !needed => News::Nothing,
        MeshConfigNews::Absent(why) => News::Failing(why),
        MeshConfigNews::Failing(error) => News::Failing(error.to_string()),
    })
}

impl MeshConfigSource {
    /// What stands at a place, a file's path or a ConfigMap, and has not been read yet.
    pub fn new(place: impl ToString) -> Self {
        Self {
            name: place.to_string().into(),
            state: Arc::default(),
        }
    }

    /// Where.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is doing.
    pub fn view(&self) -> MeshConfigView {
        MeshConfigView {
            path: self.name.to_string(),
            state: self.state.lock().clone(),
        }
    }

    /// Gives each good version that comes as `news` to `apply`, until `stop`; the first one releases `waiting`.
    pub async fn follow(
        self,
        news: impl Stream<Item = News>,
        waiting: Guard,
        apply: impl Fn(MeshConfig),
        stop: CancellationToken,
    ) {
        let mut news = std::pin::pin!(news);
        let mut waiting = Some(waiting);
        let mut had_text = false;
        while let Some(Some(next)) = stop.run_until_cancelled(news.next()).await {
            let read = match next {
                News::Text(text) => {
                    had_text = true;
                    read(&text)
                }
                News::Nothing if had_text => Err(vec!["it is gone".to_owned()]),
                News::Nothing => read(""),
                News::Failing(error) => Err(vec![error]),
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
        let path = &*self.name;
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
        let path = &*self.name;
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
        let file = MeshConfigSource::new(path.display());
        let (sent, mut received) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let following = file.clone().follow(
            of_file(&path),
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
