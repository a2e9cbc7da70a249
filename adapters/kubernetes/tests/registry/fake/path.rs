//! What a request asks for.

use std::collections::BTreeMap;

use axum::http::header::ACCEPT;
use axum::http::request::Parts;

use super::cluster::{Key, Pruned};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// As RBAC calls it: `list`, `watch`, `get`, `create`, `update`, `patch`, `delete`.
    pub(crate) verb: &'static str,
    /// `pods`, or `virtualservices.networking.istio.io`.
    pub(crate) resource: String,
    /// What it is asked for in, such as `v1` or `networking.istio.io/v1`.
    pub(crate) api_version: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) metadata_only: bool,
}

impl Asked {
    /// Reads a request; `None` where it is not about a resource.
    pub(super) fn of(head: &Parts) -> Option<Self> {
        let path: Vec<&str> = head.uri.path().trim_matches('/').split('/').collect();
        let (group, version, rest) = match path.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() && rest != ["status"] => {
                (Some(*namespace), rest)
            }
            rest => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, None, None),
            [plural, name] => (*plural, Some(*name), None),
            [plural, name, subresource] => (*plural, Some(*name), Some(*subresource)),
            _ => return None,
        };
        let query = query(head.uri.query().unwrap_or_default());
        let watches = query
            .get("watch")
            .is_some_and(|watch| watch == "true" || watch == "1");
        let verb = match (head.method.as_str(), name) {
            ("GET", None) if watches => "watch",
            ("GET", None) => "list",
            ("GET", Some(_)) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", _) => "delete",
            _ => return None,
        };
        let accept = head
            .headers
            .get(ACCEPT)
            .and_then(|accept| accept.to_str().ok());
        let resource = match group {
            "" => plural.to_owned(),
            group => format!("{plural}.{group}"),
        };
        Some(Self {
            verb,
            resource,
            api_version: if group.is_empty() {
                version.into()
            } else {
                format!("{group}/{version}")
            },
            namespace: namespace.map(Into::into),
            name: name.map(Into::into),
            subresource: subresource.map(Into::into),
            query,
            metadata_only: accept.is_some_and(|accept| accept.contains("as=PartialObjectMetadata")),
        })
    }

    /// A parameter, empty where it is not given.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// Whether a list is to be streamed.
    pub(crate) fn is_streamed(&self) -> bool {
        self.verb == "watch" && self.parameter("sendInitialEvents") == "true"
    }

    /// The object, where it is about one.
    pub(super) fn key(&self) -> Option<Key> {
        Some(Key::new(
            &self.resource,
            self.namespace.as_deref().unwrap_or_default(),
            self.name.as_deref()?,
        ))
    }

    /// Which objects.
    pub(super) fn pruned(&self) -> Pruned {
        let pairs = |name: &str| {
            let terms = self
                .parameter(name)
                .split(',')
                .filter(|term| !term.is_empty());
            let pair = |term: &str| {
                // That something is not so keeps its mark, at the end of the key.
                let (key, value) = term.split_once('=').unwrap_or((term, ""));
                (key.to_owned(), value.trim_start_matches('=').to_owned())
            };
            terms.map(pair).collect()
        };
        Pruned {
            namespace: self.namespace.clone(),
            labels: pairs("labelSelector"),
            fields: pairs("fieldSelector"),
        }
    }
}

fn query(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (plain(name), plain(value))
    };
    pairs.map(pair).collect()
}

/// A text without the escapes of URLs.
fn plain(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let escaped =
            (bytes[at] == b'%').then(|| u8::from_str_radix(&text[at + 1..at + 3], 16).unwrap());
        plain.push(match (escaped, bytes[at]) {
            (Some(byte), _) => byte,
            (None, b'+') => b' ',
            (None, byte) => byte,
        });
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8(plain).unwrap()
}
