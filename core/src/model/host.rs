//! Host names as service rules use them: DNS names, optionally with a leading wildcard.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A lower-case DNS name without trailing dot, `*.` followed by one, or `*` alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host(Arc<str>);

/// Why a text is no [`Host`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a host name: {reason}")]
pub struct InvalidHost {
    text: String,
    reason: &'static str,
}

impl InvalidHost {
    /// What is wrong with it, as a sentence.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl Host {
    /// Parses a host name; upper case is folded (RFC 4343), a trailing dot is dropped.
    pub fn new(text: &str) -> Result<Self, InvalidHost> {
        // The dot of "*." does not end a name: there is none.
        let name = text.strip_suffix('.').filter(|name| *name != "*");
        let lower = name.unwrap_or(text).to_ascii_lowercase();
        match problem(&lower) {
            None => Ok(Self(lower.into())),
            Some(reason) => Err(InvalidHost {
                text: text.to_owned(),
                reason,
            }),
        }
    }

    /// `*`: what stands for all names.
    pub fn any() -> Self {
        Self("*".into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name begins with `*`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with('*')
    }

    /// Whether every name that `other` stands for is also one that this one stands for.
    pub fn covers(&self, other: &Host) -> bool {
        match self.0.strip_prefix('*') {
            None => self == other,
            Some(suffix) => other
                .0
                .strip_prefix('*')
                .unwrap_or(&other.0)
                .ends_with(suffix),
        }
    }
}

fn problem(text: &str) -> Option<&'static str> {
    if text == "*" {
        return None;
    }
    let name = text.strip_prefix("*.").unwrap_or(text);
    if name.is_empty() {
        return Some("it is empty");
    }
    if text.len() > 253 {
        return Some("it is longer than 253 characters");
    }
    name.split('.').find_map(|label| {
        let bytes = label.as_bytes();
        if bytes.is_empty() {
            Some("a label is empty")
        } else if bytes.len() > 63 {
            Some("a label is longer than 63 characters")
        } else if !bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            Some("labels consist of letters, digits, '-' and '_'; '*' may stand alone as the first label")
        } else if bytes.starts_with(b"-") || bytes.ends_with(b"-") {
            Some("a label begins or ends with '-'")
        } else {
            None
        }
    })
}

impl Borrow<str> for Host {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Host {
    type Error = InvalidHost;

    fn try_from(text: String) -> Result<Self, InvalidHost> {
        Self::new(&text)
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.0.as_ref().to_owned()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_and_leading_wildcards() {
        for text in ["a", "a.b-c.d_e", "*", "*.example.com", "10.0.0.1"] {
            assert_eq!(Host::new(text).unwrap().as_str(), text);
        }
        assert_eq!(Host::new("Reviews.Shop.").unwrap().as_str(), "reviews.shop");
    }

    #[test]
    fn refuses_what_dns_refuses() {
        for text in [
            "",
            ".",
            "a..b",
            "-a",
            "a-",
            "a.*.b",
            "*a",
            "a b",
            "ü",
            "*.",
            &"a".repeat(64),
            &"a.".repeat(200),
        ] {
            assert!(Host::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_wildcard_covers_what_ends_alike() {
        let host = |text| Host::new(text).unwrap();
        assert!(host("*").covers(&host("a.b")));
        assert!(host("*.b").covers(&host("a.b")));
        assert!(host("*.b").covers(&host("*.a.b")));
        assert!(!host("*.b").covers(&host("b")));
        assert!(!host("*.a.b").covers(&host("*.b")));
        assert!(!host("a").covers(&host("*")));
    }
}
