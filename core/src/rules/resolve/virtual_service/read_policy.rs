//! What happens beside the way to a service, from what is written.

use super::names::Names;
use super::read_match::string;
use super::{Abort, Backoff, Cors, Delay, Fault, Mirror, Retries, StringMatch, grpc_status};
use crate::rules::spec::Double;
use crate::rules::spec::virtual_service as spec;

pub(super) fn retries(written: &spec::Retries) -> Retries {
    let conditions = written.retry_on.split(',').map(str::trim);
    let conditions: Vec<_> = conditions.filter(|text| !text.is_empty()).collect();
    Retries {
        attempts: written.attempts,
        per_try_timeout: written.per_try_timeout.filter(|time| !time.is_zero()),
        retry_on: (!conditions.is_empty()).then(|| conditions.join(",").into()),
        remote_localities: written.retry_remote_localities,
        ignore_previous_hosts: written.retry_ignore_previous_hosts,
        backoff: written
            .backoff
            .filter(|time| !time.is_zero())
            .map(|base| Backoff { base }),
    }
}

/// `None` where nothing goes wrong.
pub(super) fn fault(written: &spec::Fault) -> Option<Fault> {
    let delay = |delay: &spec::Delay| {
        Some(Delay {
            fixed: delay.fixed_delay.filter(|time| !time.is_zero())?,
            percent: percent(delay.percentage, delay.percent),
        })
    };
    let abort = |abort: &spec::Abort| {
        let status = abort.http_status.map(u16::try_from);
        let http = status.and_then(Result::ok).map(Abort::Http);
        let grpc = || grpc_status(abort.grpc_status.as_deref()?).map(Abort::Grpc);
        let percent = percent(abort.percentage, abort.percent);
        Some((http.or_else(grpc)?, percent))
    };
    let some = |percent: &Double| percent.get() > 0.0;
    let fault = Fault {
        delay: written
            .delay
            .as_ref()
            .and_then(delay)
            .filter(|delay| some(&delay.percent)),
        abort: written
            .abort
            .as_ref()
            .and_then(abort)
            .filter(|(_, percent)| some(percent)),
    };
    (fault.delay.is_some() || fault.abort.is_some()).then_some(fault)
}

/// Those that get any copy.
pub(super) fn mirrors(names: Names<'_>, written: &spec::HttpRoute) -> Vec<Mirror> {
    let one = |to: &spec::Destination, percent: Double| {
        Some(Mirror {
            to: names.target(to)?,
            percent,
        })
    };
    let single = written.mirror.as_ref().and_then(|to| {
        let percent = percent(written.mirror_percentage, written.mirror_percent);
        one(to, percent)
    });
    let several = written.mirrors.iter().filter_map(|mirror| {
        let to = mirror.destination.as_ref()?;
        one(to, percent(mirror.percentage, None))
    });
    let all = single.into_iter().chain(several);
    all.filter(|mirror| mirror.percent.get() > 0.0).collect()
}

pub(super) fn cors(written: &spec::Cors) -> Cors {
    let texts = |all: &[String]| all.iter().map(|text| text.as_str().into()).collect();
    let origins: Vec<_> = if written.allow_origins.is_empty() {
        let old = written.allow_origin.iter();
        old.map(|text| StringMatch::Exact(text.as_str().into()))
            .collect()
    } else {
        let all = written.allow_origins.iter().filter_map(string);
        all.filter(|origin| match origin {
            StringMatch::Prefix(text) | StringMatch::Regex(text) => !text.is_empty(),
            StringMatch::Exact(_) => true,
        })
        .collect()
    };
    Cors {
        allow_origins: origins,
        allow_methods: texts(&written.allow_methods),
        allow_headers: texts(&written.allow_headers),
        expose_headers: texts(&written.expose_headers),
        max_age: written.max_age,
        allow_credentials: written.allow_credentials,
        forward_unmatched_preflights: match written.unmatched_preflights {
            Some(spec::UnmatchedPreflights::Forward) => Some(true),
            Some(spec::UnmatchedPreflights::Ignore) => Some(false),
            Some(spec::UnmatchedPreflights::Unspecified) | None => None,
        },
    }
}

/// In the new form or the old one; all where neither is given.
fn percent(new: Option<spec::Percent>, old: Option<u32>) -> Double {
    let old = old.and_then(|percent| Double::new(percent.into()));
    let written = new.map(|percent| percent.value).or(old);
    let within = written.map(|percent| percent.get().clamp(0.0, 100.0));
    let all = Double::new(100.0).unwrap_or_default();
    within.and_then(Double::new).unwrap_or(all)
}
