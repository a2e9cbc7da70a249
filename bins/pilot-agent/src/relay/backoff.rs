//! How long to wait before discovery is tried again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Doubles from a first time up to a longest one, each spread at random, so that a fleet does not come back at one moment.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    random: RandomState,
    drawn: u64,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
            random: RandomState::new(),
            drawn: 0,
        }
    }

    /// The longest time.
    pub(super) fn longest(&self) -> Duration {
        self.longest
    }

    /// What was tried has worked.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next time: at once after something that has worked, give or take the first time.
    pub(super) fn next(&mut self) -> Duration {
        self.drawn += 1;
        let share = (self.random.hash_one(self.drawn) % 1_000) as f64 / 1_000.0;
        let Some(doublings) = self.failures.checked_sub(1) else {
            self.failures = 1;
            return self.first.mul_f64(share);
        };
        self.failures = self.failures.saturating_add(1);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let most = self.first.saturating_mul(factor).min(self.longest);
        most.mul_f64(0.5 + share / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_its_bound_and_begins_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(15));
        for _ in 0..2 {
            assert!(backoff.next() < Duration::from_millis(100));
            let mut most = 100;
            for _ in 0..100 {
                let millis = backoff.next().as_millis();
                assert!((most / 2..=most).contains(&millis), "{millis} of {most}");
                most = (most * 2).min(15_000);
            }
            backoff.reset();
        }
    }

    #[test]
    fn two_do_not_wait_alike() {
        let times = || {
            let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(15));
            (0..8).map(|_| backoff.next()).collect::<Vec<_>>()
        };
        assert_ne!(times(), times());
    }
}
