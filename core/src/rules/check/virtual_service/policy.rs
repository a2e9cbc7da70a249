//! What happens beside the way to a service: retries, faults, copies, permissions of browsers.

use std::time::Duration;

use super::action::is_header;
use super::{destination, destination_here, matching};
use crate::rules::at::At;
use crate::rules::resolve::grpc_status;
use crate::rules::spec::virtual_service::{
    Abort, Cors, Delay, Fault, HttpRoute, Percent, Retries, StringMatch,
};
use crate::rules::spec::{closest, excerpt};

/// The failures that Envoy knows, of HTTP and of gRPC.
const FAILURES: [&str; 15] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "http3-post-connect-failure",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];

const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*",
];

pub(super) fn retries(at: &At<'_>, retries: &Retries) {
    for (name, time) in [
        ("perTryTimeout", retries.per_try_timeout),
        ("backoff", retries.backoff),
    ] {
        not_too_short(&at.field(name), time);
    }
    let says_more = retries.per_try_timeout.is_some()
        || !retries.retry_on.is_empty()
        || retries.retry_remote_localities.is_some()
        || retries.retry_ignore_previous_hosts.is_some()
        || retries.backoff.is_some();
    if retries.attempts == 0 && says_more {
        at.field("attempts").error_hint(
            "is 0, which means that nothing is tried again: the other fields have no effect",
            "give attempts, or remove the others",
        );
    }
    if retries.retry_on.is_empty() {
        return;
    }
    for failure in retries.retry_on.split(',').map(str::trim) {
        let is_status = failure
            .parse::<u16>()
            .is_ok_and(|status| (100..600).contains(&status));
        if !is_status && !FAILURES.contains(&failure) {
            let hint = match closest(failure, FAILURES.into_iter()) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("statuses, and {}", FAILURES.join(", ")),
            };
            at.field("retryOn").error_hint(
                format!("{:?} is no failure that Envoy knows", excerpt(failure)),
                hint,
            );
        }
    }
}

pub(super) fn fault(at: &At<'_>, fault: &Fault) {
    if fault.delay.is_none() && fault.abort.is_none() {
        at.error_hint("says nothing", "give delay, abort or both");
    }
    if let Some(fault) = &fault.delay {
        delay(&at.field("delay"), fault);
    }
    if let Some(fault) = &fault.abort {
        abort(&at.field("abort"), fault);
    }
}

fn delay(at: &At<'_>, delay: &Delay) {
    shares(at, delay.percentage, delay.percent, "percent", "percentage");
    not_too_short(&at.field("fixedDelay"), delay.fixed_delay);
    match (delay.fixed_delay, delay.exponential_delay) {
        (None, None) => at.field("fixedDelay").error("is missing"),
        (Some(_), Some(_)) => at
            .field("exponentialDelay")
            .error_hint("is given beside fixedDelay", "use fixedDelay"),
        (None, Some(_)) => at.field("exponentialDelay").warning_hint(
            "has no effect: Envoy has no such delay, and requests are not held up",
            "use fixedDelay",
        ),
        (Some(_), None) => {}
    }
}

fn abort(at: &At<'_>, abort: &Abort) {
    shares(at, abort.percentage, abort.percent, "percent", "percentage");
    let said = [
        ("httpStatus", abort.http_status.is_some()),
        ("grpcStatus", abort.grpc_status.is_some()),
        ("http2Error", abort.http2_error.is_some()),
    ];
    let mut said = said.iter().filter(|(_, is_said)| *is_said);
    match said.next() {
        None => at.error_hint(
            "does not say with what requests are answered",
            "one of httpStatus and grpcStatus",
        ),
        Some((first, _)) => {
            for (name, _) in said {
                at.field(name)
                    .error_hint(format!("is given beside {first}"), "use one of them");
            }
        }
    }
    if let Some(status) = abort.http_status
        && !(200..600).contains(&status)
    {
        at.field("httpStatus")
            .error(format!("{status} is not a status: from 200 to 599"));
    }
    if let Some(status) = &abort.grpc_status
        && grpc_status(status).is_none()
    {
        at.field("grpcStatus").error_hint(
            format!("{:?} is not a status of gRPC", excerpt(status)),
            "such as UNAVAILABLE, or a number from 0 to 16",
        );
    }
    if abort.http2_error.is_some() {
        at.field("http2Error").warning_hint(
            "has no effect: Envoy has no such failure, and requests are not aborted",
            "use httpStatus or grpcStatus",
        );
    }
}

pub(super) fn mirrors(at: &At<'_>, route: &HttpRoute) {
    shares(
        at,
        route.mirror_percentage,
        route.mirror_percent,
        "mirrorPercent",
        "mirrorPercentage",
    );
    match &route.mirror {
        Some(mirror) => {
            destination_here(&at.field("mirror"), mirror);
            if !route.mirrors.is_empty() {
                at.field("mirrors")
                    .error_hint("is given beside mirror", "use mirrors for all");
            }
        }
        None => {
            for (name, is_said) in [
                ("mirrorPercent", route.mirror_percent.is_some()),
                ("mirrorPercentage", route.mirror_percentage.is_some()),
            ] {
                if is_said {
                    at.field(name).warning("has no effect without mirror");
                }
            }
        }
    }
    let list = at.field("mirrors");
    for (index, mirror) in route.mirrors.iter().enumerate() {
        let here = list.index(index);
        destination(&here, mirror.destination.as_ref());
        if let Some(percent) = mirror.percentage {
            share(&here.field("percentage").field("value"), percent);
        }
    }
}

pub(super) fn cors(at: &At<'_>, cors: &Cors) {
    if !cors.allow_origin.is_empty() {
        let here = at.field("allowOrigin");
        if cors.allow_origins.is_empty() {
            here.warning_hint("is the old form of allowOrigins", "use allowOrigins");
        } else {
            here.warning_hint("has no effect beside allowOrigins", "remove it");
        }
    }
    let list = at.field("allowOrigins");
    for (index, origin) in cors.allow_origins.iter().enumerate() {
        let here = list.index(index);
        matching::string(&here, origin);
        if *origin == StringMatch::default() {
            here.warning_hint("says nothing", "one of exact, prefix and regex");
        } else if origin.prefix.as_deref() == Some("") {
            here.field("prefix")
                .error_hint("is empty", "exact \"*\" is from everywhere");
        }
    }
    let list = at.field("allowMethods");
    for (index, method) in cors.allow_methods.iter().enumerate() {
        if !METHODS.contains(&method.as_str()) {
            list.index(index).error_hint(
                format!("{:?} is not a method", excerpt(method)),
                format!("one of {}", METHODS.join(", ")),
            );
        }
    }
    for (field, names) in [
        ("allowHeaders", &cors.allow_headers),
        ("exposeHeaders", &cors.expose_headers),
    ] {
        let list = at.field(field);
        for (index, name) in names.iter().enumerate() {
            if !is_header(name) {
                list.index(index)
                    .error(format!("{:?} is not the name of a header", excerpt(name)));
            }
        }
    }
    if cors.max_age.is_some_and(|age| age.subsec_nanos() != 0) {
        at.field("maxAge")
            .error("has a fraction of a second: browsers count whole seconds");
    }
}

/// The same share in its new form and its old one.
fn shares(at: &At<'_>, new: Option<Percent>, old: Option<u32>, old_name: &str, new_name: &str) {
    if let Some(percent) = new {
        share(&at.field(new_name).field("value"), percent);
    }
    if let Some(percent) = old {
        let here = at.field(old_name);
        if percent > 100 {
            here.error(format!("{percent} is more than 100 percent"));
        } else if new.is_some() {
            here.warning_hint(format!("has no effect beside {new_name}"), "remove it");
        } else {
            here.warning_hint(
                format!("is the old form of {new_name}"),
                format!("use {new_name}.value"),
            );
        }
    }
}

fn share(at: &At<'_>, percent: Percent) {
    if !(0.0..=100.0).contains(&percent.value.get()) {
        at.error("is not a percentage: from 0 to 100");
    }
}

fn not_too_short(at: &At<'_>, time: Option<Duration>) {
    if time.is_some_and(|time| time < Duration::from_millis(1)) {
        at.error("is less than a millisecond");
    }
}
