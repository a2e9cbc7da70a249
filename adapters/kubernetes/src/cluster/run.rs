//! One run of the registry: what is followed, and what becomes of the news.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::mesh::MeshConfig;
use pilothouse_core::model::{Labels, NamespaceName};
use pilothouse_core::registry::{Origin, RunError, SetId, Updates};
use pilothouse_manifests::kubernetes::Names;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::batch::Batch;
use super::convert::Converter;
use super::followed::{Followed, note_namespaces, set_of};
use super::follower::{Follower, Message, News, follow_definitions};
use super::selected::Selected;
use super::served::Served;
use super::{KubernetesRegistry, MeshConfigs};
use crate::kinds::{self, Kind};
use crate::watch::Scope;

/// How much news may wait, and how much of it goes into one transaction.
const WAITING: usize = 1024;

/// How long after one change of what is read the next one is taken up.
const AGAIN: Duration = Duration::from_secs(1);

/// See the [module](self).
pub(super) struct Run<'a> {
    registry: &'a KubernetesRegistry,
    names: Names,
    served: Arc<Served>,
    kinds: Vec<Kind>,
    updates: Updates,
    mesh: Arc<MeshConfig>,
    meshes: MeshConfigs,
    /// Nobody is left who could change them.
    settled: bool,
    begun: Instant,
    /// Those that are followed, by the number of their follower.
    followed: BTreeMap<u64, Followed>,
    next: u64,
    tasks: JoinSet<()>,
    inbox: mpsc::Receiver<Message>,
    outbox: mpsc::Sender<Message>,
    /// The namespaces that there are; `None`: that is not known.
    namespaces: Option<BTreeMap<NamespaceName, Labels>>,
    /// Those that are read, once that has been decided.
    selected: Option<Arc<Selected>>,
    /// When a change of it may be taken up.
    select_after: Instant,
    /// What is to be read may be something else than before.
    changed: bool,
    synced: bool,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        registry: &'a KubernetesRegistry,
        updates: Updates,
        mesh: Arc<MeshConfig>,
        meshes: MeshConfigs,
    ) -> Self {
        let config = &registry.config;
        let kinds = kinds::of(config.reads);
        let (outbox, inbox) = mpsc::channel(WAITING);
        Self {
            names: Names::new(&config.domain).in_cluster(config.cluster.as_str()),
            served: Arc::new(Served::new(registry.client.clone(), &kinds)),
            kinds,
            registry,
            updates,
            mesh,
            meshes,
            settled: false,
            begun: Instant::now(),
            followed: BTreeMap::new(),
            next: 0,
            tasks: JoinSet::new(),
            inbox,
            outbox,
            namespaces: None,
            selected: None,
            select_after: Instant::now(),
            changed: true,
            synced: false,
        }
    }

    pub(super) async fn run(mut self) -> Result<(), RunError> {
        if self.registry.config.reads.rules() {
            let (client, settings) = (&self.registry.client, &self.registry.settings);
            let following =
                follow_definitions(client.clone(), settings.clone(), self.served.clone());
            self.tasks.spawn(following);
        }
        let mut news = Vec::with_capacity(WAITING);
        let mut due = None;
        loop {
            if std::mem::take(&mut self.changed) {
                self.select();
                self.follow().await?;
                // The first decision waits for news, which wake this anyway.
                let later = self.selected.is_some() && self.is_outdated();
                due = later.then_some(self.select_after);
            }
            self.sync().await?;
            tokio::select! {
                _ = self.inbox.recv_many(&mut news, WAITING) => self.take(&mut news).await?,
                changed = self.meshes.changed(), if !self.settled => match changed {
                    Ok(()) => {
                        let mesh = self.meshes.borrow_and_update().clone();
                        self.mesh = mesh.unwrap_or_else(|| self.mesh.clone());
                        self.changed = true;
                    }
                    Err(_) => self.settled = true,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    due = None;
                    self.changed = true;
                }
                Some(ended) = self.tasks.join_next() => match ended {
                    Err(error) if !error.is_cancelled() => return Err(error.into()),
                    // One that is followed anew, or whose news are of no use to anybody.
                    Ok(()) | Err(_) => {}
                },
            }
        }
    }

    /// What is to be read of the namespaces that there are; `None`: that cannot be said yet.
    fn wanted(&self) -> Option<Selected> {
        if self.registry.config.namespace.is_some() || self.mesh.discovery_selectors.is_empty() {
            return Some(Selected::All);
        }
        let there = self.namespaces.as_ref()?;
        Some(Selected::by(&self.mesh, there))
    }

    /// Whether other namespaces are to be read than are.
    fn is_outdated(&self) -> bool {
        let none = BTreeMap::new();
        let there = self.namespaces.as_ref().unwrap_or(&none);
        match (&self.selected, self.wanted()) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(selected), Some(wanted)) => selected.differs(&wanted, there),
        }
    }

    /// Decides what is read. A change has everything listed anew that it may concern.
    fn select(&mut self) {
        let mut first = self.followed.values().filter(|one| one.kind.comes_first());
        let spoken = !self.followed.is_empty() && first.all(|one| one.spoken);
        if !spoken || !self.is_outdated() || Instant::now() < self.select_after {
            return;
        }
        let Some(wanted) = self.wanted() else { return };
        if self.selected.is_some() {
            let namespaced = self.followed.values().filter(|one| one.kind.namespaced);
            namespaced.for_each(|one| one.task.abort());
            self.followed.retain(|_, one| !one.kind.namespaced);
            self.select_after = Instant::now() + AGAIN;
            tracing::info!(target: "kube", registry = %self.registry.id, namespaces = ?wanted, "other namespaces are read: listing anew");
        }
        self.selected = Some(Arc::new(wanted));
    }

    /// Follows what is to be followed, and no longer what is not.
    async fn follow(&mut self) -> Result<(), RunError> {
        let mut wanted = Vec::new();
        for kind in &self.kinds {
            if self.selected.is_some() || kind.comes_first() {
                let namespaces = self.namespaces_of(kind);
                wanted.extend(namespaces.into_iter().map(|namespace| (*kind, namespace)));
            }
        }
        let is_wanted = |one: &Followed| {
            let same = |(kind, namespace): &(Kind, _)| {
                (kind.group, kind.plural) == (one.kind.group, one.kind.plural)
                    && *namespace == one.namespace
            };
            wanted.iter().any(same)
        };
        let (kept, dropped) = std::mem::take(&mut self.followed)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(_, one)| is_wanted(one));
        self.followed = kept;
        for one in dropped.into_values() {
            one.task.abort();
            let mut tx = self.updates.begin();
            tx.clear(one.set);
            tx.commit().await?;
        }
        for (kind, namespace) in wanted {
            let set = set_of(&kind, namespace.as_ref());
            if !self.followed.values().any(|one| one.set == set) {
                self.begin(kind, namespace, set);
            }
        }
        Ok(())
    }

    /// The namespaces of which a kind is followed by itself; `None` for all at once.
    fn namespaces_of(&self, kind: &Kind) -> Vec<Option<NamespaceName>> {
        match &self.registry.config.namespace {
            Some(only) if kind.namespaced => {
                let mut both = vec![Some(only.clone())];
                if *only != self.mesh.root_namespace {
                    both.push(Some(self.mesh.root_namespace.clone()));
                }
                both
            }
            _ => vec![None],
        }
    }

    fn begin(&mut self, kind: Kind, namespace: Option<NamespaceName>, set: SetId) {
        let id = self.next;
        self.next += 1;
        let selected = self.selected.clone();
        let selected = selected.unwrap_or_else(|| Arc::new(Selected::All));
        let (names, cluster) = (self.names.clone(), self.registry.config.cluster.clone());
        let follower = Follower {
            id,
            kind,
            scope: Scope {
                namespace: namespace.as_ref().map(|name| name.as_str().into()),
                labels: None,
                fields: kind.fields.map(str::to_owned),
            },
            client: self.registry.client.clone(),
            served: self.served.clone(),
            settings: self.registry.settings.clone(),
            convert: Box::new(move |version| {
                Converter::new(kind, version, &cluster, names.clone(), selected.clone())
            }),
            out: self.outbox.clone(),
        };
        let followed = Followed {
            kind,
            namespace,
            set,
            task: self.tasks.spawn(follower.run()),
            spoken: false,
            there: false,
            objects: 0,
        };
        self.followed.insert(id, followed);
    }

    /// Tells the store what there is to tell.
    async fn take(&mut self, news: &mut Vec<Message>) -> Result<(), RunError> {
        let mut batch = Batch::new(&self.updates, &self.registry.known);
        for (id, news) in news.drain(..) {
            // One that is followed anew, or no longer, has nothing to say.
            let Some(one) = self.followed.get_mut(&id) else {
                continue;
            };
            one.spoken = true;
            self.changed |= one.kind.comes_first();
            one.note(&self.registry.id, &news);
            if one.kind.name == "Namespace" {
                note_namespaces(&mut self.namespaces, &news);
            }
            match news {
                News::Listed(all) => batch.list(one, all).await?,
                News::Absent => batch.list(one, Vec::new()).await?,
                News::Applied(object) => batch.put(one, object).await?,
                News::Deleted(key) => batch.delete(one, key),
                News::Recovered => batch.recovered(one),
                News::Failing(why) => batch.failing(one, &why).await?,
                News::Unreadable(why) => {
                    let origin = Origin::new(format!("{} {}", self.registry.id, one.set));
                    batch.unreadable(one, origin, &why);
                }
            }
        }
        Ok(batch.commit().await?)
    }

    /// Says once that everything is there.
    async fn sync(&mut self) -> Result<(), RunError> {
        let there = |one: &Followed| one.there;
        if self.synced || self.selected.is_none() || !self.followed.values().all(there) {
            return Ok(());
        }
        self.synced = true;
        self.updates.synced().await?;
        let took = self.begun.elapsed();
        let objects: usize = self.followed.values().map(|one| one.objects).sum();
        tracing::info!(target: "kube", registry = %self.registry.id, kinds = self.followed.len(), objects, ?took, "everything is read");
        Ok(())
    }
}
