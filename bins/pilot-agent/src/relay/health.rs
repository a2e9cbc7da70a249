//! Whether a connection to discovery is of any use: a process may be there and answer nobody.

use parking_lot::Mutex;
use tokio::sync::watch;

/// What streams have found out about the connection that carries them.
#[derive(Debug)]
pub(super) struct Health {
    verdict: watch::Sender<Verdict>,
    open: Mutex<usize>,
}

/// See [`Health`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody knows.
    Untried,
    /// A stream has been sent something.
    Works,
    /// Streams are turned away, for this reason.
    Refuses(String),
}

impl Health {
    pub(super) fn new() -> Self {
        Self {
            verdict: watch::Sender::new(Verdict::Untried),
            open: Mutex::new(0),
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Verdict> {
        self.verdict.subscribe()
    }

    pub(super) fn opened(&self) {
        *self.open.lock() += 1;
    }

    pub(super) fn ended(&self) {
        let mut open = self.open.lock();
        *open = open.saturating_sub(1);
    }

    /// A stream has been sent something.
    pub(super) fn works(&self) {
        self.verdict.send_if_modified(|verdict| {
            let news = *verdict == Verdict::Untried;
            if news {
                *verdict = Verdict::Works;
            }
            news
        });
    }

    /// A stream, which counts as open, was turned away before it was sent anything. Where others go on, that is the stream's own
    /// affair.
    pub(super) fn refuses(&self, why: &str) {
        let alone = *self.open.lock() <= 1;
        self.verdict.send_if_modified(|verdict| {
            let condemned = alone && !matches!(verdict, Verdict::Refuses(_));
            if condemned {
                *verdict = Verdict::Refuses(why.to_owned());
            }
            condemned
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stream_that_is_turned_away_does_not_end_the_others() {
        let health = Health::new();
        let verdict = health.watch();
        health.opened();
        health.works();
        health.opened();
        health.refuses("too many streams");
        assert_eq!(*verdict.borrow(), Verdict::Works);
        health.ended();
        health.refuses("not ready");
        assert_eq!(*verdict.borrow(), Verdict::Refuses("not ready".to_owned()));
        health.works();
        assert_ne!(*verdict.borrow(), Verdict::Works, "it is given up");
    }
}
