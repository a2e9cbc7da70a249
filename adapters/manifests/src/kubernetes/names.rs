//! What a cluster calls its services.

use std::sync::Arc;

use pilothouse_core::model::{ClusterId, Host, ServiceKey};
use pilothouse_core::registry::{Meta, Problem};

/// The names of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// What its services' names end with: `cluster.local` in `NAME.NAMESPACE.svc.cluster.local`.
    pub domain: Arc<str>,
    /// Where its services' virtual addresses count; the empty cluster is everywhere.
    pub cluster: ClusterId,
}

impl Names {
    /// Names that end with `domain`; addresses count everywhere.
    pub fn new(domain: &str) -> Self {
        Self {
            domain: domain.into(),
            cluster: ClusterId::default(),
        }
    }

    /// The same, with addresses that count in one cluster.
    #[must_use]
    pub fn in_cluster(self, cluster: impl Into<ClusterId>) -> Self {
        Self {
            cluster: cluster.into(),
            ..self
        }
    }

    /// What short names of hosts in objects of this namespace are completed with ([`Meta::domain`]).
    pub fn suffix(&self, namespace: &str) -> Arc<str> {
        format!("{namespace}.svc.{}", self.domain).into()
    }

    /// The service that an object called `name` in the namespace of `meta` declares, or has the endpoints of.
    pub(super) fn service(
        &self,
        meta: &Meta,
        name: &str,
        path: &str,
    ) -> Result<ServiceKey, Problem> {
        let namespace = &meta.key.namespace;
        match Host::new(&format!("{name}.{namespace}.svc.{}", self.domain)) {
            Ok(host) => Ok(ServiceKey {
                namespace: namespace.clone(),
                host,
            }),
            Err(error) => Err(Problem::error(path, error.to_string())),
        }
    }
}
