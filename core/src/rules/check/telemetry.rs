//! Checks of a `Telemetry`.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::cel::expression;
use super::mesh_config::tracing::{custom_tag, percent};
use super::policy_target::target;
use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::Telemetry;
use crate::rules::spec::telemetry::{
    AccessLogging, IstioMetric, Metrics, MetricsOverride, ProviderRef, TagOperation, Tracing,
};

/// All that is wrong with it.
pub(super) fn check(at: &At<'_>, meta: &Meta, rule: &Telemetry) {
    let Telemetry {
        selector,
        target_ref,
        target_refs,
        ..
    } = rule;
    target(
        at,
        meta,
        selector.as_ref(),
        target_ref.as_ref(),
        target_refs,
    );
    for (name, given) in [
        ("targetRef", target_ref.is_some()),
        ("targetRefs", !target_refs.is_empty()),
    ] {
        if given {
            at.field(name).warning_hint(
                "is known to Istio and has no effect here: nothing is reported for this object",
                "select workloads by their labels: selector",
            );
        }
    }
    let all = at.field("tracing");
    for (index, one) in rule.tracing.iter().enumerate() {
        tracing(&all.index(index), one);
    }
    let all = at.field("metrics");
    for (index, one) in rule.metrics.iter().enumerate() {
        metrics(&all.index(index), one);
    }
    let all = at.field("accessLogging");
    for (index, one) in rule.access_logging.iter().enumerate() {
        access_logging(&all.index(index), one);
    }
}

fn providers(at: &At<'_>, all: &[ProviderRef]) {
    let here = at.field("providers");
    for (index, one) in all.iter().enumerate() {
        if one.name.is_empty() {
            here.index(index).field("name").error("is missing");
        }
    }
}

fn tracing(at: &At<'_>, one: &Tracing) {
    providers(at, &one.providers);
    if one.providers.len() > 1 {
        at.field("providers")
            .warning("names several providers, of which the first counts");
    }
    percent(
        &at.field("randomSamplingPercentage"),
        one.random_sampling_percentage,
    );
    let tags = at.field("customTags");
    for (name, tag) in one.custom_tags.iter().flat_map(|tags| tags.iter()) {
        custom_tag(&tags.key(name), name, tag);
    }
}

fn access_logging(at: &At<'_>, one: &AccessLogging) {
    providers(at, &one.providers);
    if let Some(filter) = &one.filter {
        let here = at.field("filter");
        let here = here.field("expression");
        if filter.expression.is_empty() {
            here.error_hint("is missing", "such as response.code >= 500");
        } else {
            expression(&here, &filter.expression);
        }
    }
}

fn metrics(at: &At<'_>, one: &Metrics) {
    providers(at, &one.providers);
    at.warning(
        "has an effect on proxies only that announce envoy.access_loggers.stats, as Envoy 1.40 does: Istio's own filter of metrics is not part of Envoy",
    );
    if let Some(interval) = one.reporting_interval {
        let here = at.field("reportingInterval");
        if interval < Duration::from_millis(1) {
            here.error(format!("{interval:?} is shorter than 1ms"));
        }
        here.warning(
            "is known to Istio and has no effect here: connections are counted when they end",
        );
    }
    let all = at.field("overrides");
    for (index, one) in one.overrides.iter().enumerate() {
        metrics_override(&all.index(index), one);
    }
}

fn metrics_override(at: &At<'_>, one: &MetricsOverride) {
    if let Some(matches) = &one.matches {
        let here = at.field("match");
        if matches.metric.is_some() && !matches.custom_metric.is_empty() {
            here.error("has both metric and customMetric");
        }
        if !matches.custom_metric.is_empty() {
            here.field("customMetric")
                .warning("is known to Istio and has no effect here: only Istio's standard metrics are counted");
        }
        if matches.metric.is_some_and(is_inert) {
            here.field("metric")
                .warning("is not counted here, so nothing of it can be overridden");
        }
    }
    let tags = at.field("tagOverrides");
    for (name, tag) in one.tag_overrides.iter() {
        let here = tags.key(name);
        if !is_tag(name) {
            here.error_hint("is not a tag's name", "letters, digits and '_'");
        }
        let value = here.field("value");
        match (tag.operation, tag.value.as_str()) {
            (TagOperation::Upsert, "") => {
                value.error_hint("is missing", "in CEL, such as request.host");
            }
            (TagOperation::Upsert, text) => {
                expression(&value, text);
                if text.contains(['%', '\n', '"']) {
                    value.error_hint(
                        "has a percent sign, a double quote or a line's end in it, which formats of Envoy cannot carry",
                        "texts of CEL may be in single quotes",
                    );
                }
            }
            (TagOperation::Remove, "") => {}
            (TagOperation::Remove, _) => {
                value.error("is given for a tag that is removed");
            }
        }
    }
}

fn is_inert(metric: IstioMetric) -> bool {
    matches!(
        metric,
        IstioMetric::GrpcRequestMessages
            | IstioMetric::GrpcResponseMessages
            | IstioMetric::TcpOpenedConnections
    )
}

fn is_tag(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
