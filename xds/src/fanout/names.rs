//! Sets of names, sorted and interned: streams that ask for the same share one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use xxhash_rust::xxh3::Xxh3;

use super::content::address;
use super::memo::{Guard, guard};
use crate::resource::Name;

/// Results of adding to and removing from a set that are remembered.
const STEPS: usize = 32;

/// Sorted names, each once. Two that are interned by one `NameSets` are equal if they are the same pointer.
#[derive(Default, PartialEq, Eq)]
pub struct NameSet {
    names: Box<[Name]>,
}

impl NameSet {
    /// How many names.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether `name` is among them.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The name with this text.
    pub fn get(&self, name: &str) -> Option<&Name> {
        let at = self.names.binary_search_by(|n| n.as_str().cmp(name)).ok()?;
        self.names.get(at)
    }

    /// The names in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Name> {
        self.names.iter()
    }
}

impl fmt::Debug for NameSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// What a stream asks for of one type.
#[derive(Debug, Clone, Default)]
pub enum Interest {
    /// Nothing.
    #[default]
    None,
    /// Everything.
    Wildcard,
    /// These.
    Names(Arc<NameSet>),
}

impl Interest {
    /// Whether `name` is asked for.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::Wildcard => true,
            Self::Names(names) => names.contains(name),
        }
    }

    /// Whether everything is asked for.
    pub fn is_wildcard(&self) -> bool {
        matches!(self, Self::Wildcard)
    }

    /// What identifies it as long as its [guard](Self::guard) is alive.
    pub(crate) fn address(&self) -> usize {
        match self {
            Self::None => 0,
            // No value has this address.
            Self::Wildcard => 1,
            Self::Names(names) => address(names),
        }
    }

    pub(crate) fn guard(&self) -> Option<Guard> {
        match self {
            Self::None | Self::Wildcard => None,
            Self::Names(names) => Some(guard(names)),
        }
    }
}

/// The sets that are in use.
#[derive(Default)]
pub(crate) struct NameSets {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    sets: HashMap<u64, Vec<Weak<NameSet>>, foldhash::fast::RandomState>,
    /// Sweep what is not in use when this many hashes are known.
    sweep_at: usize,
    /// The latest steps, so that a thousand streams that make the same one compute it once.
    steps: Vec<Step>,
    oldest_step: usize,
}

/// `from` with `added` and without `removed` is `to`.
struct Step {
    from: Weak<NameSet>,
    added: Arc<NameSet>,
    removed: Arc<NameSet>,
    to: Weak<NameSet>,
}

impl NameSets {
    /// The set of these names, in any order and with repetitions.
    pub(crate) fn intern(&self, mut names: Vec<&str>) -> Arc<NameSet> {
        if !names.is_sorted() {
            names.sort_unstable();
        }
        names.dedup();
        self.find_or_make(&names, |name| Name::from(name))
    }

    /// `old` with `added` and without `removed`.
    pub(crate) fn step(
        &self,
        old: &Arc<NameSet>,
        added: &Arc<NameSet>,
        removed: &Arc<NameSet>,
    ) -> Arc<NameSet> {
        if let Some(known) = self.known_step(old, added, removed) {
            return known;
        }
        let kept = old.iter().filter(|n| !removed.contains(n.as_str()));
        let mut names: Vec<&str> = kept.chain(added.iter()).map(Name::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let make = |name: &str| {
            let known = old.get(name).or_else(|| added.get(name));
            known.cloned().unwrap_or_else(|| Name::from(name))
        };
        let to = self.find_or_make(&names, make);
        self.inner.lock().remember(Step {
            from: Arc::downgrade(old),
            added: added.clone(),
            removed: removed.clone(),
            to: Arc::downgrade(&to),
        });
        to
    }

    fn known_step(
        &self,
        old: &Arc<NameSet>,
        added: &Arc<NameSet>,
        removed: &Arc<NameSet>,
    ) -> Option<Arc<NameSet>> {
        let inner = self.inner.lock();
        let step = inner.steps.iter().find(|step| {
            std::ptr::eq(step.from.as_ptr(), Arc::as_ptr(old))
                && Arc::ptr_eq(&step.added, added)
                && Arc::ptr_eq(&step.removed, removed)
        })?;
        step.to.upgrade()
    }

    fn find_or_make(&self, sorted: &[&str], make: impl Fn(&str) -> Name) -> Arc<NameSet> {
        let hash = hash(sorted);
        let mut inner = self.inner.lock();
        if let Some(known) = inner.find(hash, sorted) {
            return known;
        }
        let names = sorted.iter().map(|name| make(name)).collect();
        let set = Arc::new(NameSet { names });
        inner.insert(hash, &set);
        set
    }
}

impl Inner {
    fn find(&self, hash: u64, sorted: &[&str]) -> Option<Arc<NameSet>> {
        let same = |set: &Arc<NameSet>| {
            set.len() == sorted.len() && set.iter().zip(sorted).all(|(a, b)| a.as_str() == *b)
        };
        self.sets
            .get(&hash)?
            .iter()
            .filter_map(Weak::upgrade)
            .find(same)
    }

    fn insert(&mut self, hash: u64, set: &Arc<NameSet>) {
        if self.sets.len() >= self.sweep_at {
            self.sets.retain(|_, sets| {
                sets.retain(|set| set.strong_count() > 0);
                !sets.is_empty()
            });
            self.sweep_at = (self.sets.len() * 2).max(64);
        }
        self.sets.entry(hash).or_default().push(Arc::downgrade(set));
    }

    fn remember(&mut self, step: Step) {
        if let Some(slot) = self.steps.get_mut(self.oldest_step) {
            *slot = step;
        } else {
            self.steps.push(step);
        }
        self.oldest_step = (self.oldest_step + 1) % STEPS;
    }
}

fn hash(sorted: &[&str]) -> u64 {
    let mut hasher = Xxh3::new();
    for name in sorted {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
    }
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_are_one_and_die_with_their_users() {
        let sets = NameSets::default();
        let one = sets.intern(vec!["b", "a", "b"]);
        assert_eq!(format!("{one:?}"), r#"{"a", "b"}"#);
        assert!(Arc::ptr_eq(&one, &sets.intern(vec!["a", "b"])));
        assert!(!Arc::ptr_eq(&one, &sets.intern(vec!["ab"])));
        for i in 0..1_000 {
            sets.intern(vec![&format!("{i}")]);
        }
        assert!(sets.inner.lock().sets.len() < 200);
        assert!(Arc::ptr_eq(&one, &sets.intern(vec!["a", "b"])));
    }

    #[test]
    fn a_step_is_computed_once_and_equals_the_interned_result() {
        let sets = NameSets::default();
        let old = sets.intern(vec!["a", "b", "c"]);
        let (added, removed) = (sets.intern(vec!["c", "d"]), sets.intern(vec!["a", "x"]));
        let to = sets.step(&old, &added, &removed);
        assert_eq!(format!("{to:?}"), r#"{"b", "c", "d"}"#);
        assert!(Arc::ptr_eq(&to, &sets.intern(vec!["d", "c", "b"])));
        assert!(Arc::ptr_eq(&to, &sets.step(&old, &added, &removed)));
        assert_eq!(sets.inner.lock().steps.len(), 1);
        for i in 0..100 {
            sets.step(&old, &sets.intern(vec![&format!("{i}")]), &removed);
        }
        assert_eq!(sets.inner.lock().steps.len(), STEPS);
        assert!(Arc::ptr_eq(&to, &sets.step(&old, &added, &removed)));
    }
}
