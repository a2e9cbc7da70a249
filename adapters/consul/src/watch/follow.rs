//! What every loop keeps between two rounds: how far it has come, whether what it read is stated, and when to ask again.

use std::time::Duration;

use tokio::time::Instant;

use super::pace::Pace;
use super::trust::{Trust, judge};
use crate::client::{Answer, Index};

/// After this time what takes something away is read and stated once more: the store holds sudden losses until a second reading
/// agrees, and takes none for a second one that comes sooner than half a minute.
const CONFIRM: Duration = Duration::from_secs(35);

/// The state of one loop.
#[derive(Debug)]
pub(super) struct Follow {
    pub(super) pace: Pace,
    max_stale: Duration,
    index: Option<Index>,
    /// The last round failed, and that was reported.
    failing: bool,
    /// When what was stated is to be stated again, and why it was doubtful.
    confirm: Option<(Instant, Option<String>)>,
}

/// What to do with an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It says what is known.
    Known,
    /// It is to be stated, with a doubt about what it takes away.
    State(Option<String>),
    /// It is not the truth.
    Untrue(String),
}

impl Follow {
    pub(super) fn new(max_stale: Duration) -> Self {
        Self {
            pace: Pace::new(),
            max_stale,
            index: None,
            failing: false,
            confirm: None,
        }
    }

    /// What the next question is to be newer than, and how long it may wait at most.
    pub(super) fn index(&self, wait: Duration) -> Option<(Index, Duration)> {
        let wait = match &self.confirm {
            Some((at, _)) => wait.min(at.duration_since(Instant::now())),
            None => wait,
        };
        Some((self.index?, wait.max(Duration::from_millis(1))))
    }

    /// Judges an answer. `same`: it says what is known; `loses`: something that is known is not in it.
    pub(super) fn judge<T>(&mut self, answer: &Answer<T>, same: bool, loses: bool) -> Verdict {
        let went_back = matches!((answer.index, self.index), (Some(new), Some(old)) if new < old);
        let trust = judge(answer, self.max_stale, loses, went_back);
        self.index = answer.index.and_then(|index| index.after(self.index));
        let due = self.confirm.take_if(|(at, _)| *at <= Instant::now());
        match (trust, due) {
            (Trust::None(why), _) => Verdict::Untrue(why),
            (Trust::Doubtful(why), _) => {
                self.confirm = Some((Instant::now() + CONFIRM, Some(why.clone())));
                Verdict::State(Some(why))
            }
            (Trust::Full, Some((_, doubt))) => Verdict::State(doubt),
            (Trust::Full, None) if same && !self.failing => Verdict::Known,
            (Trust::Full, None) => {
                if loses {
                    self.confirm = Some((Instant::now() + CONFIRM, None));
                }
                Verdict::State(None)
            }
        }
    }

    /// What was stated is to be looked at again before long, although Consul will not say that anything has changed.
    pub(super) fn look_again(&mut self) {
        self.confirm
            .get_or_insert_with(|| (Instant::now() + CONFIRM, None));
    }

    /// The next question is to be answered at once.
    pub(super) fn anew(&mut self) {
        self.index = None;
    }

    /// Whether what was stated is to be stated again.
    pub(super) fn is_confirming(&self) -> bool {
        self.confirm.is_some()
    }

    /// The round has worked: when the next may begin.
    pub(super) fn worked(&mut self) -> Instant {
        self.failing = false;
        self.pace.next()
    }

    /// The round has failed, and that was reported: when the next may begin.
    pub(super) fn failed(&mut self) -> Instant {
        self.failing = true;
        self.index = None;
        self.pace.after_failure()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn answer(index: u64) -> Answer<()> {
        Answer {
            value: (),
            index: Some(Index::new(index)),
            known_leader: true,
            last_contact: Duration::ZERO,
            filtered: false,
        }
    }

    const WAIT: Duration = Duration::from_secs(300);

    #[tokio::test(start_paused = true)]
    async fn a_loss_is_stated_again_after_a_while() {
        let mut follow = Follow::new(WAIT);
        assert_eq!(follow.judge(&answer(5), false, false), Verdict::State(None));
        assert_eq!(follow.index(WAIT), Some((Index::new(5), WAIT)));
        assert_eq!(follow.judge(&answer(6), false, true), Verdict::State(None));
        assert_eq!(follow.index(WAIT), Some((Index::new(6), CONFIRM)));
        assert_eq!(follow.judge(&answer(7), true, false), Verdict::Known);
        advance(CONFIRM).await;
        assert_eq!(follow.judge(&answer(7), true, false), Verdict::State(None));
        assert_eq!(follow.judge(&answer(7), true, false), Verdict::Known);
    }

    #[tokio::test(start_paused = true)]
    async fn an_index_that_goes_back_makes_losses_doubtful() {
        let mut follow = Follow::new(WAIT);
        follow.judge(&answer(50), false, false);
        let Verdict::State(Some(doubt)) = follow.judge(&answer(5), false, true) else {
            panic!("it is not doubted");
        };
        assert_eq!(
            follow.index(WAIT),
            None,
            "the next question is answered at once"
        );
        assert_eq!(follow.judge(&answer(5), true, false), Verdict::Known);
        advance(CONFIRM).await;
        assert_eq!(
            follow.judge(&answer(5), true, false),
            Verdict::State(Some(doubt))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_what_is_known_is_stated_again() {
        let mut follow = Follow::new(WAIT);
        follow.judge(&answer(5), false, false);
        follow.worked();
        follow.failed();
        assert_eq!(follow.index(WAIT), None);
        assert_eq!(follow.judge(&answer(5), true, false), Verdict::State(None));
        follow.worked();
        assert_eq!(follow.judge(&answer(5), true, false), Verdict::Known);
    }
}
