//! Namespaces and networks: of several registries that know the same one, or its entrances.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Join;
use crate::mesh::Source;
use crate::model::{Namespace, NamespaceName, Network, NetworkId};
use crate::registry::{Object, Value};
use crate::status::{Contest, Lost};

/// Who says what of each.
#[derive(Debug, Default)]
pub(super) struct Tables {
    namespaces: BTreeMap<NamespaceName, BTreeMap<Source, Arc<Object>>>,
    networks: BTreeMap<NetworkId, BTreeMap<Source, Arc<Object>>>,
}

impl Join {
    pub(super) fn put_platform(&mut self, source: Source, object: Arc<Object>) {
        match &object.value {
            Value::Namespace(Namespace { name, .. }) => {
                let name = name.clone();
                self.platform
                    .namespaces
                    .entry(name.clone())
                    .or_default()
                    .insert(source, object);
                self.due.namespaces.insert(name);
            }
            Value::Network(Network { id, .. }) => {
                let id = id.clone();
                self.platform
                    .networks
                    .entry(id.clone())
                    .or_default()
                    .insert(source, object);
                self.due.networks.insert(id);
            }
            _ => {}
        }
    }

    pub(super) fn take_platform(&mut self, source: &Source, object: &Object) {
        match &object.value {
            Value::Namespace(Namespace { name, .. }) => {
                if let Some(all) = self.platform.namespaces.get_mut(name) {
                    all.remove(source);
                }
                self.status.not_lost(source, &Contest::Name);
                self.due.namespaces.insert(name.clone());
            }
            Value::Network(Network { id, .. }) => {
                if let Some(all) = self.platform.networks.get_mut(id) {
                    all.remove(source);
                }
                self.due.networks.insert(id.clone());
            }
            _ => {}
        }
    }

    /// The oldest registry's word counts.
    pub(super) fn settle_namespace(&mut self, name: &NamespaceName) {
        let all = self.platform.namespaces.get(name).into_iter().flatten();
        let first = all.min_by_key(|(source, object)| (object.meta.created, *source));
        let value = first.and_then(|(_, object)| match &object.value {
            Value::Namespace(namespace) => Some(namespace.clone()),
            _ => None,
        });
        if let Some((winner, _)) = first {
            for source in self
                .platform
                .namespaces
                .get(name)
                .into_iter()
                .flat_map(BTreeMap::keys)
            {
                if source == winner {
                    self.status.not_lost(source, &Contest::Name);
                } else {
                    self.status.lost(source, Lost::name(winner));
                }
            }
        }
        if self
            .platform
            .namespaces
            .get(name)
            .is_some_and(BTreeMap::is_empty)
        {
            self.platform.namespaces.remove(name);
        }
        if self.mesh.namespace(name).map(|before| &**before) != value.as_ref() {
            self.mesh.set_namespace(name, value.map(Arc::new));
            self.touched.namespaces.insert(name.clone());
        }
    }

    /// Every registry adds the entrances that it knows.
    pub(super) fn settle_network(&mut self, id: &NetworkId) {
        let all = self
            .platform
            .networks
            .get(id)
            .into_iter()
            .flat_map(BTreeMap::values);
        let mut value: Option<Network> = None;
        for object in all {
            let Value::Network(network) = &object.value else {
                continue;
            };
            let united = value.get_or_insert_with(|| Network {
                id: id.clone(),
                gateways: Vec::new(),
            });
            united.gateways.extend(network.gateways.iter().cloned());
        }
        if let Some(network) = &mut value {
            network
                .gateways
                .sort_by(|a, b| (&a.address, a.port).cmp(&(&b.address, b.port)));
            network.gateways.dedup();
        } else {
            self.platform.networks.remove(id);
        }
        if self.mesh.network(id).map(|before| &**before) != value.as_ref() {
            self.mesh.set_network(id, value.map(Arc::new));
            self.touched.networks.insert(id.clone());
        }
    }
}
