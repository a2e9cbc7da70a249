//! How a `Sidecar` says that a proxy's workload is reached: its ports in place of those of the workload's services.

use std::net::IpAddr;
use std::sync::Arc;

use pilothouse_core::model::{Host, Interception, Proxy, ServiceKey, ServicePort};
use pilothouse_core::rules::resolve::{DefaultEndpoint, Ingress, IngressListener};

use super::Target;

/// What a `Sidecar` says of how a workload is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForIngress {
    /// What it says.
    pub said: Arc<Ingress>,
    /// The proxy's addresses, as far as it takes them to follow: others share what is made.
    pub addresses: Arc<[IpAddr]>,
}

impl ForIngress {
    pub(super) fn of(said: &Arc<Ingress>, proxy: &Proxy) -> Self {
        let needs = |listener: &Arc<IngressListener>| {
            let bound = is_bound(listener, proxy.interception);
            (bound && listener.bind.is_none())
                || matches!(listener.endpoint, Some(DefaultEndpoint::Instance(_)))
        };
        Self {
            addresses: match said.listeners.iter().any(needs) {
                true => proxy.addresses.iter().copied().collect(),
                false => Arc::default(),
            },
            said: said.clone(),
        }
    }

    /// What is said of a port.
    pub fn listener(&self, port: u16) -> Option<&Arc<IngressListener>> {
        let mut all = self.said.listeners.iter();
        all.find(|listener| listener.port == port)
    }

    /// What a proxy answers in place of `targets`. A port that the proxy binds itself leads nowhere unless something says where
    /// the workload listens.
    pub(super) fn targets(&self, targets: Arc<[Target]>, proxy: &Proxy) -> Arc<[Target]> {
        if self.said.listeners.is_empty() {
            return targets;
        }
        let leads = |listener: &&Arc<IngressListener>| {
            listener.endpoint.is_some() || !is_bound(listener, proxy.interception)
        };
        let target = |listener: &Arc<IngressListener>| {
            let port = ServicePort {
                port: listener.port,
                name: listener.name.clone(),
                protocol: listener.protocol,
                target_port: None,
                target_name: None,
            };
            let mut all = targets.iter();
            let known = all.find(|target| target.target_port == listener.port);
            match known {
                Some(known) => Target {
                    port,
                    ..known.clone()
                },
                None => self.unserved(port),
            }
        };
        let listeners = self.said.listeners.iter();
        listeners.filter(leads).map(target).collect()
    }

    /// A port that no service has.
    fn unserved(&self, port: ServicePort) -> Target {
        let rule = &self.said.rule;
        Target {
            service: ServiceKey {
                namespace: rule.namespace.clone(),
                host: Host::new(&rule.name).unwrap_or_else(|_| Host::any()),
            },
            name: rule.name.clone(),
            target_port: port.port,
            port,
        }
    }
}

/// Whether a proxy binds a port itself.
pub fn is_bound(listener: &IngressListener, interception: Interception) -> bool {
    listener.bound || interception == Interception::None
}
