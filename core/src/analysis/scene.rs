//! What analyzers look at: a mesh, with its rules by kind.

use std::sync::Arc;

use crate::mesh::{Mesh, Rule};
use crate::model::{Host, Labels, NamespaceName, Service, Workload};
use crate::rules::resolve::{DestinationRule, Gateway, Sidecar, Telemetry, VirtualService};
use crate::rules::{Resolved, RuleSpec, spec};

/// See the [module](self).
pub(super) struct Scene<'a> {
    pub(super) mesh: &'a Mesh,
    pub(super) virtual_services: Vec<&'a Arc<VirtualService>>,
    /// Of `Ingress`es that routers serve: what they are made into, host by host.
    pub(super) ingresses: Vec<&'a Arc<VirtualService>>,
    pub(super) destination_rules: Vec<&'a Arc<DestinationRule>>,
    pub(super) gateways: Vec<&'a Arc<Gateway>>,
    pub(super) sidecars: Vec<&'a Arc<Sidecar>>,
    pub(super) telemetries: Vec<&'a Arc<Telemetry>>,
    pub(super) entries: Vec<(&'a Arc<Rule>, &'a spec::ServiceEntry)>,
}

impl<'a> Scene<'a> {
    pub(super) fn of(mesh: &'a Mesh) -> Self {
        let mut scene = Self {
            mesh,
            virtual_services: Vec::new(),
            ingresses: Vec::new(),
            destination_rules: Vec::new(),
            gateways: Vec::new(),
            sidecars: Vec::new(),
            telemetries: Vec::new(),
            entries: Vec::new(),
        };
        for rule in mesh.rules() {
            if let RuleSpec::ServiceEntry(entry) = &rule.spec {
                scene.entries.push((rule, entry));
            }
            match &rule.resolved {
                Some(Resolved::Virtual(found)) => scene.virtual_services.push(found),
                Some(Resolved::Destination(found)) => scene.destination_rules.push(found),
                Some(Resolved::Gateway(found)) => scene.gateways.push(found),
                Some(Resolved::Sidecar(found)) => scene.sidecars.push(found),
                Some(Resolved::Ingress(found)) if mesh.serves_ingress(found).is_ok() => {
                    scene.ingresses.extend(&found.routes);
                }
                Some(Resolved::Telemetry(found)) => scene.telemetries.push(found),
                _ => {}
            }
        }
        scene
    }

    /// All that says where requests go.
    pub(super) fn routing(&self) -> impl Iterator<Item = &'a Arc<VirtualService>> {
        let all = self.virtual_services.iter().chain(&self.ingresses);
        all.copied()
    }

    /// The service that clients in `namespace` mean by a host.
    pub(super) fn service(&self, namespace: &NamespaceName, host: &Host) -> Option<&'a Service> {
        self.mesh.visible(namespace, host).map(|service| &**service)
    }

    /// Whether anything is known of workloads: otherwise nothing can be said of selectors.
    pub(super) fn knows_workloads(&self) -> bool {
        self.mesh.workloads().next().is_some()
    }

    /// The workloads that a rule in `namespace` selects: all namespaces' where it is the root namespace, and wherever it is for
    /// `everywhere`.
    pub(super) fn selected(
        &self,
        namespace: &NamespaceName,
        labels: &Labels,
        everywhere: bool,
    ) -> impl Iterator<Item = &'a Arc<Workload>> {
        let everywhere = everywhere || *namespace == self.mesh.config().root_namespace;
        self.mesh.workloads().filter(move |workload| {
            (everywhere || workload.key.namespace == *namespace)
                && workload.labels.selected_by(labels)
        })
    }
}

/// Labels as people write them.
pub(super) fn shown(labels: &Labels) -> String {
    let pairs: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(",")
}
