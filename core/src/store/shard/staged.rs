//! A transaction as what it says about each set, whatever the order of its operations.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::sync::Arc;

use super::Rejection;
use crate::registry::{
    Meta, Object, ObjectKey, Op, Origin, Problem, SetId, Transaction, Value, is_fatal,
};
use crate::rules::{self, RuleCheck, RuleSpec};

/// What a transaction says about one set.
#[derive(Debug, Default)]
pub(super) struct Staged {
    /// The set is stated as a whole.
    pub(super) replaced: bool,
    pub(super) entries: BTreeMap<ObjectKey, Entry>,
    /// What stands where not even a name can be read.
    pub(super) unreadable: Vec<Rejection>,
    /// What the adapter has to say about versions that are good.
    pub(super) noted: BTreeMap<ObjectKey, Vec<Problem>>,
}

/// What a transaction says about one object.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Its version; `None`: this transaction brings none.
    pub(super) good: Option<Good>,
    /// A version that cannot be used.
    pub(super) rejected: Option<Rejection>,
    pub(super) deleted: bool,
}

#[derive(Debug)]
pub(super) struct Good {
    pub(super) object: Arc<Object>,
    pub(super) warnings: Vec<Problem>,
    /// Where the same object is stated a second time.
    pub(super) again: Option<Origin>,
}

/// `checks` are those beyond core's own.
pub(super) fn stage(transaction: Transaction, checks: &[RuleCheck]) -> BTreeMap<SetId, Staged> {
    let mut sets: BTreeMap<SetId, Staged> = BTreeMap::new();
    for op in transaction.ops {
        match op {
            Op::Replace(set, all) => {
                let staged = sets.entry(set).or_default();
                staged.replaced = true;
                staged.entries.retain(|_, entry| {
                    entry.good = None;
                    entry.deleted = false;
                    entry.rejected.is_some()
                });
                all.into_iter()
                    .for_each(|object| staged.state(object, checks));
            }
            Op::Put(set, object) => {
                let staged = sets.entry(set).or_default();
                staged.entries.remove(&object.meta.key);
                staged.state(object, checks);
            }
            Op::Delete(set, key) => {
                let entry = Entry {
                    deleted: true,
                    ..Entry::default()
                };
                sets.entry(set).or_default().entries.insert(key, entry);
            }
            Op::Readable(set) => {
                sets.entry(set).or_default();
            }
            Op::Reject(set, Some(key), _, problems) if only_warns(&problems) => {
                let staged = sets.entry(set).or_default();
                staged.noted.entry(key).or_default().extend(problems);
            }
            Op::Reject(set, Some(key), at, problems) => {
                let entry = sets.entry(set).or_default().entries.entry(key).or_default();
                entry.rejected = Some(Rejection { at, problems });
                entry.deleted = false;
            }
            Op::Reject(set, None, at, problems) => {
                sets.entry(set)
                    .or_default()
                    .unreadable
                    .push(Rejection { at, problems });
            }
        }
    }
    sets
}

/// Whether an object can be used in spite of these.
fn only_warns(problems: &[Problem]) -> bool {
    !problems.is_empty() && !is_fatal(problems)
}

fn all_problems(meta: &Meta, rule: &RuleSpec, checks: &[RuleCheck]) -> Vec<Problem> {
    let mut problems = rules::check(meta, rule);
    problems.extend(checks.iter().flat_map(|check| check(meta, rule)));
    problems
}

impl Staged {
    /// Takes an object that the set holds. Of two of one name the older counts, or else the first.
    fn state(&mut self, object: Arc<Object>, checks: &[RuleCheck]) {
        let problems = match &object.value {
            Value::Rule(rule) => all_problems(&object.meta, rule, checks),
            _ => Vec::new(),
        };
        let entry = match self.entries.entry(object.meta.key.clone()) {
            btree_map::Entry::Vacant(entry) => entry.insert(Entry::default()),
            btree_map::Entry::Occupied(entry) => entry.into_mut(),
        };
        if is_fatal(&problems) {
            entry.rejected = Some(Rejection {
                at: object.origin.clone(),
                problems,
            });
            return;
        }
        let again = match &mut entry.good {
            None => None,
            Some(first) if first.object.meta.created <= object.meta.created => {
                first.again = Some(object.origin.clone());
                return;
            }
            Some(first) => Some(first.object.origin.clone()),
        };
        entry.good = Some(Good {
            object,
            warnings: problems,
            again,
        });
    }
}
