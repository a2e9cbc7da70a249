//! Which services a namespace sees.

use std::sync::Arc;

use super::{ExportTo, Mesh};
use crate::model::{Host, NamespaceName, Service, Visibility};

impl Mesh {
    /// Whether clients in `namespace` may see `service`.
    pub fn sees(&self, namespace: &NamespaceName, service: &Service) -> bool {
        match &service.export_to {
            Some(visibility) => visibility.includes(namespace),
            None => self
                .config()
                .default_service_export_to
                .includes(namespace, &service.key.namespace),
        }
    }

    /// Whether every namespace sees `service`.
    pub fn is_public(&self, service: &Service) -> bool {
        match &service.export_to {
            Some(visibility) => *visibility == Visibility::Public,
            None => self.config().default_service_export_to == ExportTo::All,
        }
    }

    /// The service that clients in `namespace` mean by `host`. Of several, the namespace's own goes first, then a platform's
    /// before a rule's, then the oldest.
    pub fn visible(&self, namespace: &NamespaceName, host: &Host) -> Option<&Arc<Service>> {
        let mut seen = self
            .services_of_host(host)
            .filter(|service| self.sees(namespace, service));
        let first = seen.next()?;
        if first.key.namespace == *namespace {
            return Some(first);
        }
        Some(
            seen.find(|service| service.key.namespace == *namespace)
                .unwrap_or(first),
        )
    }

    /// All services that clients in `namespace` see, by host.
    pub fn all_visible<'a>(
        &'a self,
        namespace: &'a NamespaceName,
    ) -> impl Iterator<Item = &'a Arc<Service>> {
        self.hosts()
            .filter_map(|host| self.visible(namespace, host))
    }
}
