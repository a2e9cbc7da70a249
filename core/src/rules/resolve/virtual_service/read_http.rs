//! Routes of HTTP requests, from what is written: old forms become new ones, and what is missing gets its default.

use std::sync::Arc;

use super::names::{Names, number, text};
use super::read_match::requests;
use super::read_policy::{cors, fault, mirrors, retries};
use super::{
    BodyBytes, DirectResponse, HeaderOperations, HttpAction, HttpRoute, HttpTarget, Operations,
    Place, Redirect, RedirectPort, Rewrite, UriRewrite,
};
use crate::model::ByName;
use crate::rules::spec::virtual_service as spec;

/// The status of redirects that say none.
const MOVED_PERMANENTLY: u16 = 301;

/// `None` where there is nothing to do, or no request that it is for.
pub(super) fn http(names: Names<'_>, place: Place, written: &spec::HttpRoute) -> Option<HttpRoute> {
    let matches = requests(names, &written.matches);
    if matches.is_empty() && !written.matches.is_empty() {
        return None;
    }
    Some(HttpRoute {
        place,
        name: written.name.as_str().into(),
        matches,
        action: action(names, written)?,
        timeout: written.timeout,
        retries: written.retries.as_ref().map(retries),
        rewrite: written.rewrite.as_ref().and_then(rewrite),
        headers: headers(written.headers.as_ref()),
        mirrors: mirrors(names, written),
        cors: written.cors_policy.as_ref().map(cors).map(Arc::new),
        fault: written.fault.as_ref().and_then(fault).map(Arc::new),
    })
}

fn action(names: Names<'_>, written: &spec::HttpRoute) -> Option<HttpAction> {
    if let Some(delegate) = &written.delegate {
        return Some(HttpAction::Delegate(names.delegate(delegate)));
    }
    if let Some(response) = &written.direct_response {
        return Some(HttpAction::DirectResponse(direct_response(response)));
    }
    if let Some(written) = &written.redirect {
        return Some(HttpAction::Redirect(redirect(written)));
    }
    let alone = written.route.len() == 1;
    let target = |written: &spec::HttpDestination| {
        Some(HttpTarget {
            to: names.target(written.destination.as_ref()?)?,
            weight: super::weight(written.weight, alone),
            headers: headers(written.headers.as_ref()),
        })
    };
    let targets: Vec<_> = written.route.iter().filter_map(target).collect();
    let some = targets.iter().any(|target| target.weight > 0);
    some.then_some(HttpAction::Route(targets))
}

fn direct_response(written: &spec::DirectResponse) -> DirectResponse {
    let body = |body: &spec::ResponseBody| match (&body.string, &body.bytes) {
        (Some(text), _) => Some(BodyBytes::Text(text.as_str().into())),
        (None, Some(bytes)) => super::bytes(bytes).map(|bytes| BodyBytes::Bytes(bytes.into())),
        (None, None) => None,
    };
    DirectResponse {
        status: u16::try_from(written.status).unwrap_or_default(),
        body: written.body.as_ref().and_then(body),
    }
}

fn redirect(written: &spec::Redirect) -> Redirect {
    let derived = |from: spec::DerivePort| match from {
        spec::DerivePort::FromProtocolDefault => RedirectPort::FromProtocolDefault,
        spec::DerivePort::FromRequestPort => RedirectPort::FromRequestPort,
    };
    let port = written.port.and_then(number).map(RedirectPort::Number);
    Redirect {
        uri: text(&written.uri).map(UriRewrite::Plain),
        authority: text(&written.authority),
        port: port.or_else(|| written.derive_port.map(derived)),
        scheme: text(&written.scheme),
        code: match u16::try_from(written.redirect_code) {
            Ok(code) if code != 0 => code,
            _ => MOVED_PERMANENTLY,
        },
    }
}

fn rewrite(written: &spec::Rewrite) -> Option<Rewrite> {
    let regex = |regex: &spec::RegexRewrite| UriRewrite::Regex {
        pattern: regex.pattern.as_str().into(),
        substitution: regex.rewrite.as_str().into(),
    };
    let regex = written.uri_regex_rewrite.as_ref().map(regex);
    let rewrite = Rewrite {
        uri: regex.or_else(|| text(&written.uri).map(UriRewrite::Plain)),
        authority: text(&written.authority),
    };
    (rewrite.uri.is_some() || rewrite.authority.is_some()).then_some(rewrite)
}

fn headers(written: Option<&spec::Headers>) -> HeaderOperations {
    let of = |written: Option<&spec::HeaderOperations>| written.map(operations).unwrap_or_default();
    HeaderOperations {
        request: of(written.and_then(|written| written.request.as_ref())),
        response: of(written.and_then(|written| written.response.as_ref())),
    }
}

fn operations(written: &spec::HeaderOperations) -> Operations {
    let lower = |name: &str| Arc::<str>::from(name.to_ascii_lowercase());
    let values = |written: &ByName<String>| {
        let pairs = written.iter();
        let pairs = pairs.map(|(name, value)| (lower(name), value.as_str().into()));
        pairs.collect()
    };
    Operations {
        set: values(&written.set),
        add: values(&written.add),
        remove: written.remove.iter().map(|name| lower(name)).collect(),
    }
}
