//! Routes of HTTP requests: what they do, and what of it excludes each other.

use std::time::Duration;

use super::super::name::plain_text;
use super::{action, destination, matching, policy, weights};
use crate::rules::at::At;
use crate::rules::spec::VirtualService;
use crate::rules::spec::virtual_service::HttpRoute;

pub(super) fn check(at: &At<'_>, rule: &VirtualService, route: &HttpRoute) {
    plain_text(&at.field("name"), &route.name);
    matching::check(&at.field("match"), rule, &route.matches);
    what(at, rule, route);
    if let Some(delegate) = &route.delegate {
        action::delegate(&at.field("delegate"), delegate);
    }
    if let Some(redirect) = &route.redirect {
        action::redirect(&at.field("redirect"), redirect);
    }
    if let Some(response) = &route.direct_response {
        action::direct_response(&at.field("directResponse"), response);
    }
    if let Some(rewrite) = &route.rewrite {
        action::rewrite(&at.field("rewrite"), rewrite);
    }
    destinations(&at.field("route"), route);
    let too_short = |time: Duration| !time.is_zero() && time < Duration::from_millis(1);
    if route.timeout.is_some_and(too_short) {
        at.field("timeout").error("is less than a millisecond");
    }
    if let Some(retries) = &route.retries {
        policy::retries(&at.field("retries"), retries);
    }
    if let Some(fault) = &route.fault {
        policy::fault(&at.field("fault"), fault);
    }
    policy::mirrors(at, route);
    if let Some(cors) = &route.cors_policy {
        policy::cors(&at.field("corsPolicy"), cors);
    }
    if let Some(headers) = &route.headers {
        action::headers(&at.field("headers"), headers);
    }
}

fn destinations(at: &At<'_>, route: &HttpRoute) {
    for (index, target) in route.route.iter().enumerate() {
        let here = at.index(index);
        destination(&here, target.destination.as_ref());
        if let Some(headers) = &target.headers {
            action::headers(&here.field("headers"), headers);
        }
    }
    weights(at, route.route.iter().map(|target| target.weight));
}

/// One of the four, and what does not go with it.
fn what(at: &At<'_>, rule: &VirtualService, route: &HttpRoute) {
    let said = [
        ("delegate", route.delegate.is_some()),
        ("redirect", route.redirect.is_some()),
        ("directResponse", route.direct_response.is_some()),
        ("route", !route.route.is_empty()),
    ];
    let mut said = said.iter().filter(|(_, is_said)| *is_said);
    let Some((first, _)) = said.next() else {
        at.error_hint(
            "does not say what becomes of requests",
            "one of route, redirect, directResponse and delegate",
        );
        return;
    };
    for (name, _) in said {
        at.field(name)
            .error_hint(format!("is given beside {first}"), "use one of them");
    }
    let unfit = [
        ("fault", route.fault.is_some()),
        ("rewrite", route.rewrite.is_some()),
    ];
    let inert = [
        ("timeout", route.timeout.is_some()),
        ("retries", route.retries.is_some()),
        ("mirror", route.mirror.is_some()),
        ("mirrors", !route.mirrors.is_empty()),
    ];
    if *first == "redirect" || *first == "directResponse" {
        for (name, _) in unfit.iter().filter(|(_, is_said)| *is_said) {
            at.field(name).error_hint(
                format!("is given beside {first}"),
                format!("it goes with route; {first} answers at once"),
            );
        }
        for (name, _) in inert.iter().filter(|(_, is_said)| *is_said) {
            at.field(name)
                .warning(format!("has no effect beside {first}"));
        }
    }
    if *first == "delegate" && rule.hosts.is_empty() {
        at.field("delegate").error_hint(
            "is in a rule without hosts, which others delegate to themselves",
            "delegate once only",
        );
    }
}
