//! Checks of what a rule of an `AuthorizationPolicy` says under `when`.

use super::{block, port};
use crate::rules::at::At;
use crate::rules::check::request_authentication::not_empty;
use crate::rules::spec::authorization_policy::{Action, Condition};
use crate::rules::spec::excerpt;

/// What a condition can look at, as it is.
const KEYS: [&str; 11] = [
    "source.ip",
    "remote.ip",
    "source.namespace",
    "source.principal",
    "source.serviceAccount",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "destination.ip",
    "destination.port",
    "connection.sni",
];

/// The same, with a name in brackets.
const NAMED: [&str; 2] = ["request.headers", "request.auth.claims"];

/// The beginning of what Envoy's filters say.
const FILTERS: &str = "experimental.envoy.filters.";

/// All that is wrong with it.
pub(super) fn check(at: &At<'_>, action: Action, condition: &Condition) {
    let key = condition.key.as_str();
    let here = at.field("key");
    if key.is_empty() {
        here.error("is missing");
    } else if !is_known(key) {
        here.error_hint(
            format!("{:?} is nothing that a condition can look at", excerpt(key)),
            format!("one of {}, {}[..]", KEYS.join(", "), NAMED.join("[..], ")),
        );
    } else if action == Action::Custom && key.starts_with("request.auth.") {
        here.error("does not go with the action CUSTOM");
    }
    if condition.values.is_empty() && condition.not_values.is_empty() {
        at.error_hint("has no values", "give values or notValues");
    }
    for (name, list) in [
        ("values", &condition.values),
        ("notValues", &condition.not_values),
    ] {
        let here = at.field(name);
        for (index, text) in list.iter().enumerate() {
            match key {
                "source.ip" | "remote.ip" | "destination.ip" => block(&here.index(index), text),
                "destination.port" => port(&here.index(index), text),
                _ => {}
            }
        }
        if !key.ends_with(".ip") && key != "destination.port" {
            not_empty(&here, list);
        }
    }
}

fn is_known(key: &str) -> bool {
    let named = |beginning: &str| {
        let name = key
            .strip_prefix(beginning)
            .and_then(|rest| rest.strip_prefix('['))
            .and_then(|rest| rest.strip_suffix(']'));
        name.is_some_and(|name| !name.is_empty())
    };
    KEYS.contains(&key)
        || NAMED.iter().any(|beginning| named(beginning))
        || key
            .strip_prefix(FILTERS)
            .is_some_and(|rest| !rest.is_empty())
}
