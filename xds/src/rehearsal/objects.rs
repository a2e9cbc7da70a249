//! The objects of all registries, and changes of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use pilothouse_core::model::NamespaceName;
use pilothouse_core::registry::{Meta, Object, ObjectKey, RegistryId, Value};
use pilothouse_core::store::InForce;

/// The registry of files.
const FILES: &str = "Static";

/// The objects that a mesh is made from. Cloning is cheap: objects are shared.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    all: BTreeMap<RegistryId, BTreeMap<ObjectKey, Arc<Object>>>,
}

impl Objects {
    /// Those in force in a store.
    pub fn new(in_force: InForce) -> Self {
        let keyed = |objects: Vec<Arc<Object>>| {
            let keyed = objects.into_iter();
            keyed
                .map(|object| (object.meta.key.clone(), object))
                .collect()
        };
        let all = in_force.into_iter();
        Self {
            all: all.map(|(id, objects)| (id, keyed(objects))).collect(),
        }
    }

    /// Those of one registry. Of two of one name the older counts, or else the first.
    pub fn of(registry: RegistryId, objects: impl IntoIterator<Item = Object>) -> Self {
        let mut keyed: BTreeMap<ObjectKey, Arc<Object>> = BTreeMap::new();
        for object in objects {
            let there = keyed.get(&object.meta.key);
            if there.is_none_or(|there| object.meta.created < there.meta.created) {
                keyed.insert(object.meta.key.clone(), Arc::new(object));
            }
        }
        Self {
            all: [(registry, keyed)].into(),
        }
    }

    /// Replaces the object of this name where it stands. One that is new goes to the registry of files, or else to one that has
    /// rules.
    ///
    /// An object that does not say when it was created keeps what is known of it; a new one counts as of `now`, but in files
    /// as oldest, as ever.
    pub fn put(&mut self, mut object: Object, now: Timestamp) {
        let key = object.meta.key.clone();
        let holding = self.all.iter().find(|(_, all)| all.contains_key(&key));
        let Some(id) = holding
            .map(|(id, _)| id)
            .or_else(|| self.registry_of_rules())
        else {
            return;
        };
        let id = id.clone();
        let all = self.all.entry(id.clone()).or_default();
        let before = all.get(&key);
        // What a platform completes short names with is the same for all of its rules, but for their namespace.
        let like = before.or_else(|| all.values().find(|other| is_rule(other)));
        let domain = like.and_then(|like| domain_like(&like.meta, &key.namespace));
        object.meta.domain = domain.or(object.meta.domain);
        let created = match before {
            Some(before) => before.meta.created,
            None => (&*id.provider != FILES).then_some(now),
        };
        object.meta.created = object.meta.created.or(created);
        all.insert(key, Arc::new(object));
    }

    /// Takes the object of this name out; whether it was there.
    pub fn delete(&mut self, key: &ObjectKey) -> bool {
        let removed: Vec<_> = self
            .all
            .values_mut()
            .map(|all| all.remove(key).is_some())
            .collect();
        removed.contains(&true)
    }

    pub(super) fn registries(
        &self,
    ) -> impl Iterator<Item = (&RegistryId, impl Iterator<Item = &Object>)> {
        self.all
            .iter()
            .map(|(id, all)| (id, all.values().map(|object| &**object)))
    }

    fn registry_of_rules(&self) -> Option<&RegistryId> {
        let mut ids = self.all.keys();
        let has_rules = |(_, all): &(&RegistryId, &BTreeMap<_, Arc<Object>>)| {
            all.values().any(|object| is_rule(object))
        };
        ids.find(|id| &*id.provider == FILES)
            .or_else(|| self.all.iter().find(has_rules).map(|(id, _)| id))
            .or_else(|| self.all.keys().next())
    }
}

/// What an object of `namespace` completes names with where one of `meta` has its own way to.
fn domain_like(meta: &Meta, namespace: &NamespaceName) -> Option<Arc<str>> {
    let domain = meta.domain.as_ref()?;
    let own = domain.strip_prefix(meta.key.namespace.as_str());
    match own.filter(|rest| rest.starts_with(".svc.")) {
        Some(rest) => Some(format!("{namespace}{rest}").into()),
        None => Some(Arc::clone(domain)),
    }
}

fn is_rule(object: &Object) -> bool {
    matches!(object.value, Value::Rule(_))
}

#[cfg(test)]
mod tests {
    use pilothouse_core::model::Namespace;
    use pilothouse_core::registry::{Meta, Origin};

    use super::*;

    fn object(name: &str, created: Option<i64>) -> Object {
        let mut meta = Meta::new("Namespace", "", name);
        meta.created = created.map(|at| Timestamp::from_second(at).unwrap());
        Object {
            meta,
            origin: Origin::new("here"),
            value: Value::Namespace(Namespace {
                name: name.into(),
                labels: Default::default(),
                network: None,
            }),
        }
    }

    /// Registry, name and time of each.
    fn shown(objects: &Objects) -> Vec<(String, String, Option<i64>)> {
        let all = objects.registries().flat_map(|(id, all)| {
            all.map(move |object| {
                let created = object.meta.created.map(Timestamp::as_second);
                (id.to_string(), object.meta.key.name.to_string(), created)
            })
        });
        all.collect()
    }

    #[test]
    fn a_change_goes_where_the_object_stands() {
        let mut objects = Objects::of(RegistryId::new("Consul", "dc1"), [object("a", Some(5))]);
        objects.put(object("a", None), Timestamp::from_second(9).unwrap());
        objects.put(object("b", None), Timestamp::from_second(9).unwrap());
        let at = |name: &str, created| ("Consul/dc1".to_owned(), name.to_owned(), Some(created));
        assert_eq!(shown(&objects), [at("a", 5), at("b", 9)]);
        assert!(objects.delete(&object("a", None).meta.key));
        assert!(!objects.delete(&object("a", None).meta.key));
        assert_eq!(shown(&objects), [at("b", 9)]);
    }

    #[test]
    fn new_objects_of_files_are_oldest() {
        let mut objects = Objects::of(RegistryId::new("Static", "default"), []);
        objects.put(object("a", None), Timestamp::from_second(9).unwrap());
        assert_eq!(
            shown(&objects),
            [("Static/default".to_owned(), "a".to_owned(), None)]
        );
    }
}
