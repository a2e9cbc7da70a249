//! The caches that all streams of a process share. What is in them is computed once, whatever the number of streams, and
//! dropped when the sets that it was computed from are not in use.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::content::{Content, Item, address};
use super::diff::{self, Diff, Fresh, Split};
use super::layer::Layer;
use super::memo::{Guard, Memo, guard};
use super::names::{Interest, NameSet, NameSets};
use super::payload::Payload;
use super::segment::{Segment, Wrap, identity};
use super::set::Set;
use crate::resource::{Name, ResourceType};

/// What streams share: interned names, differences of sets, encoded payloads.
pub struct Fanout {
    names: NameSets,
    diffs: Memo<DiffKey, Arc<Diff>>,
    layers: Memo<(usize, usize, usize), Arc<Segment>>,
    splits: Memo<Vec<usize>, Arc<Split>>,
    absent: Memo<(usize, usize, usize), Arc<[Name]>>,
    coverage: Memo<(usize, usize, usize), Coverage>,
    segments: Mutex<Segments>,
    streams: AtomicU64,
    counters: Counters,
}

type DiffKey = ((usize, usize), (usize, usize), usize);

/// Segments by what is in them, so that streams that come to the same by different ways share them, too.
#[derive(Default)]
struct Segments {
    known: HashMap<u128, Weak<Segment>, foldhash::fast::RandomState>,
    sweep_at: usize,
}

#[derive(Default)]
struct Counters {
    diffs: AtomicU64,
    payloads: AtomicU64,
    resources: AtomicU64,
    bytes: AtomicU64,
}

/// How much work has been done, for metrics and for tests that it is done once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Differences of two contents computed.
    pub diffs: u64,
    /// Payloads encoded.
    pub payloads: u64,
    /// Resources in them.
    pub resources: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// Those of new clusters that have a load assignment.
#[derive(Debug, Clone)]
pub(crate) struct Coverage {
    /// It is asked for.
    pub(crate) asked: Arc<Fresh>,
    /// It is not.
    pub(crate) unasked: Arc<Fresh>,
}

impl Default for Fanout {
    fn default() -> Self {
        Self {
            names: NameSets::default(),
            diffs: Memo::default(),
            layers: Memo::default(),
            splits: Memo::default(),
            absent: Memo::default(),
            coverage: Memo::default(),
            segments: Mutex::default(),
            // Not from zero, so that nonces of another process are not taken for those of this one.
            streams: AtomicU64::new(foldhash::fast::RandomState::default().hash_one(())),
            counters: Counters::default(),
        }
    }
}

impl Fanout {
    /// The set of these names, in any order and with repetitions.
    pub fn names(&self, names: Vec<&str>) -> Arc<NameSet> {
        self.names.intern(names)
    }

    /// How much work has been done.
    pub fn work(&self) -> Work {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Work {
            diffs: get(&self.counters.diffs),
            payloads: get(&self.counters.payloads),
            resources: get(&self.counters.resources),
            bytes: get(&self.counters.bytes),
        }
    }

    /// A number that no other stream of this process has.
    pub(crate) fn next_stream(&self) -> u64 {
        self.streams.fetch_add(1, Ordering::Relaxed)
    }

    /// `old` with `added` and without `removed`.
    pub(crate) fn step(
        &self,
        old: &Arc<NameSet>,
        added: &Arc<NameSet>,
        removed: &Arc<NameSet>,
    ) -> Arc<NameSet> {
        self.names.step(old, added, removed)
    }

    /// What leads from one content (or nothing) to another for those who ask for this.
    pub(crate) fn diff(
        &self,
        from: Option<&Content>,
        to: &Content,
        interest: &Interest,
    ) -> Arc<Diff> {
        let key = (
            from.map_or((0, 0), Content::key),
            to.key(),
            interest.address(),
        );
        let guards = || {
            let contents = from.into_iter().chain([to]).flat_map(Content::guards);
            contents.chain(interest.guard()).collect()
        };
        self.diffs.get(key, guards, || {
            self.counters.diffs.fetch_add(1, Ordering::Relaxed);
            let make = |items| self.segment(to.resource_type, items);
            let diff = match from {
                None => {
                    let of_layer = |layer: &_| self.layer(layer, to, interest);
                    Diff::everything(to, interest, of_layer, make)
                }
                Some(from) => Diff::between(from, to, interest, make),
            };
            Arc::new(diff)
        })
    }

    /// The upserts of a difference from `from`, parted by whether they use `unready` clusters.
    pub(crate) fn split(
        &self,
        diff: &Arc<Diff>,
        from: Option<&Content>,
        resource_type: ResourceType,
        unready: &[Arc<Fresh>],
    ) -> Arc<Split> {
        let key = std::iter::once(address(diff))
            .chain(unready.iter().map(address))
            .collect();
        let guards = || {
            std::iter::once(guard(diff))
                .chain(unready.iter().map(guard))
                .collect()
        };
        self.splits.get(key, guards, || {
            Arc::new(diff.split(from, unready, |items| self.segment(resource_type, items)))
        })
    }

    /// Which of the names this content does not have.
    pub(crate) fn absent(&self, content: &Content, names: &Arc<NameSet>) -> Arc<[Name]> {
        let (set, clusters) = content.key();
        let guards = || content.guards().chain([guard(names)]).collect();
        self.absent
            .get((set, clusters, address(names)), guards, || {
                let missing = names.iter().filter(|n| content.get(n.as_str()).is_none());
                missing.cloned().collect()
            })
    }

    /// Which of the new clusters have a load assignment that is asked for, or not.
    pub(crate) fn coverage(
        &self,
        fresh: &Arc<Fresh>,
        assignments: &Arc<Set>,
        interest: &Interest,
    ) -> Coverage {
        let key = (address(fresh), address(assignments), interest.address());
        let guards = || {
            let both: [Guard; 2] = [guard(fresh), guard(assignments)];
            both.into_iter().chain(interest.guard()).collect()
        };
        self.coverage.get(key, guards, || {
            let assigned = fresh
                .iter()
                .filter(|name| assignments.get(name.as_str()).is_some());
            let (mut asked, mut unasked): (Vec<Name>, Vec<Name>) = assigned
                .cloned()
                .partition(|name| interest.contains(name.as_str()));
            asked.sort_unstable();
            unasked.sort_unstable();
            Coverage {
                asked: Arc::new(Fresh::new(asked)),
                unasked: Arc::new(Fresh::new(unasked)),
            }
        })
    }

    /// A segment of these items, which must be sorted.
    pub(crate) fn segment(&self, resource_type: ResourceType, items: Vec<Item>) -> Arc<Segment> {
        let identity = identity(resource_type, &items);
        let mut segments = self.segments.lock();
        if let Some(known) = segments.known.get(&identity).and_then(Weak::upgrade) {
            return known;
        }
        if segments.known.len() >= segments.sweep_at {
            segments.known.retain(|_, s| s.strong_count() > 0);
            segments.sweep_at = (segments.known.len() * 2).max(64);
        }
        let segment = Arc::new(Segment::new(items));
        segments.known.insert(identity, Arc::downgrade(&segment));
        segment
    }

    /// The encoding of segments, in their order.
    pub(crate) fn payload(&self, segments: &[Arc<Segment>], wrap: Wrap) -> Payload {
        let mut payload = Payload::default();
        for segment in segments {
            let blocks = segment.encoded(wrap, |bytes| {
                let count = |counter: &AtomicU64, n: usize| {
                    counter.fetch_add(n as u64, Ordering::Relaxed);
                };
                count(&self.counters.payloads, 1);
                count(&self.counters.resources, segment.items().len());
                count(&self.counters.bytes, bytes);
            });
            payload.push(blocks);
        }
        payload
    }

    fn layer(&self, layer: &Arc<Layer>, content: &Content, interest: &Interest) -> Arc<Segment> {
        let clusters = content.clusters.as_ref();
        let key = (
            address(layer),
            clusters.map_or(0, address),
            interest.address(),
        );
        let guards = || {
            let both = std::iter::once(guard(layer)).chain(clusters.map(guard));
            both.chain(interest.guard()).collect()
        };
        self.layers.get(key, guards, || {
            let items = diff::of_layer(layer, content, interest);
            self.segment(content.resource_type, items)
        })
    }
}
