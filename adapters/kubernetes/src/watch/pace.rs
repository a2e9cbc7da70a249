//! When to ask again: later after every failure, and at random, so that not all come back at one moment.

use std::hash::{BuildHasher, RandomState};
use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::time::Instant;

/// The longest pause that a server can ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(120);

/// The pauses of one loop.
#[derive(Debug)]
pub(super) struct Pace {
    retry: RangeInclusive<Duration>,
    failures: u32,
    random: RandomState,
    drawn: u64,
}

impl Pace {
    pub(super) fn new(retry: RangeInclusive<Duration>) -> Self {
        Self {
            retry,
            failures: 0,
            random: RandomState::new(),
            drawn: 0,
        }
    }

    /// What failed works.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// When to ask again after a failure, no sooner than the server wants.
    pub(super) fn after_failure(&mut self, wanted: Option<Duration>) -> Instant {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let most = self
            .retry
            .start()
            .saturating_mul(factor)
            .min(*self.retry.end());
        let own = self.within(&(most / 2..=most));
        let wanted = wanted.unwrap_or_default().min(LONGEST_ASKED);
        // Those who are told the same moment still come one after the other.
        let wanted = wanted + self.within(&(Duration::ZERO..=wanted / 10));
        Instant::now() + own.max(wanted)
    }

    /// A time between these two.
    pub(super) fn within(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        self.drawn += 1;
        let share = (self.random.hash_one(self.drawn) % 1_000) as f64 / 1_000.0;
        *range.start() + range.end().saturating_sub(*range.start()).mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_a_bound_and_success_forgets_them() {
        let mut pace = Pace::new(FIRST..=LONGEST);
        let now = Instant::now();
        let first = pace.after_failure(None) - now;
        assert!(first >= FIRST / 2 && first <= FIRST, "{first:?}");
        for _ in 0..50 {
            pace.after_failure(None);
        }
        let last = pace.after_failure(None) - now;
        assert!(last >= LONGEST / 2 && last <= LONGEST, "{last:?}");
        pace.reset();
        assert!(pace.after_failure(None) - now <= FIRST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_may_ask_for_more_within_bounds() {
        let mut pace = Pace::new(FIRST..=LONGEST);
        let mut asked = |seconds| {
            let now = Instant::now();
            pace.after_failure(Some(Duration::from_secs(seconds))) - now
        };
        let seven = asked(7);
        assert!(
            seven >= Duration::from_secs(7) && seven < Duration::from_secs(8),
            "{seven:?}"
        );
        let most = asked(u64::MAX);
        assert!(
            most >= LONGEST_ASKED && most <= LONGEST_ASKED.mul_f64(1.1),
            "{most:?}"
        );
    }
}
