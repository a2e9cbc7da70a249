//! When a run has stated everything once.

use std::sync::Arc;

use tokio::sync::watch;

/// Counts those that have not stated anything yet.
#[derive(Debug, Clone)]
pub(super) struct First(Arc<watch::Sender<usize>>);

/// One that has not stated anything yet; dropping it says that it has.
#[derive(Debug)]
pub(super) struct Pending(First);

impl First {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// One more is to state something.
    pub(super) fn expect(&self) -> Pending {
        self.0.send_modify(|count| *count += 1);
        Pending(self.clone())
    }

    /// Waits until everybody has.
    pub(super) async fn done(&self) {
        let mut counts = self.0.subscribe();
        // The sender lives as long as this does.
        let _ = counts.wait_for(|count| *count == 0).await;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
