//! `Gateway` → what routers listen on.

mod server;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{Labels, NamespaceName};
use crate::registry::{Meta, ObjectKey};
use crate::rules::spec;

pub(super) use server::security;
pub use server::{
    Bind, ClientCertificate, Security, Server, ServerCertificate, ServerHost, Termination,
};

/// A checked rule, with defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Gateway {
    /// Which object it is.
    pub key: ObjectKey,
    /// When it was made; absent counts as oldest.
    pub created: Option<Timestamp>,
    /// The routers that it is for: those that have all of these labels.
    pub selector: Labels,
    /// What is listened on.
    pub servers: Vec<Arc<Server>>,
}

/// What a checked rule means. Servers of which something essential cannot be read are left out.
pub fn gateway(meta: &Meta, spec: &spec::Gateway) -> Gateway {
    let namespace = &meta.key.namespace;
    let servers = spec.servers.iter().enumerate();
    Gateway {
        key: meta.key.clone(),
        created: meta.created,
        selector: spec.selector.clone(),
        servers: servers
            .filter_map(|(index, one)| server::server(namespace, index, one))
            .map(Arc::new)
            .collect(),
    }
}

impl Gateway {
    /// Its place among gateways: age (absent is oldest), then name and namespace.
    pub fn age(&self) -> (Option<Timestamp>, &str, &NamespaceName) {
        (self.created, &self.key.name, &self.key.namespace)
    }
}
