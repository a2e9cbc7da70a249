//! Ports of platforms' services whose protocol nothing says.

use super::scene::Scene;
use super::{Code, Finding};
use crate::model::ServiceSource;

/// Proxies find out what is spoken there, connection by connection.
pub(super) fn names(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let services = scene.mesh.services();
    for service in services.filter(|one| one.source == ServiceSource::Platform) {
        let sources = scene.mesh.sources(&service.key);
        let Some(source) = sources
            .iter()
            .find(|one| one.object.kind.as_str() == "Service")
        else {
            continue;
        };
        for port in service.ports.iter().filter(|port| port.protocol.is_auto()) {
            let what = format!(
                "the name of port {} ({:?}) says no protocol: proxies find out what is spoken",
                port.port, &*port.name
            );
            let code = Code::PortNameIsNotUnderNamingConvention;
            findings.push(
                Finding::new(code, &source.object, "spec.ports", what)
                    .hint("begin it with the protocol, such as http-web, or set appProtocol"),
            );
        }
    }
    findings
}
