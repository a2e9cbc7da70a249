//! When an object is written again: at once, unless it was just written, and ever later where somebody else undoes it.

use std::collections::BTreeMap;
use std::time::Duration;

use pilothouse_core::registry::ObjectKey;
use tokio::time::Instant;

/// The longest that an object waits.
const LONGEST: Duration = Duration::from_secs(600);

/// Which part of an object's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Conditions,
    Addresses,
}

/// When what was written.
#[derive(Debug, Default)]
pub(super) struct Pace(BTreeMap<(ObjectKey, Part), Tries>);

#[derive(Debug)]
struct Tries {
    generation: i64,
    count: u32,
    last: Instant,
}

impl Tries {
    /// A second later at the earliest: until then the server may not have told us of it.
    fn next(&self) -> Instant {
        let pause = Duration::from_secs(1) * 2u32.saturating_pow(self.count.min(16));
        self.last + pause.min(LONGEST)
    }
}

impl Pace {
    /// When this may be written; `None`: at once.
    pub(super) fn due(
        &self,
        key: &ObjectKey,
        part: Part,
        generation: i64,
        now: Instant,
    ) -> Option<Instant> {
        let tries = self.0.get(&(key.clone(), part))?;
        let next = tries.next();
        (tries.generation == generation && now < next).then_some(next)
    }

    /// It has been written, or it was tried.
    pub(super) fn tried(&mut self, key: &ObjectKey, part: Part, generation: i64, now: Instant) {
        let key = (key.clone(), part);
        let earlier = self
            .0
            .get(&key)
            .filter(|tries| tries.generation == generation && now < tries.last + 2 * LONGEST);
        let count = earlier.map_or(0, |tries| tries.count + 1);
        let tries = Tries {
            generation,
            count,
            last: now,
        };
        self.0.insert(key, tries);
    }

    /// Forgets objects that are gone.
    pub(super) fn retain(&mut self, is_there: impl Fn(&ObjectKey) -> bool) {
        self.0.retain(|(key, _), _| is_there(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_core::registry::Meta;

    #[test]
    fn who_is_undone_writes_ever_later() {
        let key = Meta::new("ServiceEntry", "shop", "web").key;
        let mut pace = Pace::default();
        let mut now = Instant::now();
        assert_eq!(pace.due(&key, Part::Conditions, 1, now), None);
        let mut pauses = Vec::new();
        for _ in 0..13 {
            pace.tried(&key, Part::Conditions, 1, now);
            let due = pace.due(&key, Part::Conditions, 1, now).unwrap();
            pauses.push((due - now).as_secs());
            now = due;
        }
        assert_eq!(
            pauses,
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]
        );
        pace.tried(&key, Part::Conditions, 1, now + 2 * LONGEST);
        let due = pace.due(&key, Part::Conditions, 1, now + 2 * LONGEST);
        assert_eq!(due, Some(now + 2 * LONGEST + Duration::from_secs(1)));
    }

    #[test]
    fn a_change_of_the_object_is_told_at_once() {
        let key = Meta::new("ServiceEntry", "shop", "web").key;
        let mut pace = Pace::default();
        let now = Instant::now();
        pace.tried(&key, Part::Conditions, 1, now);
        assert!(pace.due(&key, Part::Conditions, 1, now).is_some());
        assert_eq!(pace.due(&key, Part::Conditions, 2, now), None);
        assert_eq!(pace.due(&key, Part::Addresses, 1, now), None);
        pace.retain(|_| false);
        assert_eq!(pace.due(&key, Part::Conditions, 1, now), None);
    }
}
