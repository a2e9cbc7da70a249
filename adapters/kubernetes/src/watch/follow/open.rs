//! Reading a watch that is open.

use std::time::Duration;

use tokio::time::Instant;

use super::reports::chain;
use super::{Follower, Phase};
use crate::watch::failing::Cause;
use crate::watch::lines::Line;
use crate::watch::object::Raw;
use crate::watch::request::Verb;
use crate::watch::stream::{self, Next, Notice, Watch};
use crate::watch::version::Version;
use crate::watch::{Event, WatchError};

/// A watch that is read.
pub(super) struct Open {
    watch: Watch,
    /// Up to here all has come.
    version: Version,
    /// When something came last.
    heard: Instant,
    /// It has been open for long enough to count.
    settled: bool,
}

impl Open {
    pub(super) fn new(watch: Watch, version: Version) -> Self {
        Self {
            watch,
            version,
            heard: Instant::now(),
            settled: false,
        }
    }

    /// Takes note of a version. Returns whether it is older than what came before.
    fn goes_back(&mut self, version: Option<Version>) -> bool {
        match version {
            Some(version) if version.is_older_than(&self.version) => true,
            Some(version) => {
                self.version = version;
                false
            }
            None => false,
        }
    }
}

impl<T, C: Fn(Raw<'_>) -> T> Follower<T, C> {
    /// What an open watch says next.
    pub(super) async fn watch(&mut self, mut open: Open) -> Phase {
        let settles = open.watch.opened + self.settings.settled;
        let silent = open.heard + self.settings.silence;
        let until = if open.settled {
            silent
        } else {
            silent.min(settles)
        };
        let next = open.watch.next(until).await;
        let now = Instant::now();
        if !open.settled && now >= settles {
            open.settled = true;
            self.pace.reset();
            if self.reports.recovered(&self.source) {
                self.reports.events.push_back(Event::Recovered);
            }
        }
        match next {
            Next::Line(line) => {
                open.heard = now;
                self.notice(open, &line)
            }
            Next::Nothing if now < silent && now < open.watch.over => Phase::Open(open),
            Next::Nothing if now >= silent => {
                tracing::debug!(target: "kube", resource = %self.source.resource, "a watch says nothing: going on with a new one");
                Phase::Probe(open.version)
            }
            Next::Nothing => Phase::Resume(open.version),
            Next::End if open.settled => Phase::Resume(open.version),
            Next::End => self.broken(open, None),
            Next::Broken(why) => self.broken(open, Some(why)),
        }
    }

    /// A watch has ended before its time.
    fn broken(&mut self, open: Open, source: Option<Cause>) -> Phase {
        if open.settled {
            tracing::debug!(target: "kube", resource = %self.source.resource, why = source.map(|why| chain(&*why)), "a watch broke off: going on with a new one");
            let soon = Duration::ZERO..=*self.settings.retry.start();
            self.not_before = Instant::now() + self.pace.within(&soon);
            return Phase::Resume(open.version);
        }
        let error = WatchError::Broken {
            asked: self.source.asked(Verb::Watch),
            source,
        };
        self.failed(error.into(), Phase::Resume(open.version))
    }

    fn notice(&mut self, mut open: Open, line: &Line) -> Phase {
        let event = match stream::read(line) {
            Notice::Applied(raw) => match open.goes_back(raw.metadata.version()) {
                true => return self.went_back(),
                false => Event::Applied((self.convert)(raw)),
            },
            Notice::Deleted(metadata) => match open.goes_back(metadata.version()) {
                true => return self.went_back(),
                false => Event::Deleted(metadata),
            },
            Notice::Bookmark { version, .. } => match open.goes_back(version) {
                true => return self.went_back(),
                false => return Phase::Open(open),
            },
            Notice::Error(status) => {
                let failure = self.source.refused(Verb::Watch, &status);
                if failure.version {
                    return self.anew(&failure.error, failure.retry_after);
                }
                if open.settled {
                    tracing::debug!(target: "kube", why = %failure.error, "a watch was ended: going on with a new one");
                    self.not_before = self.pace.after_failure(failure.retry_after);
                    return Phase::Resume(open.version);
                }
                return self.failed(failure, Phase::Resume(open.version));
            }
            Notice::Unreadable(why) => Event::Unreadable(WatchError::Object {
                asked: self.source.asked(Verb::Watch),
                why,
            }),
            Notice::Unknown => return Phase::Open(open),
        };
        self.reports.events.push_back(event);
        Phase::Open(open)
    }

    fn went_back(&mut self) -> Phase {
        let asked = self.source.asked(Verb::Watch);
        let why =
            "a change is older than what came before: the order is lost, or the store was restored"
                .into();
        self.anew(&WatchError::Nonsense { asked, why }, None)
    }
}
