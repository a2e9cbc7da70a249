//! What a token may read: Consul leaves out the rest of an answer without saying so.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Query;

/// How much Consul lets itself be asked at once.
pub(super) const AT_ONCE: usize = 64;

/// Something that a token may be allowed to read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Readable {
    /// A service of this name.
    Service(String),
    /// A node of this name.
    Node(String),
    /// This key.
    Key(String),
}

impl Readable {
    /// The kind of thing in Consul's rules, and its name.
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Service(name) => ("service", name),
            Self::Node(name) => ("node", name),
            Self::Key(name) => ("key", name),
        }
    }
}

impl fmt::Display for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = self.parts();
        write!(f, "{kind} {name:?}")
    }
}

/// A question about one of them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Question<'a> {
    resource: &'static str,
    access: &'static str,
    segment: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    partition: &'a str,
}

impl<'a> Question<'a> {
    pub(super) fn about(what: &'a Readable, query: &'a Query) -> Self {
        let (resource, segment) = what.parts();
        Self {
            resource,
            access: "read",
            segment,
            namespace: &query.namespace,
            partition: &query.partition,
        }
    }
}

/// The answer to it, at the same place of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Said {
    pub(super) allow: bool,
}

/// Those that may not be read, if there is an answer for each.
pub(super) fn denied(asked: &[&Readable], said: &[Said]) -> Option<BTreeSet<Readable>> {
    let pairs = asked.iter().zip(said);
    let denied = pairs.filter(|(_, said)| !said.allow);
    (asked.len() == said.len()).then(|| denied.map(|(what, _)| (*what).clone()).collect())
}
