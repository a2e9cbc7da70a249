//! A set as clients see it, and what a client has of a name.

use std::sync::Arc;

use super::memo::{Guard, guard};
use super::set::Set;
use crate::resource::{Name, Resource, ResourceType, Version};

/// A resource with its version on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) resource: Arc<Resource>,
    pub(crate) version: Version,
}

impl Item {
    pub(crate) fn name(&self) -> &Name {
        &self.resource.name
    }
}

/// All resources of one type as a client is to see them. A load assignment's version covers that of its cluster.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) resource_type: ResourceType,
    pub(crate) set: Arc<Set>,
    /// Load assignments only: the clusters whose versions theirs cover.
    pub(crate) clusters: Option<Arc<Set>>,
}

impl Content {
    pub(crate) fn get(&self, name: &str) -> Option<Item> {
        let resource = self.set.get(name)?;
        let version = match &self.clusters {
            None => resource.version,
            Some(clusters) => resource.version.and(clusters.get(name)?.version),
        };
        Some(Item {
            resource: resource.clone(),
            version,
        })
    }

    /// What identifies it as long as its [guards](Self::guards) are alive.
    pub(crate) fn key(&self) -> (usize, usize) {
        let clusters = self.clusters.as_ref().map_or(0, address);
        (address(&self.set), clusters)
    }

    pub(crate) fn guards(&self) -> impl Iterator<Item = Guard> {
        let clusters = self.clusters.as_ref().map(guard);
        std::iter::once(guard(&self.set)).chain(clusters)
    }

    pub(crate) fn same(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

/// What a client has of a name.
#[derive(Debug, Clone)]
pub(crate) enum Has {
    /// Nothing, or what it has does not count.
    Nothing,
    /// This.
    Item(Item),
    /// Something of this version, as it has reported; of an unknown one after a rejected response that concerned it.
    Version(Option<Version>),
    /// This, or nothing, or what was in a response that it has rejected.
    Unsure(Option<Item>),
    /// This, or nothing, after a rejected response that removed it.
    Perhaps(Item),
}

impl Has {
    pub(crate) fn of(item: Option<Item>) -> Self {
        item.map_or(Self::Nothing, Self::Item)
    }

    /// The same, after a rejected response that concerned it.
    pub(crate) fn unsure(self) -> Self {
        match self {
            Self::Nothing => Self::Unsure(None),
            Self::Item(item) => Self::Unsure(Some(item)),
            Self::Version(_) => Self::Version(None),
            Self::Unsure(_) | Self::Perhaps(_) => self,
        }
    }

    /// The same, after a rejected response that removed it.
    pub(crate) fn perhaps(self) -> Self {
        match self {
            Self::Item(item) | Self::Unsure(Some(item)) => Self::Perhaps(item),
            other => other.unsure(),
        }
    }

    /// The version, if it is sure.
    pub(crate) fn version(&self) -> Option<Version> {
        match self {
            Self::Item(item) => Some(item.version),
            Self::Version(version) => *version,
            Self::Nothing | Self::Unsure(_) | Self::Perhaps(_) => None,
        }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Whether it is not sure to be something.
    pub(crate) fn may_be_nothing(&self) -> bool {
        matches!(self, Self::Nothing | Self::Unsure(None) | Self::Perhaps(_))
    }
}

/// A name of which a client has something else than the set says that stands for what it has.
#[derive(Debug, Clone)]
pub(crate) struct Exception {
    pub(crate) name: Name,
    pub(crate) has: Has,
}

/// The entry of this name in a sorted list.
pub(crate) fn find<'a>(exceptions: &'a [Exception], name: &str) -> Option<&'a Has> {
    let at = exceptions
        .binary_search_by(|e| e.name.as_str().cmp(name))
        .ok()?;
    exceptions.get(at).map(|e| &e.has)
}

/// The address of a shared value: its identity while somebody has it, or a [`Weak`] keeps the address from being used again.
pub(crate) fn address<T: ?Sized>(shared: &Arc<T>) -> usize {
    Arc::as_ptr(shared).cast::<()>() as usize
}
