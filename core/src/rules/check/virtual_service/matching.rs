//! Which requests a route is for.

use super::super::labels::labels;
use super::super::name::{is_label, plain_text, port_number};
use super::action::is_header;
use super::{gateways_of_match, regex};
use crate::model::ByName;
use crate::rules::at::At;
use crate::rules::resolve::CLAIMS;
use crate::rules::spec::virtual_service::{HttpMatch, StringMatch};
use crate::rules::spec::{VirtualService, excerpt};

/// What stands for any value where a header has to be there.
const ANY: &str = "*";

pub(super) fn check(at: &At<'_>, rule: &VirtualService, matches: &[HttpMatch]) {
    for (index, one) in matches.iter().enumerate() {
        let here = at.index(index);
        plain_text(&here.field("name"), &one.name);
        uri(&here, one);
        for (name, text) in [
            ("scheme", &one.scheme),
            ("method", &one.method),
            ("authority", &one.authority),
        ] {
            if let Some(text) = text {
                string(&here.field(name), text);
                said(&here.field(name), text);
            }
        }
        headers(&here.field("headers"), &one.headers);
        headers(&here.field("withoutHeaders"), &one.without_headers);
        let params = here.field("queryParams");
        for (name, text) in one.query_params.iter() {
            if name.is_empty() {
                params.key(name).error("has no name");
            }
            plain_text(&params.key(name), name);
            value(&params.key(name), text);
        }
        if let Some(port) = one.port {
            port_number(&here.field("port"), port);
        }
        sources(&here, rule, &one.source_namespace, &one.source_labels);
        gateways_of_match(&here, rule, &one.gateways);
        plain_text(&here.field("statPrefix"), &one.stat_prefix);
    }
}

/// Which clients a match is for.
pub(super) fn sources(
    at: &At<'_>,
    rule: &VirtualService,
    namespace: &str,
    of: &crate::model::Labels,
) {
    labels(&at.field("sourceLabels"), of);
    if !namespace.is_empty() && !is_label(namespace) {
        at.field("sourceNamespace")
            .error(format!("{:?} is not a namespace", excerpt(namespace)));
    }
    let only_gateways = !rule.hosts.is_empty() && !super::is_for_mesh(&rule.gateways);
    if only_gateways && !namespace.is_empty() {
        at.field("sourceNamespace").warning_hint(
            "is that of the gateway's proxies: their clients are not known",
            "add mesh to spec.gateways for sidecars",
        );
    }
}

fn uri(at: &At<'_>, one: &HttpMatch) {
    let here = at.field("uri");
    match &one.uri {
        None if one.ignore_uri_case => {
            at.field("ignoreUriCase")
                .warning("has no effect without uri");
        }
        None => {}
        Some(text) => {
            string(&here, text);
            said(&here, text);
            for (name, path) in [("exact", &text.exact), ("prefix", &text.prefix)] {
                let path = path.as_deref().unwrap_or("/");
                if !path.is_empty() && !path.starts_with(['/', '*']) {
                    here.field(name)
                        .warning_hint("never matches", "paths begin with '/'");
                } else if path.contains(['?', '#']) {
                    here.field(name).warning_hint(
                        "never matches: the query is no part of the path",
                        "use queryParams",
                    );
                }
            }
            if one.ignore_uri_case && text.regex.is_some() {
                at.field("ignoreUriCase")
                    .warning_hint("has no effect with a regex", "begin the regex with (?i)");
            }
        }
    }
}

fn headers(at: &At<'_>, all: &ByName<StringMatch>) {
    for (name, text) in all.iter() {
        let here = at.key(name);
        if name.starts_with(CLAIMS) {
            here.warning_hint(
                "never matches: nobody checks tokens here",
                "match on something else, or remove it",
            );
        } else if !is_header(name.strip_prefix(':').unwrap_or(name)) {
            here.error(format!("{:?} is not the name of a header", excerpt(name)));
        }
        value(&here, text);
    }
}

/// A value that may be missing as a whole: then it has to be there.
fn value(at: &At<'_>, text: &StringMatch) {
    if text.regex.as_deref() != Some(ANY) {
        string(at, text);
    }
}

/// One of the three at most, and it is well formed.
pub(super) fn string(at: &At<'_>, text: &StringMatch) {
    let said = [&text.exact, &text.prefix, &text.regex];
    if said.iter().filter(|text| text.is_some()).count() > 1 {
        at.error_hint("says more than one thing", "one of exact, prefix and regex");
    }
    for (name, text) in [("exact", &text.exact), ("prefix", &text.prefix)] {
        plain_text(&at.field(name), text.as_deref().unwrap_or_default());
    }
    if let Some(pattern) = &text.regex {
        regex::check(&at.field("regex"), pattern);
    }
}

fn said(at: &At<'_>, text: &StringMatch) {
    if *text == StringMatch::default() {
        at.warning_hint("says nothing", "one of exact, prefix and regex");
    }
}
