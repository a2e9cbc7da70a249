//! What the server has of each rule object, beside what the mesh needs: where its status is written, and what stands there.
//!
//! The watches hand it over as they convert objects, so that nothing is asked for again before it is written. It is told of an
//! object *after* the transaction with it has been committed: what was in it at one moment has been judged as soon as the store
//! has answered a question that was asked after that moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pilothouse_core::model::NamespaceName;
use pilothouse_core::registry::ObjectKey;
use serde_json::Value;
use tokio::sync::watch;

use super::addresses::{self, Addresses};
use super::conditions::Condition;

/// Where objects of a kind are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Such as `networking.istio.io/v1`.
    pub api_version: Arc<str>,
    /// Such as `virtualservices`.
    pub plural: Arc<str>,
}

impl Place {
    /// The path of an object.
    pub(super) fn of(&self, key: &ObjectKey) -> String {
        let Self {
            api_version,
            plural,
        } = self;
        let (namespace, name) = (key.namespace.as_str(), &key.name);
        format!("/apis/{api_version}/namespaces/{namespace}/{plural}/{name}")
    }
}

/// What the server has of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(super) place: Arc<Place>,
    /// The count of changes to its spec.
    pub(super) generation: i64,
    /// Our conditions, by type.
    pub(super) ours: Vec<Condition>,
    /// Conditions of others, as they stand.
    pub(super) others: Vec<Value>,
    /// The version in which all this was.
    pub(super) version: String,
    /// The automatic addresses that are kept with it.
    pub(super) addresses: Addresses,
}

impl Entry {
    /// From an object's `metadata.generation`, `metadata.resourceVersion` and `status`, whatever stands there.
    pub(crate) fn of(place: Arc<Place>, generation: i64, version: &str, status: &Value) -> Self {
        let (mut ours, others) = split(status);
        ours.sort();
        Self {
            place,
            generation,
            ours,
            others,
            version: version.to_owned(),
            addresses: addresses::written(status),
        }
    }
}

/// Our conditions, and those of others as they stand.
pub(super) fn split(status: &Value) -> (Vec<Condition>, Vec<Value>) {
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for condition in status["conditions"].as_array().into_iter().flatten() {
        match Condition::read(condition) {
            Some(own) => ours.push(own),
            None => others.push(condition.clone()),
        }
    }
    (ours, others)
}

/// See the [module](self). Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Known(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    objects: Mutex<BTreeMap<ObjectKey, Arc<Entry>>>,
    changed: watch::Sender<u64>,
}

impl Default for Known {
    fn default() -> Self {
        Self(Arc::new(Shared {
            objects: Mutex::default(),
            changed: watch::channel(0).0,
        }))
    }
}

impl Known {
    /// These are all objects of this kind, or all of one namespace.
    pub(crate) fn listed(
        &self,
        kind: &str,
        namespace: Option<&NamespaceName>,
        all: impl IntoIterator<Item = (ObjectKey, Entry)>,
    ) {
        let all = all.into_iter().map(|(key, entry)| (key, Arc::new(entry)));
        let mut objects = self.0.objects.lock();
        objects.retain(|key, _| {
            key.kind.as_str() != kind || namespace.is_some_and(|name| key.namespace != *name)
        });
        objects.extend(all);
        drop(objects);
        self.tell();
    }

    /// An object is new, or differs.
    pub(crate) fn applied(&self, key: ObjectKey, entry: Entry) {
        self.0.objects.lock().insert(key, Arc::new(entry));
        self.tell();
    }

    /// An object is gone.
    pub(crate) fn deleted(&self, key: &ObjectKey) {
        self.0.objects.lock().remove(key);
        self.tell();
    }

    /// Everything at this moment.
    pub(super) fn all(&self) -> BTreeMap<ObjectKey, Arc<Entry>> {
        self.0.objects.lock().clone()
    }

    /// Wakes when something of it is other than before.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    fn tell(&self) {
        self.0.changed.send_modify(|count| *count += 1);
    }
}
