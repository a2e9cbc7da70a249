//! Answers with what Consul says about them.

use std::time::Duration;

use http::HeaderMap;

/// How far a state of Consul has come. An answer blocks until there is a later one than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(u64);

impl Index {
    /// The index of this number; 0, with which a query would not block, counts as 1.
    pub fn new(number: u64) -> Self {
        Self(number.max(1))
    }

    /// The number, at least 1.
    pub fn get(self) -> u64 {
        self.0
    }

    /// What to ask with after an answer of this index, when the one before was `earlier`: nothing where it went back (a snapshot
    /// was restored, or the server began anew), so that the next answer comes at once.
    pub fn after(self, earlier: Option<Self>) -> Option<Self> {
        match earlier {
            Some(earlier) if self < earlier => None,
            _ => Some(self),
        }
    }
}

/// What Consul answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// The value.
    pub value: T,
    /// Its index; `None` where the answer has none and cannot be waited on.
    pub index: Option<Index>,
    /// Whether the server knew a leader. Without one the value may be arbitrarily old.
    pub known_leader: bool,
    /// For how long the server had not heard of the leader: so old may the value be. 0 for an answer by the leader.
    pub last_contact: Duration,
    /// Whether the token's rights hid a part of the value. Servers before 1.11 never say so.
    pub filtered: bool,
}

impl<T> Answer<T> {
    pub(super) fn of(headers: &HeaderMap, value: T) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let number = |name| text(name).and_then(|text| text.trim().parse::<u64>().ok());
        Self {
            value,
            index: number("x-consul-index").map(Index::new),
            known_leader: text("x-consul-knownleader") != Some("false"),
            last_contact: Duration::from_millis(number("x-consul-lastcontact").unwrap_or(0)),
            filtered: text("x-consul-results-filtered-by-acls") == Some("true"),
        }
    }

    /// The same about another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            value: change(self.value),
            index: self.index,
            known_leader: self.known_leader,
            last_contact: self.last_contact,
            filtered: self.filtered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_how_true_an_answer_is() {
        let check = |headers: &[(&'static str, &str)], expected: Answer<()>| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            assert_eq!(Answer::of(&map, ()), expected, "{headers:?}");
        };
        let plain = Answer {
            value: (),
            index: None,
            known_leader: true,
            last_contact: Duration::ZERO,
            filtered: false,
        };
        check(&[], plain.clone());
        check(
            &[
                ("X-Consul-Index", "7"),
                ("X-Consul-KnownLeader", "false"),
                ("X-Consul-LastContact", "1500"),
                ("X-Consul-Results-Filtered-By-ACLs", "true"),
            ]
            .map(|(name, value)| (&*name.to_ascii_lowercase().leak(), value)),
            Answer {
                index: Some(Index::new(7)),
                known_leader: false,
                last_contact: Duration::from_millis(1500),
                filtered: true,
                ..plain.clone()
            },
        );
        check(
            &[("x-consul-index", "0")],
            Answer {
                index: Some(Index::new(1)),
                ..plain
            },
        );
    }

    #[test]
    fn an_index_that_goes_back_is_forgotten() {
        let check = |index, earlier: Option<u64>, expected: Option<u64>| {
            let next = Index::new(index).after(earlier.map(Index::new));
            assert_eq!(next.map(Index::get), expected, "{index} after {earlier:?}");
        };
        check(5, None, Some(5));
        check(5, Some(5), Some(5));
        check(6, Some(5), Some(6));
        check(4, Some(5), None);
        check(0, Some(1), Some(1));
    }
}
