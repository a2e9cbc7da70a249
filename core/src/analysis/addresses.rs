//! Services that rules declare: ports that several of them declare differently.

use std::collections::BTreeMap;

use super::scene::Scene;
use super::{Code, Finding};
use crate::model::Protocol;
use crate::registry::ObjectKey;
use crate::rules::resolve::host_name;

/// Of several entries that declare a port of one host with different protocols, each names another.
pub(super) fn protocols(scene: &Scene<'_>) -> Vec<Finding> {
    type Port<'a> = (Protocol, &'a ObjectKey, String);
    let mut ports: BTreeMap<_, Vec<Port<'_>>> = BTreeMap::new();
    for (rule, entry) in &scene.entries {
        let hosts = entry
            .hosts
            .iter()
            .filter_map(|host| host_name(host, &rule.meta));
        for host in hosts {
            for (index, port) in entry.ports.iter().enumerate() {
                let path = format!("spec.ports[{index}].protocol");
                let all = ports.entry((host.clone(), port.number)).or_default();
                all.push((port.spoken(), &rule.meta.key, path));
            }
        }
    }
    let mut findings = Vec::new();
    for ((host, number), all) in &ports {
        for (protocol, object, path) in all {
            let other = all.iter().find(|(other, _, _)| other != protocol);
            if let Some((other, by, _)) = other {
                let what = format!(
                    "port {number} of {host} speaks {protocol:?} here and {other:?} in {by}"
                );
                let finding =
                    Finding::new(Code::ConflictingServiceEntryProtocol, object, path, what);
                findings.push(finding.hint("let all entries of a host say the same"));
            }
        }
    }
    findings
}
