//! When to ask again: at once after a quiet time, more and more slowly where a thing changes all the time or fails.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// How many rounds may follow each other at once.
const BURST: u32 = 4;
/// How often one more becomes possible.
const REFILL: Duration = Duration::from_millis(500);
/// The first pause after a failure, and the longest.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(15);

/// The pace of one loop.
#[derive(Debug)]
pub(super) struct Pace {
    /// Since when all rounds of a burst are possible again, counted by when the last began.
    full_at: Instant,
    failures: u32,
    random: RandomState,
    drawn: u64,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            full_at: Instant::now(),
            failures: 0,
            random: RandomState::new(),
            drawn: 0,
        }
    }

    /// When the next round may begin after one that has worked.
    pub(super) fn next(&mut self) -> Instant {
        self.failures = 0;
        let now = Instant::now();
        self.full_at = self.full_at.max(now) + REFILL;
        let room = REFILL * BURST;
        match self.full_at.checked_sub(room) {
            Some(at) if at > now => at + REFILL.mul_f64(self.share() / 4.0),
            _ => now,
        }
    }

    /// When the next round may begin after one that has failed: later each time, and at random, so that not all come back at one
    /// moment.
    pub(super) fn after_failure(&mut self) -> Instant {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let most = FIRST.saturating_mul(factor).min(LONGEST);
        Instant::now() + most.mul_f64(0.5 + self.share() / 2.0)
    }

    /// A part of a time, at random: between nothing and all of it.
    pub(super) fn part_of(&mut self, time: Duration) -> Duration {
        time.mul_f64(self.share())
    }

    fn share(&mut self) -> f64 {
        self.drawn += 1;
        (self.random.hash_one(self.drawn) % 1_000) as f64 / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_then_rounds_are_counted_out() {
        let mut pace = Pace::new();
        let start = Instant::now();
        let waits: Vec<_> = (0..8).map(|_| pace.next() - start).collect();
        assert!(waits[..4].iter().all(|wait| wait.is_zero()), "{waits:?}");
        assert!(waits[4] >= REFILL && waits[7] >= REFILL * 4, "{waits:?}");
        advance(REFILL * 20).await;
        assert_eq!(pace.next(), Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_slow_down_to_a_bound_and_success_forgets_them() {
        let mut pace = Pace::new();
        let now = Instant::now();
        let first = pace.after_failure() - now;
        assert!(first >= FIRST / 2 && first <= FIRST);
        for _ in 0..50 {
            pace.after_failure();
        }
        let last = pace.after_failure() - now;
        assert!(last >= LONGEST / 2 && last <= LONGEST);
        pace.next();
        assert!(pace.after_failure() - now <= FIRST);
    }
}
