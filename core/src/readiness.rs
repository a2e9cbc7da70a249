//! When the process may answer: a set of named guards, each held by something that is not there yet.
//!
//! Whoever has to be waited for takes a [`Guard`]; the last one that goes makes the process ready, and ready it stays:
//! a source that fails later is served from what was known. What is still pending, and how long each took, can be read
//! at any time.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

/// Whether everything that was to be waited for is there. Clones share it.
///
/// A fresh one is not ready: it becomes so when at least one guard has been taken and all have gone. Hold one while
/// setting up what takes further guards.
#[derive(Debug, Clone)]
pub struct Readiness {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    steps: Mutex<Vec<Step>>,
    ready: watch::Sender<bool>,
}

#[derive(Debug)]
struct Step {
    name: Arc<str>,
    since: Instant,
    took: Option<Duration>,
    note: Option<Arc<str>>,
    withdrawn: bool,
}

/// One thing that readiness waits or waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// What it is.
    pub name: Arc<str>,
    /// For how long it was, or has been, waited for.
    pub waited: Duration,
    /// Whether it is there.
    pub done: bool,
    /// What is worth knowing about it, such as that it was not waited for to the end.
    pub note: Option<Arc<str>>,
}

/// Holds up readiness until it is dropped. One that is dropped by a panic holds it up for ever.
#[derive(Debug)]
#[must_use = "a guard that is dropped at once holds nothing up"]
pub struct Guard {
    shared: Arc<Shared>,
    index: usize,
    abandoned: bool,
}

impl Readiness {
    /// Not ready, and waiting for nothing yet.
    pub fn new() -> Self {
        let (ready, _) = watch::channel(false);
        Self {
            shared: Arc::new(Shared {
                steps: Mutex::default(),
                ready,
            }),
        }
    }

    /// Waits for something of this name. A guard taken when all is ready holds nothing up.
    pub fn guard(&self, name: impl Into<Arc<str>>) -> Guard {
        let mut steps = self.shared.steps.lock();
        let index = steps.len();
        steps.push(Step {
            name: name.into(),
            since: Instant::now(),
            took: None,
            note: None,
            withdrawn: false,
        });
        Guard {
            shared: Arc::clone(&self.shared),
            index,
            abandoned: false,
        }
    }

    /// Whether all is there.
    pub fn is_ready(&self) -> bool {
        *self.shared.ready.borrow()
    }

    /// Returns as soon as all is there.
    pub async fn ready(&self) {
        let mut ready = self.shared.ready.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = ready.wait_for(|ready| *ready).await;
    }

    /// What is waited for, in the order of asking.
    pub fn pending(&self) -> Vec<Progress> {
        self.progress()
            .into_iter()
            .filter(|step| !step.done)
            .collect()
    }

    /// Everything that is or was waited for, in the order of asking.
    pub fn progress(&self) -> Vec<Progress> {
        let steps = self.shared.steps.lock();
        let progress = |step: &Step| Progress {
            name: Arc::clone(&step.name),
            waited: step.took.unwrap_or_else(|| step.since.elapsed()),
            done: step.took.is_some(),
            note: step.note.clone(),
        };
        let steps = steps.iter().filter(|step| !step.withdrawn);
        steps.map(progress).collect()
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Guard {
    /// Goes, although what it waited for is not there: `why` is kept beside its name.
    pub fn give_up(self, why: impl Into<Arc<str>>) {
        if let Some(step) = self.shared.steps.lock().get_mut(self.index) {
            step.note = Some(why.into());
        }
    }

    /// Goes without a trace: somebody else waits for the same.
    pub(crate) fn withdraw(self) {
        if let Some(step) = self.shared.steps.lock().get_mut(self.index) {
            step.withdrawn = true;
        }
    }

    /// Goes without making anything ready: what it waited for will not come, because the process ends.
    pub fn abandon(mut self) {
        self.abandoned = true;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.abandoned || std::thread::panicking() {
            return;
        }
        let mut steps = self.shared.steps.lock();
        let Some(step) = steps.get_mut(self.index) else {
            return;
        };
        let took = step.since.elapsed();
        let name = Arc::clone(&step.name);
        let withdrawn = step.withdrawn;
        step.took = (!withdrawn).then_some(took);
        let counted = || steps.iter().filter(|step| !step.withdrawn);
        let pending = counted().filter(|step| step.took.is_none());
        let pending: Vec<_> = pending.map(|step| &*step.name).collect();
        if !withdrawn {
            tracing::info!(target: "readiness", step = &*name, ?took, still_pending = ?pending, "step done");
        }
        let ready = pending.is_empty() && counted().next().is_some();
        if ready && !self.shared.ready.send_replace(true) {
            tracing::info!(target: "readiness", "ready");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(steps: Vec<Progress>) -> Vec<Arc<str>> {
        steps.into_iter().map(|step| step.name).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_guard_makes_ready() {
        let readiness = Readiness::new();
        let waiting = readiness.clone();
        let waiting = async move { waiting.ready().await };
        tokio::pin!(waiting);
        assert!(!readiness.is_ready(), "nothing was taken yet");

        let (first, second) = (readiness.guard("first"), readiness.guard("second"));
        drop(first);
        assert!(!readiness.is_ready());
        assert_eq!(names(readiness.pending()), ["second".into()]);

        tokio::time::advance(Duration::from_secs(3)).await;
        drop(second);
        waiting.await;
        assert!(readiness.is_ready());
        let step = |name: &str, waited| Progress {
            name: name.into(),
            waited,
            done: true,
            note: None,
        };
        assert_eq!(
            readiness.progress(),
            [
                step("first", Duration::ZERO),
                step("second", Duration::from_secs(3))
            ]
        );
    }

    #[tokio::test]
    async fn ready_is_for_ever() {
        let readiness = Readiness::new();
        drop(readiness.guard("first"));
        let _late = readiness.guard("late");
        assert!(readiness.is_ready());
        assert_eq!(names(readiness.pending()), ["late".into()]);
    }

    #[tokio::test]
    async fn only_a_guard_that_ends_well_counts() {
        let readiness = Readiness::new();
        readiness.guard("abandoned").abandon();
        let guard = readiness.guard("panicking");
        let panicked = std::thread::spawn(move || {
            let _guard = guard;
            panic!("for the test");
        });
        assert!(panicked.join().is_err());
        drop(readiness.guard("good"));
        assert!(!readiness.is_ready());
        assert_eq!(
            names(readiness.pending()),
            ["abandoned".into(), "panicking".into()]
        );
    }

    #[tokio::test]
    async fn a_guard_that_is_withdrawn_never_was() {
        let readiness = Readiness::new();
        readiness.guard("twice").withdraw();
        assert!(!readiness.is_ready(), "nothing is there");
        let (once, twice) = (readiness.guard("once"), readiness.guard("twice"));
        drop(once);
        twice.withdraw();
        assert!(readiness.is_ready());
        assert_eq!(names(readiness.progress()), ["once".into()]);
    }

    #[tokio::test]
    async fn giving_up_makes_ready_and_says_why() {
        let readiness = Readiness::new();
        readiness.guard("optional").give_up("started without it");
        assert!(readiness.is_ready());
        assert_eq!(
            readiness.progress()[0].note.as_deref(),
            Some("started without it")
        );
    }
}
