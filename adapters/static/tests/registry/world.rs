//! A directory, a registry that watches it, and the store that it writes to.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::registry::{Need, Problem, Registry};
use pilothouse_core::status::Status;
use pilothouse_core::store::{Changes, GuardSettings, Settings, Store, StoreHandle};
use pilothouse_core::supervisor::{self, Supervisor};
use pilothouse_static::{StaticConfig, StaticRegistry};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Nothing here takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// See the [module](self). Files are below a directory of their own, which may be taken away.
pub(crate) struct World {
    dir: tempfile::TempDir,
    store: StoreHandle,
    changes: Changes,
    /// Every state of the mesh that a consumer saw.
    seen: Vec<BTreeSet<String>>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// Services of these names, as documents.
pub(crate) fn entries(names: &[&str]) -> String {
    let entry = |name: &&str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: {name}\nspec:\n  hosts: [{name}.test]\n  ports:\n  - number: 80\n    name: http\n  resolution: STATIC\n"
        )
    };
    names.iter().map(entry).collect::<Vec<_>>().join("---\n")
}

impl World {
    /// A registry that runs on these files with services of these names.
    pub(crate) async fn start(files: &[(&str, &[&str])]) -> Self {
        Self::guarded(files, GuardSettings::default()).await
    }

    /// The same with a guard of these settings.
    pub(crate) async fn guarded(files: &[(&str, &[&str])], guard: GuardSettings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        let (store, handle) = Store::new(Settings {
            guard,
            ..Settings::default()
        });
        let changes = handle.subscribe();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(store.run(stop.clone()));
        let mut world = Self {
            dir,
            store: handle,
            changes,
            seen: Vec::new(),
            stop,
            tasks,
        };
        files
            .iter()
            .for_each(|(name, services)| world.write(name, services));

        let registry = StaticRegistry::new(StaticConfig::new(world.path(""), "test")).unwrap();
        let registry: Arc<dyn Registry> = Arc::new(registry);
        let settings = supervisor::Settings::default();
        let supervisor = Supervisor::new([(registry, Need::Required)], &world.store, settings);
        let stop = world.stop.clone();
        world
            .tasks
            .spawn(async move { supervisor.run(stop).await.unwrap() });
        timeout(PATIENCE, world.store.readiness().ready())
            .await
            .expect("the registry delivers");
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let root = self.dir.path().join("root");
        if name.is_empty() {
            root
        } else {
            root.join(name)
        }
    }

    /// A path beside the root.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, services: &[&str]) {
        self.write_outside(&format!("root/{name}"), services);
    }

    pub(crate) fn write_outside(&self, name: &str, services: &[&str]) {
        let path = self.outside(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, entries(services)).unwrap();
    }

    /// A file with this text.
    pub(crate) fn write_text(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Waits until the mesh consists of services of these names.
    pub(crate) async fn until(&mut self, expected: &[&str]) {
        let expected: BTreeSet<_> = expected.iter().map(|name| (*name).to_owned()).collect();
        let wait = async {
            while services(&self.store.mesh()) != expected {
                let change = self.changes.next().await.unwrap();
                self.seen.push(services(&change.mesh));
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!(
                "{:?} never became {expected:?}; seen: {:?}",
                services(&self.store.mesh()),
                self.seen
            );
        }
    }

    /// Waits until this much of the mesh is as expected.
    pub(crate) async fn until_shown(&mut self, shown: fn(&Mesh) -> Vec<String>, expected: &[&str]) {
        let wait = async {
            while shown(&self.store.mesh()) != expected {
                self.changes.next().await.unwrap();
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!("never {expected:#?}: {:#?}", shown(&self.store.mesh()));
        }
    }

    /// None of these states was ever published.
    pub(crate) fn never_seen(&self, states: &[&[&str]]) {
        for state in states {
            let state: BTreeSet<_> = state.iter().map(|name| (*name).to_owned()).collect();
            assert!(
                !self.seen.contains(&state),
                "{state:?} was seen in {:?}",
                self.seen
            );
        }
    }

    /// Waits until exactly these sets cannot be read.
    pub(crate) async fn until_failing(&self, expected: &[&str]) {
        self.until_status(&format!("{expected:?} failing"), |status| {
            let failing = status
                .sets()
                .filter(|(_, _, status)| status.failing.is_some());
            failing
                .filter_map(|(_, set, _)| Some(set?.as_str()))
                .eq(expected.iter().copied())
        })
        .await;
    }

    /// Waits until the registry as a whole cannot be read, or can.
    pub(crate) async fn until_root_failing(&self, expected: bool) {
        self.until_status(&format!("root failing: {expected}"), |status| {
            status
                .sets()
                .any(|(_, set, status)| set.is_none() && status.failing.is_some())
                == expected
        })
        .await;
    }

    async fn until_status(&self, what: &str, holds: impl Fn(&Status) -> bool) {
        let mut revisions = self.store.status().revisions();
        let wait = async {
            while !holds(&self.store.status().get()) {
                revisions.changed().await.unwrap();
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!(
                "never {what}: {:?}",
                self.store.status().get().sets().collect::<Vec<_>>()
            );
        }
    }

    /// Waits until the guard holds so many objects.
    pub(crate) async fn until_held(&self, expected: usize) {
        let held = async {
            let mut activity = self.store.activity();
            loop {
                let views = self.store.registries().await.unwrap();
                let sets = views.iter().flat_map(|view| &view.sets);
                if sets
                    .filter_map(|set| set.held.as_ref())
                    .map(|held| held.objects)
                    .sum::<usize>()
                    == expected
                {
                    return;
                }
                activity.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, held)
            .await
            .unwrap_or_else(|_| panic!("never held {expected}"));
    }

    /// The objects that are rejected, each with its place and problems.
    pub(crate) fn rejected(&self) -> Vec<String> {
        let status = self.store.status().get();
        let text = |problems: &[Problem]| {
            problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        };
        let objects = status.objects().flat_map(|(source, status)| {
            status
                .rejected
                .values()
                .map(move |it| format!("{} {} {}", source.object, it.at, text(&it.problems)))
        });
        objects.collect()
    }

    /// The objects that are not used because of another, each with its place and the reason.
    pub(crate) fn lost(&self) -> Vec<String> {
        let status = self.store.status().get();
        let lost = status.objects().flat_map(|(_, status)| &status.lost);
        lost.map(|lost| format!("{:?} {}", lost.at, lost.why))
            .collect()
    }

    /// Stops everything and says how long that took.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

fn services(mesh: &Mesh) -> BTreeSet<String> {
    let hosts = mesh
        .services()
        .map(|service| service.key.host.as_str().to_owned());
    hosts
        .map(|host| host.strip_suffix(".test").unwrap_or(&host).to_owned())
        .collect()
}
