//! What a client has rejected, and finding out which resources a rejection is about.
//!
//! A rejection is of a whole response and names culprits in free text only. Where it names none, halves of the response are
//! tried one after the other until one resource is left, at a limited rate. Resources that were not part of the response are
//! not held up by that.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::report::Refused;
use crate::fanout::Item;
use crate::resource::{Name, ResourceType, Version};

/// What is remembered of one type; beyond it the oldest is forgotten, and would be sent once more.
const MOST: usize = 1_024;
/// More of a message than this is not looked at.
const MESSAGE: usize = 64 << 10;
/// More of a message than this is not kept.
const KEPT: usize = 4 << 10;

const MINUTE: Duration = Duration::from_secs(60);

/// The rejections of one type on a stream.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    refused: VecDeque<Refused>,
    /// What has yet to be tried, the next first.
    suspects: VecDeque<Group>,
    /// When the latest trials were made.
    trials: VecDeque<Instant>,
}

/// Resources of which one at least is refused.
#[derive(Debug)]
struct Group(Vec<Item>);

impl Refusals {
    /// Whether nothing is refused or suspected.
    pub(super) fn is_empty(&self) -> bool {
        self.refused.is_empty() && self.suspects.is_empty()
    }

    /// Whether the client has rejected this.
    pub(super) fn refuses(&self, item: &Item) -> bool {
        self.refused
            .iter()
            .any(|r| r.name == *item.name() && r.version == item.resource.version)
    }

    /// Whether this may be the culprit of a rejection and is not sent with others. The next group is let through if `trial`.
    pub(super) fn suspends(&self, item: &Item, trial: bool) -> bool {
        let mut groups = self.suspects.iter().skip(usize::from(trial));
        groups.any(|group| group.has(item.name(), item.resource.version))
    }

    /// Whether it is known why a response with these was rejected.
    pub(super) fn explain(&self, unaccepted: &[&Item]) -> bool {
        let mut items = unaccepted.iter();
        !self.is_empty() && items.any(|item| self.refuses(item) || self.suspends(item, false))
    }

    /// What is refused.
    pub(super) fn refused(&self) -> impl Iterator<Item = &Refused> {
        self.refused.iter()
    }

    /// Whether something has yet to be tried.
    pub(super) fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// When the next trial may be made.
    pub(super) fn next_trial(&self, per_minute: usize) -> Option<Instant> {
        let at = self.trials.len().checked_sub(per_minute.max(1))?;
        self.trials.get(at).map(|first| *first + MINUTE)
    }

    /// A trial has been made.
    pub(super) fn tried(&mut self, now: Instant) {
        while self.trials.front().is_some_and(|t| *t + MINUTE <= now) {
            self.trials.pop_front();
        }
        self.trials.push_back(now);
    }

    /// What is tried next is done with: accepted, or out of date.
    pub(super) fn clear_trial(&mut self) {
        self.suspects.pop_front();
    }

    /// The client has rejected a response. What the message names of what is `unaccepted` is why; where it names nothing, and
    /// what was refused before does not explain it, one of the `suspects` is.
    pub(super) fn reject(
        &mut self,
        resource_type: ResourceType,
        suspects: &[&Item],
        unaccepted: &[&Item],
        explained: bool,
        trial: bool,
        message: &str,
    ) {
        if trial {
            self.suspects.pop_front();
        }
        let mut culprits = culprits(message, unaccepted);
        culprits.retain(|item| !self.refuses(item));
        if culprits.is_empty() && (explained || suspects.is_empty()) {
            return;
        }
        if culprits.is_empty() && suspects.len() <= 1 {
            culprits = suspects.to_vec();
        }
        if culprits.is_empty() {
            let (first, second) = suspects.split_at(suspects.len().div_ceil(2));
            for half in [second, first] {
                let group = Group(half.iter().map(|item| (*item).clone()).collect());
                self.suspects.push_front(group);
            }
            return;
        }
        let kept: Arc<str> = clip(message, KEPT).into();
        for item in culprits {
            if self.refused.len() >= MOST {
                self.refused.pop_front();
            }
            self.refused.push_back(Refused {
                resource_type,
                name: item.name().clone(),
                version: item.resource.version,
                message: kept.clone(),
                causes: item.resource.causes.clone(),
            });
        }
    }
}

impl Group {
    fn has(&self, name: &Name, version: Version) -> bool {
        self.0
            .iter()
            .any(|item| item.name() == name && item.resource.version == version)
    }
}

/// Those of the resources that the message names.
fn culprits<'a>(message: &str, items: &[&'a Item]) -> Vec<&'a Item> {
    let message = clip(message, MESSAGE);
    let named = items
        .iter()
        .filter(|item| mentions(message, item.name().as_str()));
    named.copied().collect()
}

/// Whether the text has the name as a word of its own, and not as a part of another name.
fn mentions(message: &str, name: &str) -> bool {
    // A number says something only where it must be a name: Envoy writes "in route 8080", and ports are everywhere.
    let number = name.bytes().all(|b| b.is_ascii_digit());
    let found = |(at, _): (usize, &str)| {
        let (before, after) = (
            message.get(..at).unwrap_or_default(),
            message.get(at + name.len()..).unwrap_or_default(),
        );
        let introduced = || {
            let quoted = before.ends_with(['\'', '"', '`']) && after.starts_with(['\'', '"', '`']);
            quoted
                || ["route ", "config ", "name "]
                    .iter()
                    .any(|w| before.ends_with(w))
        };
        ends(before) && starts(after) && (!number || introduced())
    };
    !name.is_empty() && message.match_indices(name).any(found)
}

/// Whether a name can begin after this text.
fn ends(before: &str) -> bool {
    !before.ends_with(in_name)
}

/// Whether a name can end before this text: a full stop or colon may be the sentence's.
fn starts(after: &str) -> bool {
    let rest = after.trim_start_matches(['.', ':', ',', ';']);
    if rest.len() == after.len() {
        !after.starts_with(in_name)
    } else {
        rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || !in_name(c))
    }
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || "_-|./:*@%~".contains(c)
}

fn clip(text: &str, len: usize) -> &str {
    text.get(..text.floor_char_boundary(len)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_words() {
        let check = |message: &str, name: &str, expected: bool| {
            assert_eq!(mentions(message, name), expected, "{name} in {message}");
        };
        let cluster =
            "Error adding/updating cluster(s) outbound|80||a.b: bad thing, outbound|81||c: worse.";
        check(cluster, "outbound|80||a.b", true);
        check(cluster, "outbound|81||c", true);
        check(cluster, "outbound|80||a", false);
        check(cluster, "outbound|8", false);
        check("cluster foo.", "foo", true);
        check("cluster foo.bar is bad", "foo", false);
        check(
            "Error adding/updating listener(s) 0.0.0.0_80: no",
            "0.0.0.0_80",
            true,
        );
        check(
            "Error adding/updating listener(s) 10.0.0.0_80: no",
            "0.0.0.0_80",
            false,
        );
        check("duplicate domain in route 8080", "8080", true);
        check("duplicate domain in route 8080", "80", false);
        check("duplicate domain a:8080 with port 8080", "8080", false);
        check("route_config '8080' is bad", "8080", true);
        check("anything", "", false);
    }
}
