//! One object as it comes → what the store is told of it. Nothing else of it is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pilothouse_core::model::{Labels, Last, NamespaceName};
use pilothouse_core::registry::{self, Meta, Object, ObjectKey, Origin, Problem, Value};
use pilothouse_core::rules::{RuleSpec, Unreadable};
use pilothouse_manifests::kubernetes::{self, Names, Said};
use serde::Deserialize;

use super::selected::Selected;
use crate::kinds::{Kind, Reader};
use crate::status::{Entry, Place, kept};
use crate::watch::{Metadata, Raw};

/// An object, as far as anything of it is kept.
#[derive(Debug)]
pub(super) struct Converted {
    /// Which one.
    pub(super) key: ObjectKey,
    /// What the store is told of it.
    pub(super) means: Means,
    /// What its status says, where that is ours to write.
    pub(super) entry: Option<Entry>,
}

/// What the store is told of an object.
#[derive(Debug)]
pub(super) enum Means {
    /// Its value, and what its author should look at.
    Good(Arc<Object>, Vec<Problem>),
    /// It cannot be used, and why not.
    Bad(Origin, Vec<Problem>),
    /// It means nothing to the mesh as it stands.
    Nothing,
}

/// A rule as it is written.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    spec: serde_json::Value,
    #[serde(default)]
    status: serde_json::Value,
}

/// A namespace, and what completes short names there.
type Named = (NamespaceName, Arc<str>);

/// Converts the objects of one kind.
pub(super) struct Converter {
    kind: Kind,
    name: registry::Kind,
    /// Such as `networking.istio.io/v1`.
    api_version: String,
    /// The cluster, for people.
    cluster: Arc<str>,
    names: Names,
    selected: Arc<Selected>,
    /// Where the status of an object is written, where that is ours.
    place: Option<Arc<Place>>,
    /// Names of namespaces, with what completes short names there: most objects share theirs.
    known: Mutex<BTreeMap<Box<str>, Named>>,
    /// The objects that one owner makes come one after the other, with the same labels.
    labels: Last<Labels>,
}

impl Converter {
    /// Of objects of `kind` in this version.
    pub(super) fn new(
        kind: Kind,
        version: &str,
        cluster: &str,
        names: Names,
        selected: Arc<Selected>,
    ) -> Self {
        let api_version = match kind.group {
            "" => version.to_owned(),
            group => format!("{group}/{version}"),
        };
        let place = || Place {
            api_version: api_version.as_str().into(),
            plural: kind.plural.into(),
        };
        Self {
            name: registry::Kind::new(kind.name),
            place: kind.has_our_status().then(|| Arc::new(place())),
            api_version,
            kind,
            cluster: cluster.into(),
            names,
            selected,
            known: Mutex::default(),
            labels: Last::default(),
        }
    }

    /// Which object these are the metadata of.
    pub(super) fn key(&self, metadata: &Metadata) -> ObjectKey {
        let (namespace, _) = self.namespace(&metadata.namespace);
        ObjectKey::new(self.name.clone(), namespace, metadata.name.as_str())
    }

    /// What is kept of an object.
    pub(super) fn convert(&self, raw: Raw<'_>) -> Converted {
        let key = self.key(&raw.metadata);
        let mut converted = Converted {
            key: key.clone(),
            means: Means::Nothing,
            entry: None,
        };
        if self.kind.namespaced && !self.selected.contains(&key.namespace) {
            return converted;
        }
        let origin = self.origin(&key, &raw.metadata.resource_version);
        let (_, domain) = self.namespace(&raw.metadata.namespace);
        let mut meta = Meta {
            key,
            labels: self.labels.share(raw.metadata.labels.into()),
            annotations: raw.metadata.annotations.into(),
            generation: raw.metadata.generation,
            created: raw.metadata.created,
            domain: self.kind.namespaced.then_some(domain),
            kept_addresses: None,
        };
        let said = match self.kind.reader {
            Reader::Own(own) => {
                let said = kubernetes::read_text(own, &meta, raw.text.get(), &self.names);
                own.trim(&mut meta);
                said
            }
            Reader::Rule(_) => match serde_json::from_str::<Written>(raw.text.get()) {
                Ok(written) => {
                    let entry = |place: &Arc<Place>| {
                        let version = &raw.metadata.resource_version;
                        Entry::of(place.clone(), meta.generation, version, &written.status)
                    };
                    converted.entry = self.place.as_ref().map(entry);
                    meta.kept_addresses = kept(&written.status);
                    self.rule(&written.spec)
                }
                Err(error) => Err(vec![Problem::error(
                    "",
                    format!("it is no object: {error}"),
                )]),
            },
        };
        converted.means = match said {
            Err(problems) => Means::Bad(origin, problems),
            Ok(Said { value: None, .. }) => Means::Nothing,
            Ok(Said {
                value: Some(value),
                warnings,
            }) => {
                let object = Object {
                    meta,
                    origin,
                    value,
                };
                Means::Good(Arc::new(object), warnings)
            }
        };
        converted
    }

    fn rule(&self, spec: &serde_json::Value) -> Result<Said, Vec<Problem>> {
        match RuleSpec::parse(&self.api_version, self.kind.name, spec) {
            Ok((rule, warnings)) => Ok(Said {
                value: Some(Value::Rule(rule)),
                warnings,
            }),
            Err(Unreadable::Spec(problems)) => Err(problems),
            Err(Unreadable::UnknownKind) => {
                let what = format!("{} {} is not read", self.api_version, self.kind.name);
                Err(vec![Problem::error("", what)])
            }
        }
    }

    fn origin(&self, key: &ObjectKey, version: &str) -> Origin {
        let cluster = &self.cluster;
        Origin::new(format!("Kubernetes/{cluster} {key}@{version}"))
    }

    /// A namespace's name, and what completes short names there.
    fn namespace(&self, name: &str) -> Named {
        let mut known = self.known.lock();
        if let Some(known) = known.get(name) {
            return known.clone();
        }
        let new = (NamespaceName::from(name), self.names.suffix(name));
        known.insert(name.into(), new.clone());
        new
    }
}

#[cfg(test)]
mod tests;
