//! Which requests a path of an `Ingress` is for.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::rules::resolve::{HttpMatch, StringMatch};
use crate::rules::spec::ingress::IngressPath;

/// How a path is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathType {
    /// The path itself.
    Exact,
    /// The path and what is below it.
    Prefix,
    /// With `/*` or `.*` at its end as `Prefix`, otherwise as `Exact`: what Istio makes of it.
    ImplementationSpecific,
}

impl PathType {
    /// The one of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "Exact" => Some(Self::Exact),
            "Prefix" => Some(Self::Prefix),
            "ImplementationSpecific" => Some(Self::ImplementationSpecific),
            _ => None,
        }
    }
}

/// The requests of a path. What takes fewer of them is less: exact paths before prefixes, long ones before short ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Requests {
    /// For this very path.
    Path(Reverse<usize>, Arc<str>),
    /// For this path and those below it; empty: all.
    Below(Reverse<usize>, Arc<str>),
}

impl Requests {
    fn path(path: &str) -> Self {
        Self::Path(Reverse(path.len()), path.into())
    }

    fn below(path: &str) -> Self {
        let path = path.trim_end_matches('/');
        Self::Below(Reverse(path.len()), path.into())
    }

    /// What a route says that is for them.
    pub(super) fn matching(&self) -> HttpMatch {
        let (uri, whole_segments) = match self {
            Self::Path(_, path) => (StringMatch::Exact(path.clone()), false),
            Self::Below(_, path) if path.is_empty() => (StringMatch::Prefix("/".into()), false),
            Self::Below(_, path) => (StringMatch::Prefix(path.clone()), true),
        };
        HttpMatch {
            uri: Some(uri),
            whole_segments,
            ..HttpMatch::default()
        }
    }
}

/// The requests that a path is for; `None` for one that could not have been accepted.
pub(crate) fn ingress_path(written: &IngressPath) -> Option<Requests> {
    let path = written.path.as_str();
    match PathType::parse(&written.path_type)? {
        PathType::Exact => Some(Requests::path(path)),
        PathType::Prefix => Some(Requests::below(path)),
        PathType::ImplementationSpecific => {
            let wildcard = path.strip_suffix("/*").or_else(|| path.strip_suffix(".*"));
            Some(match (path, wildcard) {
                ("", _) => Requests::below(""),
                (_, Some(path)) => Requests::below(path),
                (path, None) => Requests::path(path),
            })
        }
    }
}
