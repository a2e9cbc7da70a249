//! Checks of what mesh config says of spans, and of the tags of spans wherever they are written.

use super::super::access_log;
use super::super::name::plain_text;
use super::is_host_and_port;
use super::providers::header_name;
use crate::mesh::Sampling;
use crate::rules::at::At;
use crate::rules::spec::Double;
use crate::rules::spec::excerpt;
use crate::rules::spec::mesh_config::{CustomTag, Tracing};

/// All that is wrong with `defaultConfig.tracing`.
pub(super) fn tracing(at: &At<'_>, tracing: &Tracing) {
    if let Some(zipkin) = &tracing.zipkin
        && !is_host_and_port(&zipkin.address)
    {
        at.field("zipkin").field("address").error_hint(
            format!(
                "{:?} is not an address with a port",
                excerpt(&zipkin.address)
            ),
            "the host of a service and a port, such as zipkin.istio-system.svc.cluster.local:9411",
        );
    }
    percent(&at.field("sampling"), tracing.sampling);
    for (name, tag) in tracing.custom_tags.iter() {
        custom_tag(&at.field("customTags").key(name), name, tag);
    }
}

/// A share of all requests.
pub(in crate::rules::check) fn percent(at: &At<'_>, percent: Option<Double>) {
    let Some(percent) = percent.map(Double::get) else {
        return;
    };
    if Sampling::of_percent(percent).is_none() {
        at.error(format!(
            "{percent} is not a percentage: they are from 0 to 100"
        ));
    }
}

/// A tag of spans.
pub(in crate::rules::check) fn custom_tag(at: &At<'_>, name: &str, tag: &CustomTag) {
    if name.is_empty() {
        at.error("has no name");
    }
    let kinds = [
        tag.literal.is_some(),
        tag.environment.is_some(),
        tag.header.is_some(),
        tag.formatter.is_some(),
    ];
    match kinds.iter().filter(|is_there| **is_there).count() {
        0 => at.error_hint(
            "has no value",
            "it has one of literal, environment, header, formatter",
        ),
        1 => {}
        _ => at.error(
            "has several values: one of literal, environment, header, formatter is to be written",
        ),
    }
    if let Some(literal) = &tag.literal {
        let here = at.field("literal");
        let here = here.field("value");
        if literal.value.is_empty() {
            here.error("is missing");
        }
        plain_text(&here, &literal.value);
    }
    if let Some(environment) = &tag.environment
        && environment.name.is_empty()
    {
        at.field("environment").field("name").error("is missing");
    }
    if let Some(header) = &tag.header {
        header_name(&at.field("header").field("name"), &header.name);
    }
    if let Some(formatter) = &tag.formatter {
        let here = at.field("formatter");
        let here = here.field("value");
        if formatter.value.is_empty() {
            here.error("is missing");
        }
        access_log::text(&here, &formatter.value);
        here.warning(
            "has an effect on Envoy 1.40 and newer only: older ones have no tags of formats",
        );
    }
}
