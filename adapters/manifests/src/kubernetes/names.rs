//! What a cluster calls its services.

use std::sync::Arc;

use pilothouse_core::model::{ByName, ClusterId, Host, Last, ServiceKey, Texts};
use pilothouse_core::registry::{Meta, Problem};

/// The names of one cluster.
#[derive(Debug, Clone)]
pub struct Names {
    /// What its services' names end with: `cluster.local` in `NAME.NAMESPACE.svc.cluster.local`.
    pub domain: Arc<str>,
    /// The cluster itself: where its services' virtual addresses count, and its workloads are. The empty one is the registry's, with
    /// addresses that count everywhere.
    pub cluster: ClusterId,
    /// What many of its objects say alike.
    texts: Texts,
    /// The ports of the pods of one owner, which come one after the other.
    pub(super) ports: Arc<Last<ByName<u16>>>,
}

impl Names {
    /// Names that end with `domain`; addresses count everywhere.
    pub fn new(domain: &str) -> Self {
        Self {
            domain: domain.into(),
            cluster: ClusterId::default(),
            texts: Texts::default(),
            ports: Arc::default(),
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

    /// A text that is there, shared with all objects that say it, too.
    pub(super) fn present(&self, text: &str) -> Option<Arc<str>> {
        (!text.is_empty()).then(|| self.texts.share(text))
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
