//! Which version of a kind the server has: clusters differ in what is installed, and in its age.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::try_join_all;
use kube::Client;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use crate::kinds::Kind;

/// What the server has of the groups of some kinds. What it said is used by all who asked before it did.
pub(super) struct Served {
    client: Client,
    groups: BTreeMap<&'static str, Group>,
    changed: watch::Sender<()>,
}

struct Group {
    /// The versions that are of use, whatever the kind.
    versions: BTreeSet<&'static str>,
    answer: Mutex<Option<Answer>>,
}

struct Answer {
    asked: Instant,
    /// Plurals by version.
    served: Arc<BTreeMap<&'static str, BTreeSet<String>>>,
}

impl Served {
    pub(super) fn new(client: Client, kinds: &[Kind]) -> Self {
        let mut groups: BTreeMap<&'static str, Group> = BTreeMap::new();
        for kind in kinds {
            let group = groups.entry(kind.group).or_insert_with(|| Group {
                versions: BTreeSet::new(),
                answer: Mutex::default(),
            });
            group.versions.extend(kind.versions);
        }
        Self {
            client,
            groups,
            changed: watch::channel(()).0,
        }
    }

    /// The version in which the server has a kind at this moment: the most preferred of those that it has, if it has any.
    pub(super) async fn version(&self, kind: &Kind) -> Result<Option<&'static str>, kube::Error> {
        let now = Instant::now();
        let Some(group) = self.groups.get(kind.group) else {
            return Ok(None);
        };
        let mut answer = group.answer.lock().await;
        let served = match &*answer {
            Some(answer) if answer.asked >= now => answer.served.clone(),
            _ => {
                let asked = Instant::now();
                let served = Arc::new(self.ask(kind.group, group).await?);
                *answer = Some(Answer {
                    asked,
                    served: served.clone(),
                });
                served
            }
        };
        let has = |version: &&&str| {
            served
                .get(**version)
                .is_some_and(|plurals| plurals.contains(kind.plural))
        };
        Ok(kind.versions.iter().find(has).copied())
    }

    async fn ask(
        &self,
        name: &str,
        group: &Group,
    ) -> Result<BTreeMap<&'static str, BTreeSet<String>>, kube::Error> {
        let ask = |version: &'static str| async move {
            let path = format!("{name}/{version}");
            match self.client.list_api_group_resources(&path).await {
                Ok(list) => {
                    let plurals = list.resources.into_iter().map(|resource| resource.name);
                    Ok((version, plurals.collect()))
                }
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    Ok((version, BTreeSet::new()))
                }
                Err(error) => Err(error),
            }
        };
        let all = try_join_all(group.versions.iter().map(|version| ask(version))).await?;
        Ok(all.into_iter().collect())
    }

    /// Something has been installed, or is gone: whoever waits for a kind asks again.
    pub(super) fn changed(&self) {
        self.changed.send_replace(());
    }

    /// Wakes when something has been installed, or is gone.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Whether a definition called `PLURAL.GROUP` concerns any of the kinds.
    pub(super) fn concerns(&self, definition: &str) -> bool {
        let group = definition.split_once('.').map(|(_, group)| group);
        group.is_some_and(|group| self.groups.contains_key(group))
    }
}
