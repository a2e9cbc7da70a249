//! Results that are remembered as long as what they were computed from is in use.

use std::any::Any;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

/// More results than this are not kept, whatever is in use.
const MOST: usize = 16_384;

/// Says whether something that a result was computed from is in use, and keeps its address from being used again.
pub(crate) type Guard = Weak<dyn Any + Send + Sync>;

/// A guard of `value`.
pub(crate) fn guard<T: Any + Send + Sync>(value: &Arc<T>) -> Guard {
    let weak: Weak<T> = Arc::downgrade(value);
    weak
}

/// Results by the addresses of what they were computed from.
pub(crate) struct Memo<K, V> {
    inner: Mutex<Inner<K, V>>,
}

struct Inner<K, V> {
    entries: HashMap<K, Entry<V>, foldhash::fast::RandomState>,
    sweep_at: usize,
}

struct Entry<V> {
    guards: Box<[Guard]>,
    value: Arc<OnceLock<V>>,
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                entries: HashMap::default(),
                sweep_at: 0,
            }),
        }
    }
}

impl<K: Eq + Hash, V: Clone> Memo<K, V> {
    /// The result for `key`, computed once however many ask at the same time. What is behind the addresses in `key` must be
    /// among the guards.
    pub(crate) fn get(
        &self,
        key: K,
        guards: impl FnOnce() -> Box<[Guard]>,
        compute: impl FnOnce() -> V,
    ) -> V {
        let cell = {
            let mut inner = self.inner.lock();
            if let Some(entry) = inner.entries.get(&key) {
                entry.value.clone()
            } else {
                inner.sweep();
                let value = Arc::new(OnceLock::new());
                let entry = Entry {
                    guards: guards(),
                    value: value.clone(),
                };
                inner.entries.insert(key, entry);
                value
            }
        };
        cell.get_or_init(compute).clone()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().entries.len()
    }
}

impl<K: Eq + Hash, V> Inner<K, V> {
    /// Drops results of what is not in use, often enough that few of them are kept: some are megabytes.
    fn sweep(&mut self) {
        if self.entries.len() < self.sweep_at {
            return;
        }
        self.entries
            .retain(|_, entry| entry.guards.iter().all(|guard| guard.strong_count() > 0));
        if self.entries.len() >= MOST {
            self.entries.clear();
        }
        self.sweep_at = self.entries.len() + self.entries.len() / 8 + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_live_as_long_as_what_they_are_of() {
        let memo = Memo::default();
        let kept = Arc::new(0_usize);
        let mut computed = 0;
        let mut get = |of: &Arc<usize>| {
            let key = Arc::as_ptr(of) as usize;
            memo.get(
                key,
                || Box::new([guard(of)]),
                || {
                    computed += 1;
                    **of
                },
            )
        };
        for i in 1..1_000 {
            assert_eq!(get(&Arc::new(i)), i);
            assert_eq!(get(&kept), 0);
        }
        assert_eq!(computed, 1_000);
        assert!(memo.len() < 4);
    }
}
