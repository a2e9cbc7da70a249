//! The loop: what is known, what comes next, and what it says of it.

use std::collections::VecDeque;
use std::error::Error;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::failing::WatchError;
use super::list::{self, Listed, Want};
use super::object::Raw;
use super::pace::Pace;
use super::request::{Failure, Source, Verb};
use super::settings::Settings;
use super::stream::{self, Next, Notice, Watch};
use super::version::Version;
use super::{Event, initial};

/// How often a server must say that it does not serve what it has served before it is believed, and in which distance: one that
/// starts says so of resources that it has not heard of yet.
const MISSING: u32 = 3;
const MISSING_AFTER: Duration = Duration::from_secs(2);

/// How often it is asked soon again after a poke: what a cluster is told to serve is served a moment later.
const EAGER: u32 = 6;

/// One resource as it is followed.
pub(super) struct Follower<T, C> {
    source: Source,
    settings: Settings,
    convert: C,
    phase: Phase,
    known: Known,
    pace: Pace,
    /// Nothing is asked before.
    not_before: Instant,
    poked: watch::Receiver<()>,
    /// How often it is still asked soon.
    eager: u32,
    /// How often in a row the server said that it does not serve this.
    missing: u32,
    /// Whether this resource can be listed as a stream, where others can.
    streams: bool,
    reports: Reports<T>,
}

/// What comes next.
enum Phase {
    /// All is listed.
    List(Want),
    /// Time passes: the resource is not served.
    Absent,
    /// A watch is opened that goes on after this version.
    Resume(Version),
    /// A watch is read.
    Open(Open),
}

/// What was said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    Objects,
    Absent,
}

/// All, as new as the store of the cluster.
const ANEW: Want = Want {
    consistent: true,
    whole: false,
};

impl<T, C: Fn(Raw<'_>) -> T> Follower<T, C> {
    pub(super) fn new(source: Source, settings: Settings, convert: C) -> Self {
        Self {
            phase: Phase::List(Want {
                consistent: settings.consistent,
                whole: false,
            }),
            known: Known::Nothing,
            pace: Pace::new(settings.retry.clone()),
            not_before: Instant::now(),
            poked: settings.poke.listen(),
            eager: 0,
            missing: 0,
            streams: true,
            reports: Reports {
                events: VecDeque::new(),
                causes: Vec::new(),
            },
            source,
            settings,
            convert,
        }
    }

    /// What happens next.
    pub(super) async fn next(&mut self) -> Event<T> {
        loop {
            if let Some(event) = self.reports.events.pop_front() {
                return event;
            }
            let phase = std::mem::replace(&mut self.phase, Phase::List(ANEW));
            self.phase = match phase {
                Phase::List(want) => self.list(want).await,
                Phase::Absent => self.absent().await,
                Phase::Resume(version) => self.resume(version).await,
                Phase::Open(open) => self.watch(open).await,
            };
        }
    }

    async fn list(&mut self, want: Want) -> Phase {
        sleep_until(self.not_before).await;
        // What happens from here on may not show in the answer.
        self.poked.borrow_and_update();
        let started = Instant::now();
        if self.streams && self.settings.streaming.is_tried() {
            let length = self.pace.within(&self.settings.watch);
            let (source, settings) = (&self.source, &self.settings);
            match initial::read(source, settings, length, &self.convert).await {
                Ok((listed, watch)) => {
                    let version = listed.version.clone();
                    self.listed(listed, started, "as a stream");
                    return Phase::Open(Open::new(watch, version));
                }
                Err(initial::Aborted::Failed(failure)) => {
                    return self.failed(failure, Phase::List(want));
                }
                Err(initial::Aborted::Refused) => self.streams = false,
                Err(initial::Aborted::Unknown) => {
                    tracing::debug!(target: "kube", resource = %source.resource, "lists are not streamed by this server");
                    settings.streaming.refused();
                }
            }
        }
        match list::read(&self.source, &self.settings, want, &self.convert).await {
            Ok(listed) => {
                let version = listed.version.clone();
                self.listed(listed, started, "by pages");
                Phase::Resume(version)
            }
            Err(list::Aborted::Failed(failure)) => self.failed(failure, Phase::List(want)),
            // The server offers to go on with what is there by now. What happened meanwhile to the pages before would be lost.
            Err(list::Aborted::Expired) => {
                tracing::debug!(target: "kube", resource = %self.source.resource, "the list took longer than its version lasts: asking for all in one piece");
                self.not_before = self.pace.after_failure(None);
                Phase::List(Want {
                    consistent: true,
                    whole: true,
                })
            }
        }
    }

    fn listed(&mut self, listed: Listed<T>, started: Instant, how: &'static str) {
        let (objects, took) = (listed.objects.len(), started.elapsed());
        let resource = &self.source.resource;
        match self.known {
            Known::Nothing => {
                tracing::info!(target: "kube", %resource, objects, ?took, how, "listed and watched");
            }
            Known::Objects | Known::Absent => {
                tracing::info!(target: "kube", %resource, objects, ?took, how, "listed anew");
            }
        }
        self.known = Known::Objects;
        self.missing = 0;
        self.reports.recovered(&self.source);
        self.reports.events.push_back(Event::Listed(listed.objects));
        let unreadable = listed.unreadable.into_iter().map(Event::Unreadable);
        self.reports.events.extend(unreadable);
    }

    async fn resume(&mut self, version: Version) -> Phase {
        sleep_until(self.not_before).await;
        let length = self.pace.within(&self.settings.watch);
        let parameters = [("resourceVersion", version.as_str())];
        let opened = Watch::open(&self.source, &self.settings, &parameters, length).await;
        match opened {
            Ok(watch) => {
                self.missing = 0;
                Phase::Open(Open::new(watch, version))
            }
            Err(failure) if failure.version => self.anew(&failure.error, failure.retry_after),
            // It cannot make anything of the version: it may be that of another store.
            Err(failure) if failure.is_of_the_request() => self.failed(failure, Phase::List(ANEW)),
            Err(failure) => self.failed(failure, Phase::Resume(version)),
        }
    }

    async fn watch(&mut self, mut open: Open) -> Phase {
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
            Next::Nothing => {
                tracing::debug!(target: "kube", resource = %self.source.resource, "a watch says nothing: going on with a new one");
                Phase::Resume(open.version)
            }
            Next::End if open.settled => Phase::Resume(open.version),
            Next::End => self.broken(open, None),
            Next::Broken(why) => self.broken(open, Some(why)),
        }
    }

    /// A watch has ended before its time.
    fn broken(&mut self, open: Open, source: Option<super::failing::Cause>) -> Phase {
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

    fn notice(&mut self, mut open: Open, line: &super::lines::Line) -> Phase {
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

    /// What was followed leads nowhere: all is listed again. This is no failure, and what is known stays until then.
    fn anew(&mut self, why: &dyn Error, wanted: Option<Duration>) -> Phase {
        tracing::debug!(target: "kube", why = chain(why), "listing anew");
        self.not_before = self.pace.after_failure(wanted);
        Phase::List(ANEW)
    }

    fn went_back(&mut self) -> Phase {
        let asked = self.source.asked(Verb::Watch);
        let why =
            "a change is older than what came before: the order is lost, or the store was restored"
                .into();
        self.anew(&WatchError::Nonsense { asked, why }, None)
    }

    fn failed(&mut self, failure: Failure, next: Phase) -> Phase {
        if failure.status() == Some(StatusCode::NOT_FOUND) {
            return self.not_served();
        }
        self.missing = 0;
        self.not_before = self.pace.after_failure(failure.retry_after);
        self.reports.failing(failure.error);
        next
    }

    fn not_served(&mut self) -> Phase {
        self.missing = self.missing.saturating_add(1);
        match self.known {
            Known::Absent => Phase::Absent,
            Known::Objects if self.missing < MISSING => {
                self.not_before = Instant::now() + MISSING_AFTER;
                Phase::List(ANEW)
            }
            Known::Objects | Known::Nothing => {
                tracing::info!(target: "kube", resource = %self.source.resource, "not served by this cluster: waiting for it");
                self.known = Known::Absent;
                self.reports.causes.clear();
                self.reports.events.push_back(Event::Absent);
                Phase::Absent
            }
        }
    }

    async fn absent(&mut self) -> Phase {
        let at = match self.eager.checked_sub(1) {
            Some(left) => {
                self.eager = left;
                self.pace.after_failure(None)
            }
            None => Instant::now() + self.pace.within(&self.settings.absent),
        };
        tokio::select! {
            () = sleep_until(at) => {}
            Ok(()) = self.poked.changed() => {
                self.eager = EAGER;
                self.pace.reset();
            }
        }
        Phase::List(ANEW)
    }
}

/// A watch that is read.
struct Open {
    watch: Watch,
    /// Up to here all has come.
    version: Version,
    /// When something came last.
    heard: Instant,
    /// It has been open for long enough to count.
    settled: bool,
}

impl Open {
    fn new(watch: Watch, version: Version) -> Self {
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

/// What is said, and what need not be said again.
struct Reports<T> {
    events: VecDeque<Event<T>>,
    /// Causes of failures that were said.
    causes: Vec<Cause>,
}

type Cause = (std::mem::Discriminant<WatchError>, Option<StatusCode>);

impl<T> Reports<T> {
    fn failing(&mut self, error: WatchError) {
        let cause = error.cause();
        if self.causes.contains(&cause) {
            tracing::debug!(target: "kube", "{}", chain(&error));
            return;
        }
        tracing::warn!(target: "kube", "{}; what is known stays", chain(&error));
        self.causes.push(cause);
        self.events.push_back(Event::Failing(error));
    }

    /// Something works. Returns whether it was said to fail.
    fn recovered(&mut self, source: &Source) -> bool {
        let failed = !self.causes.is_empty();
        if failed {
            tracing::info!(target: "kube", resource = %source.resource, "can be read again");
        }
        self.causes.clear();
        failed
    }
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
