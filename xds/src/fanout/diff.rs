//! The difference of two contents for those who ask for the same: what to send, what to take away, what is new.

use std::sync::Arc;

use super::content::{Content, Exception, Has, Item};
use super::layer::{Entry, Layer};
use super::names::Interest;
use super::segment::Segment;
use super::set::Set;
use crate::resource::Name;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Diff {
    /// What is new or different, in disjoint segments.
    pub(crate) upserts: Vec<Arc<Segment>>,
    /// What is gone, with what it was; sorted.
    pub(crate) removed: Arc<[Exception]>,
    /// Which of the upserts are new.
    pub(crate) fresh: Arc<Fresh>,
}

/// Names that a client does not have before a response.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    segments: Vec<Arc<Segment>>,
    names: Box<[Name]>,
}

impl Fresh {
    /// Of sorted names.
    pub(crate) fn new(names: Vec<Name>) -> Self {
        Self {
            segments: Vec::new(),
            names: names.into(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.iter().all(|s| s.items().is_empty()) && self.names.is_empty()
    }

    pub(crate) fn contains(&self, name: &Name) -> bool {
        self.names.binary_search(name).is_ok()
            || self.segments.iter().any(|s| s.get(name.as_str()).is_some())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Name> {
        let items = self.segments.iter().flat_map(|s| s.items());
        items.map(Item::name).chain(self.names.iter())
    }

    /// Whether a resource uses a cluster that one of these has.
    pub(crate) fn meets(unready: &[Arc<Fresh>], item: &Item) -> bool {
        let clusters = &item.resource.uses.clusters;
        unready
            .iter()
            .any(|fresh| clusters.iter().any(|name| fresh.contains(name)))
    }
}

/// Upserts that may be sent, and those that wait for clusters.
#[derive(Debug)]
pub(crate) struct Split {
    pub(crate) free: Vec<Arc<Segment>>,
    /// What the client keeps until then.
    pub(crate) withheld: Arc<[Exception]>,
}

impl Diff {
    /// Everything of `to`, of which the client has nothing. `of_layer` makes the segment of a layer.
    pub(super) fn everything(
        to: &Content,
        interest: &Interest,
        of_layer: impl Fn(&Arc<Layer>) -> Arc<Segment>,
        make: impl FnOnce(Vec<Item>) -> Arc<Segment>,
    ) -> Self {
        let upserts: Vec<_> = if disjoint(&to.set) {
            to.set.layers().iter().map(of_layer).collect()
        } else {
            let wanted = to.set.iter().map(|resource| resource.name.as_str());
            let wanted = wanted.filter(|name| interest.contains(name));
            vec![make(wanted.filter_map(|name| to.get(name)).collect())]
        };
        let upserts: Vec<_> = upserts
            .into_iter()
            .filter(|s| !s.items().is_empty())
            .collect();
        let fresh = Fresh {
            segments: upserts.clone(),
            names: Box::default(),
        };
        Self {
            upserts,
            removed: Arc::default(),
            fresh: Arc::new(fresh),
        }
    }

    /// What leads from one content to the other.
    pub(super) fn between(
        from: &Content,
        to: &Content,
        interest: &Interest,
        make: impl FnOnce(Vec<Item>) -> Arc<Segment>,
    ) -> Self {
        let mut names = from.set.changed(&to.set);
        if let (Some(from), Some(to)) = (&from.clusters, &to.clusters)
            && !Arc::ptr_eq(from, to)
        {
            names.extend(from.changed(to));
            names.sort_unstable();
            names.dedup();
        }
        let (mut items, mut removed, mut fresh) = (Vec::new(), Vec::new(), Vec::new());
        for name in names.into_iter().filter(|n| interest.contains(n.as_str())) {
            match (from.get(name.as_str()), to.get(name.as_str())) {
                (Some(old), Some(new)) if old.version == new.version => {}
                (Some(_), Some(new)) => items.push(new),
                (None, Some(new)) => {
                    fresh.push(name.clone());
                    items.push(new);
                }
                (Some(old), None) => removed.push(Exception {
                    name: name.clone(),
                    has: Has::Item(old),
                }),
                (None, None) => {}
            }
        }
        Self {
            upserts: if items.is_empty() {
                Vec::new()
            } else {
                vec![make(items)]
            },
            removed: removed.into(),
            fresh: Arc::new(Fresh::new(fresh)),
        }
    }

    /// The upserts, sorted within each segment.
    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.upserts.iter().flat_map(|s| s.items())
    }

    /// Parts what waits for `unready` clusters from what does not.
    pub(super) fn split(
        &self,
        from: Option<&Content>,
        unready: &[Arc<Fresh>],
        make: impl Fn(Vec<Item>) -> Arc<Segment>,
    ) -> Split {
        let (mut free, mut withheld) = (Vec::new(), Vec::new());
        for segment in &self.upserts {
            let (waits, goes): (Vec<&Item>, Vec<&Item>) = segment
                .items()
                .iter()
                .partition(|item| Fresh::meets(unready, item));
            withheld.extend(waits.iter().map(|item| Exception {
                name: item.name().clone(),
                has: Has::of(from.and_then(|from| from.get(item.name().as_str()))),
            }));
            if waits.is_empty() {
                free.push(segment.clone());
            } else if !goes.is_empty() {
                free.push(make(goes.into_iter().cloned().collect()));
            }
        }
        withheld.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Split {
            free,
            withheld: withheld.into(),
        }
    }
}

/// The items of a layer that is not covered by others.
pub(super) fn of_layer(layer: &Layer, content: &Content, interest: &Interest) -> Vec<Item> {
    let item = |entry: &Entry| {
        let resource = entry.resource.as_ref()?;
        match &content.clusters {
            None => Some(Item {
                resource: resource.clone(),
                version: resource.version,
            }),
            Some(_) => content.get(entry.name.as_str()),
        }
    };
    match interest {
        Interest::None => Vec::new(),
        Interest::Wildcard => layer.iter().filter_map(item).collect(),
        Interest::Names(names) => names
            .iter()
            .filter_map(|name| item(layer.get(name.as_str())?))
            .collect(),
    }
}

/// Whether no layer says anything about a name of which an earlier one does.
fn disjoint(set: &Set) -> bool {
    let layers = set.layers();
    (1..layers.len()).all(|i| {
        let (earlier, rest) = layers.split_at(i);
        rest.first().is_none_or(|layer| {
            layer
                .iter()
                .all(|entry| earlier.iter().all(|e| e.get(entry.name.as_str()).is_none()))
        })
    })
}
