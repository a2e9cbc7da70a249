//! Checks of an `AuthorizationPolicy`.

mod condition;
#[cfg(test)]
mod tests;

use super::policy_target::target;
use super::request_authentication::not_empty;
use crate::model::Cidr;
use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::authorization_policy::{Action, AuthorizationRule, Operation, Source};
use crate::rules::spec::{AuthorizationPolicy, excerpt};

/// All that is wrong with it.
pub(super) fn check(at: &At<'_>, meta: &Meta, policy: &AuthorizationPolicy) {
    target(
        at,
        meta,
        policy.selector.as_ref(),
        policy.target_ref.as_ref(),
        &policy.target_refs,
    );
    let rules = at.field("rules");
    if policy.rules.is_empty() && matches!(policy.action, Action::Deny | Action::Custom) {
        rules.error_hint(
            "is empty: the policy speaks of no request",
            "for every request, write rules: [{}]",
        );
    }
    let provider = at.field("provider");
    match (&policy.provider, policy.action) {
        (None, Action::Custom) => {
            provider.error_hint("is missing", "with CUSTOM, say who decides");
        }
        (Some(named), Action::Custom) if named.name.is_empty() => {
            provider.field("name").error("is missing");
        }
        (Some(_), Action::Allow | Action::Deny | Action::Audit) => {
            provider.error_hint("goes with the action CUSTOM only", "remove it");
        }
        (Some(_), Action::Custom) | (None, _) => {}
    }
    for (index, one) in policy.rules.iter().enumerate() {
        rule(&rules.index(index), policy.action, one);
    }
}

fn rule(at: &At<'_>, action: Action, rule: &AuthorizationRule) {
    let from = at.field("from");
    if rule.from.as_ref().is_some_and(Vec::is_empty) {
        from.error_hint(
            "is empty: nobody is spoken of",
            "leave it out for everybody",
        );
    }
    for (index, one) in rule.from.iter().flatten().enumerate() {
        let list = from.index(index);
        let here = list.field("source");
        match &one.source {
            Some(source) => self::source(&here, action, source),
            None => here.error("is missing"),
        }
    }
    let to = at.field("to");
    if rule.to.as_ref().is_some_and(Vec::is_empty) {
        to.error_hint(
            "is empty: nothing is spoken of",
            "leave it out for everything",
        );
    }
    for (index, one) in rule.to.iter().flatten().enumerate() {
        let list = to.index(index);
        let here = list.field("operation");
        match &one.operation {
            Some(operation) => self::operation(&here, operation),
            None => here.error("is missing"),
        }
    }
    let when = at.field("when");
    for (index, one) in rule.when.iter().enumerate() {
        condition::check(&when.index(index), action, one);
    }
}

fn source(at: &At<'_>, action: Action, source: &Source) {
    if *source == Source::default() {
        at.error("is empty");
    }
    for (name, list) in [
        ("principals", &source.principals),
        ("notPrincipals", &source.not_principals),
        ("requestPrincipals", &source.request_principals),
        ("notRequestPrincipals", &source.not_request_principals),
        ("namespaces", &source.namespaces),
        ("notNamespaces", &source.not_namespaces),
        ("serviceAccounts", &source.service_accounts),
        ("notServiceAccounts", &source.not_service_accounts),
    ] {
        not_empty(&at.field(name), list);
    }
    for (name, list) in [
        ("ipBlocks", &source.ip_blocks),
        ("notIpBlocks", &source.not_ip_blocks),
        ("remoteIpBlocks", &source.remote_ip_blocks),
        ("notRemoteIpBlocks", &source.not_remote_ip_blocks),
    ] {
        let here = at.field(name);
        for (index, text) in list.iter().enumerate() {
            block(&here.index(index), text);
        }
    }
    let by_account = !source.service_accounts.is_empty() || !source.not_service_accounts.is_empty();
    let by_identity = !source.principals.is_empty()
        || !source.not_principals.is_empty()
        || !source.namespaces.is_empty()
        || !source.not_namespaces.is_empty();
    if by_account && by_identity {
        at.field("serviceAccounts").error_hint(
            "go with neither principals nor namespaces",
            "an account names its namespace itself",
        );
    }
    if action == Action::Custom {
        for (name, list) in [
            ("requestPrincipals", &source.request_principals),
            ("notRequestPrincipals", &source.not_request_principals),
        ] {
            if !list.is_empty() {
                at.field(name).error("does not go with the action CUSTOM");
            }
        }
    }
}

fn operation(at: &At<'_>, operation: &Operation) {
    if *operation == Operation::default() {
        at.error("is empty");
    }
    for (name, list) in [
        ("hosts", &operation.hosts),
        ("notHosts", &operation.not_hosts),
        ("methods", &operation.methods),
        ("notMethods", &operation.not_methods),
        ("paths", &operation.paths),
        ("notPaths", &operation.not_paths),
    ] {
        not_empty(&at.field(name), list);
    }
    for (name, list) in [
        ("ports", &operation.ports),
        ("notPorts", &operation.not_ports),
    ] {
        let here = at.field(name);
        for (index, text) in list.iter().enumerate() {
            port(&here.index(index), text);
        }
    }
    for (name, list) in [
        ("paths", &operation.paths),
        ("notPaths", &operation.not_paths),
    ] {
        let here = at.field(name);
        for (index, text) in list.iter().enumerate() {
            path(&here.index(index), text);
        }
    }
}

/// An address or a block of addresses.
fn block(at: &At<'_>, text: &str) {
    if text.parse::<Cidr>().is_err() {
        at.error(format!(
            "{:?} is neither an IP address nor a block such as 10.0.0.0/8",
            excerpt(text)
        ));
    }
}

/// A port's number, as a text.
fn port(at: &At<'_>, text: &str) {
    if !text.parse::<u16>().is_ok_and(|port| port > 0) {
        at.error(format!(
            "{:?} is not a port: ports are from 1 to 65535",
            excerpt(text)
        ));
    }
}

/// A path: as it is, with `*` at one end, or a template whose segments may be `{*}` and whose last may be `{**}`.
fn path(at: &At<'_>, text: &str) {
    if !text.contains("{*}") && !text.contains("{**}") {
        return;
    }
    let mut after_any = false;
    for segment in text.split('/') {
        let variable = matches!(segment, "{*}" | "{**}");
        if !variable && segment.contains(['{', '}', '*']) {
            at.error_hint(
                format!("{:?} is not a template of paths", excerpt(text)),
                "{*} and {**} are whole segments, and '*' stands in none",
            );
            return;
        }
        if after_any && segment == "{**}" {
            at.error_hint(
                format!("{:?} is not a template of paths", excerpt(text)),
                "{**} stands once",
            );
            return;
        }
        after_any |= segment == "{**}";
    }
}
