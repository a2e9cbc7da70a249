//! Several `VirtualService`s for one host on sidecars.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::scene::Scene;
use super::{Code, Finding};
use crate::mesh::{ExportTo, VirtualServiceMerge};
use crate::model::{Host, Visibility};
use crate::rules::resolve::VirtualService;

/// Of those that some client sees together the oldest counts. What merging those of one namespace would bring into force is
/// worth knowing beforehand.
pub(super) fn on_mesh(scene: &Scene<'_>) -> Vec<Finding> {
    let mut by_host: BTreeMap<Host, Vec<&Arc<VirtualService>>> = BTreeMap::new();
    for rule in &scene.virtual_services {
        for host in rule.mesh_hosts() {
            by_host.entry(host).or_default().push(rule);
        }
    }
    let mut findings = Vec::new();
    for (host, mut all) in by_host {
        all.sort_by(|a, b| a.age().cmp(&b.age()));
        for (nth, rule) in all.iter().enumerate() {
            let winner = all
                .iter()
                .take(nth)
                .find(|older| are_seen_together(scene, older, rule));
            let Some(winner) = winner else { continue };
            let same = winner.key.namespace == rule.key.namespace;
            if same && scene.mesh.config().virtual_service_merge == VirtualServiceMerge::Namespace {
                continue;
            }
            let path = "spec.hosts";
            let what = format!(
                "{}, which is older, says how sidecars route {host}: what this one says of it is not used",
                winner.key
            );
            let code = Code::ConflictingMeshGatewayVirtualServiceHosts;
            let finding = Finding::new(code, &rule.key, path, what);
            findings.push(finding.hint("say it in one of them, or give each hosts of its own"));
            if same {
                let routes = rule.http.len() + rule.tls.len() + rule.tcp.len();
                let what = format!(
                    "with --virtual-service-merge=namespace, its {} for {host} would be in force beside those of {}",
                    plural(routes),
                    winner.key
                );
                let code = Code::VirtualServiceWouldMerge;
                findings.push(Finding::new(code, &rule.key, path, what));
            }
        }
    }
    findings
}

fn plural(routes: usize) -> String {
    match routes {
        1 => "route".to_owned(),
        routes => format!("{routes} routes"),
    }
}

/// Whether there may be clients that see both.
fn are_seen_together(scene: &Scene<'_>, a: &VirtualService, b: &VirtualService) -> bool {
    let default = &scene.mesh.config().default_virtual_service_export_to;
    let (of_a, of_b) = (seen_by(a, default), seen_by(b, default));
    match (of_a, of_b) {
        (Visibility::Public, _) | (_, Visibility::Public) => true,
        (Visibility::Namespaces(a), Visibility::Namespaces(b)) => !a.is_disjoint(&b),
    }
}

fn seen_by(rule: &VirtualService, default: &ExportTo) -> Visibility {
    if let Some(visibility) = &rule.export_to {
        return visibility.clone();
    }
    let own = &rule.key.namespace;
    match default {
        ExportTo::All => Visibility::Public,
        _ if default.includes(own, own) => Visibility::Namespaces([own.clone()].into()),
        _ => Visibility::Namespaces(Default::default()),
    }
}
