//! Checks of `DestinationRule`.

pub(super) mod connection;
mod load_balancer;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::BTreeSet;

use super::export_to::export_to;
use super::labels::labels;
use super::name::{host, is_label, port_number};
use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::destination_rule::{
    ConnectionPool, LoadBalancer, OutlierDetection, Subset, TrafficPolicy,
};
use crate::rules::spec::{DestinationRule, excerpt};

/// All that is wrong with it.
pub(super) fn check(at: &At<'_>, meta: &Meta, rule: &DestinationRule) {
    if rule.host.is_empty() {
        at.field("host")
            .error_hint("is missing", "the name of a service, or a wildcard");
    } else {
        host(&at.field("host"), &rule.host);
    }
    exported(&at.field("exportTo"), meta, rule);
    if let Some(selector) = &rule.workload_selector {
        let here = at.field("workloadSelector");
        let pairs = here.field("matchLabels");
        if selector.match_labels.is_empty() {
            here.warning("has no labels: all workloads of the namespace are selected");
        }
        labels(&pairs, &selector.match_labels);
    }
    if let Some(policy) = &rule.traffic_policy {
        traffic_policy(&at.field("trafficPolicy"), policy);
    }
    subsets(&at.field("subsets"), &rule.subsets);
}

fn exported(at: &At<'_>, meta: &Meta, rule: &DestinationRule) {
    let namespace = meta.key.namespace.as_str();
    export_to(at, namespace, &rule.export_to);
    for (index, name) in rule.export_to.iter().enumerate() {
        if name == "~" {
            at.index(index).error_hint(
                "\"~\" would make a rule for nobody",
                "remove the rule, or use '.'",
            );
        } else if rule.workload_selector.is_some() && name != "." && *name != namespace {
            at.index(index).error_hint(
                "a rule with a workloadSelector is for its own namespace only",
                "use '.', or remove exportTo",
            );
        }
    }
}

fn subsets(at: &At<'_>, subsets: &[Subset]) {
    let mut names = BTreeSet::new();
    for (index, subset) in subsets.iter().enumerate() {
        let here = at.index(index);
        let name = here.field("name");
        if subset.name.is_empty() {
            name.error("is missing");
        } else if !is_label(&subset.name) {
            name.error_hint(
                format!("{:?} is not a subset's name", excerpt(&subset.name)),
                "letters, digits and '-' within, at most 63 characters",
            );
        } else if !names.insert(subset.name.as_str()) {
            name.error(format!(
                "another subset has the name {:?}",
                excerpt(&subset.name)
            ));
        }
        labels(&here.field("labels"), &subset.labels);
        if let Some(policy) = &subset.traffic_policy {
            traffic_policy(&here.field("trafficPolicy"), policy);
        }
    }
}

fn traffic_policy(at: &At<'_>, policy: &TrafficPolicy) {
    let said = Said {
        load_balancer: policy.load_balancer.as_ref(),
        connection_pool: policy.connection_pool.as_ref(),
        outlier_detection: policy.outlier_detection.as_ref(),
        tls: policy.tls.as_ref(),
    };
    let more = policy.tunnel.is_some()
        || policy.proxy_protocol.is_some()
        || policy.retry_budget.is_some()
        || !policy.port_level_settings.is_empty();
    if said.is_empty() && !more {
        at.warning("says nothing");
    }
    said.check(at);
    if let Some(tunnel) = &policy.tunnel {
        connection::tunnel(&at.field("tunnel"), tunnel);
    }
    if let Some(budget) = &policy.retry_budget {
        connection::retry_budget(&at.field("retryBudget"), budget);
    }
    let mut numbers = BTreeSet::new();
    for (index, port) in policy.port_level_settings.iter().enumerate() {
        let list = at.field("portLevelSettings");
        let here = list.index(index);
        let number = here.field("port");
        match port.port {
            None => number.error("is missing"),
            Some(port) => {
                port_number(&number.field("number"), port.number);
                if !numbers.insert(port.number) {
                    number
                        .field("number")
                        .error(format!("{} has settings already", port.number));
                }
            }
        }
        let said = Said {
            load_balancer: port.load_balancer.as_ref(),
            connection_pool: port.connection_pool.as_ref(),
            outlier_detection: port.outlier_detection.as_ref(),
            tls: port.tls.as_ref(),
        };
        said.check(&here);
    }
}

/// What a policy says of all ports or of one.
struct Said<'a> {
    load_balancer: Option<&'a LoadBalancer>,
    connection_pool: Option<&'a ConnectionPool>,
    outlier_detection: Option<&'a OutlierDetection>,
    tls: Option<&'a crate::rules::spec::destination_rule::ClientTls>,
}

impl Said<'_> {
    fn is_empty(&self) -> bool {
        self.load_balancer.is_none()
            && self.connection_pool.is_none()
            && self.outlier_detection.is_none()
            && self.tls.is_none()
    }

    fn check(&self, at: &At<'_>) {
        if let Some(balancer) = self.load_balancer {
            let ejects = self.outlier_detection.is_some();
            load_balancer::check(&at.field("loadBalancer"), balancer, ejects);
        }
        if let Some(pool) = self.connection_pool {
            connection::pool(&at.field("connectionPool"), pool);
        }
        if let Some(detection) = self.outlier_detection {
            outlier_detection(&at.field("outlierDetection"), detection);
        }
        if let Some(tls) = self.tls {
            tls::check(&at.field("tls"), tls);
        }
    }
}

fn outlier_detection(at: &At<'_>, detection: &OutlierDetection) {
    if detection.consecutive_errors.is_some() {
        at.field("consecutiveErrors").warning_hint(
            "is the old form of consecutiveGatewayErrors",
            "use consecutiveGatewayErrors or consecutive5xxErrors",
        );
    }
    for (name, time) in [
        ("interval", detection.interval),
        ("baseEjectionTime", detection.base_ejection_time),
    ] {
        connection::not_too_short(&at.field(name), time);
    }
    for (name, percent) in [
        ("maxEjectionPercent", detection.max_ejection_percent),
        ("minHealthPercent", detection.min_health_percent),
    ] {
        if percent > 100 {
            at.field(name)
                .error(format!("{percent} is more than 100 percent"));
        }
    }
    if detection.consecutive_local_origin_failures.is_some()
        && !detection.split_external_local_origin_errors
    {
        at.field("consecutiveLocalOriginFailures")
            .warning_hint("has no effect", "set splitExternalLocalOriginErrors");
    }
}
