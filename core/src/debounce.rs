//! When to push: a decision fed with times.
//!
//! It holds no timer and no clock. The publisher tells it when something changed and when a push begins and ends, and asks
//! [`due`](Debounce::due) how long to sleep:
//!
//! - After quiet, the first change is due after a few milliseconds: time for what belongs together to arrive.
//! - While a push is being computed, further changes are held back until they pause or have waited for long enough. A push
//!   that ends makes what has gathered due at once.

use std::time::Duration;

use tokio::time::Instant;

/// How long changes are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// After the first change, when nothing is being pushed.
    pub coalesce: Duration,
    /// After the last change, while a push is being computed.
    pub quiet: Duration,
    /// After the first change at most, while a push is being computed.
    pub cap: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            coalesce: Duration::from_millis(3),
            quiet: Duration::from_millis(100),
            cap: Duration::from_secs(1),
        }
    }
}

/// See the [module](self).
#[derive(Debug, Clone)]
pub struct Debounce {
    settings: Settings,
    gathered: Option<Gathered>,
    pushing: usize,
}

#[derive(Debug, Clone, Copy)]
struct Gathered {
    first: Instant,
    last: Instant,
}

impl Debounce {
    /// Nothing has changed yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            gathered: None,
            pushing: 0,
        }
    }

    /// Something changed at `now`.
    pub fn changed(&mut self, now: Instant) {
        let first = self.gathered.map_or(now, |gathered| gathered.first);
        self.gathered = Some(Gathered { first, last: now });
    }

    /// A push of all that has gathered begins.
    pub fn begins(&mut self) {
        self.gathered = None;
        self.pushing += 1;
    }

    /// A push has been computed.
    pub fn ends(&mut self) {
        self.pushing = self.pushing.saturating_sub(1);
    }

    /// When to push; `None` while nothing has changed. A time that has passed means at once.
    pub fn due(&self) -> Option<Instant> {
        let Gathered { first, last } = self.gathered?;
        let soon = first + self.settings.coalesce;
        if self.pushing == 0 {
            return Some(soon);
        }
        Some(
            (last + self.settings.quiet)
                .min(first + self.settings.cap)
                .max(soon),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Step {
        Changed(u64),
        Begins,
        Ends,
    }
    use Step::{Begins, Changed, Ends};

    /// Times are milliseconds from the start.
    #[track_caller]
    fn check(steps: &[Step], due: Option<u64>) {
        let start = Instant::now();
        let mut debounce = Debounce::new(Settings::default());
        for step in steps {
            match step {
                Changed(at) => debounce.changed(start + Duration::from_millis(*at)),
                Begins => debounce.begins(),
                Ends => debounce.ends(),
            }
        }
        assert_eq!(
            debounce.due().map(|at| (at - start).as_millis()),
            due.map(u128::from)
        );
    }

    #[test]
    fn nothing_is_due_without_a_change() {
        check(&[], None);
        check(&[Changed(0), Begins], None);
        check(&[Changed(0), Begins, Ends], None);
    }

    #[test]
    fn after_quiet_the_first_change_decides() {
        check(&[Changed(0)], Some(3));
        check(&[Changed(0), Changed(1), Changed(2)], Some(3));
        check(&[Changed(0), Begins, Ends, Changed(500)], Some(503));
    }

    #[test]
    fn while_a_push_is_computed_changes_wait_for_a_pause() {
        check(&[Changed(0), Begins, Changed(10)], Some(110));
        check(&[Changed(0), Begins, Changed(10), Changed(90)], Some(190));
    }

    #[test]
    fn nothing_waits_for_longer_than_the_cap() {
        check(
            &[Changed(0), Begins, Changed(10), Changed(500), Changed(990)],
            Some(1010),
        );
    }

    #[test]
    fn the_end_of_a_push_releases_what_has_gathered() {
        check(
            &[Changed(0), Begins, Changed(10), Changed(90), Ends],
            Some(13),
        );
        check(
            &[Changed(0), Begins, Changed(10), Begins, Changed(20), Ends],
            Some(120),
        );
        check(
            &[
                Changed(0),
                Begins,
                Changed(10),
                Begins,
                Changed(20),
                Ends,
                Ends,
            ],
            Some(23),
        );
    }

    #[test]
    fn an_end_without_a_beginning_is_harmless() {
        check(&[Ends, Changed(0)], Some(3));
    }
}
