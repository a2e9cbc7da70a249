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
    /// How many guards have not gone.
    held: watch::Sender<usize>,
}

#[derive(Debug)]
struct Step {
    name: Arc<str>,
    at_last: bool,
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
        let (held, _) = watch::channel(0);
        Self {
            shared: Arc::new(Shared {
                steps: Mutex::default(),
                ready,
                held,
            }),
        }
    }

    /// Waits for something of this name. A guard taken when all is ready holds nothing up.
    pub fn guard(&self, name: impl Into<Arc<str>>) -> Guard {
        self.take(name.into(), false)
    }

    /// The same for what can be looked at only when all else is there: until then, nothing is said of it.
    pub fn guard_at_last(&self, name: impl Into<Arc<str>>) -> Guard {
        self.take(name.into(), true)
    }

    fn take(&self, name: Arc<str>, at_last: bool) -> Guard {
        let mut steps = self.shared.steps.lock();
        let index = steps.len();
        self.shared.held.send_modify(|held| *held += 1);
        steps.push(Step {
            name,
            at_last,
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
        let open = |step: &&Step| !step.withdrawn && step.took.is_none();
        let others = steps.iter().filter(open).any(|step| !step.at_last);
        let unsaid = |step: &&Step| step.withdrawn || step.at_last && others && open(step);
        steps
            .iter()
            .filter(|step| !unsaid(step))
            .map(progress)
            .collect()
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Guard {
    /// Returns as soon as this is all that readiness waits for.
    pub async fn is_last(&self) {
        let mut held = self.shared.held.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = held.wait_for(|held| *held <= 1).await;
    }

    /// Says why it stays, beside its name.
    pub fn explain(&self, why: impl Into<Arc<str>>) {
        self.note(Some(why.into()));
    }

    /// There is nothing to say any more.
    pub fn explained(&self) {
        self.note(None);
    }

    fn note(&self, note: Option<Arc<str>>) {
        if let Some(step) = self.shared.steps.lock().get_mut(self.index) {
            step.note = note;
        }
    }

    /// Goes, although what it waited for is not there: `why` is kept beside its name.
    pub fn give_up(self, why: impl Into<Arc<str>>) {
        self.explain(why);
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
        self.shared
            .held
            .send_modify(|held| *held = held.saturating_sub(1));
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
        assert_eq!(names(readiness.pending()), [Arc::from("second")]);

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
        assert_eq!(names(readiness.pending()), [Arc::from("late")]);
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
            ["abandoned", "panicking"].map(Arc::from)
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
        assert_eq!(names(readiness.progress()), [Arc::from("once")]);
    }

    #[tokio::test]
    async fn the_last_one_knows_and_says_why_it_stays() {
        let readiness = Readiness::new();
        let (last, other) = (readiness.guard_at_last("last"), readiness.guard("other"));
        assert_eq!(names(readiness.pending()), [Arc::from("other")]);
        tokio::select! {
            biased;
            () = last.is_last() => panic!("another is held"),
            () = std::future::ready(()) => {}
        }
        other.withdraw();
        last.is_last().await;
        last.explain("for a reason");
        assert_eq!(readiness.pending()[0].note.as_deref(), Some("for a reason"));
        last.explained();
        drop(last);
        assert!(readiness.is_ready());
        assert_eq!(readiness.progress()[0].note, None);
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
