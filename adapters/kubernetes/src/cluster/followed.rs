//! A kind as it is followed, and what its news mean.

use std::collections::BTreeMap;

use pilothouse_core::model::{Labels, NamespaceName};
use pilothouse_core::registry::{RegistryId, SetId, Value};
use tokio::task::AbortHandle;

use super::convert::{Converted, Means};
use super::follower::News;
use crate::kinds::Kind;

/// One kind, of one namespace or of all.
pub(super) struct Followed {
    pub(super) kind: Kind,
    pub(super) namespace: Option<NamespaceName>,
    pub(super) set: SetId,
    pub(super) task: AbortHandle,
    /// Something has been told of it.
    pub(super) spoken: bool,
    /// All of it is there.
    pub(super) there: bool,
    /// How many objects were listed.
    pub(super) objects: usize,
}

impl Followed {
    /// Notes what news mean for how it stands. The watch has told people.
    pub(super) fn note(&mut self, registry: &RegistryId, news: &News) {
        match news {
            News::Listed(all) => {
                self.objects = all.len();
                self.there = true;
            }
            News::Absent => {
                if self.there {
                    tracing::info!(target: "kube", %registry, watch = %self.set, "the cluster has no such kind any longer");
                }
                self.there = true;
            }
            News::Failing(_)
            | News::Recovered
            | News::Applied(_)
            | News::Deleted(_)
            | News::Unreadable(_) => {}
        }
    }
}

/// Keeps the names and labels of namespaces.
pub(super) fn note_namespaces(
    namespaces: &mut Option<BTreeMap<NamespaceName, Labels>>,
    news: &News,
) {
    fn namespace(one: &Converted) -> Option<(NamespaceName, Labels)> {
        match &one.means {
            Means::Good(object, _) => match &object.value {
                Value::Namespace(namespace) => {
                    Some((namespace.name.clone(), namespace.labels.clone()))
                }
                _ => None,
            },
            _ => None,
        }
    }
    match news {
        News::Listed(all) => *namespaces = Some(all.iter().filter_map(namespace).collect()),
        News::Applied(one) => {
            if let Some(known) = namespaces {
                known.extend(namespace(one));
            }
        }
        News::Deleted(key) => {
            if let Some(known) = namespaces {
                known.remove(&*key.name);
            }
        }
        News::Absent | News::Failing(_) | News::Recovered | News::Unreadable(_) => {}
    }
}

/// What the set of a kind is called: as kubectl calls it.
pub(super) fn set_of(kind: &Kind, namespace: Option<&NamespaceName>) -> SetId {
    let mut name = kind.plural.to_owned();
    if !kind.is_built_in() {
        name = format!("{name}.{}", kind.group);
    }
    if let Some(namespace) = namespace {
        name = format!("{name}/{namespace}");
    }
    SetId::new(name)
}
