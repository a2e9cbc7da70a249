//! Which requests a route is for, from what is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::names::{Names, number};
use super::{HeaderMatch, HttpMatch, StringMatch};
use crate::model::ByName;
use crate::rules::spec::virtual_service as spec;

/// What headers are called that stand for claims of tokens. Nobody checks tokens, so no request has any.
pub(crate) const CLAIMS: &str = "@request.auth.";

/// All but those that no request can be like.
pub(super) fn requests(names: Names<'_>, written: &[spec::HttpMatch]) -> Vec<HttpMatch> {
    let possible = |one: &&spec::HttpMatch| {
        !one.headers
            .iter()
            .any(|(header, _)| header.starts_with(CLAIMS))
    };
    let read = |one: &spec::HttpMatch| request(names, one);
    written.iter().filter(possible).map(read).collect()
}

fn request(names: Names<'_>, written: &spec::HttpMatch) -> HttpMatch {
    let lower = |name: &str| Arc::from(name.to_ascii_lowercase());
    let plain = |name: &str| Arc::from(name);
    HttpMatch {
        name: written.name.as_str().into(),
        uri: whole(written.uri.as_ref()),
        whole_segments: false,
        ignore_uri_case: written.ignore_uri_case,
        scheme: whole(written.scheme.as_ref()),
        method: whole(written.method.as_ref()),
        authority: whole(written.authority.as_ref()),
        headers: named(&written.headers, lower),
        without_headers: named(&written.without_headers, lower)
            .into_iter()
            .filter(|(name, _)| !name.starts_with(CLAIMS))
            .collect(),
        query_params: named(&written.query_params, plain),
        port: written.port.and_then(number),
        source_labels: written.source_labels.clone(),
        source_namespace: (!written.source_namespace.is_empty())
            .then(|| written.source_namespace.as_str().into()),
        gateways: names.gateways(&written.gateways),
        stat_prefix: written.stat_prefix.as_str().into(),
    }
}

fn named(
    written: &ByName<spec::StringMatch>,
    name_of: impl Fn(&str) -> Arc<str>,
) -> BTreeMap<Arc<str>, HeaderMatch> {
    let read = |(name, written): (&str, &spec::StringMatch)| (name_of(name), header(written));
    written.iter().map(read).collect()
}

/// A header of which nothing is said has to be there. `*` is no regular expression, and is what Istio's users write for that.
fn header(written: &spec::StringMatch) -> HeaderMatch {
    match string(written) {
        None => HeaderMatch::Present,
        Some(StringMatch::Prefix(text)) if text.is_empty() => HeaderMatch::Present,
        Some(StringMatch::Regex(text)) if text.is_empty() || &*text == "*" => HeaderMatch::Present,
        Some(value) => HeaderMatch::Value(value),
    }
}

/// Of a text that every request has; `None`: it may be whatever it is.
fn whole(written: Option<&spec::StringMatch>) -> Option<StringMatch> {
    string(written?).filter(|how| match how {
        StringMatch::Prefix(text) | StringMatch::Regex(text) => !text.is_empty(),
        StringMatch::Exact(_) => true,
    })
}

pub(super) fn string(written: &spec::StringMatch) -> Option<StringMatch> {
    let exact = written.exact.as_deref().map(Arc::from);
    let prefix = written.prefix.as_deref().map(Arc::from);
    let regex = written.regex.as_deref().map(Arc::from);
    exact
        .map(StringMatch::Exact)
        .or(prefix.map(StringMatch::Prefix))
        .or(regex.map(StringMatch::Regex))
}
