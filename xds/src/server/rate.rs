//! A token bucket: so many at once, so many a second for long.

use tokio::time::Instant;

/// What is left of a stream's allowance.
#[derive(Debug)]
pub(crate) struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    /// A full bucket.
    pub(crate) fn full(burst: f64, now: Instant) -> Self {
        Self {
            left: burst,
            at: now,
        }
    }

    /// Takes one; `false` if there is none.
    pub(crate) fn take(&mut self, rate: f64, burst: f64, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * rate;
        self.left = (self.left + earned).min(burst);
        self.at = now;
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_a_rate() {
        let start = Instant::now();
        let mut allowance = Allowance::full(3.0, start);
        let mut taken = |after: u64| {
            let now = start + Duration::from_millis(after);
            (0..10).filter(|_| allowance.take(2.0, 3.0, now)).count()
        };
        assert_eq!(taken(0), 3);
        assert_eq!(taken(400), 0);
        assert_eq!(taken(1_000), 2);
        assert_eq!(taken(60_000), 3);
    }
}
