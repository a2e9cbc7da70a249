//! Waiting for a condition, in place of sleeping.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// Asks `probe` again and again until it answers `Ok`, or until `within` has passed: then its last error says what was missing.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    probe: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    eventually_every(INTERVAL, what, within, probe).await
}

/// The same with so much time between two looks, for what is measured by waiting.
pub async fn eventually_every<T>(
    interval: Duration,
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        match probe().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).with_context(|| format!("not within {within:?}: {what}"));
            }
            Err(_) => sleep(interval).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_returns_the_first_success() {
        let mut asked = 0;
        let probe = async || {
            asked += 1;
            ensure!(asked == 3, "asked {asked} times");
            Ok(asked)
        };
        assert_eq!(
            eventually("the third time", Duration::from_secs(1), probe)
                .await
                .unwrap(),
            3
        );
    }

    #[tokio::test(start_paused = true)]
    async fn it_gives_up_with_the_last_reason() {
        let error = eventually("never", Duration::from_secs(1), async || -> Result<()> {
            anyhow::bail!("still nothing")
        })
        .await
        .unwrap_err();
        assert_eq!(format!("{error:#}"), "not within 1s: never: still nothing");
    }
}
