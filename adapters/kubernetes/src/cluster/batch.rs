//! What is told to the store in one transaction: everything that was ready at once, in the order in which it came.

use std::collections::BTreeSet;

use pilothouse_core::model::NamespaceName;
use pilothouse_core::registry::{Closed, ObjectKey, Origin, Problem, SetId, Tx, Updates};

use super::convert::{Converted, Means};
use super::followed::Followed;
use super::follower::Cause;
use crate::kinds::Kind;
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
    All(Kind, Option<NamespaceName>, Vec<(ObjectKey, Entry)>),
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

    /// These are all objects of a set.
    pub(super) async fn list(&mut self, one: &Followed, all: Vec<Converted>) -> Result<(), Closed> {
        let set = &one.set;
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
        if one.kind.has_our_status() {
            let namespace = one.namespace.clone();
            self.then.push(Seen::All(one.kind, namespace, entries));
        }
        Ok(())
    }

    /// An object is new, or changed.
    pub(super) async fn put(&mut self, of: &Followed, one: Converted) -> Result<(), Closed> {
        let set = &of.set;
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
            Means::Nothing => self.delete(of, key.clone()),
        }
        self.then.extend(entry.map(|entry| Seen::One(key, entry)));
        Ok(())
    }

    /// An object is gone.
    pub(super) fn delete(&mut self, of: &Followed, key: ObjectKey) {
        self.tx(&of.set).delete(&of.set, &key);
        if of.kind.has_our_status() {
            self.then.push(Seen::Gone(key.clone()));
        }
        self.deleted.insert((of.set.clone(), key));
    }

    /// There is an object of which not even the name can be read.
    pub(super) fn unreadable(&mut self, of: &Followed, origin: Origin, why: &Cause) {
        let problem = Problem::error("", chain(&**why));
        let set = &of.set;
        self.tx(set).reject(set, None, origin, vec![problem]);
    }

    /// What is known of a set is true again, and has not changed.
    pub(super) fn recovered(&mut self, of: &Followed) {
        self.tx(&of.set).readable(&of.set);
    }

    /// A set cannot be read.
    pub(super) async fn failing(&mut self, of: &Followed, why: &Cause) -> Result<(), Closed> {
        self.commit().await?;
        self.updates.failing(Some(&of.set), &**why);
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
                Seen::All(kind, namespace, all) => {
                    self.known.listed(kind.name, namespace.as_ref(), all);
                }
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
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
