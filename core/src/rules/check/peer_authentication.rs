//! Checks of a `PeerAuthentication`.

use super::policy_target::selector;
use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::PeerAuthentication;

/// All that is wrong with it.
pub(super) fn check(at: &At<'_>, _: &Meta, rule: &PeerAuthentication) {
    if let Some(labels) = &rule.selector {
        selector(&at.field("selector"), labels);
    }
    let ports = at.field("portLevelMtls");
    let selects = |labels: &crate::rules::spec::destination_rule::MatchLabels| {
        !labels.match_labels.is_empty()
    };
    if !rule.port_level_mtls.is_empty() && !rule.selector.as_ref().is_some_and(selects) {
        ports.error_hint(
            "is given without a selector",
            "ports are those of the workloads that the selector names",
        );
    }
    for (port, _) in rule.port_level_mtls.iter() {
        if !port.parse::<u16>().is_ok_and(|port| port > 0) {
            ports
                .key(port)
                .error("is not a port: ports are from 1 to 65535");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::rules::check::problems;

    fn check(spec: Value, expected: &[&str]) {
        assert_eq!(problems("PeerAuthentication", &spec), expected, "{spec}");
    }

    #[test]
    fn modes_for_workloads_and_for_ports_of_theirs() {
        check(json!({}), &[]);
        check(json!({"mtls": {"mode": "STRICT"}}), &[]);
        check(
            json!({
                "selector": {"matchLabels": {"app": "web"}}, "mtls": {"mode": 3},
                "portLevelMtls": {"8080": {"mode": "DISABLE"}, "9090": {"mode": "UNSET"}},
            }),
            &[],
        );
        check(
            json!({"mtls": {"mode": "strict"}}),
            &["E spec.mtls.mode: the text \"strict\" is not known here"],
        );
    }

    #[test]
    fn ports_go_with_a_selector() {
        let ports = json!({"8080": {"mode": "DISABLE"}});
        let alone = "E spec.portLevelMtls: is given without a selector";
        check(json!({"portLevelMtls": ports}), &[alone]);
        check(json!({"selector": {}, "portLevelMtls": ports}), &[alone]);
        check(
            json!({"selector": {"matchLabels": {"app": "*"}}, "portLevelMtls": {"0": {}, "http": {}, "1": {}}}),
            &[
                "E spec.selector.matchLabels.app: selectors have no wildcards",
                "E spec.portLevelMtls.0: is not a port: ports are from 1 to 65535",
                "E spec.portLevelMtls.http: is not a port: ports are from 1 to 65535",
            ],
        );
    }
}
