//! What becomes of a request: as a row says, and as it was seen.

use std::collections::{BTreeMap, BTreeSet};

/// Who answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Who {
    /// One of these servers.
    Backend(BTreeSet<String>),
    /// The proxy, with this status.
    Status(u16),
    /// Nobody: the connection is closed.
    #[default]
    Closed,
}

/// What a row says. What it does not mention is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) who: Who,
    /// What access logs call it: only the evaluator says.
    pub(crate) flag: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) request_has: Vec<(String, String)>,
    pub(crate) request_lacks: Vec<String>,
    pub(crate) answer_has: Vec<(String, String)>,
    pub(crate) answer_lacks: Vec<String>,
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) who: Who,
    pub(crate) flag: Option<String>,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) host: String,
    pub(crate) body: String,
    pub(crate) request: BTreeMap<String, String>,
    pub(crate) answer: BTreeMap<String, String>,
}

impl Seen {
    /// How it differs from what is expected.
    pub(crate) fn differs(&self, expected: &Expected) -> Vec<String> {
        let mut found = Vec::new();
        let who = match (&self.who, &expected.who) {
            (Who::Backend(seen), Who::Backend(expected)) => {
                !seen.is_empty() && seen.is_subset(expected)
            }
            (seen, expected) => seen == expected,
        };
        if !who {
            found.push(format!("it is {:?}", self.who));
            return found;
        }
        let texts = [
            ("method", &self.method, &expected.method),
            ("path", &self.path, &expected.path),
            ("host", &self.host, &expected.host),
            ("body", &self.body, &expected.body),
        ];
        for (what, seen, expected) in texts {
            if expected.as_ref().is_some_and(|expected| expected != seen) {
                found.push(format!("{what} is {seen:?}"));
            }
        }
        if self.flag.is_some() && expected.flag.is_some() && self.flag != expected.flag {
            found.push(format!("flag is {:?}", self.flag));
        }
        let mut headers = |side: &str,
                           all: &BTreeMap<String, String>,
                           has: &[(String, String)],
                           lacks: &[String]| {
            for (name, value) in has {
                let seen = all.get(name);
                if seen != Some(value) {
                    found.push(format!("{side} {name} is {seen:?}"));
                }
            }
            for name in lacks {
                if let Some(value) = all.get(name) {
                    found.push(format!("{side} {name} is {value:?}"));
                }
            }
        };
        headers(
            "request's",
            &self.request,
            &expected.request_has,
            &expected.request_lacks,
        );
        headers(
            "answer's",
            &self.answer,
            &expected.answer_has,
            &expected.answer_lacks,
        );
        found
    }
}
