//! Initial transfers take turns.
//!
//! A fleet that connects at once asks for everything at once. With a bounded number of transfers at a time the first proxies
//! are complete long before the last has begun, and the buffers of all are not in memory together. Only a stream's first
//! complete state waits; what changes afterwards goes out at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::PollSemaphore;

use crate::metrics::Metrics;

/// How long everything must have been acknowledged before a client counts as complete that has not asked for all types.
const QUIET: Duration = Duration::from_millis(200);

/// The places of one server. Cloning shares them.
#[derive(Debug, Clone)]
pub(crate) struct Admission(Arc<Places>);

#[derive(Debug)]
struct Places {
    free: Arc<Semaphore>,
    taken: Mutex<BTreeMap<u64, Taken>>,
    next: AtomicU64,
    limit: Duration,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Taken {
    _permit: OwnedSemaphorePermit,
    until: Instant,
}

impl Admission {
    /// So many places, each held for at most `limit`.
    pub(crate) fn new(places: usize, limit: Duration, metrics: Arc<Metrics>) -> Self {
        let places = places.clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Places {
            free: Arc::new(Semaphore::new(places)),
            taken: Mutex::default(),
            next: AtomicU64::new(0),
            limit,
            metrics,
        }))
    }

    /// Takes places back whose time is up. A stream sees to that itself as long as it is asked for its next frame; one whose
    /// client takes nothing is not.
    pub(crate) fn sweep(&self, now: Instant) {
        self.0.taken.lock().retain(|_, taken| taken.until > now);
    }

    fn seat(&self, permit: OwnedSemaphorePermit) -> Turn {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let until = Instant::now() + self.0.limit;
        let taken = Taken {
            _permit: permit,
            until,
        };
        self.0.taken.lock().insert(id, taken);
        Turn::Transferring(Transfer {
            _place: Place {
                places: Arc::clone(&self.0),
                id,
            },
            until,
            settled: None,
        })
    }
}

/// Gives its place back when it is dropped.
#[derive(Debug)]
struct Place {
    places: Arc<Places>,
    id: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.lock().remove(&self.id);
    }
}

/// Where a stream stands. A waiter that is dropped gives up its turn, a transfer that is dropped its place.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It has not asked yet.
    Fresh,
    /// It waits.
    Waiting(Box<Waiting>),
    /// Its initial transfer is going on.
    Transferring(Transfer),
    /// It has been complete once.
    Done,
}

#[derive(Debug)]
pub(crate) struct Waiting {
    free: PollSemaphore,
    since: Instant,
    metrics: Arc<Metrics>,
}

impl Waiting {
    fn new(places: &Places) -> Self {
        places.metrics.admission_waiting.inc();
        Self {
            free: PollSemaphore::new(Arc::clone(&places.free)),
            since: Instant::now(),
            metrics: Arc::clone(&places.metrics),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.metrics.admission_waiting.dec();
        let waited = self.since.elapsed();
        self.metrics.admission_wait.observe(waited.as_secs_f64());
    }
}

#[derive(Debug)]
pub(crate) struct Transfer {
    _place: Place,
    until: Instant,
    settled: Option<Instant>,
}

/// What a transfer's state says about its stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// Everything that was asked for is acknowledged.
    pub(crate) settled: bool,
    /// All types have been asked for.
    pub(crate) all_types: bool,
}

impl Turn {
    /// Waits for a place. Places are handed over in the order in which they were asked for.
    pub(crate) fn poll_enter(&mut self, admission: &Admission, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Fresh = self {
            *self = match Arc::clone(&admission.0.free).try_acquire_owned() {
                Ok(permit) => admission.seat(permit),
                Err(_) => Self::Waiting(Box::new(Waiting::new(&admission.0))),
            };
        }
        if let Self::Waiting(waiting) = self {
            *self = match ready!(waiting.free.poll_acquire(cx)) {
                Some(permit) => admission.seat(permit),
                None => Self::Done,
            };
        }
        Poll::Ready(())
    }

    /// Gives the place back if the transfer is complete or has taken too long. Otherwise says when to look again.
    pub(crate) fn look(&mut self, progress: Progress, now: Instant) -> Option<Instant> {
        let Self::Transferring(transfer) = self else {
            return None;
        };
        transfer.settled = progress.settled.then(|| transfer.settled.unwrap_or(now));
        let until = match transfer.settled {
            Some(_) if progress.all_types => now,
            Some(settled) => transfer.until.min(settled + QUIET),
            None => transfer.until,
        };
        if until <= now {
            *self = Self::Done;
            return None;
        }
        Some(until)
    }
}

#[cfg(test)]
mod tests {
    use futures::task::noop_waker;
    use prometheus_client::registry::Registry;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn admission(places: usize) -> Admission {
        Admission::new(
            places,
            LIMIT,
            Arc::new(Metrics::new(&mut Registry::default(), "")),
        )
    }

    fn enters(turn: &mut Turn, admission: &Admission) -> bool {
        turn.poll_enter(admission, &mut Context::from_waker(&noop_waker()))
            .is_ready()
    }

    fn progress(settled: bool, all_types: bool) -> Progress {
        Progress { settled, all_types }
    }

    #[tokio::test(start_paused = true)]
    async fn places_go_to_those_who_wait_in_order() {
        let admission = admission(1);
        let mut turns: Vec<_> = (0..4).map(|_| Turn::Fresh).collect();
        let entered: Vec<_> = turns
            .iter_mut()
            .map(|turn| enters(turn, &admission))
            .collect();
        assert_eq!(entered, [true, false, false, false]);
        assert_eq!(admission.0.metrics.admission_waiting.get(), 3);

        turns.remove(1); // it was next, and has hung up
        turns.remove(0);
        assert!(!enters(&mut turns[1], &admission), "it is not its turn");
        assert!(enters(&mut turns[0], &admission));
        assert_eq!(turns[0].look(progress(true, true), Instant::now()), None);
        assert!(enters(&mut turns[1], &admission));
        assert!(
            enters(&mut turns[0], &admission),
            "once complete, it never waits again"
        );
        assert_eq!(admission.0.metrics.admission_waiting.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_given_back_in_time() {
        let admission = admission(1);
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut turn = Turn::Fresh;
        assert!(enters(&mut turn, &admission));
        assert_eq!(turn.look(progress(false, false), at(0)), Some(at(10_000)));
        assert_eq!(
            turn.look(progress(true, false), at(100)),
            Some(at(300)),
            "the clusters are there; more may be asked for"
        );
        assert_eq!(
            turn.look(progress(false, false), at(200)),
            Some(at(10_000)),
            "and is"
        );
        assert_eq!(
            turn.look(progress(true, false), at(9_900)),
            Some(at(10_000))
        );
        assert_eq!(
            turn.look(progress(false, true), at(10_000)),
            None,
            "time is up"
        );
        assert!(matches!(turn, Turn::Done));
        assert_eq!(admission.0.free.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_taken_back_from_a_stream_that_is_stuck() {
        let admission = admission(1);
        let (mut stuck, mut next) = (Turn::Fresh, Turn::Fresh);
        assert!(enters(&mut stuck, &admission));
        assert!(!enters(&mut next, &admission));
        admission.sweep(Instant::now() + LIMIT - Duration::from_millis(1));
        assert!(!enters(&mut next, &admission));
        admission.sweep(Instant::now() + LIMIT);
        assert!(enters(&mut next, &admission));
        drop(stuck);
        assert_eq!(
            admission.0.free.available_permits(),
            0,
            "it is not given back twice"
        );
    }
}
