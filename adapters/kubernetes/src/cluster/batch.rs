//! What is told to the store in one transaction: everything that was ready at once, in the order in which it came.

use std::collections::BTreeSet;

use pilothouse_core::registry::{Closed, ObjectKey, Origin, Problem, SetId, Tx, Updates};

use super::convert::{Converted, Means};
use super::follower::Cause;
use crate::status::{Entry, Known};

/// See the [module](self).
pub(super) struct Batch<'a> {
    updates: &'a Updates,
    known: &'a Known,
    tx: Option<Tx>,
    /// The sets that it speaks of.
    sets: BTreeSet<SetId>,
    /// The objects that it removes.
    deleted: BTreeSet<(SetId, ObjectKey)>,
    /// What is known to the server of objects, told when the store has taken them.
    then: Vec<Seen>,
}

/// What the server has of objects whose status is ours.
enum Seen {
    All(String, Vec<(ObjectKey, Entry)>),
    One(ObjectKey, Entry),
    Gone(ObjectKey),
}

impl<'a> Batch<'a> {
    pub(super) fn new(updates: &'a Updates, known: &'a Known) -> Self {
        Self {
            updates,
            known,
            tx: None,
            sets: BTreeSet::new(),
            deleted: BTreeSet::new(),
            then: Vec::new(),
        }
    }

    /// These are all objects of `set`, which are of this kind.
    pub(super) async fn list(
        &mut self,
        set: &SetId,
        kind: &str,
        all: Vec<Converted>,
    ) -> Result<(), Closed> {
        // What was refused earlier in a transaction would outlive the list in it.
        if self.sets.contains(set) {
            self.commit().await?;
        }
        let (mut objects, mut entries) = (Vec::with_capacity(all.len()), Vec::new());
        let tx = self.tx(set);
        let mut said = Vec::new();
        for Converted { key, means, entry } in all {
            entries.extend(entry.map(|entry| (key.clone(), entry)));
            match means {
                Means::Good(object, warnings) => {
                    if !warnings.is_empty() {
                        said.push((key, object.origin.clone(), warnings));
                    }
                    objects.push(object);
                }
                Means::Bad(origin, problems) => said.push((key, origin, problems)),
                Means::Nothing => {}
            }
        }
        tx.replace(set.clone(), objects);
        for (key, origin, problems) in said {
            tx.reject(set, Some(key), origin, problems);
        }
        self.then.push(Seen::All(kind.to_owned(), entries));
        Ok(())
    }

    /// An object of `set` is new, or changed.
    pub(super) async fn put(&mut self, set: &SetId, one: Converted) -> Result<(), Closed> {
        let Converted { key, means, entry } = one;
        match means {
            Means::Good(object, warnings) => {
                self.deleted.remove(&(set.clone(), key.clone()));
                let origin = object.origin.clone();
                let tx = self.tx(set);
                tx.put(set, object);
                if !warnings.is_empty() {
                    tx.reject(set, Some(key.clone()), origin, warnings);
                }
            }
            Means::Bad(origin, problems) => {
                // It is another one than that which was deleted: that one's last good version is not its own.
                if self.deleted.contains(&(set.clone(), key.clone())) {
                    self.commit().await?;
                }
                self.tx(set)
                    .reject(set, Some(key.clone()), origin, problems);
            }
            Means::Nothing => self.delete(set, key.clone()),
        }
        self.then.extend(entry.map(|entry| Seen::One(key, entry)));
        Ok(())
    }

    /// An object of `set` is gone.
    pub(super) fn delete(&mut self, set: &SetId, key: ObjectKey) {
        self.tx(set).delete(set, &key);
        self.then.push(Seen::Gone(key.clone()));
        self.deleted.insert((set.clone(), key));
    }

    /// There is an object of `set` of which not even the name can be read.
    pub(super) fn unreadable(&mut self, set: &SetId, origin: Origin, why: &Cause) {
        let problem = Problem::error("", chain(&**why));
        self.tx(set).reject(set, None, origin, vec![problem]);
    }

    /// What is said of `set` is true again, and has not changed.
    pub(super) fn recovered(&mut self, set: &SetId, kind: &str) {
        // A transaction that speaks of a set ends its failure; no object has an empty name.
        let nothing = ObjectKey {
            kind: pilothouse_core::registry::Kind::new(kind),
            namespace: "".into(),
            name: "".into(),
        };
        self.tx(set).delete(set, &nothing);
    }

    /// `set` cannot be read.
    pub(super) async fn failing(&mut self, set: &SetId, why: &Cause) -> Result<(), Closed> {
        self.commit().await?;
        self.updates.failing(Some(set), &**why);
        Ok(())
    }

    /// Tells the store what there is to tell.
    pub(super) async fn commit(&mut self) -> Result<(), Closed> {
        let Some(tx) = self.tx.take() else {
            return Ok(());
        };
        tx.commit().await?;
        self.sets.clear();
        self.deleted.clear();
        for seen in self.then.drain(..) {
            match seen {
                Seen::All(kind, all) => self.known.listed(&kind, all),
                Seen::One(key, entry) => self.known.applied(key, entry),
                Seen::Gone(key) => self.known.deleted(&key),
            }
        }
        Ok(())
    }

    fn tx(&mut self, set: &SetId) -> &mut Tx {
        if !self.sets.contains(set) {
            self.sets.insert(set.clone());
        }
        self.tx.get_or_insert_with(|| self.updates.begin())
    }
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
