//! Which hosts some rules are for: a quick answer for all hosts that they are not for.

use std::borrow::Borrow;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync as Map;

use crate::model::Host;

/// Hosts as rules write them, each with how many rules do.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Names {
    exact: Map<Host, usize>,
    /// What follows the `*` of wildcards.
    suffixes: Map<Arc<str>, usize>,
}

impl Names {
    pub(super) fn insert(&mut self, host: &Host) {
        put(&mut self.exact, host.clone());
        if let Some(suffix) = host.as_str().strip_prefix('*') {
            put(&mut self.suffixes, suffix.into());
        }
    }

    pub(super) fn remove(&mut self, host: &Host) {
        take(&mut self.exact, host.as_str());
        if let Some(suffix) = host.as_str().strip_prefix('*') {
            take(&mut self.suffixes, suffix);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty()
    }

    /// Whether one of them is `host`, or a wildcard that covers it.
    pub(super) fn cover(&self, host: &Host) -> bool {
        let text = host.as_str();
        let mut dots = text.match_indices('.').map(|(at, _)| &text[at..]);
        self.exact.contains_key(text)
            || !self.suffixes.is_empty()
                && (self.suffixes.contains_key("")
                    || dots.any(|suffix| self.suffixes.contains_key(suffix)))
    }
}

fn put<K: Ord>(counts: &mut Map<K, usize>, name: K) {
    let count = counts.get(&name).copied().unwrap_or(0);
    counts.insert_mut(name, count + 1);
}

fn take<K: Ord + Clone + Borrow<str>>(counts: &mut Map<K, usize>, name: &str) {
    match counts.get_key_value(name) {
        Some((key, count)) if *count > 1 => {
            let (key, count) = (key.clone(), *count);
            counts.insert_mut(key, count - 1);
        }
        Some(_) => {
            counts.remove_mut(name);
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_cover_what_their_wildcards_cover() {
        let host = |text| Host::new(text).unwrap();
        let all = [
            "a.com",
            "b.a.com",
            "c.b.a.com",
            "*.a.com",
            "com",
            "*",
            "*.com",
            "x.org",
        ];
        for name in all {
            let mut names = Names::default();
            names.insert(&host(name));
            for other in all {
                let expected = host(name).covers(&host(other));
                assert_eq!(names.cover(&host(other)), expected, "{name} {other}");
            }
            names.remove(&host(name));
            assert!(names.is_empty() && !names.cover(&host(name)), "{name}");
        }
    }
}
