//! What the server holds, and what happened to it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::fault::{Fault, On, What};

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(resource: &str, namespace: &str, name: &str) -> Self {
        Self {
            resource: resource.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// One change of one object.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) resource: String,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

/// The server's state.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    /// Grows with every change.
    pub(crate) version: u64,
    /// Versions below are gone.
    pub(crate) compacted: u64,
    pub(crate) objects: BTreeMap<Key, Value>,
    pub(crate) history: Vec<Change>,
    /// Pages that are still to be had, by their token.
    pub(crate) pages: BTreeMap<String, Pages>,
    /// How often all watches were sent a bookmark.
    pub(crate) bookmarks: u64,
    /// How often all watches were broken.
    pub(crate) cuts: u64,
    pub(crate) faults: Vec<Fault>,
    /// Resources that are not served.
    pub(crate) missing: BTreeSet<String>,
    /// Kinds that are installed: plurals by version, such as `networking.istio.io/v1`.
    pub(crate) installed: BTreeMap<String, BTreeSet<String>>,
    /// Whether lists are streamed.
    pub(crate) streaming: bool,
    /// Nobody is there.
    pub(crate) down: bool,
    /// An expired version is refused before a watch begins, and not within it.
    pub(crate) gone_at_start: bool,
    uids: u64,
}

/// What is left of a list.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    pub(crate) version: u64,
    /// Which page comes next.
    pub(crate) page: usize,
    pub(crate) rest: Vec<Value>,
}

/// What of an object a request is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pruned {
    pub(crate) namespace: Option<String>,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) fields: Vec<(String, String)>,
}

impl Pruned {
    /// Whether an object is one of those that are asked for.
    pub(crate) fn has(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        let in_namespace = self
            .namespace
            .as_ref()
            .is_none_or(|namespace| metadata["namespace"] == **namespace);
        let is = |at: &Value, expected: &str| at.as_str().unwrap_or_default() == expected;
        let labelled = |(key, value): &(String, String)| is(&metadata["labels"][key], value);
        let field = |(path, value): &(String, String)| {
            let (path, expected) = match path.strip_suffix('!') {
                Some(path) => (path, false),
                None => (path.as_str(), true),
            };
            is(path.split('.').fold(object, |at, name| &at[name]), value) == expected
        };
        in_namespace && self.labels.iter().all(labelled) && self.fields.iter().all(field)
    }
}

impl Cluster {
    pub(super) fn new() -> Self {
        Self {
            version: 100,
            compacted: 0,
            objects: BTreeMap::new(),
            history: Vec::new(),
            pages: BTreeMap::new(),
            bookmarks: 0,
            cuts: 0,
            faults: Vec::new(),
            missing: BTreeSet::new(),
            installed: BTreeMap::new(),
            streaming: true,
            down: false,
            gone_at_start: false,
            uids: 0,
        }
    }

    /// Writes an object, and gives it what a server gives: version, identity and time of creation.
    pub(crate) fn put(&mut self, resource: &str, mut object: Value) -> Value {
        let text = |at: &Value| at.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        let key = Key::new(
            resource,
            &text(&metadata["namespace"]),
            &text(&metadata["name"]),
        );
        assert!(!key.name.is_empty(), "an object without name: {object}");
        self.version += 1;
        let before = self.objects.get(&key).cloned();
        let known = before.as_ref().map(|before| &before["metadata"]);
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = self.version.to_string().into();
        metadata["uid"] = match known {
            Some(known) => known["uid"].clone(),
            None => {
                self.uids += 1;
                format!("00000000-0000-4000-8000-{:012}", self.uids).into()
            }
        };
        if metadata["creationTimestamp"].is_null() {
            metadata["creationTimestamp"] = match known {
                Some(known) => known["creationTimestamp"].clone(),
                None => json!("2026-01-31T12:00:00Z"),
            };
        }
        self.objects.insert(key, object.clone());
        self.history.push(Change {
            version: self.version,
            resource: resource.into(),
            before,
            after: Some(object.clone()),
        });
        object
    }

    /// Takes an object away; its last state has the version of its end.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Value> {
        let before = self.objects.remove(key)?;
        self.version += 1;
        self.history.push(Change {
            version: self.version,
            resource: key.resource.clone(),
            before: Some(before.clone()),
            after: None,
        });
        Some(before)
    }

    /// Forgets what happened so far. Watches that have not seen it are too late.
    pub(crate) fn compact(&mut self) {
        self.compacted = self.version;
        self.history.clear();
    }

    /// All watches hear how far they are.
    pub(crate) fn bookmark(&mut self) {
        self.bookmarks += 1;
    }

    /// All watches break off.
    pub(crate) fn cut(&mut self) {
        self.cuts += 1;
    }

    /// The objects of a resource that are asked for, in the order of their names.
    pub(crate) fn list(&self, resource: &str, of: &Pruned) -> Vec<Value> {
        let all = self
            .objects
            .iter()
            .filter(|(key, object)| key.resource == resource && of.has(object));
        all.map(|(_, object)| object.clone()).collect()
    }

    /// What goes wrong with this request, once less from now on.
    pub(super) fn goes_wrong(
        &mut self,
        on: On,
        resource: &str,
        fits: impl Fn(&What) -> bool,
    ) -> Option<What> {
        let fault = self.faults.iter_mut().find(|fault| {
            fault.left > 0
                && fault.on == on
                && (fault.resource == resource || fault.resource == "*")
                && fits(&fault.what)
        })?;
        fault.left = fault
            .left
            .saturating_sub(usize::from(fault.left != usize::MAX));
        Some(fault.what.clone())
    }
}
