//! The loop: what is known, and what comes next.

mod open;
mod reports;

use std::error::Error;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::list::{self, Listed, Want};
use super::object::Raw;
use super::pace::Pace;
use super::request::{Failure, Source};
use super::settings::Settings;
use super::stream::Watch;
use super::version::Version;
use super::{Event, initial};
use open::Open;
use reports::{Reports, chain};

/// How often a server must say that it does not serve what it has served before it is believed, and in which distance: one that
/// starts says so of resources that it has not heard of yet.
const MISSING: u32 = 3;
const MISSING_AFTER: Duration = Duration::from_secs(2);

/// How often in a row a list as a stream may fail before one by pages is tried.
const STREAMS: u32 = 2;

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
    /// How often in a row that failed while it was under way.
    broken: u32,
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
    /// It has said nothing for too long: is there still something after this version?
    Probe(Version),
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
            broken: 0,
            reports: Reports::new(),
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
                Phase::Probe(version) => self.probe(version).await,
            };
        }
    }

    async fn list(&mut self, want: Want) -> Phase {
        sleep_until(self.not_before).await;
        // What happens from here on may not show in the answer.
        self.poked.borrow_and_update();
        let started = Instant::now();
        if self.streams && self.broken < STREAMS && self.settings.streaming.is_tried() {
            let length = self.pace.within(&self.settings.watch);
            let (source, settings) = (&self.source, &self.settings);
            match initial::read(source, settings, length, &self.convert).await {
                Ok((listed, watch)) => {
                    self.broken = 0;
                    let version = listed.version.clone();
                    self.listed(listed, started, "as a stream");
                    return Phase::Open(Open::new(watch, version));
                }
                Err(initial::Aborted::Failed(failure)) => {
                    self.broken += u32::from(!failure.is_of_the_server());
                    return self.failed(failure, Phase::List(want));
                }
                Err(initial::Aborted::Refused) => self.streams = false,
                Err(initial::Aborted::Unknown) => {
                    tracing::debug!(target: "kube", resource = %source.resource, "lists are not streamed by this server");
                    settings.streaming.refused();
                }
            }
        }
        self.broken = 0;
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

    /// A server whose store was restored to an older state waits in silence for the version to come.
    async fn probe(&mut self, version: Version) -> Phase {
        match list::version(&self.source, &self.settings).await {
            Ok(present) if present.is_older_than(&version) => {
                let why = "the store of the cluster was restored to an older state";
                tracing::warn!(target: "kube", resource = %self.source.resource, %present, known = %version, "{why}: listing anew");
                Phase::List(ANEW)
            }
            Ok(_) => Phase::Resume(version),
            Err(failure) => self.failed(failure, Phase::Resume(version)),
        }
    }

    /// What was followed leads nowhere: all is listed again. This is no failure, and what is known stays until then.
    fn anew(&mut self, why: &dyn Error, wanted: Option<Duration>) -> Phase {
        tracing::debug!(target: "kube", why = chain(why), "listing anew");
        self.not_before = self.pace.after_failure(wanted);
        Phase::List(ANEW)
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
            Known::Absent => {
                if self.reports.recovered(&self.source) {
                    self.reports.events.push_back(Event::Recovered);
                }
                Phase::Absent
            }
            Known::Objects if self.missing < MISSING => {
                self.not_before = Instant::now() + MISSING_AFTER;
                Phase::List(ANEW)
            }
            Known::Objects | Known::Nothing => {
                tracing::info!(target: "kube", resource = %self.source.resource, "not served by this cluster: waiting for it");
                self.known = Known::Absent;
                self.reports.recovered(&self.source);
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
