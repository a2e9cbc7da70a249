//! Tasks with an owner who waits for them.

use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

/// Parts of the process, by name. Dropping them ends them.
#[derive(Debug, Default)]
pub struct Tasks(JoinSet<(&'static str, Result<()>)>);

impl Tasks {
    /// Runs `part`, which is to end only when the process does.
    pub fn spawn(
        &mut self,
        name: &'static str,
        part: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        self.0.spawn(async move { (name, part.await) });
    }

    /// Waits for a part to end, which is a failure whatever it says.
    ///
    /// # Errors
    /// Always, once it returns.
    pub async fn first(&mut self) -> Result<()> {
        match self.0.join_next().await {
            None => std::future::pending().await,
            Some(ended) => Err(failure(ended)),
        }
    }

    /// Waits for all parts, and ends those by force that take longer.
    pub async fn all_within(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        loop {
            match timeout_at(deadline, self.0.join_next()).await {
                Ok(None) => return,
                Ok(Some(Ok((_, Ok(()))))) => {}
                Ok(Some(ended)) => {
                    tracing::warn!(reason = %format!("{:#}", failure(ended)), "stopping")
                }
                Err(_) => {
                    tracing::warn!(
                        parts = self.0.len(),
                        "some parts did not stop in time and are ended"
                    );
                    return self.0.shutdown().await;
                }
            }
        }
    }
}

fn failure(ended: Result<(&'static str, Result<()>), JoinError>) -> anyhow::Error {
    match ended {
        Ok((name, Ok(()))) => anyhow!("{name} has ended, and should not have"),
        Ok((name, Err(error))) => error.context(format!("{name} has failed")),
        Err(error) => anyhow::Error::new(error).context("a part has failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_ends_says_which_and_why() {
        let mut tasks = Tasks::default();
        tasks.spawn("store", std::future::pending());
        tasks.spawn("publisher", async { Err(anyhow!("the store has ended")) });
        let error = tasks.first().await.unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "publisher has failed: the store has ended"
        );
        tasks.spawn("http", async { Ok(()) });
        let error = tasks.first().await.unwrap_err();
        assert_eq!(error.to_string(), "http has ended, and should not have");
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_stop_is_ended() {
        let mut tasks = Tasks::default();
        tasks.spawn("store", std::future::pending());
        tasks.spawn("http", async { Ok(()) });
        let before = Instant::now();
        tasks.all_within(Duration::from_secs(2)).await;
        assert_eq!(before.elapsed(), Duration::from_secs(2));
        assert!(tasks.0.is_empty());
    }
}
