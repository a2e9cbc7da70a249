//! TLS that begins without much of a look at the server's certificate.

use super::scene::Scene;
use super::{Code, Finding};
use crate::registry::ObjectKey;
use crate::rules::RuleSpec;
use crate::rules::spec::destination_rule::{ClientTls, TlsMode, TrafficPolicy};

/// TLS to a destination for which nothing says whose certificates are believed.
pub(super) fn of_servers(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in scene.mesh.rules() {
        let RuleSpec::DestinationRule(spec) = &rule.spec else {
            continue;
        };
        let object = &rule.meta.key;
        if let Some(policy) = &spec.traffic_policy {
            look(object, "spec.trafficPolicy", policy, &mut findings);
        }
        for (index, subset) in spec.subsets.iter().enumerate() {
            if let Some(policy) = &subset.traffic_policy {
                let path = format!("spec.subsets[{index}].trafficPolicy");
                look(object, &path, policy, &mut findings);
            }
        }
    }
    findings
}

fn look(object: &ObjectKey, path: &str, policy: &TrafficPolicy, findings: &mut Vec<Finding>) {
    let general = Code::NoServerCertificateVerificationDestinationLevel;
    findings.extend(one(
        object,
        general,
        format!("{path}.tls"),
        policy.tls.as_ref(),
    ));
    for (index, port) in policy.port_level_settings.iter().enumerate() {
        let code = Code::NoServerCertificateVerificationPortLevel;
        let path = format!("{path}.portLevelSettings[{index}].tls");
        findings.extend(one(object, code, path, port.tls.as_ref()));
    }
}

fn one(object: &ObjectKey, code: Code, path: String, tls: Option<&ClientTls>) -> Option<Finding> {
    let tls = tls.filter(|tls| matches!(tls.mode, TlsMode::Simple | TlsMode::Mutual))?;
    if tls.insecure_skip_verify == Some(true) {
        let what = "the server's certificate is not looked at: whoever answers is believed";
        return Some(Finding::new(code, object, path, what).hint("remove insecureSkipVerify"));
    }
    if !tls.ca_certificates.is_empty() || !tls.credential_name.is_empty() {
        return None;
    }
    let what = "names no caCertificates: a certificate of any authority that the machine believes is taken";
    Some(
        Finding::new(code, object, path, what)
            .hint("name the authority of the server's certificate"),
    )
}
