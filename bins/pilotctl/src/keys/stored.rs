//! Objects as they are stored.

use anyhow::{Context, Result};
use pilothouse_consul::client::{ConsulApi, KvPair};
use pilothouse_core::registry::{Object, ObjectKey, Value};
use pilothouse_core::rules;
use serde_json::{Value as Document, json};

use super::StoreArgs;

/// A key of the store, and the objects in it.
pub(super) struct Stored {
    pub(super) pair: KvPair,
    pub(super) objects: Vec<Object>,
}

impl Stored {
    /// Everything below the prefix.
    pub(super) async fn all(args: &StoreArgs) -> Result<Vec<Self>> {
        let (client, query) = args.client()?;
        let pairs = client.list(&args.consul_rules, &query).await?.value;
        let keys = pairs.into_iter().filter(|pair| !pair.key.ends_with('/'));
        Ok(keys.map(Self::read).collect())
    }

    fn read(pair: KvPair) -> Self {
        let text = String::from_utf8_lossy(&pair.value);
        let objects = pilothouse_static::read_text(&pair.key, &text).objects;
        Self { pair, objects }
    }

    /// The only object in it, if it is this one: a key that holds others, too, is its author's to edit.
    pub(super) fn is(&self, key: &ObjectKey) -> Option<&Object> {
        match &self.objects[..] {
            [object] if object.meta.key == *key => Some(object),
            _ => None,
        }
    }

    /// Whether it is among the objects in it.
    pub(super) fn has(&self, key: &ObjectKey) -> bool {
        self.objects.iter().any(|object| object.meta.key == *key)
    }
}

/// The key that an object is stored under unless it is there already.
pub(super) fn key_of(prefix: &str, key: &ObjectKey) -> String {
    let kind = key.kind.as_str().to_ascii_lowercase();
    format!("{prefix}{}/{kind}/{}", key.namespace, key.name)
}

/// An object as text.
pub(crate) fn text(object: &Object) -> Result<String> {
    Ok(format!(
        "{}\n",
        serde_json::to_string_pretty(&document(object)?)?
    ))
}

/// An object as it is written.
pub(super) fn document(object: &Object) -> Result<Document> {
    let Value::Rule(spec) = &object.value else {
        anyhow::bail!(
            "{} is no rule, and only rules are read from a store",
            object.meta.key
        );
    };
    let kinds = rules::kinds().iter();
    let kind = kinds.clone().find(|kind| kind.name == spec.kind());
    let kind =
        kind.with_context(|| format!("{} is of a kind that is not known", object.meta.key))?;
    let version = kind.versions.first().copied().unwrap_or("v1");
    let meta = &object.meta;
    let mut metadata = json!({"name": meta.key.name, "namespace": meta.key.namespace});
    if let Some(metadata) = metadata.as_object_mut() {
        for (name, pairs) in [("labels", &meta.labels), ("annotations", &meta.annotations)] {
            if !pairs.is_empty() {
                metadata.insert(name.into(), json!(pairs));
            }
        }
        if let Some(created) = meta.created {
            metadata.insert("creationTimestamp".into(), json!(created.to_string()));
        }
    }
    Ok(json!({
        "apiVersion": format!("{}/{version}", kind.group),
        "kind": kind.name,
        "metadata": metadata,
        "spec": spec,
    }))
}
