//! Who holds a query open. Consul counts connections, so only some services do; the others are asked when the catalog's pulse says
//! that something has changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

/// How many of the others are asked at once.
const AT_ONCE: usize = 16;
/// How often the others are asked at least, whatever the pulse says.
pub(super) const AT_LEAST: Duration = Duration::from_secs(60);

/// The places of one run.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    held: Arc<Semaphore>,
    quick: Arc<Semaphore>,
    pulse: Arc<watch::Sender<u64>>,
    /// Somebody has begun to listen.
    listened: Arc<Notify>,
}

/// The right to hold a query open; given back when dropped.
#[derive(Debug)]
pub(super) struct Held(
    #[expect(dead_code, reason = "it is held, not looked at")] OwnedSemaphorePermit,
);

impl Slots {
    /// Places for this many open queries.
    pub(super) fn new(held: usize) -> Self {
        Self {
            held: Arc::new(Semaphore::new(held)),
            quick: Arc::new(Semaphore::new(AT_ONCE)),
            pulse: Arc::new(watch::Sender::new(0)),
            listened: Arc::default(),
        }
    }

    /// A place, if there is one.
    pub(super) fn hold(&self) -> Option<Held> {
        self.held.clone().try_acquire_owned().ok().map(Held)
    }

    /// Waits for one's turn to ask a question that is answered at once. Given back when dropped.
    pub(super) async fn quick(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        self.quick.clone().acquire_owned().await.ok()
    }

    /// Something in the catalog has changed.
    pub(super) fn beat(&self) {
        self.pulse.send_modify(|beats| *beats += 1);
    }

    /// The beats from here on, for one that has no place. While nobody listens, the catalog is not asked for its pulse.
    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        let beats = self.pulse.subscribe();
        self.listened.notify_one();
        beats
    }

    /// Waits until somebody listens.
    pub(super) async fn wanted(&self) {
        while self.pulse.receiver_count() == 0 {
            self.listened.notified().await;
        }
    }
}
