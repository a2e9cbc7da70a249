//! A layer: resources by name, immutable, sharing all but a few entries with the version before it.
//!
//! Entries are kept sorted in chunks. A new version copies the chunks that it changes and the list of chunks; comparing two
//! versions skips every chunk that both have. Both cost next to nothing where a layer of thousands changes by one.

use std::sync::Arc;

use crate::resource::{Name, Resource};

/// Chunks are split when they grow beyond this.
const CHUNK: usize = 64;

/// What a layer says of a name.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The name.
    pub name: Name,
    /// The resource; `None` takes away what an earlier layer has under this name.
    pub resource: Option<Arc<Resource>>,
}

impl Entry {
    fn same(&self, other: &Entry) -> bool {
        match (&self.resource, &other.resource) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a.version == b.version,
            _ => false,
        }
    }
}

/// What becomes of a name in the next version of a layer.
#[derive(Debug, Clone)]
pub enum Change {
    /// The layer has this resource.
    Put(Arc<Resource>),
    /// The layer takes away what earlier layers have.
    Hide,
    /// The layer says nothing about the name.
    Drop,
}

/// Resources by name: immutable, sharing all but a few entries with the version before it.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    chunks: Vec<Arc<[Entry]>>,
    len: usize,
}

impl Layer {
    /// A layer of these resources. Of several with one name the last stays.
    pub fn new(resources: impl IntoIterator<Item = Arc<Resource>>) -> Self {
        Self::default().with(
            resources
                .into_iter()
                .map(|r| (r.name.clone(), Change::Put(r))),
        )
    }

    /// How many names it says something about.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What it says about `name`.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        let at = self
            .chunks
            .partition_point(|chunk| chunk.last().is_some_and(|e| e.name.as_str() < name));
        let chunk = self.chunks.get(at)?;
        chunk
            .binary_search_by(|e| e.name.as_str().cmp(name))
            .ok()
            .and_then(|i| chunk.get(i))
    }

    /// All entries in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The next version. Of several changes of one name the last counts.
    #[must_use]
    pub fn with(&self, changes: impl IntoIterator<Item = (Name, Change)>) -> Self {
        let mut changes: Vec<_> = changes.into_iter().collect();
        if changes.is_empty() {
            return self.clone();
        }
        changes.sort_by(|a, b| a.0.cmp(&b.0));
        let mut changes = changes.into_iter().peekable();
        let mut chunks = Vec::with_capacity(self.chunks.len() + 1);
        for (i, chunk) in self.chunks.iter().enumerate() {
            // The last chunk also takes what lies beyond it.
            let last = i + 1 == self.chunks.len();
            let concerns = |name: &Name| last || chunk.last().is_some_and(|e| *name <= e.name);
            let mut mine = Vec::new();
            while let Some(change) = changes.next_if(|(name, _)| concerns(name)) {
                mine.push(change);
            }
            if mine.is_empty() {
                chunks.push(chunk.clone());
            } else {
                split(merge(chunk, mine), &mut chunks);
            }
        }
        split(merge(&[], changes), &mut chunks);
        let len = chunks.iter().map(|chunk| chunk.len()).sum();
        Self { chunks, len }
    }

    /// The names about which this layer and `other` say different things, sorted.
    pub fn changed<'a>(&'a self, other: &'a Layer) -> Vec<&'a Name> {
        let mine = self.chunks_not_in(other);
        let theirs = other.chunks_not_in(self);
        let mut mine = mine.iter().flat_map(|chunk| chunk.iter()).peekable();
        let mut theirs = theirs.iter().flat_map(|chunk| chunk.iter()).peekable();
        let mut names = Vec::new();
        loop {
            match (mine.peek(), theirs.peek()) {
                (Some(a), Some(b)) if a.name == b.name => {
                    if !a.same(b) {
                        names.push(&a.name);
                    }
                    mine.next();
                    theirs.next();
                }
                (Some(a), Some(b)) if a.name < b.name => {
                    names.push(&a.name);
                    mine.next();
                }
                (_, Some(b)) => {
                    names.push(&b.name);
                    theirs.next();
                }
                (Some(a), None) => {
                    names.push(&a.name);
                    mine.next();
                }
                (None, None) => return names,
            }
        }
    }

    /// Chunks are disjoint, so a name in a chunk that only one side has is in no chunk that both have.
    fn chunks_not_in<'a>(&'a self, other: &Layer) -> Vec<&'a Arc<[Entry]>> {
        let mut theirs: Vec<_> = other
            .chunks
            .iter()
            .map(|chunk| Arc::as_ptr(chunk).cast::<()>())
            .collect();
        theirs.sort_unstable();
        self.chunks
            .iter()
            .filter(|chunk| {
                theirs
                    .binary_search(&Arc::as_ptr(chunk).cast::<()>())
                    .is_err()
            })
            .collect()
    }
}

/// Applies sorted changes to sorted entries.
fn merge(entries: &[Entry], changes: impl IntoIterator<Item = (Name, Change)>) -> Vec<Entry> {
    let mut old = entries.iter().peekable();
    let mut merged: Vec<Entry> = Vec::with_capacity(entries.len() + 1);
    for (name, change) in changes {
        while let Some(entry) = old.next_if(|entry| entry.name < name) {
            merged.push(entry.clone());
        }
        old.next_if(|entry| entry.name == name);
        if merged.last().is_some_and(|entry| entry.name == name) {
            merged.pop();
        }
        match change {
            Change::Put(resource) => merged.push(Entry {
                name,
                resource: Some(resource),
            }),
            Change::Hide => merged.push(Entry {
                name,
                resource: None,
            }),
            Change::Drop => {}
        }
    }
    merged.extend(old.cloned());
    merged
}

fn split(entries: Vec<Entry>, chunks: &mut Vec<Arc<[Entry]>>) {
    if entries.len() <= CHUNK {
        if !entries.is_empty() {
            chunks.push(entries.into());
        }
        return;
    }
    // Half full, so that growing by one does not split again at once.
    chunks.extend(entries.chunks(CHUNK / 2).map(Arc::from));
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::resource::{Uses, Version};

    pub(crate) fn resource(name: &str, version: u64) -> Arc<Resource> {
        Arc::new(Resource {
            name: name.into(),
            version: Version(version),
            body: Bytes::new(),
            uses: Uses::default(),
            causes: Arc::new([]),
        })
    }

    fn contents(layer: &Layer) -> BTreeMap<String, Option<u64>> {
        layer
            .iter()
            .map(|e| (e.name.to_string(), e.resource.as_ref().map(|r| r.version.0)))
            .collect()
    }

    proptest! {
        #[test]
        fn a_layer_behaves_like_a_map(rounds in prop::collection::vec(prop::collection::vec((0u16..300, 0u8..5), 0..120), 1..8)) {
            let mut layer = Layer::default();
            let mut model = BTreeMap::new();
            for round in rounds {
                let before = (layer.clone(), model.clone());
                let changes = round.into_iter().map(|(name, what)| {
                    let name = format!("{name:03}");
                    let change = match what {
                        0 => { model.remove(&name); Change::Drop }
                        1 => { model.insert(name.clone(), None); Change::Hide }
                        n => { model.insert(name.clone(), Some(u64::from(n))); Change::Put(resource(&name, n.into())) }
                    };
                    (Name::from(name), change)
                });
                layer = layer.with(changes.collect::<Vec<_>>());
                prop_assert_eq!(contents(&layer), model.clone());
                prop_assert_eq!(layer.len(), model.len());
                prop_assert!(layer.chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK));
                for i in 0..300 {
                    let name = format!("{i:03}");
                    prop_assert_eq!(layer.get(&name).map(|e| e.resource.as_ref().map(|r| r.version.0)), model.get(&name).copied());
                }
                let names: Vec<_> = before.0.changed(&layer).into_iter().map(ToString::to_string).collect();
                let mut expected: Vec<_> = before.1.keys().chain(model.keys()).filter(|k| before.1.get(*k) != model.get(*k)).cloned().collect();
                expected.sort();
                expected.dedup();
                prop_assert_eq!(names, expected);
            }
        }
    }

    #[test]
    fn a_small_change_shares_all_other_chunks() {
        let layer = Layer::new((0..10_000).map(|i| resource(&format!("{i:05}"), 1)));
        let next = layer.with([("05000".into(), Change::Put(resource("05000", 2)))]);
        assert_eq!(next.chunks_not_in(&layer).len(), 1);
        assert_eq!(layer.changed(&next), [&Name::from("05000")]);
    }
}
