//! Versions of resources.

use std::fmt;

/// A resource version: opaque, but for those that are numbers, which grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version(Box<str>);

impl Version {
    /// What a server wrote, unless it is empty.
    pub(super) fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is certainly older.
    pub(super) fn is_older_than(&self, other: &Self) -> bool {
        self.is_number() && other.is_number() && (self.0.len(), &self.0) < (other.0.len(), &other.0)
    }

    fn is_number(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_digit()) && !self.0.starts_with('0')
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_are_compared() {
        let check = |one: &str, other: &str, older: bool| {
            let (one, other) = (Version::new(one).unwrap(), Version::new(other).unwrap());
            assert_eq!(one.is_older_than(&other), older, "{one} {other}");
        };
        check("9", "10", true);
        check("10", "9", false);
        check("10", "10", false);
        check("123", "124", true);
        check("99999999999999999999998", "99999999999999999999999", true);
        check("9", "a", false);
        check("a", "b", false);
        check("01", "2", false);
        assert_eq!(Version::new(""), None);
    }
}
