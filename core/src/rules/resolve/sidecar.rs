//! `Sidecar` → what the clients behind a sidecar reach, and how their workload is reached.

mod egress;
mod ingress;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::Labels;
use crate::registry::{Meta, ObjectKey};
use crate::rules::spec;

pub use egress::{Egress, EgressBind, EgressListener, Elsewhere, Imported, Imports, Owner};
pub use ingress::{DefaultEndpoint, Ingress, IngressListener};

/// A checked rule, with names completed and defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sidecar {
    /// Which object it is.
    pub key: ObjectKey,
    /// When it was made; absent counts as oldest.
    pub created: Option<Timestamp>,
    /// The workloads that it is for; `None`: all of the namespace.
    pub selector: Option<Labels>,
    /// What clients reach; `None`: all that their namespace sees, as mesh config says.
    pub egress: Option<Arc<Egress>>,
    /// How the workload is reached; `None`: by the ports of its services.
    pub ingress: Option<Arc<Ingress>>,
}

/// What a checked rule means.
pub fn sidecar(meta: &Meta, spec: &spec::Sidecar) -> Sidecar {
    let selector = spec.workload_selector.as_ref();
    Sidecar {
        key: meta.key.clone(),
        created: meta.created,
        selector: selector.map(|selector| selector.labels.clone()),
        egress: egress::egress(meta, spec).map(Arc::new),
        ingress: ingress::ingress(meta, spec).map(Arc::new),
    }
}
