//! From what proxies refuse to its authors: a refused resource has causes, a cause has objects, and an object's status says
//! which proxies refuse it and why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use pilothouse_core::mesh::{Mesh, Source};
use pilothouse_core::store::StoreHandle;

use crate::protocol::Refused;
use crate::resource::{Cause, ResourceType};
use crate::server::{Observer, StreamId};

/// Writes refusals into the status of the objects behind them.
#[derive(Debug)]
pub struct Refusals {
    store: StoreHandle,
    /// The objects behind what each stream refuses.
    blamed: Mutex<BTreeMap<Arc<str>, Blamed>>,
}

type Blamed = BTreeMap<ResourceType, BTreeSet<Source>>;

impl Refusals {
    /// Writes to the status of this store's objects.
    pub fn new(store: StoreHandle) -> Self {
        Self {
            store,
            blamed: Mutex::default(),
        }
    }
}

impl Observer for Refusals {
    fn refused(&self, stream: &StreamId, resource_type: ResourceType, refused: &[Refused]) {
        let mesh = self.store.mesh();
        let status = self.store.status();
        let url = resource_type.url();
        let mut blamed = BTreeSet::new();
        for refused in refused {
            for source in refused
                .causes
                .iter()
                .flat_map(|cause| objects(&mesh, cause))
            {
                status.nacked(&source, &stream.name, url, &refused.message);
                blamed.insert(source);
            }
        }
        let mut streams = self.blamed.lock();
        let types = streams.entry(Arc::clone(&stream.name)).or_default();
        let before = types
            .insert(resource_type, blamed.clone())
            .unwrap_or_default();
        for cleared in before.difference(&blamed) {
            status.acked(cleared, &stream.name, url);
        }
    }

    fn disconnected(&self, stream: &StreamId) {
        if self.blamed.lock().remove(&stream.name).is_some() {
            self.store.status().disconnected(&stream.name);
        }
    }
}

/// The objects behind a cause; none for mesh config, which is no object.
fn objects(mesh: &Mesh, cause: &Cause) -> Vec<Source> {
    match cause {
        Cause::Service(key) => mesh.sources(key).to_vec(),
        Cause::Rule(key) => mesh
            .rule(key)
            .map(|rule| rule.source.clone())
            .into_iter()
            .collect(),
        Cause::MeshConfig => Vec::new(),
    }
}
