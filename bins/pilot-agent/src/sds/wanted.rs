//! Which secrets anybody asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Names that are asked for at a time. Discovery's configuration has one for each certificate.
const LIMIT: usize = 1024;

/// The names that streams ask for, with how many do.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    names: Mutex<BTreeMap<String, usize>>,
    changed: Notify,
}

impl Wanted {
    /// All names.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.names.lock().keys().cloned().collect()
    }

    /// Waits until there may be others.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// What one stream asks for; forgotten when this is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    wanted: Arc<Wanted>,
    names: BTreeSet<String>,
}

impl Lease {
    pub(super) fn new(wanted: Arc<Wanted>) -> Self {
        Self {
            wanted,
            names: BTreeSet::new(),
        }
    }

    /// Asks for these, and for nothing else.
    pub(super) fn renew<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        let asked: BTreeSet<&str> = names.into_iter().collect();
        let mut all = self.wanted.names.lock();
        let former = std::mem::take(&mut self.names);
        for name in &former {
            if !asked.contains(name.as_str()) {
                give_up(&mut all, name);
            }
        }
        let mut more = false;
        for name in asked {
            if !former.contains(name) {
                if all.len() >= LIMIT && !all.contains_key(name) {
                    tracing::warn!(target: "sds", name, "more than {LIMIT} secrets are asked for; this one is not served");
                    continue;
                }
                *all.entry(name.to_owned()).or_default() += 1;
                more = true;
            }
            self.names.insert(name.to_owned());
        }
        drop(all);
        if more {
            self.wanted.changed.notify_one();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut all = self.wanted.names.lock();
        for name in &self.names {
            give_up(&mut all, name);
        }
    }
}

fn give_up(all: &mut BTreeMap<String, usize>, name: &str) {
    if let Some(count) = all.get_mut(name) {
        *count -= 1;
        if *count == 0 {
            all.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_wanted_as_long_as_anybody_asks() {
        let wanted = Arc::new(Wanted::default());
        let check = |expected: &[&str]| {
            let names = wanted.names();
            assert_eq!(
                names.iter().map(String::as_str).collect::<Vec<_>>(),
                expected
            );
        };
        let (mut one, mut two) = (
            Lease::new(Arc::clone(&wanted)),
            Lease::new(Arc::clone(&wanted)),
        );
        one.renew(["a", "b"]);
        two.renew(["b", "c"]);
        check(&["a", "b", "c"]);
        one.renew(["a"]);
        check(&["a", "b", "c"]);
        two.renew([]);
        check(&["a"]);
        drop(one);
        check(&[]);
        let names: Vec<_> = (0..LIMIT + 5).map(|n| format!("n{n:05}")).collect();
        two.renew(names.iter().map(String::as_str));
        assert_eq!(wanted.names().len(), LIMIT);
        drop(two);
        check(&[]);
    }
}
